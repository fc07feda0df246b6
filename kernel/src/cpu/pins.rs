//! Pins: what keeps other tasks off this CPU for a moment, as every write and every lock does.
//!
//! A switch that comes meanwhile is [put off](put_off_switch): the CPU interrupts itself when the last
//! pin ends.

use core::sync::atomic::Ordering;

use relay::Context;

use super::bell;
use super::percpu::{self, UNASKED};

/// Pins what runs here to this CPU, and keeps other tasks off it, until [`unpin`]: a scheduler
/// switches tasks only where [`pins`] is 0. Pins nest. Any context.
///
/// One instruction, which an interrupt comes before or behind; and every interrupt ends as many
/// pins as it began.
#[inline(always)]
pub(crate) fn pin() {
    // SAFETY: as in `percpu::cpu_index`. The compiler moves no access to memory over it.
    unsafe { core::arch::asm!("inc dword ptr gs:[28]", options(nostack)) };
}

/// Ends one [`pin`]. If it was the last, and a switch was [put off](put_off_switch) for it, the CPU
/// interrupts itself. Any context.
#[inline(always)]
pub(crate) fn unpin() {
    // SAFETY: as in `pin`; the jump leads behind this block.
    unsafe {
        core::arch::asm!(
            "dec dword ptr gs:[28]",
            "jz {asked}",
            asked = label { make_up_for_switch() },
            options(nostack),
        );
    }
}

/// Another thread shall run here, and cannot now, since this one has pinned itself: it is looked for
/// at the end of the last pin. Interrupts off, where [`pins`] is not 0.
pub(crate) fn put_off_switch() {
    // ORDERING: only this CPU writes the word, NMIs too, which leave it as it was.
    percpu::this().pins.fetch_and(!UNASKED, Ordering::Relaxed);
}

/// The last pin has ended, and somebody waits for it.
#[cold]
fn make_up_for_switch() {
    percpu::this().pins.fetch_or(UNASKED, Ordering::Relaxed);
    // Behind an interrupt it is looked anyway.
    if percpu::context() == Context::Task {
        bell::ring();
    }
}

/// How often what runs on this CPU has pinned itself. Any context.
pub(crate) fn pins() -> u32 {
    percpu::this().pins.load(Ordering::Relaxed) & !UNASKED
}
