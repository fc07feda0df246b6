//! The one address space of the kernel: what lies where, and mapping more.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::cpu::lock::Mutex;
use x86_64::structures::paging::PageTableFlags;

use super::error::MemoryError;
use super::frames::SMALL;
use super::space::AddressSpace;
use super::walk;

/// Where the heap is mapped.
pub(super) const HEAP: u64 = 0xffff_c000_0000_0000;
/// Where stacks are mapped.
pub(super) const STACKS: u64 = 0xffff_c100_0000_0000;
/// Where device registers are mapped.
const DEVICES: u64 = 0xffff_c200_0000_0000;

/// Where physical memory is mapped.
static OFFSET: AtomicU64 = AtomicU64::new(0);

static SPACE: Mutex<Option<AddressSpace>> = Mutex::new(None);

/// Begins with `space`, in a machine whose physical memory is mapped at `offset`. Once.
pub(super) fn begin(offset: u64, space: AddressSpace) {
    OFFSET.store(offset, Ordering::Relaxed);
    *SPACE.lock() = Some(space);
}

/// Where a physical address can be read and written. Good for all RAM, and for
/// everything below 4 GiB, which is what the boot code maps.
///
/// The pointer is only as good as the address: what lies there is the caller's to know.
pub(crate) fn physical(address: u64) -> *mut u8 {
    OFFSET.load(Ordering::Relaxed).wrapping_add(address) as *mut u8
}

/// The physical address of memory that the kernel has mapped, and how many of the `length` bytes
/// from there on follow each other in physical memory. `None` when nothing is mapped there.
///
/// Any context, any CPU: takes no lock.
pub(crate) fn physical_of(address: u64, length: u64) -> Option<(u64, u64)> {
    let (top, _) = x86_64::registers::control::Cr3::read();
    walk::contiguous(top.start_address().as_u64(), address, length, |entry| {
        // SAFETY: the address is that of an entry of the page tables in use, which are in RAM,
        // which is mapped at the offset. They are never freed. Another CPU may be adding entries
        // to them: that is one aligned 64-bit store, as this is one load.
        unsafe { AtomicU64::from_ptr(physical(entry).cast()) }.load(Ordering::Relaxed)
    })
}

/// Runs `action` with the address space. Task context.
pub(super) fn with_space<T>(
    action: impl FnOnce(&mut AddressSpace) -> Result<T, MemoryError>,
) -> Result<T, MemoryError> {
    action(SPACE.lock().as_mut().ok_or(MemoryError::NotReady)?)
}

/// Maps `length` bytes of device registers at a physical address, for ever, and
/// returns where. Not cached. Task context.
///
/// # Errors
/// When memory for page tables is missing.
pub(crate) fn map_device(address: u64, length: u64) -> Result<u64, MemoryError> {
    let first = address & !(SMALL - 1);
    let offset = address - first;
    let pages = (offset + length).div_ceil(SMALL);
    let flags = PageTableFlags::PRESENT
        | PageTableFlags::WRITABLE
        | PageTableFlags::NO_EXECUTE
        | PageTableFlags::NO_CACHE
        | PageTableFlags::WRITE_THROUGH;
    with_space(|space| {
        let base = space.reserve_device_pages(DEVICES, pages);
        for page in 0..pages {
            space.map_to(base + page * SMALL, first + page * SMALL, flags)?;
        }
        Ok(base + offset)
    })
}

/// Whether a page is mapped at its own physical address. Task context.
pub(crate) fn is_identity_mapped(page: u64) -> bool {
    with_space(|space| Ok(space.translate(page) == Some(page))).unwrap_or(false)
}
