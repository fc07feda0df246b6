//! The host side of relay: boots the kernel, shows its log live, makes captures, shows them, and
//! checks that every record is accounted for.
//!
//! [`cli`] reads the command line and shows [`help`], and one of the [`commands`] does what it
//! says. What they show is made by [`report`], [`terminal`] and [`profile`]; [`symbols`] has names
//! for addresses, [`signals`] lets a user end a command, and [`exit`] has the exit codes. The work is
//! done by two libraries: `relay_decode` reads and judges, `relay_machine` has what boots.
//!
//! Nothing that comes from a guest, a file or the command line is trusted: it
//! gives a clear error or is shown escaped, and never makes relayctl panic,
//! hang, or use memory without bound.

#![forbid(unsafe_code)]

mod cli;
mod commands;
mod exit;
mod help;
mod profile;
mod report;
mod signals;
mod symbols;
mod terminal;

use std::process::ExitCode;

fn main() -> ExitCode {
    signals::outlive_file_limit();
    let exit = cli::main(std::env::args_os());
    terminal::settle_talk(|| false);
    exit.into()
}
