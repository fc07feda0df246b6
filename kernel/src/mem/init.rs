//! Taking memory over from the boot code.

use core::fmt;

use bootloader_api::BootInfo;

use super::error::MemoryError;
use super::frames::{Frames, LARGE, SMALL};
use super::heap::{self, MAX_HEAP, MIN_HEAP};
use super::map::{self, HEAP};
use super::peek;
use super::space::AddressSpace;
use super::stacks::{self, Stack, StackKind};
use super::{physical, pool};

/// What bring-up says about memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    /// Bytes that the memory map calls usable.
    pub(crate) usable: u64,
    /// Bytes of heap.
    pub(crate) heap: u64,
    /// Bytes left for stacks and page tables.
    pub(crate) left: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} MiB, of {} MiB usable memory ({} MiB left)",
            self.heap >> 20,
            self.usable >> 20,
            self.left >> 20
        )
    }
}

/// Takes over memory as the boot code describes it, and starts the heap.
///
/// Once, by the boot CPU.
///
/// # Errors
/// When the description lacks what is needed, or there is too little memory.
pub(crate) fn init(info: &'static BootInfo) -> Result<Summary, MemoryError> {
    let offset = info
        .physical_memory_offset
        .into_option()
        .ok_or(MemoryError::NoPhysicalMapping)?;
    let frames = Frames::new(&info.memory_regions);
    let usable = frames.free();
    // SAFETY: the boot code maps physical memory at `offset`, and leaves its page
    // tables to the kernel, where nothing else changes them.
    let mut space = unsafe { AddressSpace::active(offset) };
    physical::begin(offset);
    pool::begin(frames);
    let heap = (usable / 8 * 5).min(MAX_HEAP) & !(LARGE - 1);
    if heap < MIN_HEAP {
        return Err(MemoryError::TooLittle { free: usable });
    }
    let heap = space.map_large(HEAP, heap / LARGE)? * LARGE;
    if heap < MIN_HEAP {
        return Err(MemoryError::TooLittle { free: usable });
    }
    // SAFETY: the pages have just been mapped, to frames of their own.
    unsafe { heap::init(HEAP, heap) };
    map::begin(space)?;
    let left = pool::free() * SMALL;
    peek::begin(&info.memory_regions);
    register_boot_stack(info);
    Ok(Summary { usable, heap, left })
}

/// The archive of programs that the machine was started with; empty if there is none. Once, when
/// memory was taken over.
pub(crate) fn ramdisk(info: &BootInfo) -> &'static [u8] {
    let length = usize::try_from(info.ramdisk_len).unwrap_or(0);
    match info.ramdisk_addr.into_option() {
        // SAFETY: the boot code says that so many bytes are there, mapped for ever, and that they are
        // not usable memory: nobody is given the frames, and nobody writes them.
        Some(at) if length != 0 => unsafe { core::slice::from_raw_parts(at as *const u8, length) },
        _ => &[],
    }
}

/// Makes the stack that the boot code gave to CPU 0 known. The page below it is its guard.
fn register_boot_stack(info: &BootInfo) {
    let bottom = info.kernel_stack_bottom;
    let top = bottom.saturating_add(info.kernel_stack_len);
    if info.kernel_stack_len != 0 {
        stacks::register(Stack {
            cpu: 0,
            kind: StackKind::Task,
            bottom,
            top,
            guard: SMALL,
        });
    }
}
