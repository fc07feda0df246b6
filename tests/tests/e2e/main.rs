//! The kernel in QEMU, watched by relayctl.

mod capture;
mod command;
mod cost;
mod failure;
mod smoke;
mod source;
