//! The heap: for task context only, never on the log path.

use core::alloc::{GlobalAlloc, Layout};

use linked_list_allocator::LockedHeap;

use super::frames::{LARGE, SMALL};
use super::lock::without_interrupts;
use super::{blocks, events};

/// The greatest heap. Five eighths of memory up to this; the rest is for stacks, page
/// tables and programs.
pub(super) const MAX_HEAP: u64 = 1024 * 1024 * 1024;
/// The smallest heap that is worth starting with.
pub(super) const MIN_HEAP: u64 = LARGE;

/// The allocator keeps its books in what is free: no piece is smaller than this, or no multiple of
/// that.
const LEAST: usize = 16;
const GRAIN: usize = 8;

/// The kernel's allocator.
///
/// Its lock is held with interrupts off, so that a CPU cannot be interrupted by
/// one of its own handlers wanting the heap. NMI handlers must not use it.
///
/// What is aligned to pages (the rings' memory) has its last page for itself, too, with zeros
/// behind its end, and is known to [`blocks`]: programs may see it.
struct Heap(LockedHeap);

#[cfg_attr(target_os = "none", global_allocator)]
static HEAP: Heap = Heap(LockedHeap::empty());

// SAFETY: hands every call on to an allocator that keeps the contract.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, wanted: Layout) -> *mut u8 {
        let layout = taken(wanted);
        // SAFETY: the caller's promise; the layout is no smaller.
        let pointer = without_interrupts(|| unsafe { self.0.alloc(layout) });
        // Behind the lock: what the trace does takes none, and no memory.
        let taken = match pointer.is_null() {
            true => 0,
            false => layout.size().max(LEAST).next_multiple_of(GRAIN),
        };
        events::heap_taken(call_site, pointer, [wanted.size(), taken]);
        if is_pages(layout) && !pointer.is_null() {
            let rest = layout.size() - wanted.size();
            // SAFETY: the bytes behind those wanted were allocated with them.
            unsafe { pointer.add(wanted.size()).write_bytes(0, rest) };
            blocks::add(pointer as u64, layout.size() as u64);
        }
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, wanted: Layout) {
        // Before: somebody else may get it then.
        events::heap_given_back(call_site, pointer);
        let layout = taken(wanted);
        if is_pages(layout) && !blocks::leave(pointer as u64) {
            return;
        }
        // SAFETY: the caller's promise, with the layout that it was allocated with.
        without_interrupts(|| unsafe { self.0.dealloc(pointer, layout) });
    }
}

/// Whether what has this layout may be shown to programs.
fn is_pages(layout: Layout) -> bool {
    layout.align() as u64 >= SMALL
}

/// What is taken for what is wanted: whole pages, if it is aligned to pages.
fn taken(wanted: Layout) -> Layout {
    match is_pages(wanted) {
        true => wanted.pad_to_align(),
        false => wanted,
    }
}

/// Gives back whole pages that [`blocks`] has kept when they were freed.
///
/// # Safety
/// They were allocated as one piece, with this length, and nobody has them any more.
pub(super) unsafe fn free_pages(start: u64, length: u64) {
    if let Ok(layout) = Layout::from_size_align(length as usize, SMALL as usize) {
        // SAFETY: the caller's promise. The alignment is not part of what the allocator remembers:
        // only the size is.
        without_interrupts(|| unsafe { HEAP.0.dealloc(start as *mut u8, layout) });
    }
}

/// Where the function that this is inlined into returns to, by its frame.
#[inline(always)]
fn call_site() -> u64 {
    let address: u64;
    // SAFETY: all of the kernel keeps frame pointers (`build.rs`): the word above that of the
    // caller is the return address.
    unsafe {
        core::arch::asm!("mov {}, [rbp + 8]", out(reg) address,
            options(readonly, nostack, preserves_flags));
    }
    address
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

/// Bytes of the heap that are free, in pieces of whatever size. Task context.
pub(crate) fn free() -> usize {
    match cfg!(target_os = "none") {
        true => without_interrupts(|| HEAP.0.lock().free()),
        // A host's tests have a heap of the host's.
        false => usize::MAX,
    }
}

/// Bytes of the heap in use. Task context.
pub(crate) fn used() -> usize {
    without_interrupts(|| HEAP.0.lock().used())
}
