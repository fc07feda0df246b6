//! Everything else that is x86_64: descriptor tables, traps, APICs, the other CPUs.
//!
//! From the ground up; a lower file never imports a higher one. What stands above and must be
//! called from here is registered in [`handlers`].
//!
//! - [`events`]: what the trace has of them;
//! - [`pic`], [`apic`], [`ioapic`]: interrupt controllers; [`hpet`]: timers; [`calibrate`]: how fast
//!   the clock counts;
//! - [`stop`]: stopping other CPUs for good;
//! - [`segments`], [`frame`]: what traps and tables agree on, what a trap leaves on the stack;
//! - [`handlers`]: who is told of traps; [`probe`]: trying what may not be there;
//!   [`traps`]: the stubs and what they dispatch to;
//! - [`switch`]: from one thread to another; [`user`]: ring 3; [`walls`]: trying what keeps it apart;
//! - [`tables`]: GDT, TSS, IDT; [`smp`]: starting and waking other CPUs;
//! - [`backtrace`], [`provoke`]: for reports, and for causing them;
//! - [`sampling`]: interrupting all CPUs again and again, to look at them.

pub(crate) mod apic;
pub(crate) mod backtrace;
pub(crate) mod calibrate;
pub(crate) mod events;
pub(crate) mod frame;
pub(crate) mod handlers;
mod hpet;
pub(crate) mod ioapic;
pub(crate) mod pic;
pub(crate) mod probe;
pub(crate) mod provoke;
pub(crate) mod sampling;
mod segments;
pub(crate) mod smp;
pub(crate) mod stop;
pub(crate) mod switch;
pub(crate) mod tables;
mod traps;
pub(crate) mod user;
pub(crate) mod walls;
