//! This kernel's memory, for `virtio-drivers`.

use alloc::alloc::{alloc_zeroed, dealloc};
use core::alloc::Layout;
use core::ptr::NonNull;

use crate::cpu::lock::Mutex;
use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

use super::device::Memory;
use crate::mem::{self, MemoryError};

/// Register structures that can be mapped at the same time.
const WINDOWS: usize = 8;

/// Device registers that were mapped: physical address, length, virtual address.
static MAPPED: Mutex<[(u64, u64, u64); WINDOWS]> = Mutex::new([(0, 0, 0); WINDOWS]);

/// The kernel's memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KernelHal;

/// Maps registers for [`KernelHal`], once; the same ones asked for again are already there.
/// Returns where. Task context.
///
/// # Errors
/// When there is no memory for page tables.
///
/// # Panics
/// When more structures are mapped than one driver needs.
pub(super) fn map(address: u64, length: u64) -> Result<u64, MemoryError> {
    let mut mapped = MAPPED.lock();
    if let Some(found) = lookup(&mapped[..], address, length) {
        return Ok(found);
    }
    let slot = mapped.iter_mut().find(|slot| slot.1 == 0);
    let slot = slot.expect("there is room for the structures of every driver there is");
    let at = mem::map_device(address, length)?;
    *slot = (address, length, at);
    Ok(at)
}

/// Where these registers are mapped.
fn lookup(mapped: &[(u64, u64, u64)], address: u64, length: u64) -> Option<u64> {
    let &(_, _, at) = mapped
        .iter()
        .find(|&&(start, has, _)| start == address && length != 0 && length <= has)?;
    Some(at)
}

/// The layout of some pages: within one large page, which the heap is made of, so that they follow
/// each other in physical memory. `None` when they are more than that.
fn pages_layout(pages: usize) -> Option<Layout> {
    let bytes = pages.checked_mul(PAGE_SIZE)?;
    if bytes == 0 || bytes > 2 * 1024 * 1024 {
        return None;
    }
    Layout::from_size_align(bytes, bytes.next_power_of_two()).ok()
}

// SAFETY:
// - `dma_alloc` returns zeroed pages of the heap, aligned to their size and so within one of the
//   large pages that the heap is made of: physically contiguous; or address 0.
// - `mmio_phys_to_virt` returns what `map` mapped uncached, for ever, to an address range of its
//   own.
// - `share` returns the physical address of the buffer; `unshare` has nothing to undo: the device
//   works on the buffer itself.
unsafe impl Hal for KernelHal {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let none = (0, NonNull::dangling());
        let Some(layout) = pages_layout(pages) else {
            return none;
        };
        // SAFETY: the layout is not empty.
        let Some(start) = NonNull::new(unsafe { alloc_zeroed(layout) }) else {
            return none;
        };
        match mem::physical_of(start.as_ptr() as u64, layout.size() as u64) {
            Some((physical, run)) if run == layout.size() as u64 => (physical, start),
            _ => {
                // SAFETY: it has just been allocated with this layout.
                unsafe { dealloc(start.as_ptr(), layout) };
                none
            }
        }
    }

    unsafe fn dma_dealloc(_paddr: PhysAddr, vaddr: NonNull<u8>, pages: usize) -> i32 {
        if let Some(layout) = pages_layout(pages) {
            // SAFETY: the caller got it from `dma_alloc`, with the same number of pages.
            unsafe { dealloc(vaddr.as_ptr(), layout) };
        }
        0
    }

    /// # Panics
    /// When the registers were not mapped with [`map`]: a mistake in a driver, not in a device.
    unsafe fn mmio_phys_to_virt(paddr: PhysAddr, size: usize) -> NonNull<u8> {
        lookup(&MAPPED.lock()[..], paddr, size as u64)
            .and_then(|at| NonNull::new(at as *mut u8))
            .expect("registers are mapped before they are used")
    }

    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        let start = buffer.cast::<u8>().as_ptr() as u64;
        // Drivers ask `contiguous` first. Where nothing is mapped the device gets an address at
        // which there is nothing either.
        mem::physical_of(start, buffer.len() as u64).map_or(PhysAddr::MAX, |(physical, _)| physical)
    }

    unsafe fn unshare(_paddr: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}

// SAFETY: taken from the page tables, in which nothing that is mapped ever changes.
unsafe impl Memory for KernelHal {
    fn contiguous(bytes: &[u8]) -> usize {
        let start = bytes.as_ptr() as u64;
        mem::physical_of(start, bytes.len() as u64).map_or(0, |(_, run)| run as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_lie_within_a_large_page() {
        let layout = pages_layout(1).unwrap();
        assert_eq!((layout.size(), layout.align()), (4096, 4096));
        let layout = pages_layout(3).unwrap();
        assert_eq!((layout.size(), layout.align()), (12288, 16384));
        assert!(pages_layout(512).is_some());
        assert!(pages_layout(513).is_none());
        assert!(pages_layout(0).is_none());
        assert!(pages_layout(usize::MAX).is_none());
    }

    #[test]
    fn registers_are_found_where_they_were_mapped() {
        let mapped = [(0x1000, 0x100, 0xa000), (0, 0, 0)];
        assert_eq!(lookup(&mapped, 0x1000, 0x38), Some(0xa000));
        assert_eq!(lookup(&mapped, 0x1000, 0x101), None);
        assert_eq!(lookup(&mapped, 0x1004, 4), None);
        assert_eq!(lookup(&mapped, 0, 0), None);
    }
}
