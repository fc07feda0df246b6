//! How programs are woken that wait for a stream, or for room in its outlet: they stand above.

use spin::Once;

/// Has those look again who wait for streams of a CPU.
static WAKER: Once<fn(usize)> = Once::new();

/// Says how. Once, before there are programs.
pub(crate) fn set(waker: fn(usize)) {
    WAKER.call_once(|| waker);
}

/// Wakes those that wait for streams of `cpu`. Task and IRQ context.
pub(super) fn wake(cpu: usize) {
    if let Some(waker) = WAKER.get() {
        waker(cpu);
    }
}
