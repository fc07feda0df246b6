//! The kernel in QEMU, watched by relayctl.

mod command;
mod failure;
mod smoke;
mod source;
