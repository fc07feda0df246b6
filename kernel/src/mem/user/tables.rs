//! The page tables of a program's half, and the frames that they take, which are charged to it.

use core::sync::atomic::{AtomicU64, Ordering};

use super::super::frames::SMALL;
use super::super::physical::physical;
use super::super::{map, pool};
use super::error::SpaceError;
use super::rights::Rights;

/// Bits of entries (Intel SDM Vol. 3A, tables 4-15 to 4-20).
pub(super) const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
/// Left to software: the frame is another's, and not given back.
pub(super) const SHARED: u64 = 1 << 9;
const NO_EXECUTE: u64 = 1 << 63;
/// The frame.
pub(super) const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// Entries of a table.
const ENTRIES: u64 = 512;

/// The bits of a present entry for pages with these rights.
pub(super) const fn present(rights: Rights) -> u64 {
    PRESENT
        | USER
        | match rights {
            Rights::Read => NO_EXECUTE,
            Rights::ReadWrite => WRITABLE | NO_EXECUTE,
            Rights::ReadExecute => 0,
        }
}

/// Whether a program reaches the page of `entry`: to write, if it `writes`.
pub(super) const fn allows(entry: u64, writes: bool) -> bool {
    let wanted = PRESENT | USER | if writes { WRITABLE } else { 0 };
    entry & wanted == wanted
}

/// How many frames a program has, and may have.
#[derive(Debug)]
pub(super) struct Budget {
    most: u64,
    charged: u64,
}

impl Budget {
    /// At most so many frames.
    pub(super) fn new(most: u64) -> Self {
        Self { most, charged: 0 }
    }

    /// Frames that are charged.
    #[cfg(test)]
    pub(super) fn charged(&self) -> u64 {
        self.charged
    }

    /// Whether `frames` more may be had.
    pub(super) fn has(&self, frames: u64) -> bool {
        self.most.saturating_sub(self.charged) >= frames
    }

    /// Charges `frames`, if they may be had.
    pub(super) fn charge(&mut self, frames: u64) -> Result<(), SpaceError> {
        if !self.has(frames) {
            return Err(SpaceError::Quota);
        }
        self.charged += frames;
        Ok(())
    }

    /// Takes `frames` from the bill.
    pub(super) fn discharge(&mut self, frames: u64) {
        self.charged = self.charged.saturating_sub(frames);
    }
}

/// Page tables of four levels. The lower half of the topmost is the program's.
#[derive(Debug)]
pub(super) struct Tables {
    root: u64,
}

impl Tables {
    /// Tables of nothing but the kernel's half.
    pub(super) fn new(budget: &mut Budget) -> Result<Self, SpaceError> {
        let root = table(budget)?;
        for index in ENTRIES / 2..ENTRIES {
            // SAFETY: the kernel's topmost table is never freed; ours is a table.
            let [from, to] = [map::root(), root].map(|table| unsafe { word(table, index) });
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        Ok(Self { root })
    }

    /// The physical address of the topmost.
    pub(super) fn root(&self) -> u64 {
        self.root
    }

    /// The entry of the page at `address`, if it has a table. `None` in the kernel's half.
    pub(super) fn entry(&self, address: u64) -> Option<&AtomicU64> {
        if address >> 47 != 0 {
            return None;
        }
        let mut table = self.root;
        for shift in [39, 30, 21] {
            // SAFETY: the topmost table, or one that an entry of such a table points to.
            let entry = unsafe { word(table, address >> shift) }.load(Ordering::Relaxed);
            if entry & PRESENT == 0 {
                return None;
            }
            table = entry & ADDRESS;
        }
        // SAFETY: as above.
        Some(unsafe { word(table, address >> 12) })
    }

    /// The entry of the page at `address`, with tables made for it.
    pub(super) fn make_entry(
        &mut self,
        address: u64,
        budget: &mut Budget,
    ) -> Result<&AtomicU64, SpaceError> {
        if address >> 47 != 0 {
            return Err(SpaceError::BadAddress);
        }
        let mut parent = self.root;
        for shift in [39, 30, 21] {
            // SAFETY: the topmost table, or one that an entry of such a table points to.
            let entry = unsafe { word(parent, address >> shift) };
            let mut value = entry.load(Ordering::Relaxed);
            if value & PRESENT == 0 {
                // The page's own entry decides what may be done with it.
                value = table(budget)? | PRESENT | WRITABLE | USER;
                // ORDERING: a CPU that walks here finds the table zeroed.
                entry.store(value, Ordering::Release);
            }
            parent = value & ADDRESS;
        }
        // SAFETY: as above.
        Ok(unsafe { word(parent, address >> 12) })
    }

    /// Gives back all tables, and the frames that their entries have for themselves.
    ///
    /// # Safety
    /// No CPU has them loaded, and they are not used any more.
    pub(super) unsafe fn give_back(&mut self) {
        // SAFETY: the caller's promise.
        unsafe { give_back_below(self.root, ENTRIES / 2, 39) };
    }
}

/// Gives back a table and all that its first `entries` entries have. They are `shift` bits apart.
///
/// # Safety
/// A table that nobody uses any more.
unsafe fn give_back_below(table: u64, entries: u64, shift: u32) {
    for index in 0..entries {
        // SAFETY: the caller says that it is a table.
        let entry = unsafe { word(table, index) }.load(Ordering::Relaxed);
        if shift == 12 {
            if entry & ADDRESS != 0 && entry & SHARED == 0 {
                // SAFETY: the entry's own frame, and nobody can reach it any more.
                unsafe { pool::give_back(entry & ADDRESS) };
            }
        } else if entry & PRESENT != 0 {
            // SAFETY: an entry of an upper level points to a table, which is as unused as this one.
            unsafe { give_back_below(entry & ADDRESS, ENTRIES, shift - 9) };
        }
    }
    // SAFETY: the caller's promise; tables come from the pool.
    unsafe { pool::give_back(table) };
}

/// A zeroed frame, charged.
pub(super) fn frame(budget: &mut Budget) -> Result<u64, SpaceError> {
    budget.charge(1)?;
    pool::take_for_program().ok_or_else(|| {
        budget.discharge(1);
        SpaceError::NoFrames
    })
}

/// Gives back a frame of [`frame`], and takes it from the bill.
///
/// # Safety
/// No CPU can reach it any more.
pub(super) unsafe fn frame_back(frame: u64, budget: &mut Budget) {
    // SAFETY: the caller's promise.
    unsafe { pool::give_back(frame) };
    budget.discharge(1);
}

/// An empty table.
fn table(budget: &mut Budget) -> Result<u64, SpaceError> {
    frame(budget)
}

/// Entry `index`, modulo a table's length, of the table at physical `table`.
///
/// # Safety
/// It is a table, and stays one as long as the reference is used.
unsafe fn word<'a>(table: u64, index: u64) -> &'a AtomicU64 {
    const _: () = assert!(SMALL == ENTRIES * 8);
    let entry = physical(table + index % ENTRIES * 8).cast();
    // SAFETY: inside the table, which is mapped there, and aligned. CPUs that walk it read whole
    // entries, and set the bits that say so, as atomic instructions do.
    unsafe { AtomicU64::from_ptr(entry) }
}
