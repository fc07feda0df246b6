//! How a CPU interrupts itself, to do what cannot be done in the middle of a write or of a pin.

use spin::Once;

static BELL: Once<fn()> = Once::new();

/// Says how; before, nobody is interrupted. Once, by the boot CPU. It is called in task and IRQ
/// context, in the middle of a write: it must not write, lock, or wait.
pub(crate) fn set(bell: fn()) {
    BELL.call_once(|| bell);
}

/// Has this CPU interrupted by itself. Task and IRQ context.
pub(super) fn ring() {
    if let Some(bell) = BELL.get() {
        bell();
    }
}
