//! This CPU: which one it is, what it is doing, what time it is. Needs nothing but itself.
//!
//! From the ground up; a lower file never imports a higher one:
//!
//! - [`vector`]: the numbers of interrupts; [`clock`]: reading the time stamp counter;
//!   [`patience`]: waiting for something that moves;
//! - [`bell`]: how a CPU interrupts itself;
//! - [`percpu`]: this CPU's block behind GS, what it is doing, who is online; [`pins`]: what keeps
//!   others off it;
//! - [`running`]: which thread runs on it; [`lock`]: locks;
//! - [`machine`]: all this as relay sees it.

pub(crate) mod bell;
pub(crate) mod clock;
pub(crate) mod lock;
pub(crate) mod machine;
pub(crate) mod patience;
pub(crate) mod percpu;
pub(crate) mod pins;
pub(crate) mod running;
pub(crate) mod vector;

use x86_64::instructions::{hlt, interrupts};

/// Turns interrupts on and halts until one has been handled, in one step: one that comes after they
/// were turned off ends the halt. Whether this CPU was idle until now: not if the interrupt has
/// switched to another thread. Task context, interrupts off, also when it returns. A function of its
/// own, so that profiles show the time that is not used.
#[inline(never)]
pub(crate) fn wait_for_interrupt() -> bool {
    percpu::set_idle();
    interrupts::enable_and_hlt();
    interrupts::disable();
    percpu::end_idle()
}

/// Stops this CPU for good: interrupts off, halted. NMIs still get their handler.
///
/// Any context.
pub(crate) fn halt_forever() -> ! {
    loop {
        interrupts::disable();
        hlt();
    }
}
