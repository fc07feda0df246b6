//! What addresses in a program's code are the addresses of.
//!
//! [`ElfFile`] reads the program, and tells whether it is the one that ran; [`Symbols`] finds the
//! functions that an address lies in, those that were inlined there too. [`Programs`] has those of
//! what ran on the machine beside the kernel.

mod elf;
mod frame;
mod programs;
mod table;

pub(crate) use elf::{ElfError, ElfFile};
pub(crate) use frame::{Address, Frame};
pub(crate) use programs::Programs;
pub(crate) use table::Symbols;
