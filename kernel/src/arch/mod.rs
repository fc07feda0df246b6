//! Everything that is x86_64: descriptor tables, traps, APICs, the other CPUs, the clock.
//!
//! From the ground up; a lower line never imports a higher one, except that traps
//! call into the rest of the kernel:
//!
//! - [`percpu`]: this CPU's block behind GS, what it is doing, who is online;
//! - [`tables`]: GDT, TSS, IDT; [`traps`]: the stubs and what they dispatch to;
//! - [`irq`]: the vectors of devices and their handlers;
//! - [`apic`]: the local APIC; [`clock`]: the time stamp counter as a clock;
//! - [`smp`]: starting, waking, parking and stopping other CPUs;
//! - [`platform`]: all this as relay sees it;
//! - [`backtrace`], [`provoke`]: for reports, and for causing them.

pub(crate) mod apic;
pub(crate) mod backtrace;
pub(crate) mod clock;
pub(crate) mod irq;
pub(crate) mod percpu;
pub(crate) mod pic;
pub(crate) mod platform;
pub(crate) mod provoke;
pub(crate) mod smp;
pub(crate) mod stacks;
pub(crate) mod tables;
pub(crate) mod traps;

use x86_64::instructions::{hlt, interrupts};

/// Stops this CPU for good: interrupts off, halted. NMIs still get their handler.
///
/// Any context.
pub(crate) fn halt_forever() -> ! {
    loop {
        interrupts::disable();
        hlt();
    }
}
