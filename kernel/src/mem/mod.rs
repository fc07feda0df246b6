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
//!
//! From the ground up; a lower file never imports a higher one:
//!
//! - [`frames`]: physical memory, frame by frame; [`heap`]: the allocator;
//! - [`error`]: what can go wrong;
//! - [`walk`]: page tables, read only; [`space`]: page tables, written;
//! - [`map`]: the kernel's own address space; [`stacks`]: the stacks in it;
//! - [`peek`]: words of the program that runs, for backtraces;
//! - [`init`](mod@init): taking memory over from the boot code.

mod error;
mod events;
mod frames;
pub(crate) mod heap;
mod init;
mod map;
mod peek;
mod space;
pub(crate) mod stacks;
mod walk;

pub(crate) use error::MemoryError;
pub(crate) use heap::with_heap_locked;
pub(crate) use init::init;
pub(crate) use map::{is_identity_mapped, map_device, physical, physical_of};
pub(crate) use peek::{LOWER_HALF, Peek};
