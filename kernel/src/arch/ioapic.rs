//! The I/O APIC (Intel 82093AA data sheet): from lines to interrupts. This kernel uses one line of it
//! at most, as NMI to all CPUs; all others stay as they are, masked.

use core::ptr::NonNull;

use arrayvec::ArrayVec;
use volatile::{VolatilePtr, map_field};

use crate::mem;

/// Where the firmware says that I/O APICs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The physical address of the registers.
    pub(crate) address: u64,
    /// The number that its first line has among all interrupts.
    pub(crate) first: u32,
}

/// The I/O APICs of a machine: more than these are not looked at.
pub(crate) type Places = ArrayVec<Place, 8>;

/// The two registers in memory: which of those behind is meant, and what it holds.
#[repr(C)]
struct Registers {
    select: u32,
    _reserved_04: [u32; 3],
    window: u32,
}

const _: () = assert!(core::mem::offset_of!(Registers, window) == 0x10);

/// Behind: bits 16 to 23: the number of the last line.
const VERSION: u32 = 1;
/// Behind: the first of the lines' entries, two registers each.
const ENTRIES: u32 = 0x10;

/// Of an entry's lower half: deliver as NMI, on an edge; it is masked.
const DELIVER_NMI: u32 = 0b100 << 8;
const MASKED: u32 = 1 << 16;
/// Of its upper half: to all local APICs.
const ALL: u32 = 0xff << 24;

/// An I/O APIC.
#[derive(Debug, Clone, Copy)]
pub(super) struct IoApic {
    base: NonNull<Registers>,
    lines: u32,
}

// SAFETY: the registers are at the same address on every CPU; who uses them says which CPU does.
unsafe impl Send for IoApic {}
// SAFETY: as above.
unsafe impl Sync for IoApic {}

impl IoApic {
    /// Maps the one whose first line is interrupt 0. `None` if there is none, or it cannot be mapped.
    pub(super) fn first(places: &Places) -> Option<Self> {
        let place = places.iter().find(|place| place.first == 0)?;
        let base = mem::map_device(place.address, size_of::<Registers>() as u64).ok()?;
        let mut found = Self {
            base: NonNull::new(base as *mut Registers)?,
            lines: 0,
        };
        found.lines = (found.read(VERSION) >> 16 & 0xff) + 1;
        Some(found)
    }

    /// How many lines it has.
    pub(super) fn lines(&self) -> u32 {
        self.lines
    }

    /// Makes a line an NMI to every CPU that there is, started or not. Task context, one CPU.
    pub(super) fn deliver_nmi_to_all(&self, line: u32) {
        self.write(ENTRIES + 2 * line + 1, ALL);
        self.write(ENTRIES + 2 * line, DELIVER_NMI);
    }

    /// Makes a line nothing. Task context, one CPU.
    pub(super) fn mask(&self, line: u32) {
        self.write(ENTRIES + 2 * line, MASKED);
    }

    fn read(&self, register: u32) -> u32 {
        let registers = self.registers();
        map_field!(registers.select).write(register);
        map_field!(registers.window).read()
    }

    fn write(&self, register: u32, value: u32) {
        let registers = self.registers();
        map_field!(registers.select).write(register);
        map_field!(registers.window).write(value);
    }

    fn registers(&self) -> VolatilePtr<'static, Registers> {
        // SAFETY: `first` mapped the registers there for ever; each access is one whole register.
        unsafe { VolatilePtr::new(self.base) }
    }
}
