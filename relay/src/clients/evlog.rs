//! evlog: events for those who run the machine.
//!
//! After evlog, the event log of the POSIX draft 1003.25. What klog says is read by people. What
//! evlog says is an [event](mod@crate::event) with typed fields, and for programs, too: it has a
//! *facility*, the part of the system that it is about; a *type*, which tells it from others of that
//! facility; a severity; and who wrote it, a process and a thread. A sentence of its own (`text`)
//! makes it readable.
//!
//! An event is one of evlog if it is declared for the [channel](CHANNEL) of that name:
//!
//! ```
//! # #[cfg(miri)] fn main() {}
//! # #[cfg(not(miri))] fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use relay::clients::evlog;
//! use relay::host::{Cpu, Host};
//! use relay::{Channel, Geometry, NoHooks, Storage};
//!
//! relay::event! {
//!     /// A disk did not answer.
//!     #[event(
//!         channel = "evlog",
//!         facility = "disk",
//!         type = 3,
//!         severity = Warn,
//!         text = "{disk}: block {lba} timed out"
//!     )]
//!     struct TimedOut<'a> { disk: &'a str, lba: u64 }
//! }
//!
//! static EVLOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
//! let cpu = Cpu::claim();
//! let geometry = Geometry::new(1024, 4)?;
//! EVLOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
//!
//! EVLOG.emit(&TimedOut { disk: "sda", lba: 2048 })?;
//! EVLOG.flush();
//! let taken = EVLOG.reader(cpu.number())?.next_subbuf().unwrap();
//! let record = evlog::records(taken.records(), taken.packet().begin_ticks).next().unwrap()?;
//! assert_eq!(record.to_string(), "sda: block 2048 timed out");
//! assert_eq!((record.facility(), record.codes.facility, record.codes.kind), ("disk", 0x0c74_dd02, 3));
//! assert_eq!(record.who.process, std::process::id().cast_signed());
//! # Ok(())
//! # }
//! ```
//!
//! **Codes without a registry.** A facility has a name in the source, and a code that follows from
//! it: syslog's, of a name that syslog has (`kern` is 0, `daemon` 24); of others the CRC-32, that of
//! zlib, of the name in lower case, with `.` for what is neither letter, digit nor `_`. So codes
//! agree among kernels that have never met. A type is a number that the programmer chooses, and
//! keeps; without one it is the CRC-32 of the event's name, its text and its file. Two events of a
//! facility with the same type do not link. Both are in the metadata, and computed when the kernel
//! is compiled.
//!
//! **Who wrote it** is not for the caller to say: [`Platform::who`](crate::Platform::who) is asked.
//! Records have it between their stamp and their fields, as the context `pid` and `tid`, which
//! viewers know.
//!
//! Writing is [`Channel::emit`](crate::Channel::emit), from any context; what is lost is counted.

mod class;
mod read;

pub use crate::event::Codes;
pub use class::{CHANNEL, stream};
pub use read::{Record, next, records};
