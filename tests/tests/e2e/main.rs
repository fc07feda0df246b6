//! The kernel in QEMU, watched by relayctl.

mod attach;
mod capture;
mod clock;
mod command;
mod cost;
mod device;
mod failure;
mod moments;
mod ringless;
mod salvage;
mod serial;
mod smoke;
mod source;
mod stall;
mod unread;
