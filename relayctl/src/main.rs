//! The host side of relay: boots the kernel, watches it, checks what it logged.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    relayctl::cli::main(std::env::args_os()).into()
}
