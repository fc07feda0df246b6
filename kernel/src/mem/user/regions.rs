//! What is where in a program's half.

use alloc::vec::Vec;
use core::ops::Range;

use relay_abi::{USER_BEGIN, USER_END};

use super::super::frames::SMALL;
use super::super::shared::SharedBlock;
use super::error::SpaceError;

/// The most pieces of a space.
const CAPACITY: usize = 256;

/// Where pieces begin that may be anywhere: far above programs and their stacks.
const ANYWHERE: u64 = 0x10_0000_0000;

/// A piece of a space: whole pages.
#[derive(Debug)]
pub(super) struct Region {
    /// Its first address.
    pub(super) start: u64,
    /// One past its last.
    pub(super) end: u64,
    /// The pages before and behind it stay empty.
    pub(super) is_guarded: bool,
    /// What is there.
    pub(super) kind: Kind,
}

/// What is in a piece.
#[derive(Debug)]
pub(super) enum Kind {
    /// Frames of the program's own.
    Own,
    /// Pages of the kernel's.
    Shared(SharedBlock),
    /// It is being unmapped: it was one of the others.
    Going(
        #[expect(
            dead_code,
            reason = "the block lives as long as pages of it may be seen"
        )]
        Option<SharedBlock>,
    ),
}

impl Region {
    /// What nothing else may be mapped in.
    fn taken(&self) -> Range<u64> {
        let guard = if self.is_guarded { SMALL } else { 0 };
        self.start - guard..self.end + guard
    }
}

/// The pieces of a space, by address.
#[derive(Debug)]
pub(super) struct Regions(Vec<Region>);

/// The range of `bytes` at `at`, in whole pages that a program can have.
pub(super) fn whole_pages(at: u64, bytes: u64) -> Result<Range<u64>, SpaceError> {
    let end = at
        .checked_add(bytes)
        .and_then(|end| end.checked_next_multiple_of(SMALL));
    match end {
        Some(end)
            if bytes != 0 && at.is_multiple_of(SMALL) && at >= USER_BEGIN && end <= USER_END =>
        {
            Ok(at..end)
        }
        _ => Err(SpaceError::BadAddress),
    }
}

impl Regions {
    /// None, with room for all that there may be: so nothing is allocated under the space's lock.
    pub(super) fn new() -> Result<Self, SpaceError> {
        let mut regions = Vec::new();
        regions
            .try_reserve_exact(CAPACITY)
            .map_err(|_| SpaceError::NoRoom)?;
        Ok(Self(regions))
    }

    /// Where `bytes` go with an empty page on both sides: in the lowest gap.
    pub(super) fn gap(&self, bytes: u64) -> Result<Range<u64>, SpaceError> {
        let length = bytes
            .checked_next_multiple_of(SMALL)
            .filter(|&length| length != 0 && length < USER_END)
            .ok_or(SpaceError::BadAddress)?;
        let mut begin = ANYWHERE;
        for taken in self.0.iter().map(Region::taken) {
            if begin + length + 2 * SMALL <= taken.start {
                break;
            }
            begin = begin.max(taken.end);
        }
        let start = begin + SMALL;
        match start + length + SMALL <= USER_END {
            true => Ok(start..start + length),
            false => Err(SpaceError::NoRoom),
        }
    }

    /// Adds a piece where nothing is.
    pub(super) fn add(&mut self, new: Region) -> Result<(), SpaceError> {
        let own = new.taken();
        let overlaps = |other: &Region| {
            let taken = other.taken();
            taken.start < own.end && own.start < taken.end
        };
        if self.0.iter().any(overlaps) {
            return Err(SpaceError::InUse);
        }
        if self.0.len() == CAPACITY {
            return Err(SpaceError::NoRoom);
        }
        let index = self.0.partition_point(|other| other.start < new.start);
        self.0.insert(index, new);
        Ok(())
    }

    /// Cuts `range` out of the piece that has all of it, as one that is going.
    pub(super) fn cut(&mut self, range: &Range<u64>) -> Result<(), SpaceError> {
        let index = self
            .0
            .iter()
            .position(|region| region.start <= range.start && range.end <= region.end)
            .ok_or(SpaceError::BadAddress)?;
        let region = &self.0[index];
        let (start, end, is_guarded) = (region.start, region.end, region.is_guarded);
        let parts = usize::from(start < range.start) + usize::from(range.end < end);
        if self.0.len() + parts > CAPACITY {
            return Err(SpaceError::NoRoom);
        }
        let part = |start, end| -> Result<Option<Region>, SpaceError> {
            if start == end {
                return Ok(None);
            }
            let kind = match &region.kind {
                Kind::Own => Kind::Own,
                Kind::Shared(block) => Kind::Shared(block.again().ok_or(SpaceError::NoRoom)?),
                Kind::Going(_) => return Err(SpaceError::BadAddress),
            };
            Ok(Some(Region {
                start,
                end,
                is_guarded,
                kind,
            }))
        };
        let (before, behind) = (part(start, range.start)?, part(range.end, end)?);
        let region = &mut self.0[index];
        region.kind = match core::mem::replace(&mut region.kind, Kind::Own) {
            Kind::Own => Kind::Going(None),
            Kind::Shared(block) => Kind::Going(Some(block)),
            going @ Kind::Going(_) => {
                region.kind = going;
                return Err(SpaceError::BadAddress);
            }
        };
        (region.start, region.end) = (range.start, range.end);
        if let Some(behind) = behind {
            self.0.insert(index + 1, behind);
        }
        if let Some(before) = before {
            self.0.insert(index, before);
        }
        Ok(())
    }

