//! The high precision event timer's main counter (IA-PC HPET specification 1.0a, 2.3).

use core::ptr::NonNull;

use volatile::{VolatilePtr, map_field};

use super::measure::Reference;
use crate::cpu::clock::scale;
use crate::mem;

/// The registers in use.
#[repr(C)]
struct Registers {
    /// Period in femtoseconds in the upper half; bit 13: the counter has 64 bits.
    capabilities: u64,
    _reserved_08: u64,
    /// Bit 0: the counter counts.
    configuration: u64,
    _reserved_18: [u64; 27],
    counter: u64,
}

const _: () = assert!(core::mem::offset_of!(Registers, counter) == 0xf0);

/// Capabilities: the main counter has 64 bits.
const COUNT_SIZE_64: u64 = 1 << 13;
/// Configuration: count.
const ENABLE: u64 = 1;
/// The longest period that the specification allows, 100 ns.
const LONGEST_PERIOD: u64 = 100_000_000;
/// Femtoseconds per second.
const FEMTO: u64 = 1_000_000_000_000_000;

/// A counting HPET.
#[derive(Debug)]
pub(super) struct Hpet {
    base: NonNull<Registers>,
    hz: u64,
    mask: u64,
}

impl Hpet {
    /// Maps the registers at this physical address and lets the counter count.
    /// `None` when they cannot be mapped or are not those of an HPET.
    pub(super) fn start(address: u64) -> Option<Self> {
        let base = mem::map_device(address, size_of::<Registers>() as u64).ok()?;
        let mut hpet = Self {
            base: NonNull::new(base as *mut Registers)?,
            hz: 0,
            mask: 0,
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
        map_field!(registers.configuration).update(|bits| bits | ENABLE);
        Some(hpet)
    }

    fn registers(&self) -> VolatilePtr<'static, Registers> {
        // SAFETY: `start` mapped the registers there for ever; only the boot CPU
        // uses them, during bring-up.
        unsafe { VolatilePtr::new(self.base) }
    }
}

impl Reference for Hpet {
    fn hz(&self) -> u64 {
        self.hz
    }

    fn mask(&self) -> u64 {
        self.mask
    }

    fn count(&self) -> u64 {
        let registers = self.registers();
        map_field!(registers.counter).read()
    }
}
