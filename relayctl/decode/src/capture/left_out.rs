//! Packets that came and are not kept: which they are, so that they are not taken for missing.
//!
//! A capture that has its largest size leaves packets out: the newest, or the oldest. The list of
//! packets says so, in a line for each run of packets of a stream, which is sealed with a checksum:
//! without it a flipped bit could explain away what is missing.

use crate::wire::{Header, crc32c};

/// The word that such a line has in the place of an offset.
const MARK: &str = "left-out";

/// A run of packets of one stream that are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The number of the first one.
    pub first: u64,
    /// The number of the last one.
    pub last: u64,
    /// What the stream's writers had attempted up to the last one, by its own words.
    pub attempted: u64,
    /// Bytes of the stream's file, from its beginning, that were given back to the file system.
    pub hole: u64,
}

impl LeftOut {
    /// One packet.
    pub(super) fn of(header: &Header) -> Self {
        Self {
            first: header.number,
            last: header.number,
            attempted: header.attempted(),
            hole: 0,
        }
    }

    /// Another packet of the stream.
    pub(super) fn add(&mut self, other: Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.attempted = self.attempted.max(other.attempted);
        self.hole = self.hole.max(other.hole);
    }

    /// Whether all packets from `first` to `last` are in it.
    #[must_use]
    pub fn holds(&self, first: u64, last: u64) -> bool {
        self.first <= first && last <= self.last
    }

    /// Its line in the list, with its end.
    pub(super) fn line(&self, file: &str) -> String {
        let Self {
            first,
            last,
            attempted,
            hole,
        } = self;
        let text = format!("{file} {MARK} {first} {last} {attempted} {hole}");
        let seal = crc32c(text.as_bytes());
        format!("{text} {seal:08x}\n")
    }

    /// Reads a line without its end: the file, and what of it is left out. `None` if it is not such
    /// a line.
    pub(super) fn parse(line: &str) -> Option<(&str, Self)> {
        let (text, seal) = line.rsplit_once(' ')?;
        let mut words = text.split(' ');
        let (file, mark) = (words.next()?, words.next()?);
        let mut number = || words.next()?.parse().ok();
        let left_out = Self {
            first: number()?,
            last: number()?,
            attempted: number()?,
            hole: number()?,
        };
        let is_sound = mark == MARK
            && words.next().is_none()
            && left_out.first <= left_out.last
            && seal == format!("{:08x}", crc32c(text.as_bytes()));
        is_sound.then_some((file, left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_is_written_and_no_flipped_bit_goes_unseen() {
        let left_out = LeftOut {
            first: 3,
            last: 70,
            attempted: 1234,
            hole: 8192,
        };
        let line = left_out.line("klog_0");
        let text = line.strip_suffix('\n').expect("it ends");
        assert_eq!(LeftOut::parse(text), Some(("klog_0", left_out)));
        for bit in 0..text.len() * 8 {
            let mut bytes = text.as_bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let parsed = str::from_utf8(&bytes).ok().and_then(LeftOut::parse);
            assert_eq!(parsed, None, "bit {bit}");
        }
    }

    #[test]
    fn runs_grow_and_hold_what_is_in_them() {
        let one = |number, attempted| LeftOut {
            first: number,
            last: number,
            attempted,
            hole: 0,
        };
        let mut run = one(5, 10);
        run.add(one(6, 30));
        run.add(one(4, 8));
        assert_eq!((run.first, run.last, run.attempted), (4, 6, 30));
        assert!(run.holds(4, 6) && run.holds(5, 5));
        assert!(!run.holds(3, 5) && !run.holds(6, 7));
    }
}
