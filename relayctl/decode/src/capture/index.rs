//! The list of packets as they arrived.

use std::collections::HashMap;
use std::io::{self, BufRead, Read};

use super::folder::METADATA;
use super::left_out::{LeftOut, Runs};
use crate::escape::printable;

/// The longest line.
pub(super) const MAX_LINE: u64 = 256;

/// The most packets of one capture whose lines are kept.
const MAX_PACKETS: u64 = 1 << 24;

/// The most streams.
const MAX_STREAMS: usize = 1 << 15;

/// The most problems that are told.
const MAX_PROBLEMS: usize = 16;

/// A packet as it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its size in bytes.
    pub size: u32,
    /// CRC-32C of its bytes.
    pub crc: u32,
}

/// Packets that lie behind each other: where the first one begins, and all of them.
pub type Run = (u64, Vec<Entry>);

/// The packets of one stream.
#[derive(Clone, Debug, Default)]
struct Listed {
    /// Runs of packets before a hole of a list that grows.
    runs: Vec<Run>,
    /// Those that are there, in the order in which they lie there, without gaps.
    entries: Vec<Entry>,
    /// Where the first of these begins.
    begin: u64,
    /// The line of the first one that was listed at all, and where that begins.
    first: Option<(u64, u64)>,
    /// Where the last one ends, once there was one.
    end: Option<u64>,
    /// Those that are left out.
    left_out: Runs,
}

/// The packets of all streams.
#[derive(Clone, Debug, Default)]
pub struct Index {
    /// By the stream's file name.
    streams: HashMap<String, Listed>,
    /// Whether the list grows, and holes grow in it: then there may be gaps between packets.
    is_growing: bool,
    /// What is wrong with the list itself.
    pub problems: Vec<String>,
}

/// The line of a packet, with its end.
#[must_use]
pub(super) fn line(file: &str, offset: u64, size: u64, crc: u32) -> String {
    format!("{file} {offset} {size} {crc:08x}\n")
}

/// Reads a decimal number as [`line`] writes it.
fn number(word: &str) -> Option<u64> {
    let plain = word.bytes().all(|byte| byte.is_ascii_digit());
    let plain = plain && (word == "0" || !word.starts_with('0'));
    word.parse().ok().filter(|_| plain)
}

/// Reads a checksum as [`line`] writes it.
fn checksum(word: &str) -> Option<u32> {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let plain = word.len() == 8 && word.bytes().all(digit);
    u32::from_str_radix(word, 16).ok().filter(|_| plain)
}

/// Reads a line without its end: file, offset and packet.
fn parse(line: &[u8]) -> Option<(&str, u64, Entry)> {
    let mut words = str::from_utf8(line).ok()?.split(' ');
    let (file, offset) = (words.next()?, number(words.next()?)?);
    let size = u32::try_from(number(words.next()?)?).ok()?;
    let crc = checksum(words.next()?)?;
    match words.next() {
        None if !file.is_empty() => Some((file, offset, Entry { size, crc })),
        _ => None,
    }
}

impl Index {
    /// The list of a capture that grows, of which nothing is read yet.
    pub(super) fn growing() -> Self {
        Self {
            is_growing: true,
            ..Self::default()
        }
    }

    /// Reads a list. What is wrong with it becomes a problem; the rest is read.
    ///
    /// # Errors
    ///
    /// When it cannot be read at all.
    pub fn read(from: impl BufRead) -> io::Result<Self> {
        let mut index = Self::default();
        each_line(from, |number, line| {
            if number > MAX_PACKETS {
                index.problem(format!(
                    "more than {MAX_PACKETS} lines; the rest is not read"
                ));
                return false;
            }
            index.take(number, line);
            true
        })?;
        index.conclude();
        Ok(index)
    }

    /// Takes a line, with its end.
    pub(super) fn take(&mut self, number: u64, line: &[u8]) {
        let line = line.strip_suffix(b"\n");
        let left_out = line.and_then(|line| LeftOut::parse(str::from_utf8(line).ok()?));
        match (left_out, line.and_then(parse)) {
            (Some((file, left_out)), _) => {
                let has_room = self
                    .listed(number, file)
                    .is_none_or(|listed| listed.left_out.widen(left_out));
                if !has_room {
                    self.problem(format!(
                        "line {number}: too many runs of packets of one stream are left out"
                    ));
                }
            }
            (None, Some((file, offset, entry))) => self.add(number, file, offset, entry),
            (None, None) => self.problem(format!(
                "line {number} is not 'FILE OFFSET SIZE CRC-32C' with blanks between"
            )),
        }
    }

