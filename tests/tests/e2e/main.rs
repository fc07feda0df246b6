//! The kernel in QEMU, watched by relayctl.

mod attach;
mod bench;
mod capture;
mod clients;
mod clock;
mod command;
mod control;
mod cost;
mod device;
mod events;
mod failure;
mod identity;
mod moments;
mod profile;
mod programs;
#[path = "../../../relayctl/tests/readers/mod.rs"]
mod readers;
mod recorder;
mod ringless;
mod rings;
mod salvage;
mod seeds;
mod serial;
mod smoke;
mod source;
mod stall;
mod syslog;
mod trace;
mod types;
mod unread;
mod viewers;
mod watch;
