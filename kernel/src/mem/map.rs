//! The kernel's part of all address spaces: what lies where, and mapping more.

use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::structures::paging::PageTableFlags;

use super::error::MemoryError;
use super::frames::SMALL;
use super::lock::Guarded;
use super::physical::physical;
use super::space::AddressSpace;
use super::walk;

/// Where the heap is mapped.
pub(super) const HEAP: u64 = 0xffff_c000_0000_0000;
/// Where the CPUs' stacks are mapped.
pub(super) const STACKS: u64 = 0xffff_c100_0000_0000;
/// Where the stacks of threads are mapped, below the same entry of the topmost table.
pub(super) const THREAD_STACKS: u64 = 0xffff_c140_0000_0000;
/// Where device registers are mapped.
const DEVICES: u64 = 0xffff_c200_0000_0000;

/// The physical address of the kernel's topmost page table.
static ROOT: AtomicU64 = AtomicU64::new(0);

static SPACE: Guarded<Option<AddressSpace>> = Guarded::new(None);

/// Begins with `space`. Once.
///
/// # Errors
/// When there is no memory for tables.
pub(super) fn begin(mut space: AddressSpace) -> Result<(), MemoryError> {
    for range in [HEAP, STACKS, DEVICES] {
        space.make_root_entry(range)?;
    }
    ROOT.store(space.root(), Ordering::Relaxed);
    SPACE.with(|slot| *slot = Some(space));
    Ok(())
}

/// The physical address of the kernel's topmost page table. Its upper half never changes: all
/// address spaces have a copy. Any context.
pub(super) fn root() -> u64 {
    ROOT.load(Ordering::Relaxed)
}

/// The physical address of memory that the kernel has mapped, and how many of the `length` bytes
/// from there on follow each other in physical memory. `None` when nothing is mapped there.
///
/// Any context, any CPU: takes no lock.
pub(crate) fn physical_of(address: u64, length: u64) -> Option<(u64, u64)> {
    walk::contiguous(root(), address, length, |entry| {
        // SAFETY: the address is that of an entry of the kernel's page tables, which are in RAM,
        // which is mapped at the offset. They are never freed. Another CPU may be adding entries
        // to them: that is one aligned 64-bit store, as this is one load.
        unsafe { AtomicU64::from_ptr(physical(entry).cast()) }.load(Ordering::Relaxed)
    })
}

/// Runs `action` with the address space. Task context.
pub(super) fn with_space<T>(
    action: impl FnOnce(&mut AddressSpace) -> Result<T, MemoryError>,
) -> Result<T, MemoryError> {
    SPACE.with(|space| action(space.as_mut().ok_or(MemoryError::NotReady)?))
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

/// Tests have no kernel: this is its topmost table, of no entries.
#[cfg(test)]
pub(super) fn pretend_root(frame: u64) {
    // SAFETY: a frame of the test's own.
    unsafe { physical(frame).write_bytes(0, SMALL as usize) };
    ROOT.store(frame, Ordering::Relaxed);
}
