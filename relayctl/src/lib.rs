//! The host side of relay: boots the kernel, shows what it logs while it runs,
//! and checks that every record is accounted for.
//!
//! [`cli`] reads the command line and [`run`] does what it says. Below them:
//! [`install`] finds what the machine lacks, [`workspace`] builds the kernel,
//! [`guest`] runs QEMU, [`console`] reads its text, [`render`] and [`symbols`]
//! show it, [`ledger`] counts it, and [`summary`] tells the result.
//!
//! What a guest sends over its [`ports`] becomes a [`capture`]: [`wire`] finds the
//! packets, [`tsdl`] reads the metadata, [`decode`] the records. [`audit`] proves
//! that nothing is missing, and [`commands`] are what works with captures.
//!
//! Nothing that comes from a guest, a file or the command line is trusted: it
//! gives a clear error or is shown escaped, and never makes relayctl panic,
//! hang, or use memory without bound.

#![deny(unsafe_code)]

pub mod audit;
pub mod capture;
pub mod cli;
pub mod commands;
pub mod console;
pub mod decode;
pub mod exit;
pub mod guest;
pub mod install;
pub mod ledger;
pub mod ports;
pub mod render;
pub mod run;
pub mod summary;
pub mod symbols;
pub mod term;
pub mod tsdl;
pub mod wire;
pub mod workspace;
