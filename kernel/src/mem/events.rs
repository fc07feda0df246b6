//! What the trace has of memory, as LTTng's kernel tracer names it: those fields that its versions
//! have in common.

use relay::event::Hex;

use crate::logs::trace;

relay::event! {
    /// Frames were taken from physical memory.
    #[event(channel = "trace", name = "kmem_mm_page_alloc", facility = "mem", enabled = false)]
    struct PageAlloc {
        /// Where they begin.
        page: Hex<u64>,
        /// The number of the first.
        pfn: u64,
        /// How many: this power of two.
        order: u32,
        /// How they were asked for: there is one way.
        gfp_flags: u32,
        /// For what they may be moved: for nothing.
        migratetype: i32,
    }

    /// Frames are given back.
    #[event(channel = "trace", name = "kmem_mm_page_free", facility = "mem", enabled = false)]
    struct PageFree {
        /// Where they begin.
        page: Hex<u64>,
        /// The number of the first.
        pfn: u64,
        /// How many: this power of two.
        order: u32,
    }

    /// Memory of the heap was taken.
    #[event(channel = "trace", name = "kmem_kmalloc", facility = "mem", enabled = false)]
    struct Kmalloc {
        /// Where the allocator was called.
        call_site: Hex<u64>,
        /// Where the memory is; 0: there was none.
        ptr: Hex<u64>,
        /// Bytes that were asked for.
        bytes_req: u64,
        /// Bytes that were taken.
        bytes_alloc: u64,
        /// How they were asked for: there is one way.
        gfp_flags: u32,
    }

    /// Memory of the heap was given back.
    #[event(channel = "trace", name = "kmem_kfree", facility = "mem", enabled = false)]
    struct Kfree {
        /// Where the allocator was called.
        call_site: Hex<u64>,
        /// Where the memory is.
        ptr: Hex<u64>,
    }
}

/// Bytes of a frame, as a power of two.
const FRAME: u32 = 12;

/// Frames of `size` bytes in all, a power of two, were taken at `start`.
pub(super) fn frames_taken(start: u64, size: u64) {
    trace::emit(|| PageAlloc {
        page: Hex(start),
        pfn: start >> FRAME,
        order: size.trailing_zeros().saturating_sub(FRAME),
        gfp_flags: 0,
        migratetype: 0,
    });
}

/// A small frame is given back.
pub(super) fn frame_given_back(start: u64) {
    trace::emit(|| PageFree {
        page: Hex(start),
        pfn: start >> FRAME,
        order: 0,
    });
}

/// The heap has given `taken` bytes for `wanted`, or none.
#[inline(always)]
pub(super) fn heap_taken(
    call_site: impl FnOnce() -> u64,
    pointer: *mut u8,
    [wanted, taken]: [usize; 2],
) {
    trace::emit(|| Kmalloc {
        call_site: Hex(call_site()),
        ptr: Hex(pointer as u64),
        bytes_req: wanted as u64,
        bytes_alloc: taken as u64,
        gfp_flags: 0,
    });
}

/// Memory of the heap is given back.
#[inline(always)]
pub(super) fn heap_given_back(call_site: impl FnOnce() -> u64, pointer: *mut u8) {
    trace::emit(|| Kfree {
        call_site: Hex(call_site()),
        ptr: Hex(pointer as u64),
    });
}
