//! The high precision event timer (IA-PC HPET specification 1.0a): a counter whose rate is known, and
//! timers that interrupt by it.

use core::ptr::NonNull;

use volatile::{VolatilePtr, map_field};

use crate::cpu::clock::scale;
use crate::mem;

/// The registers (table 2).
#[repr(C)]
struct Registers {
    /// Period in femtoseconds in the upper half; bits 8 to 12: the number of the last timer; bit 13:
    /// the counter has 64 bits.
    capabilities: u64,
    _reserved_08: u64,
    /// Bit 0: the counter counts; bit 1: timers 0 and 1 stand in for the PIT and the RTC.
    configuration: u64,
    _reserved_18: [u64; 27],
    counter: u64,
}

/// The registers of a timer, in halves, as all implementations take them.
#[repr(C)]
struct TimerRegisters {
    configuration: u32,
    /// A bit for each line that it may drive.
    drives: u32,
    comparator: u32,
    _comparator_high: u32,
    _message: [u32; 4],
}

/// Where the first timer's are.
const TIMERS: u64 = 0x100;

const _: () = {
    assert!(core::mem::offset_of!(Registers, counter) == 0xf0);
    assert!(size_of::<TimerRegisters>() == 0x20);
};

/// Bytes of all registers, with those of the most timers that there may be.
const LENGTH: u64 = TIMERS + 32 * size_of::<TimerRegisters>() as u64;

/// Capabilities: the main counter has 64 bits.
const COUNT_SIZE_64: u64 = 1 << 13;
/// Configuration: count.
const ENABLE: u64 = 1;
/// Configuration: timers 0 and 1 stand in for others.
const LEGACY: u64 = 1 << 1;
/// The longest period that the specification allows, 100 ns.
const LONGEST_PERIOD: u64 = 100_000_000;
/// Femtoseconds per second.
const FEMTO: u64 = 1_000_000_000_000_000;

/// Of a timer (2.3.8): it interrupts, again and again; the next write to its comparator is the time
/// of the first; it looks at 32 bits of the counter.
const INTERRUPTS: u32 = 1 << 2;
const PERIODIC: u32 = 1 << 3;
const CAN_BE_PERIODIC: u32 = 1 << 4;
const SET_VALUE: u32 = 1 << 6;
const IS_32_BITS: u32 = 1 << 8;
/// The lowest of the bits that choose a line.
const LINE: u32 = 9;

/// A counting HPET.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hpet {
    base: NonNull<Registers>,
    /// Counts per second.
    pub(super) hz: u64,
    /// The bits that count.
    pub(super) mask: u64,
    last_timer: u8,
}

impl Hpet {
    /// Maps the registers at this physical address and lets the counter count.
    /// `None` when they cannot be mapped or are not those of an HPET.
    pub(super) fn start(address: u64) -> Option<Self> {
        let base = mem::map_device(address, LENGTH).ok()?;
        let mut hpet = Self {
            base: NonNull::new(base as *mut Registers)?,
            hz: 0,
            mask: 0,
            last_timer: 0,
        };
        let registers = hpet.registers();
        let capabilities = map_field!(registers.capabilities).read();
        let period = capabilities >> 32;
        if period == 0 || period > LONGEST_PERIOD {
            return None;
        }
        hpet.hz = scale(1, FEMTO, period);
        hpet.mask = if capabilities & COUNT_SIZE_64 != 0 {
            u64::MAX
        } else {
            u64::from(u32::MAX)
        };
        hpet.last_timer = (capabilities >> 8 & 0x1f) as u8;
        map_field!(registers.configuration).update(|bits| bits | ENABLE);
        Some(hpet)
    }

    /// What the counter shows. Task context.
    pub(super) fn counter(&self) -> u64 {
        let registers = self.registers();
        map_field!(registers.counter).read()
    }

    /// A timer that can interrupt periodically, and the highest of the I/O APIC lines `0..lines`
    /// that it can drive: the lower ones are those of ISA.
    pub(super) fn periodic(&self, lines: u32) -> Option<(Timer, u32)> {
        let there = u32::MAX >> 32_u32.saturating_sub(lines).min(31);
        (0..=self.last_timer).find_map(|number| {
            let offset = TIMERS + u64::from(number) * size_of::<TimerRegisters>() as u64;
            let base = self.base.addr().get() as u64 + offset;
            let timer = Timer {
                base: NonNull::new(base as *mut TimerRegisters)?,
                hpet: *self,
            };
            let registers = timer.registers();
            let configuration = map_field!(registers.configuration).read();
            let line = (map_field!(registers.drives).read() & there).checked_ilog2()?;
            (configuration & CAN_BE_PERIODIC != 0).then_some((timer, line))
        })
    }

    fn registers(&self) -> VolatilePtr<'static, Registers> {
        // SAFETY: `start` mapped the registers there for ever; each access is one whole register.
        unsafe { VolatilePtr::new(self.base) }
    }
}

/// One timer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timer {
    base: NonNull<TimerRegisters>,
    hpet: Hpet,
}

// SAFETY: the registers are at the same address on every CPU; who uses them says which CPU does.
unsafe impl Send for Timer {}
// SAFETY: as above.
unsafe impl Sync for Timer {}

impl Timer {
    /// Has the timer pulse a line of the I/O APIC every `period` counts. Task context.
    pub(super) fn start(&self, line: u32, period: u32) {
        let hpet = self.hpet.registers();
        map_field!(hpet.configuration).update(|bits| bits & !LEGACY);
        let registers = self.registers();
        let chosen = INTERRUPTS | PERIODIC | SET_VALUE | IS_32_BITS | line << LINE;
        map_field!(registers.configuration).write(chosen);
        let first = (self.hpet.counter() as u32).wrapping_add(period);
        let comparator = map_field!(registers.comparator);
        comparator.write(first);
        comparator.write(period);
    }

    /// Changes the period, from the interrupt behind the next on. NMI context, of one CPU.
    pub(super) fn set_period(&self, period: u32) {
        let registers = self.registers();
        map_field!(registers.comparator).write(period);
    }

    /// Silences it. Task context.
    pub(super) fn stop(&self) {
        let registers = self.registers();
        map_field!(registers.configuration).update(|bits| bits & !INTERRUPTS);
    }

    fn registers(&self) -> VolatilePtr<'static, TimerRegisters> {
        // SAFETY: as in `Hpet::registers`: of 32 timers at the most, the registers lie in what was
        // mapped.
        unsafe { VolatilePtr::new(self.base) }
    }
}
