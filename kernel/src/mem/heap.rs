//! The heap: for task context only, never on the log path.

use core::alloc::{GlobalAlloc, Layout};

use linked_list_allocator::LockedHeap;
use x86_64::instructions::interrupts::without_interrupts;

use super::frames::LARGE;

/// The greatest heap. Half of memory up to this; the rest is for stacks and page tables.
pub(super) const MAX_HEAP: u64 = 1024 * 1024 * 1024;
/// The smallest heap that is worth starting with.
pub(super) const MIN_HEAP: u64 = LARGE;

/// The kernel's allocator.
///
/// Its lock is held with interrupts off, so that a CPU cannot be interrupted by
/// one of its own handlers wanting the heap. NMI handlers must not use it.
struct Heap(LockedHeap);

#[cfg_attr(target_os = "none", global_allocator)]
static HEAP: Heap = Heap(LockedHeap::empty());

// SAFETY: hands every call on to an allocator that keeps the contract.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        without_interrupts(|| unsafe { self.0.alloc(layout) })
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        without_interrupts(|| unsafe { self.0.dealloc(pointer, layout) });
    }
}

/// Runs `body` in the middle of the allocator, as it were: its lock is held. For the scenario that
/// fails there. Task context.
pub(crate) fn with_heap_locked(body: impl FnOnce()) {
    without_interrupts(|| {
        let _held = HEAP.0.lock();
        body();
    });
}

/// Gives the heap its memory.
///
/// # Safety
/// The `length` bytes at `start` are mapped writable, for ever, and belong to
/// the heap alone. Called once.
pub(super) unsafe fn init(start: u64, length: u64) {
    without_interrupts(|| {
        // SAFETY: the caller's promise.
        unsafe { HEAP.0.lock().init(start as *mut u8, length as usize) };
    });
}

/// Bytes of the heap in use. Task context.
pub(crate) fn used() -> usize {
    without_interrupts(|| HEAP.0.lock().used())
}
