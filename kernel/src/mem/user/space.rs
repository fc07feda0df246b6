//! A program's address space: mapping, unmapping, and copying from and to it.

use alloc::boxed::Box;
use core::ops::Range;
use core::sync::atomic::Ordering;

use relay_abi::USER_END;

use super::super::frames::SMALL;
use super::super::lock::Guarded;
use super::super::map;
use super::super::physical::physical;
use super::super::shared::SharedBlock;
use super::super::shootdown::{self, Loaders};
use super::copy::copy;
use super::error::SpaceError;
use super::regions::{Kind, Region, Regions, whole_pages};
use super::rights::Rights;
use super::tables::{ADDRESS, Budget, PRESENT, SHARED, Tables, allows, frame, frame_back, present};

/// A program's address space. Task context, interrupts on or off; [`unmap`](Self::unmap) with no
/// lock held that a CPU could wait for with interrupts off.
#[derive(Debug)]
pub(crate) struct UserSpace {
    root: u64,
    /// In a place of its own: it must stay while a CPU is in it, even if the space is moved.
    loaders: Box<Loaders>,
    inner: Guarded<Inner>,
}

/// What the lock is for.
#[derive(Debug)]
struct Inner {
    tables: Tables,
    regions: Regions,
    budget: Budget,
}

impl UserSpace {
    /// A space with nothing in it, that may have so many frames: tables, pages and mapped pages of
    /// the kernel together.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub(crate) fn new(most_frames: u64) -> Result<Self, SpaceError> {
        let regions = Regions::new()?;
        let mut budget = Budget::new(most_frames);
        let tables = Tables::new(&mut budget)?;
        Ok(Self {
            root: tables.root(),
            loaders: Box::new(Loaders::new()),
            inner: Guarded::new(Inner {
                tables,
                regions,
                budget,
            }),
        })
    }

    /// Frames that are charged to it.
    #[cfg(test)]
    pub(crate) fn frames(&self) -> u64 {
        self.inner.with(|inner| inner.budget.charged())
    }

    /// Maps fresh zeroed pages for `bytes` at `at`, or anywhere with an empty page on both sides,
    /// and returns where.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn map(
        &self,
        at: Option<u64>,
        bytes: u64,
        rights: Rights,
    ) -> Result<u64, SpaceError> {
        self.inner.with(|inner| {
            let range = match at {
                Some(at) => whole_pages(at, bytes)?,
                None => inner.regions.gap(bytes)?,
            };
            inner.add(&range, at.is_none(), Kind::Own, rights, |_, budget| {
                frame(budget)
            })
        })
    }

    /// Maps `bytes` of the kernel's `block` from `offset` on, to be read, anywhere with an empty
    /// page on both sides, and returns where. Whole pages. The block is held, and its pages are
    /// charged, until they are unmapped.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn map_shared(
        &self,
        block: &SharedBlock,
        offset: u64,
        bytes: u64,
    ) -> Result<u64, SpaceError> {
        let is_inside = offset
            .checked_add(bytes)
            .is_some_and(|end| end <= block.len());
        if !is_inside || !(offset | bytes).is_multiple_of(SMALL) {
            return Err(SpaceError::BadAddress);
        }
        let first = block.start() + offset;
        let held = block.again().ok_or(SpaceError::NoRoom)?;
        self.map_frames(held, bytes, |page| {
            map::physical_of(first + page * SMALL, SMALL).map(|(frame, _)| frame)
        })
    }

    /// Maps the frames that `frame` tells by their places, which `block` has.
    fn map_frames(
        &self,
        block: SharedBlock,
        bytes: u64,
        frame: impl Fn(u64) -> Option<u64>,
    ) -> Result<u64, SpaceError> {
        self.inner.with(|inner| {
            let range = inner.regions.gap(bytes)?;
            let kind = Kind::Shared(block);
            inner.add(&range, true, kind, Rights::Read, |page, budget| {
                let frame = frame(page).ok_or(SpaceError::BadAddress)?;
                budget.charge(1)?;
                Ok(frame | SHARED)
            })
        })
    }

    /// Unmaps pages of one piece that [`map`](Self::map) or [`map_shared`](Self::map_shared) has
    /// mapped; has all CPUs forget them; gives them back. Waits for other CPUs: see [`shootdown`].
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn unmap(&self, at: u64, bytes: u64) -> Result<(), SpaceError> {
        let range = whole_pages(at, bytes)?;
        self.inner.with(|inner| {
            inner.regions.cut(&range)?;
            for address in pages(&range) {
                if let Some(entry) = inner.tables.entry(address) {
                    entry.fetch_and(!PRESENT, Ordering::Relaxed);
                }
            }
            Ok(())
        })?;
        self.loaders.shoot_down();
        // What was held is let go behind the lock.
        let _gone = self.inner.with(|inner| inner.clear(&range));
        Ok(())
    }

    /// Writes to pages of the program's own, whatever it may do with them itself. For who fills
    /// them before the program runs.
    ///
    /// # Errors
    /// [`SpaceError::BadAddress`]: not all are mapped; some bytes may be written.
    pub(crate) fn load(&self, at: u64, bytes: &[u8]) -> Result<(), SpaceError> {
        self.inner.with(|inner| {
            for (address, part) in parts(at, bytes.len())? {
                let entry = inner
                    .find(address, false)
                    .filter(|entry| entry & SHARED == 0)
                    .ok_or(SpaceError::BadAddress)?;
                let bytes = &bytes[part];
                // SAFETY: as in `write`.
                unsafe { copy(bytes.as_ptr(), byte_of(entry, address), bytes.len()) };
            }
            Ok(())
        })
    }

    /// Copies what the program has at `from`.
    ///
    /// # Errors
    /// [`SpaceError::BadAddress`]: the program cannot read all of it. Some may be copied.
    pub(crate) fn read(&self, from: u64, into: &mut [u8]) -> Result<(), SpaceError> {
        self.inner.with(|inner| {
            for (address, part) in parts(from, into.len())? {
                let entry = inner.find(address, false).ok_or(SpaceError::BadAddress)?;
                let into = &mut into[part];
                // SAFETY: the frame of a present entry is RAM that stays the program's while its
                // lock is held, and the part ends with the page at the latest.
                unsafe { copy(byte_of(entry, address), into.as_mut_ptr(), into.len()) };
            }
            Ok(())
        })
    }

    /// Writes `bytes` to where the program has writable memory at `to`: all or nothing.
    ///
    /// # Errors
    /// [`SpaceError::BadAddress`]: the program cannot write to all of it.
    pub(crate) fn write(&self, to: u64, bytes: &[u8]) -> Result<(), SpaceError> {
        self.inner.with(|inner| {
            let all = parts(to, bytes.len())?;
            for (address, _) in all.clone() {
                inner.find(address, true).ok_or(SpaceError::BadAddress)?;
            }
            for (address, part) in all {
                let entry = inner.find(address, true).ok_or(SpaceError::BadAddress)?;
                let bytes = &bytes[part];
                // SAFETY: as in `read`. No Rust reference to a program's memory exists; a writable
                // page is never the kernel's.
                unsafe { copy(bytes.as_ptr(), byte_of(entry, address), bytes.len()) };
            }
            Ok(())
        })
    }
}

