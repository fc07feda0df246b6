//! The address spaces of programs.
//!
//! The lower half is the program's own, the upper half is the kernel's: each space has a copy of
//! the kernel's root entries, which never change. No page is both writable and executable. Nobody
//! in the kernel uses an address of a program: bytes go through [`UserSpace::read`] and
//! [`UserSpace::write`], which look into the page tables and copy through the mapping of physical
//! memory, under the space's lock. So there is no fault to be recovered from, and no page can go
//! away in the middle.
//!
//! What a page's entry goes through: nothing; *hidden* (it has a frame and is not present: nobody
//! can reach it); present; hidden again; nothing. Frames are given back from hidden entries only:
//! those that never were present, or those that all CPUs have forgotten since ([`shootdown`]).
//! Tables stay until the space goes.
//!
//! From the ground up: [`tables`] and what they are charged to; [`regions`]: what is where;
//! [`copy`]; [`space`]: all of it under the lock.
//!
//! [`shootdown`]: super::shootdown

mod copy;
mod error;
mod regions;
mod rights;
mod space;
mod tables;

pub(crate) use error::SpaceError;
pub(crate) use rights::Rights;
pub(crate) use space::{UserSpace, enter_space};
