//! The floor: what no writer can be faster than.

use super::{payload, some_payload};
use crate::host::ticks;
use crate::measure::{Cell, RING, Size, Subject, time};
use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};

pub(crate) fn subjects() -> Vec<Subject> {
    let row = |name, note, cells| Subject {
        whose: "floor",
        name,
        note,
        cells,
    };
    vec![
        row(
            "clock + store",
            "the time and the payload into memory; no reservation, no commit, no reader",
            vec![
                constant::<8, true>(),
                constant::<32, true>(),
                constant::<64, true>(),
                constant::<256, true>(),
                run_time::<true>(),
            ],
        ),
        row(
            "store",
            "the same without the clock",
            vec![
                constant::<8, false>(),
                constant::<32, false>(),
                constant::<64, false>(),
                constant::<256, false>(),
                run_time::<false>(),
            ],
        ),
    ]
}

/// Memory as large as a ring, written round and round.
struct Memory {
    base: *mut u8,
    offset: usize,
}

impl Memory {
    /// Room behind the end, so that no record has to look for it.
    const MARGIN: usize = 256;

    fn new() -> Self {
        let layout = Layout::from_size_align(RING + Self::MARGIN, 4096)
            .expect("the alignment is a power of two, the size small");
        // SAFETY: the size is not zero.
        let base = unsafe { alloc_zeroed(layout) };
        if base.is_null() {
            handle_alloc_error(layout);
        }
        Self { base, offset: 0 }
    }

    /// Stores `bytes`, their first eight being the time if there is a clock.
    #[inline(always)]
    fn store<const CLOCK: bool>(&mut self, bytes: &[u8]) {
        // SAFETY: the offset is below RING, and no record is longer than MARGIN. The memory is
        // ours and never freed. The assembly is no instruction at all: it makes the compiler
        // believe that somebody looks at the memory.
        unsafe {
            let place = self.base.add(self.offset);
            let time = if CLOCK { ticks() } else { 0 };
            place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            if CLOCK && bytes.len() >= 8 {
                place.cast::<u64>().write_unaligned(time);
            }
            core::arch::asm!("/* {} */", in(reg) place, options(nostack, preserves_flags));
        }
        self.offset = (self.offset + bytes.len()) & (RING - 1);
    }

    /// Goes round once, so that the memory is in the cache.
    fn warm(&mut self) {
        for _ in 0..RING / 256 {
            self.store::<false>(payload::<256>());
        }
    }
}

fn constant<const N: usize, const CLOCK: bool>() -> Cell {
    let mut memory = Memory::new();
    let size = Size::Bytes(N);
    Cell::new(size, move || {
        memory.warm();
        time(size.records(), |_| memory.store::<CLOCK>(payload::<N>()))
    })
}

fn run_time<const CLOCK: bool>() -> Cell {
    let mut memory = Memory::new();
    Cell::new(Size::Mixed, move || {
        memory.warm();
        time(Size::Mixed.records(), |i| {
            memory.store::<CLOCK>(some_payload(super::mixed(i)));
        })
    })
}
