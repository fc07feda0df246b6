//! From an ELF file to memory that a thread can begin in.
//!
//! Only what a static program needs: segments that are loaded at their addresses, each with rights of
//! its own, none of them both written and executed (ELF-64 Object File Format, "Program Header").
//! Nothing in the file is believed: whatever does not fit is [`LoadError`].

use alloc::sync::Arc;
use core::fmt;

use elf::ElfBytes;
use elf::abi::{EM_X86_64, ET_EXEC, PF_W, PF_X, PT_INTERP, PT_LOAD};
use elf::endian::LittleEndian;
use elf::segment::ProgramHeader;
use relay_abi::{USER_BEGIN, USER_END};

use crate::mem::{Rights, SpaceError, UserSpace};

/// Bytes of the stack of a program's first thread.
const STACK: u64 = 64 * 1024;
/// Bytes of a page.
const PAGE: u64 = 4096;
/// The most frames that a program may have: 16 MiB.
const MOST_FRAMES: u64 = 4096;
/// The most segments.
const MOST_SEGMENTS: usize = 16;

/// Why a program cannot be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoadError {
    /// It is no ELF file, or one that is cut off.
    NotElf,
    /// It is one for another machine, or not static.
    NotForThis,
    /// A segment is both written and executed.
    WritableCode,
    /// A segment lies where programs have none, or reaches over another one, or has more bytes in the
    /// file than in memory.
    BadSegment,
    /// Its entry is no address of a program.
    BadEntry,
    /// There is not enough memory.
    NoRoom,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotElf => "it is no whole ELF file of 64 bits",
            Self::NotForThis => "it is not a static program for x86_64",
            Self::WritableCode => "a segment is both written and executed",
            Self::BadSegment => "a segment lies outside of what programs have, or over another one",
            Self::BadEntry => "it begins at no address of a program",
            Self::NoRoom => "there is not enough memory",
        })
    }
}

impl From<SpaceError> for LoadError {
    fn from(error: SpaceError) -> Self {
        match error {
            SpaceError::NoFrames | SpaceError::Quota | SpaceError::NoRoom => Self::NoRoom,
            SpaceError::BadAddress | SpaceError::InUse => Self::BadSegment,
        }
    }
}

/// A program in memory.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) space: Arc<UserSpace>,
    /// Where its first thread begins.
    pub(super) entry: u64,
    /// Its stack pointer then.
    pub(super) stack: u64,
    /// Where it finds its arguments, and how many bytes these have.
    pub(super) arguments: [u64; 2],
}

/// Loads a program into an address space of its own, with its arguments. Task context.
///
/// # Errors
/// [`LoadError`].
pub(super) fn load(file: &[u8], arguments: &[u8]) -> Result<Loaded, LoadError> {
    let elf = ElfBytes::<LittleEndian>::minimal_parse(file).map_err(|_| LoadError::NotElf)?;
    if elf.ehdr.e_machine != EM_X86_64 || elf.ehdr.e_type != ET_EXEC {
        return Err(LoadError::NotForThis);
    }
    let segments = elf.segments().ok_or(LoadError::NotElf)?;
    if segments.len() > MOST_SEGMENTS {
        return Err(LoadError::BadSegment);
    }
    let space = Arc::new(UserSpace::new(MOST_FRAMES)?);
    for segment in segments.iter() {
        match segment.p_type {
            PT_LOAD if segment.p_memsz != 0 => load_segment(&space, file, &segment)?,
            PT_INTERP => return Err(LoadError::NotForThis),
            _ => {}
        }
    }
    let entry = elf.ehdr.e_entry;
    if !(USER_BEGIN..USER_END).contains(&entry) {
        return Err(LoadError::BadEntry);
    }
    // A page below stays empty, and one above.
    let top = USER_END - PAGE;
    space.map(Some(top - STACK), STACK, Rights::ReadWrite)?;
    let length = arguments.len() as u64;
    let at = top - length;
    space.load(at, arguments)?;
    Ok(Loaded {
        space,
        entry,
        stack: (at - 16) & !15,
        arguments: [at, length],
    })
}

/// Loads one segment.
fn load_segment(space: &UserSpace, file: &[u8], segment: &ProgramHeader) -> Result<(), LoadError> {
    let ProgramHeader {
        p_vaddr: at,
        p_memsz: length,
        p_filesz: stored,
        p_offset: offset,
        p_flags: flags,
        ..
    } = *segment;
    let end = at.checked_add(length).ok_or(LoadError::BadSegment)?;
    if at < USER_BEGIN || end > USER_END - PAGE - STACK - PAGE || stored > length {
        return Err(LoadError::BadSegment);
    }
    let rights = match (flags & PF_W != 0, flags & PF_X != 0) {
        (true, true) => return Err(LoadError::WritableCode),
        (true, false) => Rights::ReadWrite,
        (false, true) => Rights::ReadExecute,
        (false, false) => Rights::Read,
    };
    let last = offset.checked_add(stored).ok_or(LoadError::NotElf)?;
    let bytes = usize::try_from(offset)
        .ok()
        .zip(usize::try_from(last).ok())
        .and_then(|(from, to)| file.get(from..to))
        .ok_or(LoadError::NotElf)?;
    let first = at & !(PAGE - 1);
    space.map(Some(first), (end - first).next_multiple_of(PAGE), rights)?;
    space.load(at, bytes)?;
    Ok(())
}
