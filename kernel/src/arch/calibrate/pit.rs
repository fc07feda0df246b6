//! Channel 2 of the 8254 interval timer, as a counter: it needs no interrupt.

use x86_64::instructions::port::Port;

use super::measure::Reference;

/// Counter 2.
const COUNTER: u16 = 0x42;
/// The mode register.
const MODE: u16 = 0x43;
/// The port that gates counter 2 (bit 0) and connects it to the speaker (bit 1).
const GATE: u16 = 0x61;
/// To the mode register: counter 2, low byte then high byte, mode 2 (it begins again at its end).
const COUNT: u8 = 0b1011_0100;
/// To the mode register: keep what counter 2 shows until it was read.
const LATCH: u8 = 0b1000_0000;

/// The counter, which counts down from 65536 again and again.
#[derive(Debug)]
pub(super) struct Pit(());

impl Pit {
    /// Starts it. What the gate's port shows is not believed: a machine may have the timer and not
    /// that port.
    pub(super) fn start() -> Self {
        let gate = read(GATE) & !0b11;
        write(GATE, gate);
        write(MODE, COUNT);
        write(COUNTER, 0);
        write(COUNTER, 0);
        write(GATE, gate | 1);
        Self(())
    }
}

impl Reference for Pit {
    fn hz(&self) -> u64 {
        1_193_182
    }

    fn mask(&self) -> u64 {
        0xffff
    }

    fn count(&self) -> u64 {
        write(MODE, LATCH);
        let low = read(COUNTER);
        let high = read(COUNTER);
        // It counts down.
        u64::from(u16::from_le_bytes([low, high]).wrapping_neg())
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
