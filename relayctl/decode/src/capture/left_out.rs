//! Packets that came and are not kept: which they are, so that they are not taken for missing.
//!
//! A capture that has its largest size leaves packets out: the newest, or the oldest. The list of
//! packets says so, in a line for each run of packets of a stream, which is sealed with a checksum:
//! without it a flipped bit could explain away what is missing.

use crate::wire::{Header, crc32c};

/// The most runs of one stream.
const MAX_RUNS: usize = 256;

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

/// The runs of packets of one stream that are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs(Vec<LeftOut>);

impl Runs {
    /// Takes another run of the stream, as the list has it: of several with the same first packet
    /// the widest counts. False if there are too many.
    pub(super) fn widen(&mut self, run: LeftOut) -> bool {
        if let Some(same) = self.0.iter_mut().find(|same| same.first == run.first) {
            same.last = same.last.max(run.last);
            same.attempted = same.attempted.max(run.attempted);
            same.hole = same.hole.max(run.hole);
            return true;
        }
        let has_room = self.0.len() < MAX_RUNS;
        if has_room {
            self.0.push(run);
        }
        has_room
    }

    /// Takes the packet that is left out next. A run goes on only with the packet that follows:
    /// what did not come in between is missing, and stays so. So does what is beyond the most runs.
    pub(super) fn add(&mut self, packet: LeftOut) {
        match self.0.last_mut() {
            Some(run) if Some(packet.first) == run.last.checked_add(1) => {
                run.last = packet.last;
                run.attempted = run.attempted.max(packet.attempted);
            }
            _ => drop(self.widen(packet)),
        }
    }

    /// The stream's file has no more bytes before this one.
    pub(super) fn set_hole(&mut self, hole: u64) {
        self.0.iter_mut().for_each(|run| run.hole = hole);
    }

    /// Bytes at the beginning of the stream's file that were given back.
    #[must_use]
    pub fn hole(&self) -> u64 {
        self.0.iter().map(|run| run.hole).max().unwrap_or(0)
    }

    /// Whether nothing is left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the stream's writers had attempted up to the last packet that is left out.
    #[must_use]
    pub fn attempted(&self) -> u64 {
        self.0.iter().map(|run| run.attempted).max().unwrap_or(0)
    }

    /// The number of the last packet that is left out.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        self.0.iter().map(|run| run.last).max()
    }

    /// The first packets from `first` to `last`, if there are some, that are not left out.
    #[must_use]
    pub fn lack(&self, first: u64, last: u64) -> Option<(u64, u64)> {
        let mut from = first;
        while from <= last {
            let Some(run) = self
                .0
                .iter()
                .find(|run| run.first <= from && from <= run.last)
            else {
                let next = self
                    .0
                    .iter()
                    .map(|run| run.first)
                    .filter(|next| *next > from);
                let to = next.min().map_or(last, |next| last.min(next - 1));
                return Some((from, to));
            };
            from = run.last.checked_add(1)?;
        }
        None
    }

    /// Their lines in the list.
    pub(super) fn lines(&self, file: &str) -> String {
        self.0.iter().map(|run| run.line(file)).collect()
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
    fn a_run_goes_on_with_the_packet_that_follows_and_no_other() {
        let one = |number, attempted| LeftOut {
            first: number,
            last: number,
            attempted,
            hole: 0,
        };
        let mut runs = Runs::default();
        assert_eq!(runs.lack(0, 0), Some((0, 0)));
        for number in [3, 4, 5, 8, 9] {
            runs.add(one(number, number * 10));
        }
        assert_eq!((runs.0.len(), runs.attempted()), (2, 90));
        assert_eq!(runs.lack(3, 5), None);
        assert_eq!(runs.lack(2, 5), Some((2, 2)));
        // What never came is missing, although it lies between what is left out.
        assert_eq!(runs.lack(3, 9), Some((6, 7)));
        assert_eq!(runs.lack(8, 12), Some((10, 12)));
        runs.set_hole(100);
        let mut read = Runs::default();
        for line in runs.lines("a").lines() {
            let (_, run) = LeftOut::parse(line).expect("a line");
            assert!(read.widen(run));
        }
        assert_eq!(read, runs);
        // There is a bound, behind which nothing is explained away.
        let mut many = Runs::default();
        for number in 0..2 * MAX_RUNS as u64 {
            many.add(one(number * 2, 1));
        }
        let bound = MAX_RUNS as u64 * 2;
        assert_eq!(many.lack(bound - 2, bound - 2), None);
        assert_eq!(many.lack(bound, bound), Some((bound, bound)));
    }
}
