//! The kernel in QEMU, watched by relayctl.

mod attach;
mod capture;
mod clock;
mod command;
mod cost;
mod device;
mod failure;
mod ringless;
mod rings;
mod salvage;
mod serial;
mod smoke;
mod source;
mod unread;
