//! The kernel in QEMU, watched by relayctl.

mod capture;
mod command;
mod failure;
mod smoke;
mod source;
