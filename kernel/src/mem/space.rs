//! The kernel's page tables, and which parts of the kernel's own ranges are taken.

use x86_64::registers::control::Cr3;
use x86_64::structures::paging::mapper::{MapToError, MapperFlush};
use x86_64::structures::paging::{
    FrameAllocator, Mapper, OffsetPageTable, Page, PageTable, PageTableFlags, PhysFrame, Size2MiB,
    Size4KiB, Translate,
};
use x86_64::{PhysAddr, VirtAddr};

use super::error::MemoryError;
use super::frames::{LARGE, SMALL};
use super::pool::Pool;

/// Pages that hold data: never executed.
const DATA: PageTableFlags = PageTableFlags::PRESENT
    .union(PageTableFlags::WRITABLE)
    .union(PageTableFlags::NO_EXECUTE);

/// The kernel's page tables, and the kernel's ranges.
#[derive(Debug)]
pub(super) struct AddressSpace {
    table: OffsetPageTable<'static>,
    /// The physical address of the topmost.
    root: u64,
    /// Bytes of the stack range that are taken.
    stacks: u64,
    /// Bytes of the device range that are taken.
    devices: u64,
}

impl AddressSpace {
    /// The page tables that are active now.
    ///
    /// # Safety
    /// Physical memory is mapped at `offset`, and the caller owns the page tables
    /// from now on: nothing else changes them.
    pub(super) unsafe fn active(offset: u64) -> Self {
        let offset = VirtAddr::new(offset);
        let (top, _) = Cr3::read();
        let table = (offset + top.start_address().as_u64()).as_mut_ptr::<PageTable>();
        // SAFETY: CR3 holds the topmost table's address, which is mapped at the
        // offset; the caller says that it is ours alone.
        let table = unsafe { &mut *table };
        // SAFETY: the caller's promise.
        let table = unsafe { OffsetPageTable::new(table, offset) };
        Self {
            table,
            root: top.start_address().as_u64(),
            stacks: 0,
            devices: 0,
        }
    }

    /// The physical address of the topmost table.
    pub(super) fn root(&self) -> u64 {
        self.root
    }

    /// Sees to it that the topmost table has an entry for `address`, which never changes again.
    pub(super) fn make_root_entry(&mut self, address: u64) -> Result<(), MemoryError> {
        let index = VirtAddr::new(address).p4_index();
        let offset = self.table.phys_offset();
        let entry = &mut self.table.level_4_table_mut()[index];
        if entry.is_unused() {
            let frame = FrameAllocator::<Size4KiB>::allocate_frame(&mut Pool)
                .ok_or(MemoryError::OutOfFrames)?;
            let table = (offset + frame.start_address().as_u64()).as_mut_ptr::<PageTable>();
            // SAFETY: a fresh frame, mapped there, which nobody else has.
            unsafe { table.write(PageTable::new()) };
            let flags = PageTableFlags::PRESENT | PageTableFlags::WRITABLE;
            entry.set_frame(frame, flags);
        }
        Ok(())
    }

    /// The physical address behind a virtual one.
    pub(super) fn translate(&self, address: u64) -> Option<u64> {
        let address = VirtAddr::try_new(address).ok()?;
        self.table.translate_addr(address).map(PhysAddr::as_u64)
    }

    /// Maps up to `count` large pages of data from `start` on to fresh frames, as
    /// many as there are, and returns how many.
    pub(super) fn map_large(&mut self, start: u64, count: u64) -> Result<u64, MemoryError> {
        for index in 0..count {
            let Some(frame) = FrameAllocator::<Size2MiB>::allocate_frame(&mut Pool) else {
                return Ok(index);
            };
            let address = start + index * LARGE;
            let page = Page::<Size2MiB>::containing_address(VirtAddr::new(address));
            // SAFETY: the frame is fresh: mapping it aliases nothing in use.
            let mapped = unsafe { self.table.map_to(page, frame, DATA, &mut Pool) };
            mapped
                .map(MapperFlush::flush)
                .map_err(|error| map_error(error, address))?;
        }
        Ok(count)
    }

    /// Maps a stack in the range that begins at `range`, above an unmapped guard
    /// page, and returns its lowest mapped address.
    pub(super) fn map_stack(&mut self, range: u64, length: u64) -> Result<u64, MemoryError> {
        let bottom = range + self.stacks + SMALL;
        self.stacks += SMALL + length;
        self.map_data(bottom, length)?;
        Ok(bottom)
    }

    /// Maps `length` bytes of data at `bottom` to fresh small frames. What was mapped before an
    /// error stays.
    pub(super) fn map_data(&mut self, bottom: u64, length: u64) -> Result<(), MemoryError> {
        for address in (bottom..bottom + length).step_by(SMALL as usize) {
            let frame = FrameAllocator::<Size4KiB>::allocate_frame(&mut Pool)
                .ok_or(MemoryError::OutOfFrames)?;
            self.map_to(address, frame.start_address().as_u64(), DATA)?;
        }
        Ok(())
    }

    /// Sets aside pages of the range for devices that begins at `range`.
    pub(super) fn reserve_device_pages(&mut self, range: u64, pages: u64) -> u64 {
        let base = range + self.devices;
        self.devices += pages * SMALL;
        base
    }

    /// Maps one small page. Frames are only ever handed out once, so mapping one
    /// twice is the caller's wish (the start-up code) or a device.
    pub(super) fn map_to(
        &mut self,
        virtual_address: u64,
        physical_address: u64,
        flags: PageTableFlags,
    ) -> Result<(), MemoryError> {
        let not_physical = MemoryError::NotPhysical {
            address: physical_address,
        };
        let frame = PhysAddr::try_new(physical_address).map_err(|_| not_physical)?;
        let frame = PhysFrame::<Size4KiB>::containing_address(frame);
        let page = Page::<Size4KiB>::containing_address(VirtAddr::new(virtual_address));
        // SAFETY: the page is in one of this module's own ranges, which hold
        // nothing that Rust knows of until it is mapped, or is the start-up code's.
        let mapped = unsafe { self.table.map_to(page, frame, flags, &mut Pool) };
        mapped
            .map(MapperFlush::flush)
            .map_err(|error| map_error(error, virtual_address))
    }
}

/// What went wrong, without the page sizes.
fn map_error<S: x86_64::structures::paging::PageSize>(
    error: MapToError<S>,
    address: u64,
) -> MemoryError {
    match error {
        MapToError::FrameAllocationFailed => MemoryError::OutOfFrames,
        MapToError::ParentEntryHugePage | MapToError::PageAlreadyMapped(_) => {
            MemoryError::InUse { address }
        }
    }
}
