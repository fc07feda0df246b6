//! Machines for relay's kernels.
//!
//! [`install`] finds what this machine lacks, and installs it where that is allowed. [`workspace`]
//! finds relay's checkout and builds its kernel and its programs, of which [`archive`] makes the
//! ramdisk. [`settings`] reads what that kernel's command line
//! may say. [`guest`] runs QEMU, reads its console and never leaves it behind. [`ports`] takes what
//! the guest sends over its virtio ports, and writes a capture of it; [`port_files`] does so when
//! the guest has ended. [`control`] passes on what others ask of a guest that runs, and asks.
//! [`syslog`] passes on what it says to syslog.
//!
//! Nothing here prints but what a command that is run for the user prints itself: what the user
//! should know goes through [`install::System::say`].

#![deny(unsafe_code)]

pub mod archive;
pub mod control;
pub mod guest;
pub mod install;
pub mod port_files;
pub mod ports;
pub mod settings;
pub mod syslog;
pub mod workspace;
