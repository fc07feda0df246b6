//! Waiting: halted, and without losing a wake-up.

use x86_64::instructions::interrupts;

use super::{close, park, thread};
use crate::cpu::pins;
use crate::logs::registry;
use crate::out::{console, pump, virtio};
use crate::sched;

/// Halts this CPU until `done` says so. In between, interrupts are handled and
/// the console is looked after.
///
/// `done` is asked with interrupts off, and `sti; hlt` is one step for maskable
/// interrupts: one that comes after the look ends the halt. Whoever makes `done`
/// true wakes this CPU, or leaves it to the next timer interrupt (at most 10 ms).
///
/// A CPU that is asked to park while it waits here does so, and does not return.
/// Task context, interrupts on.
pub(crate) fn until(mut done: impl FnMut() -> bool) {
    until_even_if_parking(|| {
        if park::is_asked() {
            park::park();
        }
        done()
    });
}

/// Like [`until`], for the CPU that makes the others park.
pub(crate) fn until_even_if_parking(mut done: impl FnMut() -> bool) {
    loop {
        let has_more = print();
        close::taken();
        virtio::listen();
        pump::poll();
        sched::reap();
        assert_eq!(
            pins::pins(),
            0,
            "something has pinned this CPU and left it so"
        );
        interrupts::disable();
        if done() {
            interrupts::enable();
            return;
        }
        if has_more || pump::has_work() {
            interrupts::enable();
        } else {
            thread::halt();
        }
    }
}

/// Prints some of what there is to print; true if there may be more. What this CPU itself has
/// logged need not wait for its timer. Task context.
pub(crate) fn print() -> bool {
    let has_more = console::poll();
    registry::tick();
    console::poll() || has_more
}

/// Nothing left to do on this CPU but to handle interrupts, and to park when asked.
pub(crate) fn forever() -> ! {
    loop {
        until(|| false);
    }
}