    /// What is listed of a file, unless there are too many.
    fn listed(&mut self, number: u64, file: &str) -> Option<&mut Listed> {
        if !self.streams.contains_key(file) {
            if self.streams.len() == MAX_STREAMS {
                self.problem(format!("line {number}: more than {MAX_STREAMS} files"));
                return None;
            }
            self.streams.insert(file.to_owned(), Listed::default());
        }
        self.streams.get_mut(file)
    }

    /// Adds a packet.
    fn add(&mut self, number: u64, file: &str, offset: u64, entry: Entry) {
        let is_growing = self.is_growing;
        let Some(listed) = self.listed(number, file) else {
            return;
        };
        if file == METADATA && (is_growing && listed.end.is_some() || listed.entries == [entry]) {
            // Its line comes again behind a hole, or behind one that could not be made.
            return;
        }
        listed.first.get_or_insert((number, offset));
        // What comes before the first one may be left out, which is told later.
        let expected = listed.end.unwrap_or(offset);
        let is_behind_hole = is_growing && offset > expected;
        if is_behind_hole && !listed.entries.is_empty() {
            let run = (listed.begin, std::mem::take(&mut listed.entries));
            listed.runs.push(run);
        }
        if listed.entries.is_empty() {
            listed.begin = offset;
        }
        listed.entries.push(entry);
        listed.end = Some(offset.saturating_add(entry.size.into()));
        if offset != expected && !is_behind_hole {
            self.misplaced((number, offset), file, expected);
        }
    }

    /// Remembers that a packet is not where it should be, by the list's line.
    fn misplaced(&mut self, (number, offset): (u64, u64), file: &str, expected: u64) {
        self.problem(format!(
            "line {number}: a packet at {offset} of {}, where the one before ends at {expected}",
            printable(file.as_bytes())
        ));
    }

    /// Checks that what is listed of each file begins where it should, and drops what lies in the
    /// hole at its beginning.
    fn conclude(&mut self) {
        let mut misplaced = Vec::new();
        for (file, listed) in &mut self.streams {
            let hole = listed.hole();
            if let Some(first) = listed.first.filter(|(_, offset)| *offset > hole) {
                misplaced.push((first, file.clone(), hole));
            }
            listed.drop_hole();
        }
        misplaced.sort_unstable();
        for (first, file, hole) in misplaced {
            self.misplaced(first, &file, hole);
        }
    }

    /// Remembers a problem, if there are not too many.
    fn problem(&mut self, what: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(format!("packets: {what}"));
        }
    }

    /// The packets of a stream that are there, by its file's name.
    #[must_use]
    pub fn of(&self, file: &str) -> &[Entry] {
        self.streams.get(file).map_or(&[], |listed| &listed.entries)
    }

    /// Where the first of them begins.
    #[must_use]
    pub(super) fn begin(&self, file: &str) -> u64 {
        self.streams.get(file).map_or(0, Listed::hole)
    }

    /// The packets of a stream that are left out.
    #[must_use]
    pub fn left_out(&self, file: &str) -> Runs {
        let listed = self.streams.get(file);
        listed
            .map(|listed| listed.left_out.clone())
            .unwrap_or_default()
    }

    /// The packets of all streams that came since the last time, also those that are left out by
    /// now: in runs that lie behind each other.
    pub(super) fn take_all(&mut self) -> HashMap<String, Vec<Run>> {
        let streams = self.streams.iter_mut();
        let streams = streams.filter(|(_, listed)| !listed.entries.is_empty());
        streams
            .map(|(file, listed)| {
                let mut runs = std::mem::take(&mut listed.runs);
                runs.push((listed.begin, std::mem::take(&mut listed.entries)));
                (file.clone(), runs)
            })
            .collect()
    }

    /// The files that have packets, in no order.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.streams.keys().map(String::as_str)
    }
}

impl Listed {
    /// Bytes at the beginning of the file that were given back.
    fn hole(&self) -> u64 {
        self.left_out.hole()
    }

