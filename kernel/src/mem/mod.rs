//! Memory: frames, page tables, the heap, stacks with guard pages, device registers, and the
//! address spaces of programs.
//!
//! The upper half of the address space is the kernel's, and the same in all spaces: what is mapped
//! in it stays mapped. The lower half is a program's, and comes and goes: [`user`], [`shootdown`].
//! What this module maps in the upper half lies in a part that the boot code leaves alone:
//!
//! | address | what |
//! |---|---|
//! | `0xffff_c000_0000_0000` | the heap |
//! | `0xffff_c100_0000_0000` | the CPUs' stacks, each above an unmapped guard page |
//! | `0xffff_c140_0000_0000` | the stacks of threads, likewise |
//! | `0xffff_c200_0000_0000` | device registers, not cached |
//!
//! From the ground up; a lower file never imports a higher one. Locks are taken downwards, too: who
//! holds one takes only those of lower files.
//!
//! - [`lock`]: held with interrupts off; [`physical`](mod@physical): where physical memory is
//!   mapped;
//! - [`frames`]: physical memory, frame by frame; [`pool`]: all there are, behind a lock;
//! - [`blocks`]: the pieces of the heap that programs may see; [`heap`]: the allocator; [`shared`]:
//!   such a piece, held;
//! - [`error`]: what can go wrong;
//! - [`walk`]: page tables, read only; [`space`]: the kernel's page tables, written;
//! - [`map`]: the kernel's own address space; [`stacks`]: the stacks in it;
//! - [`shootdown`]: which CPU is in which space; [`user`]: the spaces of programs;
//! - [`peek`]: words of the program that runs, for backtraces;
//! - [`init`](mod@init): taking memory over from the boot code.

#[cfg(test)]
mod arena;
mod blocks;
mod error;
mod events;
mod frames;
pub(crate) mod heap;
mod init;
mod lock;
mod map;
mod peek;
mod physical;
mod pool;
mod shared;
mod shootdown;
mod space;
pub(crate) mod stacks;
mod user;
mod walk;

pub(crate) use error::MemoryError;
pub(crate) use heap::with_heap_locked;
pub(crate) use init::{init, ramdisk};
pub(crate) use map::{is_identity_mapped, map_device, physical_of};
pub(crate) use peek::{LOWER_HALF, Peek};
pub(crate) use physical::physical;
pub(crate) use shared::SharedBlock;
pub(crate) use shootdown::{on_shootdown, send_shootdowns_by};
pub(crate) use user::{Rights, SpaceError, UserSpace, enter_space};

/// How many frames are free: nobody's, or those of stacks that wait for threads. Task and IRQ
/// context.
pub(crate) fn free_frames() -> u64 {
    pool::free() + stacks::waiting_frames()
}
