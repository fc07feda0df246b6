//! Trying the walls between the kernel and programs from the kernel's side.

use core::fmt;

use x86_64::instructions::interrupts;

use super::probe;
use super::user::{self, Walls};
use crate::mem::{self, Rights, SpaceError, UserSpace, enter_space};

/// What is wrong with the walls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// There is no memory to try it with.
    NoSpace(SpaceError),
    /// Ring 0 can do this with the page of a program, and the CPU says that it cannot.
    Page(&'static str),
    /// The kernel's code can be written to, at this address.
    Code(u64),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSpace(error) => write!(f, "there is no space to try: {error}"),
            Self::Page(what) => write!(f, "the kernel can {what} a page of ring 3"),
            Self::Code(at) => write!(f, "the kernel can write to its own code at {at:#x}"),
        }
    }
}

/// Tries, on the CPU that calls, what the kernel must not be able to do: to read, write and execute
/// pages of programs, and to write to its own code, where it lies and where all physical memory is
/// mapped. Task context; all is as it was when it returns.
///
/// # Errors
/// What it could.
pub(crate) fn check() -> Result<Walls, Broken> {
    let walls = Walls::here();
    let space = UserSpace::new(16).map_err(Broken::NoSpace)?;
    let page = |rights| space.map(None, 4096, rights).map_err(Broken::NoSpace);
    let (data, code) = (page(Rights::ReadWrite)?, page(Rights::ReadExecute)?);
    // `ret`
    space.load(code, &[0xc3]).map_err(Broken::NoSpace)?;
    interrupts::without_interrupts(|| {
        enter_space(Some(&space));
        let found = try_pages(walls, data, code);
        enter_space(None);
        found
    })?;
    let text = user::beginning as *const () as u64;
    let physical = mem::physical_of(text, 1).map(|(at, _)| mem::physical(at) as u64);
    for at in [Some(text), physical].into_iter().flatten() {
        // SAFETY: it is memory, the kernel's own code.
        if unsafe { probe::is_writable(at) } {
            return Err(Broken::Code(at));
        }
    }
    Ok(walls)
}

/// The same with two pages of the space that this CPU is in; the second has a `ret`.
fn try_pages(walls: Walls, data: u64, code: u64) -> Result<(), Broken> {
    if walls.smap && probe::read(data).is_some() {
        return Err(Broken::Page("read"));
    }
    // SAFETY: it is memory, of nobody else.
    if walls.smap && unsafe { probe::is_writable(data) } {
        return Err(Broken::Page("write to"));
    }
    // SAFETY: it is a `ret`.
    if walls.smep && unsafe { probe::is_executable(code) } {
        return Err(Broken::Page("execute"));
    }
    Ok(())
}
