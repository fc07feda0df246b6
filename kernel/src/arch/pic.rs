//! The two 8259 interrupt controllers: moved out of the way of the exceptions and silenced.

use x86_64::instructions::port::Port;

/// First vector of the 16 that the controllers could still raise as spurious
/// interrupts (IRQ 7 of either cannot be masked).
pub(crate) const FIRST_VECTOR: u8 = 0x20;
/// The last of them.
pub(crate) const LAST_VECTOR: u8 = FIRST_VECTOR + 15;

/// Masks every line of both controllers, after giving them vectors of their own:
/// firmware leaves them at vector 8, which is the double fault.
///
/// Called once, by the boot CPU, with interrupts off.
pub(crate) fn silence() {
    // 8259A data sheet: ICW1 (edge, cascade, ICW4 follows), ICW2 (vector), ICW3
    // (cascade on line 2), ICW4 (8086 mode), OCW1 (mask).
    for (port, value) in [
        (0x20, 0x11),
        (0xa0, 0x11),
        (0x21, FIRST_VECTOR),
        (0xa1, FIRST_VECTOR + 8),
        (0x21, 4),
        (0xa1, 2),
        (0x21, 1),
        (0xa1, 1),
        (0x21, 0xff),
        (0xa1, 0xff),
    ] {
        // SAFETY: these ports are the interrupt controllers on every PC; with
        // interrupts off nothing else drives them, and they touch no memory.
        unsafe { Port::<u8>::new(port).write(value) };
    }
}