    /// Forgets all of them without letting go what they hold.
    pub(super) fn forget(&mut self) {
        core::mem::forget(core::mem::take(&mut self.0));
    }

    /// Takes out the piece that is going, or was not filled, and begins at `start`.
    pub(super) fn remove(&mut self, start: u64) -> Option<Region> {
        let index = self.0.iter().position(|region| region.start == start)?;
        Some(self.0.remove(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(start: u64, end: u64) -> Region {
        Region {
            start,
            end,
            is_guarded: false,
            kind: Kind::Own,
        }
    }

    fn ranges(regions: &Regions) -> Vec<(u64, u64)> {
        regions.0.iter().map(|r| (r.start, r.end)).collect()
    }

    #[test]
    fn ranges_are_whole_pages_of_the_lower_half() {
        assert_eq!(whole_pages(0x40_0000, 1), Ok(0x40_0000..0x40_1000));
        assert_eq!(
            whole_pages(USER_END - SMALL, SMALL),
            Ok(USER_END - SMALL..USER_END)
        );
        for (at, bytes) in [
            (0x40_0001, 1),
            (0x40_0000, 0),
            (0, SMALL),
            (USER_END - SMALL, SMALL + 1),
            (USER_END, SMALL),
            (0xffff_8000_0000_0000, SMALL),
            (!0xfff, SMALL),
            (0x40_0000, u64::MAX),
            (0x40_0000, u64::MAX - 0x40_0000),
        ] {
            assert_eq!(
                whole_pages(at, bytes),
                Err(SpaceError::BadAddress),
                "{at:x} {bytes:x}"
            );
        }
    }

    #[test]
    fn guards_stay_empty_on_both_sides() {
        let mut regions = Regions::new().unwrap();
        let mut places = Vec::new();
        for bytes in [1, 2 * SMALL, SMALL] {
            let range = regions.gap(bytes).unwrap();
            let mut region = own(range.start, range.end);
            region.is_guarded = true;
            regions.add(region).unwrap();
            places.push(range);
        }
        for pair in places.windows(2) {
            assert!(pair[0].end + SMALL <= pair[1].start);
        }
        for at in [places[1].start - SMALL, places[1].end, places[1].start] {
            assert_eq!(regions.add(own(at, at + SMALL)), Err(SpaceError::InUse));
        }
        // What goes leaves a gap for what is as large.
        regions.cut(&places[0]).unwrap();
        assert!(
            regions.gap(1).unwrap().start > places[2].end,
            "it is not gone yet"
        );
        assert!(regions.remove(places[0].start).is_some());
        assert_eq!(regions.gap(SMALL), Ok(places[0].clone()));
        assert!(regions.gap(2 * SMALL).unwrap().start > places[2].end);
        assert_eq!(regions.gap(USER_END - SMALL), Err(SpaceError::NoRoom));
        assert_eq!(regions.gap(u64::MAX), Err(SpaceError::BadAddress));
        assert_eq!(regions.gap(0), Err(SpaceError::BadAddress));
    }

    #[test]
    fn pieces_are_cut_once() {
        let mut regions = Regions::new().unwrap();
        regions.add(own(0x10_0000, 0x10_8000)).unwrap();
        regions.cut(&(0x10_2000..0x10_4000)).unwrap();
        assert_eq!(
            ranges(&regions),
            [
                (0x10_0000, 0x10_2000),
                (0x10_2000, 0x10_4000),
                (0x10_4000, 0x10_8000)
            ]
        );
        for (start, end) in [
            (0x10_2000, 0x10_4000),
            (0x10_2000, 0x10_3000),
            (0x10_3000, 0x10_5000),
            (0x10_7000, 0x10_9000),
            (0x20_0000, 0x20_1000),
        ] {
            assert_eq!(regions.cut(&(start..end)), Err(SpaceError::BadAddress));
        }
        assert_eq!(
            regions.add(own(0x10_3000, 0x10_4000)),
            Err(SpaceError::InUse)
        );
        assert!(regions.remove(0x10_2000).is_some());
        regions.add(own(0x10_2000, 0x10_3000)).unwrap();
        regions.cut(&(0x10_4000..0x10_8000)).unwrap();
    }

    #[test]
    fn there_are_only_so_many_pieces() {
        let mut regions = Regions::new().unwrap();
        let mut at = USER_BEGIN;
        while regions.0.len() < CAPACITY {
            regions.add(own(at, at + 3 * SMALL)).unwrap();
            at += 4 * SMALL;
        }
        assert_eq!(regions.add(own(at, at + SMALL)), Err(SpaceError::NoRoom));
        let middle = USER_BEGIN + SMALL..USER_BEGIN + 2 * SMALL;
        assert_eq!(regions.cut(&middle), Err(SpaceError::NoRoom));
        regions.cut(&(USER_BEGIN..USER_BEGIN + 3 * SMALL)).unwrap();
    }
}