impl Inner {
    /// Fills `range` with the frames that `frame` gets for each page, and lets the program at them.
    fn add(
        &mut self,
        range: &Range<u64>,
        is_guarded: bool,
        kind: Kind,
        rights: Rights,
        frame: impl Fn(u64, &mut Budget) -> Result<u64, SpaceError>,
    ) -> Result<u64, SpaceError> {
        // What the program cannot have is refused before anything is done page by page.
        if !self.budget.has((range.end - range.start) / SMALL) {
            return Err(SpaceError::Quota);
        }
        self.regions.add(Region {
            start: range.start,
            end: range.end,
            is_guarded,
            kind,
        })?;
        let mut fill = || {
            for (page, address) in pages(range).enumerate() {
                let entry = self.tables.make_entry(address, &mut self.budget)?;
                entry.store(frame(page as u64, &mut self.budget)?, Ordering::Relaxed);
            }
            Ok(())
        };
        if let Err(error) = fill() {
            // None of them was present.
            let _ = self.clear(range);
            return Err(error);
        }
        for address in pages(range) {
            if let Some(entry) = self.tables.entry(address) {
                // ORDERING: who reaches the page finds it zeroed.
                entry.fetch_or(present(rights), Ordering::Release);
            }
        }
        Ok(range.start)
    }