    /// Drops the packets that lie in the hole: they are not there any more.
    fn drop_hole(&mut self) {
        let sizes = self.entries.iter().map(|entry| u64::from(entry.size));
        let all = sizes.clone().fold(0, u64::saturating_add);
        let mut begin = self.end.unwrap_or(0).saturating_sub(all);
        let hole = self.hole();
        let gone = sizes.take_while(|size| {
            begin = begin.saturating_add(*size);
            begin <= hole
        });
        let gone = gone.count();
        self.entries.drain(..gone);
    }
}

/// Passes over what was given back of the list itself.
fn skip_hole(from: &mut impl BufRead) -> io::Result<()> {
    loop {
        let bytes = from.fill_buf()?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let is_over = zeros < bytes.len() || bytes.is_empty();
        from.consume(zeros);
        if is_over {
            return Ok(());
        }
    }
}

/// Shows the lines of a list, with their ends and numbers, as long as `take` says so.
fn each_line(mut from: impl BufRead, mut take: impl FnMut(u64, &[u8]) -> bool) -> io::Result<()> {
    skip_hole(&mut from)?;
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let length = from.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        if length == 0 || !take(number, &line) {
            break;
        }
    }
    Ok(())
}

/// Shows the packets of a list, each with its file and offset, in the order in which they came.
///
/// # Errors
///
/// When it cannot be read.
pub(super) fn each_packet(
    from: impl BufRead,
    mut show: impl FnMut(&str, u64, Entry),
) -> io::Result<()> {
    each_line(from, |_, line| {
        if let Some((file, offset, entry)) = line.strip_suffix(b"\n").and_then(parse) {
            show(file, offset, entry);
        }
        true
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_is_written() {
        let text = line("klog_0", 0, 176, 0xa0) + &line("klog_0", 176, 200, 7);
        let index = Index::read(text.as_bytes()).expect("it is read");
        assert!(index.problems.is_empty());
        let entry = |size, crc| Entry { size, crc };
        assert_eq!(index.of("klog_0"), [entry(176, 0xa0), entry(200, 7)]);
        assert!(index.of("klog_1").is_empty());
    }

    #[test]
    fn what_is_left_out_of_the_beginning_is_not_there() {
        let left_out = |last, hole| LeftOut {
            first: 0,
            last,
            attempted: 9,
            hole,
        };
        let packets = line("a", 0, 100, 1) + &line("a", 100, 50, 2) + &line("a", 150, 60, 3);
        let text = packets.clone() + &left_out(0, 100).line("a") + &left_out(1, 150).line("a");
        // The list itself may have a hole, if what it says of others comes again: before or behind
        // the packets that are left.
        let line_of_hole = left_out(1, 150).line("a");
        let before = "\0\0\0".to_owned() + &line_of_hole + &line("a", 150, 60, 3);
        let behind = "\0\0\0".to_owned() + &line("a", 150, 60, 3) + &line_of_hole;
        for text in [text, before, behind] {
            let index = Index::read(text.as_bytes()).expect("it is read");
            assert_eq!(index.problems, [] as [&str; 0]);
            assert_eq!(index.of("a"), [Entry { size: 60, crc: 3 }]);
            assert_eq!(index.begin("a"), 150);
            assert_eq!(index.left_out("a").lines("a"), left_out(1, 150).line("a"));
        }
        let index = Index::read(packets.as_bytes()).expect("it is read");
        assert!(index.begin("a") == 0 && index.left_out("a").is_empty());
        // Nobody says what was before.
        let text = line("b", 0, 9, 0) + &line("a", 150, 60, 3);
        let index = Index::read(text.as_bytes()).expect("it is read");
        let problem = "packets: line 2: a packet at 150 of a, where the one before ends at 0";
        assert_eq!(index.problems, [problem]);
    }

    #[test]
    fn no_flipped_bit_goes_unseen() {
        let text = line("klog_0", 0, 176, 0xa0) + &line("klog_0", 176, 200, 0xdead_beef);
        let good = Index::read(text.as_bytes()).expect("it is read");
        for bit in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let index = Index::read(bytes.as_slice()).expect("it is read");
            let same = index.of("klog_0") == good.of("klog_0");
            assert!(!same || !index.problems.is_empty(), "bit {bit}");
        }
    }
}
