//! The global allocator: [`talc`], which gets blocks of pages from the kernel as it needs them, and
//! gives those back that are free.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr;

use spin::RelaxStrategy;
use talc::TalcLock;
use talc::source::GlobalAllocSource;

use crate::sys;

/// What blocks are a multiple of, in bytes.
pub const BLOCK: usize = 64 * 1024;

/// Where blocks come from: pages of the kernel, or something else in a test.
pub trait Pages: core::fmt::Debug {
    /// So many bytes, a multiple of [`BLOCK`]; null if there are none.
    fn more(&self, bytes: usize) -> *mut u8;

    /// Gives such a block back.
    ///
    /// # Safety
    /// [`more`](Self::more) returned it for so many bytes, and nobody uses it any more.
    unsafe fn give_back(&self, block: *mut u8, bytes: usize);
}

/// Pages as what `talc` takes blocks from.
#[derive(Debug)]
pub struct Blocks<P>(pub P);

// SAFETY: what `Pages` returns is a block of that many bytes which nobody else has. Blocks begin at
// a page, which is aligned to whatever talc asks for (1 byte), and `alloc` refuses more.
unsafe impl<P: Pages> GlobalAlloc for Blocks<P> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match layout.align() <= crate::memory::PAGE {
            true => self.0.more(layout.size()),
            false => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is that of `give_back`.
        unsafe { self.0.give_back(block, layout.size()) }
    }
}

/// Pages of the kernel.
#[derive(Debug)]
pub struct Kernel;

impl Pages for Kernel {
    fn more(&self, bytes: usize) -> *mut u8 {
        match sys::memory_map(bytes as u64) {
            Ok(address) => ptr::with_exposed_provenance_mut(address as usize),
            Err(_) => ptr::null_mut(),
        }
    }

    unsafe fn give_back(&self, block: *mut u8, bytes: usize) {
        let address = block.expose_provenance() as u64;
        // SAFETY: the caller's promise. What the kernel refuses stays mapped.
        let _ = unsafe { sys::memory_unmap(address, bytes as u64) };
    }
}

/// How a thread waits for a lock of the program: it sleeps a little. The thread that has the lock
/// may be one of less priority on the same CPU, which would never go on if it was only waited for.
#[derive(Debug)]
pub struct Patience;

impl RelaxStrategy for Patience {
    fn relax() {
        sys::sleep(20_000);
    }
}

/// The lock of the heap.
pub type Lock = spin::mutex::Mutex<(), Patience>;

/// A heap on such pages.
pub type Heap<P> = TalcLock<Lock, GlobalAllocSource<Blocks<P>>>;

/// A heap that has nothing yet.
#[must_use]
pub const fn heap<P: Pages>(pages: P) -> Heap<P> {
    TalcLock::new(GlobalAllocSource::with_block_size(Blocks(pages), BLOCK))
}

/// The program's.
#[cfg(target_os = "none")]
#[global_allocator]
static HEAP: Heap<Kernel> = heap(Kernel);

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::alloc::{alloc_zeroed, dealloc};
    use std::vec::Vec;

    /// Pages of the host, so many bytes at most.
    #[derive(Debug)]
    struct Host {
        blocks: AtomicUsize,
        bytes: AtomicUsize,
        most: usize,
    }

    impl Host {
        const fn new(most: usize) -> Self {
            Self {
                blocks: AtomicUsize::new(0),
                bytes: AtomicUsize::new(0),
                most,
            }
        }
    }

    fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(bytes, 4096).expect("it is a layout")
    }

    impl Pages for &'static Host {
        fn more(&self, bytes: usize) -> *mut u8 {
            assert_eq!(bytes % BLOCK, 0);
            if self.bytes.load(Relaxed) + bytes > self.most {
                return ptr::null_mut();
            }
            self.bytes.fetch_add(bytes, Relaxed);
            self.blocks.fetch_add(1, Relaxed);
            // SAFETY: the layout has a size.
            unsafe { alloc_zeroed(layout(bytes)) }
        }

        unsafe fn give_back(&self, block: *mut u8, bytes: usize) {
            self.bytes.fetch_sub(bytes, Relaxed);
            self.blocks.fetch_sub(1, Relaxed);
            // SAFETY: `more` made it with this layout.
            unsafe { dealloc(block, layout(bytes)) }
        }
    }

    #[test]
    fn the_heap_grows_by_blocks_and_gives_them_back() {
        static HOST: Host = Host::new(4 << 20);
        let heap = heap(&HOST);
        let few = Layout::from_size_align(3000, 16).expect("it is a layout");
        let mut got = Vec::new();
        for i in 0..200_u8 {
            // SAFETY: the layout has a size; what comes has as many bytes.
            let at = unsafe { heap.alloc(few) };
            assert!(!at.is_null());
            // SAFETY: as above.
            unsafe { ptr::write_bytes(at, i, 3000) };
            got.push(at);
        }
        let blocks = HOST.blocks.load(Relaxed);
        assert!(blocks >= 9, "{blocks} blocks of 64 KiB for 600 KB");
        for (i, at) in got.iter().enumerate() {
            // SAFETY: it was allocated, and not given back.
            let bytes = unsafe { core::slice::from_raw_parts(*at, 3000) };
            assert!(bytes.iter().all(|byte| usize::from(*byte) == i));
        }
        for at in got {
            // SAFETY: it was allocated so, and nobody uses it.
            unsafe { heap.dealloc(at, few) };
        }
        // The first block has what the heap knows of itself.
        assert!(HOST.blocks.load(Relaxed) <= 1);
    }

    #[test]
    fn what_is_larger_than_a_block_fits_and_what_there_is_none_for_is_refused() {
        static HOST: Host = Host::new(1 << 20);
        let heap = heap(&HOST);
        let much = Layout::from_size_align(700_000, 4096).expect("it is a layout");
        // SAFETY: the layout has a size.
        let at = unsafe { heap.alloc(much) };
        assert!(!at.is_null() && at.addr().is_multiple_of(4096));
        // SAFETY: as above.
        assert!(unsafe { heap.alloc(much) }.is_null());
        // SAFETY: it was allocated so, and nobody uses it.
        unsafe { heap.dealloc(at, much) };
        // SAFETY: the layout has a size.
        assert!(!unsafe { heap.alloc(much) }.is_null());
    }
}