    /// Takes the hidden pages of the piece `range` out and gives them back. All CPUs have forgotten
    /// them.
    fn clear(&mut self, range: &Range<u64>) -> Option<Region> {
        for address in pages(range) {
            let Some(entry) = self.tables.entry(address) else {
                continue;
            };
            match entry.swap(0, Ordering::Relaxed) {
                0 => {}
                entry if entry & SHARED != 0 => self.budget.discharge(1),
                // SAFETY: it is not present, and who knew it has forgotten it.
                entry => unsafe { frame_back(entry & ADDRESS, &mut self.budget) },
            }
        }
        self.regions.remove(range.start)
    }

    /// The entry of a page that the program reaches: to write, if it `writes`.
    fn find(&self, address: u64, writes: bool) -> Option<u64> {
        let entry = self.tables.entry(address)?.load(Ordering::Relaxed);
        allows(entry, writes).then_some(entry)
    }
}

impl Drop for UserSpace {
    /// Gives everything back. If a CPU were still in it, that would be taken from under it: then
    /// all stays where it is, for ever.
    fn drop(&mut self) {
        let cpus = self.loaders.cpus();
        let inner = self.inner.get_mut();
        if cpus.is_empty() {
            // SAFETY: nobody has the tables loaded, and nobody can get at the space any more.
            unsafe { inner.tables.give_back() };
            return;
        }
        relay::error!("an address space goes while CPUs are in it: {cpus}; its memory is kept");
        core::mem::forget(core::mem::take(&mut self.loaders));
        inner.regions.forget();
    }
}

/// This CPU goes on in `space`; `None`: in the kernel's own. Interrupts are off. Whoever owns the
/// space keeps it until all CPUs have left it.
pub(crate) fn enter_space(space: Option<&UserSpace>) {
    // SAFETY: a space's upper half is the kernel's; root and loaders are not freed while a CPU is
    // in it: see `drop`.
    unsafe { shootdown::enter(space.map(|space| (space.root, &*space.loaders))) };
}

/// The first addresses of the pages of `range`.
fn pages(range: &Range<u64>) -> impl Iterator<Item = u64> + use<> {
    range.clone().step_by(SMALL as usize)
}

/// The bytes from `start` on, page by page: where each part begins, and which bytes it has.
fn parts(
    start: u64,
    length: usize,
) -> Result<impl Iterator<Item = (u64, Range<usize>)> + Clone, SpaceError> {
    let end = start
        .checked_add(length as u64)
        .filter(|&end| end <= USER_END)
        .ok_or(SpaceError::BadAddress)?;
    let mut address = start;
    Ok(core::iter::from_fn(move || {
        let begin = address;
        if begin >= end {
            return None;
        }
        address = ((begin | (SMALL - 1)) + 1).min(end);
        Some((begin, (begin - start) as usize..(address - start) as usize))
    }))
}

/// Where the kernel has the byte at `address`, which is in the page of `entry`.
fn byte_of(entry: u64, address: u64) -> *mut u8 {
    physical((entry & ADDRESS) + address % SMALL)
}

#[cfg(test)]
mod tests;
