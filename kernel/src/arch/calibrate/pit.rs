//! Channel 2 of the 8254 interval timer, which needs no interrupt: the reference
//! of last resort.

use x86_64::instructions::port::Port;

/// Counts per second.
pub(super) const HZ: u64 = 1_193_182;

/// Counter 2.
const COUNTER: u16 = 0x42;
/// The mode register.
const MODE: u16 = 0x43;
/// The port that gates counter 2 (bit 0), connects it to the speaker (bit 1) and
/// shows its output (bit 5).
const GATE: u16 = 0x61;

/// A countdown.
#[derive(Debug)]
pub(super) struct OneShot(());

impl OneShot {
    /// Counts down from `counts`, once. There is one counter: the last countdown that was
    /// started is the one that counts.
    pub(super) fn start(counts: u16) -> Self {
        let gate = read(GATE) & !0b11;
        // Gate off; counter 2, low byte then high byte, mode 0 (interrupt on
        // terminal count); gate on.
        write(GATE, gate);
        write(MODE, 0b1011_0000);
        write(COUNTER, counts as u8);
        write(COUNTER, (counts >> 8) as u8);
        write(GATE, gate | 1);
        Self(())
    }

    /// Whether the countdown has ended.
    pub(super) fn is_over(&self) -> bool {
        read(GATE) & 1 << 5 != 0
    }
}

fn read(port: u16) -> u8 {
    // SAFETY: the timer's ports are the same on every PC; reading them touches no memory.
    unsafe { Port::<u8>::new(port).read() }
}

fn write(port: u16, value: u8) {
    // SAFETY: as for `read`; nothing else in the kernel uses the timer.
    unsafe { Port::<u8>::new(port).write(value) }
}
