//! Memory: frames, page tables, the heap, stacks with guard pages, device registers.
//!
//! One address space, shared by all CPUs. Everything is mapped at bring-up and
//! stays mapped: there are no shootdowns. What this module maps lies in a part of
//! the upper half that the boot code leaves alone:
//!
//! | address | what |
//! |---|---|
//! | `0xffff_c000_0000_0000` | the heap |
//! | `0xffff_c100_0000_0000` | stacks, each above an unmapped guard page |
//! | `0xffff_c200_0000_0000` | device registers, not cached |

mod frames;
mod heap;
mod space;
mod walk;

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use bootloader_api::BootInfo;
use spin::Mutex;
use x86_64::structures::paging::PageTableFlags;

use crate::arch::stacks::{self, Stack, StackKind};
use crate::arch::tables::InterruptStacks;
use frames::{Frames, LARGE, SMALL};
use space::AddressSpace;

/// Where the heap is mapped.
const HEAP: u64 = 0xffff_c000_0000_0000;
/// Where stacks are mapped.
const STACKS: u64 = 0xffff_c100_0000_0000;
/// Where device registers are mapped.
const DEVICES: u64 = 0xffff_c200_0000_0000;

/// The greatest heap. Half of memory up to this; the rest is for stacks and page tables.
const MAX_HEAP: u64 = 256 * 1024 * 1024;
/// The smallest heap that is worth starting with.
const MIN_HEAP: u64 = LARGE;

/// Bytes of a task stack, which interrupts and most exceptions use too.
const TASK_STACK: u64 = 64 * 1024;
/// Bytes of an interrupt stack. A report of a fault, with all that was logged
/// before it, is printed on one.
const INTERRUPT_STACK: u64 = 32 * 1024;

/// Where physical memory is mapped.
static OFFSET: AtomicU64 = AtomicU64::new(0);

static SPACE: Mutex<Option<AddressSpace>> = Mutex::new(None);

/// Why something could not be mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemoryError {
    /// The boot code did not say where physical memory is mapped.
    NoPhysicalMapping,
    /// There are no free frames left.
    OutOfFrames,
    /// There is less memory than the smallest heap needs.
    TooLittle {
        /// Bytes there are.
        free: u64,
    },
    /// Something else is mapped there.
    InUse {
        /// The virtual address.
        address: u64,
    },
    /// Memory is not up yet.
    NotReady,
    /// A physical address that no CPU can have.
    NotPhysical {
        /// The address.
        address: u64,
    },
    /// The page for the start-up code is not mapped at its physical address.
    NotIdentityMapped {
        /// The address.
        address: u64,
    },
    /// The page tables begin above 4 GiB, where other CPUs cannot load them.
    PageTablesTooHigh {
        /// The physical address of the topmost table.
        address: u64,
    },
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoPhysicalMapping => f.write_str(
                "the boot code did not map physical memory; BootloaderConfig asks for it",
            ),
            Self::OutOfFrames => f.write_str("out of memory; start the machine with more"),
            Self::TooLittle { free } => write!(
                f,
                "{} KiB of memory are free, want at least {} KiB; start the machine with more",
                free / 1024,
                2 * MIN_HEAP / 1024
            ),
            Self::InUse { address } => write!(f, "something is already mapped at {address:#x}"),
            Self::NotReady => f.write_str("memory is not up yet"),
            Self::NotPhysical { address } => {
                write!(f, "{address:#x} is beyond all physical addresses")
            }
            Self::NotIdentityMapped { address } => {
                write!(f, "the boot code did not map {address:#x} at itself")
            }
            Self::PageTablesTooHigh { address } => {
                write!(f, "the page tables begin at {address:#x}, want below 4 GiB")
            }
        }
    }
}

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
    OFFSET.store(offset, Ordering::Relaxed);
    let frames = Frames::new(&info.memory_regions);
    let usable = frames.free();
    // SAFETY: the boot code maps physical memory at `offset`, and leaves its page
    // tables to the kernel, where nothing else changes them.
    let mut space = unsafe { AddressSpace::active(offset, frames) };
    let heap = (usable / 2).min(MAX_HEAP) & !(LARGE - 1);
    if heap < MIN_HEAP {
        return Err(MemoryError::TooLittle { free: usable });
    }
    let heap = space.map_large(HEAP, heap / LARGE)? * LARGE;
    if heap < MIN_HEAP {
        return Err(MemoryError::TooLittle { free: usable });
    }
    // SAFETY: the pages have just been mapped, to frames of their own.
    unsafe { heap::init(HEAP, heap) };
    let left = space.free();
    *SPACE.lock() = Some(space);
    register_boot_stack(info);
    Ok(Summary { usable, heap, left })
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
fn with_space<T>(
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

/// The tops of a CPU's stacks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuStacks {
    /// The task stack.
    pub(crate) task: u64,
    /// The interrupt stacks.
    pub(crate) interrupt: InterruptStacks,
}

/// Makes all stacks of a CPU. Task context on the boot CPU.
///
/// # Errors
/// When memory is missing.
pub(crate) fn stacks_for(cpu: usize) -> Result<CpuStacks, MemoryError> {
    Ok(CpuStacks {
        task: stack(cpu, StackKind::Task, TASK_STACK)?,
        interrupt: interrupt_stacks_for(cpu)?,
    })
}

/// Makes the interrupt stacks of a CPU that has a task stack. Task context on the boot CPU.
///
/// # Errors
/// When memory is missing.
pub(crate) fn interrupt_stacks_for(cpu: usize) -> Result<InterruptStacks, MemoryError> {
    Ok(InterruptStacks {
        nmi: stack(cpu, StackKind::Nmi, INTERRUPT_STACK)?,
        double_fault: stack(cpu, StackKind::DoubleFault, INTERRUPT_STACK)?,
        machine_check: stack(cpu, StackKind::MachineCheck, INTERRUPT_STACK)?,
    })
}

/// Maps one stack above an unmapped guard page, and returns its top.
fn stack(cpu: usize, kind: StackKind, length: u64) -> Result<u64, MemoryError> {
    let bottom = with_space(|space| space.map_stack(STACKS, length))?;
    let top = bottom + length;
    stacks::register(Stack {
        cpu,
        kind,
        bottom,
        top,
        guard: SMALL,
    });
    Ok(top)
}
