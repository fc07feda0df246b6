//! Words of the program that runs on this CPU, read without a lock and without a fault: for
//! backtraces, in NMIs too.
//!
//! The page tables are walked by hand, and memory is read through the mapping of all physical memory:
//! no address of a program is ever dereferenced. Why nothing can go wrong:
//!
//! - **No fault.** Each table and each page is read only if it lies in a region that the boot code
//!   calls usable memory. All of that is mapped for ever, and reading it changes nothing, as reading
//!   a device might.
//! - **No table that is gone.** The tables are those that this CPU uses now. Whoever takes pages away
//!   from a program waits until each CPU that runs it has heard of that, in an interrupt, before the
//!   frames are anybody else's: and this CPU takes none while an NMI or a handler peeks.
//! - **And if one were**, the word would be a wrong one. It is believed as an address in a backtrace,
//!   and never written or gone to.

use core::sync::atomic::{AtomicU64, Ordering};

use bootloader_api::info::{MemoryRegion, MemoryRegionKind};
use spin::Once;
use x86_64::registers::control::Cr3;

use super::frames::SMALL;
use super::physical::physical;

/// Page table entry: there is something (Intel SDM Vol. 3A, tables 4-15 to 4-20).
const PRESENT: u64 = 1 << 0;
/// Programs may use it.
const USER: u64 = 1 << 2;
/// Entry of the second or third level: maps a page, not a table. Programs have none of these.
const LARGE: u64 = 1 << 7;
/// The physical address in an entry.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// One past the lower half: all that a program can have lies below.
pub(crate) const LOWER_HALF: u64 = 1 << 47;

/// The regions of physical memory, once they are known.
static REGIONS: Once<&'static [MemoryRegion]> = Once::new();

/// Tells of the regions of physical memory, all of which are mapped. Once.
pub(super) fn begin(regions: &'static [MemoryRegion]) {
    REGIONS.call_once(|| regions);
}

/// Words of the program that runs on this CPU.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Peek {
    /// The page that was found last, and its frame: a stack is mostly in one.
    last: Option<(u64, u64)>,
}

impl Peek {
    /// The word at an address that is a multiple of 8, if the program can read it. Any context.
    pub(crate) fn word(&mut self, address: u64) -> Option<u64> {
        self.word_with(address, || Cr3::read().0.start_address().as_u64(), read)
    }

    /// The same, with the address of the topmost table, and what reads physical memory.
    fn word_with(
        &mut self,
        address: u64,
        top: impl FnOnce() -> u64,
        read: impl Fn(u64) -> Option<u64>,
    ) -> Option<u64> {
        if address >= LOWER_HALF || !address.is_multiple_of(8) {
            return None;
        }
        let page = address & !(SMALL - 1);
        let frame = match self.last {
            Some((last, frame)) if last == page => frame,
            _ => {
                let frame = frame_of(top(), page, &read)?;
                self.last = Some((page, frame));
                frame
            }
        };
        read(frame + (address - page))
    }
}

/// The frame of a program's page, by page tables whose topmost one is at `top`.
fn frame_of(top: u64, page: u64, read: &impl Fn(u64) -> Option<u64>) -> Option<u64> {
    let mut table = top & ADDRESS;
    for shift in [39, 30, 21, 12] {
        let entry = read(table + (page >> shift & 511) * 8)?;
        let is_large = shift != 12 && entry & LARGE != 0;
        if entry & (PRESENT | USER) != PRESENT | USER || is_large {
            return None;
        }
        table = entry & ADDRESS;
    }
    Some(table)
}

/// The word at a physical address, if that is memory.
fn read(address: u64) -> Option<u64> {
    let end = address.checked_add(8)?;
    let mut regions = REGIONS.get()?.iter();
    let is_memory = regions.any(|region| {
        region.kind == MemoryRegionKind::Usable && address >= region.start && end <= region.end
    });
    if !is_memory || !address.is_multiple_of(8) {
        return None;
    }
    // SAFETY: it is an aligned word of usable memory, which is mapped at the offset for ever. Others
    // may be writing it: it is read in one load, and nothing follows from what it is.
    Some(unsafe { AtomicU64::from_ptr(physical(address).cast()) }.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const TOP: u64 = 0x1000;
    const AT: u64 = 0x40_0000;
    const OPEN: u64 = PRESENT | USER | 2;

    /// Tables that map `AT` to 0x9000, and the page behind it with other rights.
    fn memory(next: u64) -> HashMap<u64, u64> {
        let index = |shift: u64| (AT >> shift & 511) * 8;
        HashMap::from([
            (TOP + index(39), 0x2000 | OPEN),
            (0x2000 + index(30), 0x3000 | OPEN),
            (0x3000 + index(21), 0x4000 | OPEN),
            (0x4000 + index(12), 1 << 63 | 0x9000 | OPEN),
            (0x4000 + index(12) + 8, 0xa000 | next),
            (0x9000, 11),
            (0x9ff8, 22),
            (0xa000, 33),
        ])
    }

    fn word(memory: &HashMap<u64, u64>, address: u64) -> Option<u64> {
        let read = |at: u64| memory.get(&at).copied();
        Peek::default().word_with(address, || TOP, read)
    }

    #[test]
    fn words_of_a_program_are_found() {
        let all = memory(OPEN);
        assert_eq!(word(&all, AT), Some(11));
        assert_eq!(word(&all, AT + 0xff8), Some(22));
        assert_eq!(word(&all, AT + 0x1000), Some(33));
        let mut peek = Peek::default();
        let read = |at: u64| all.get(&at).copied();
        assert_eq!(peek.word_with(AT, || TOP, read), Some(11));
        // The page is known: no table is needed.
        assert_eq!(peek.word_with(AT + 0xff8, || 0, read), Some(22));
        assert_eq!(peek.word_with(AT + 0x1000, || 0, read), None);
    }

    #[test]
    fn what_is_not_the_programs_is_not_read() {
        for flags in [0, PRESENT, USER, PRESENT | 2] {
            assert_eq!(word(&memory(flags), AT + 0x1000), None, "{flags:#x}");
        }
        let all = memory(OPEN);
        for address in [
            0,
            AT - 8,
            AT + 1,
            AT + 0x2000,
            LOWER_HALF,
            LOWER_HALF | AT,
            !7,
        ] {
            assert_eq!(word(&all, address), None, "{address:#x}");
        }
        // A table that is not memory, and a large page.
        let mut all = memory(OPEN);
        all.insert(0x3000 + (AT >> 21 & 511) * 8, 0xdead_0000 | OPEN);
        assert_eq!(word(&all, AT), None);
        all.insert(0x3000 + (AT >> 21 & 511) * 8, 0x9000 | OPEN | LARGE);
        assert_eq!(word(&all, AT), None);
    }
}
