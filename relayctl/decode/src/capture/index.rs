//! The list of packets as they arrived.

use std::collections::HashMap;
use std::io::{self, BufRead, Read};

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

/// The packets of all streams.
#[derive(Clone, Debug, Default)]
pub struct Index {
    /// By the stream's file name, in the order in which they lie there, without
    /// gaps from offset 0.
    streams: HashMap<String, (Vec<Entry>, u64)>,
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
    /// Reads a list. What is wrong with it becomes a problem; the rest is read.
    ///
    /// # Errors
    ///
    /// When it cannot be read at all.
    pub fn read(mut from: impl BufRead) -> io::Result<Self> {
        let mut index = Self::default();
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            if from.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if number > MAX_PACKETS {
                index.problem(format!(
                    "more than {MAX_PACKETS} lines; the rest is not read"
                ));
                break;
            }
            index.take(number, &line);
        }
        Ok(index)
    }

    /// Takes a line, with its end.
    pub(super) fn take(&mut self, number: u64, line: &[u8]) {
        match line.strip_suffix(b"\n").and_then(parse) {
            Some((file, offset, entry)) => self.add(number, file, offset, entry),
            None => self.problem(format!(
                "line {number} is not 'FILE OFFSET SIZE CRC-32C' with blanks between"
            )),
        }
    }

    /// Adds a packet.
    fn add(&mut self, number: u64, file: &str, offset: u64, entry: Entry) {
        if !self.streams.contains_key(file) {
            if self.streams.len() == MAX_STREAMS {
                return self.problem(format!("line {number}: more than {MAX_STREAMS} files"));
            }
            self.streams.insert(file.to_owned(), (Vec::new(), 0));
        }
        let Some((entries, end)) = self.streams.get_mut(file) else {
            return;
        };
        let expected = *end;
        entries.push(entry);
        *end = offset.saturating_add(entry.size.into());
        if offset != expected {
            self.problem(format!(
                "line {number}: a packet at {offset} of {}, where the one before ends at {expected}",
                printable(file.as_bytes())
            ));
        }
    }

    /// Remembers a problem, if there are not too many.
    fn problem(&mut self, what: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(format!("packets: {what}"));
        }
    }

    /// The packets of a stream, by its file's name.
    #[must_use]
    pub fn of(&self, file: &str) -> &[Entry] {
        self.streams.get(file).map_or(&[], |(entries, _)| entries)
    }

    /// Takes the packets of all streams out; those that are added later follow on them.
    pub(super) fn take_all(&mut self) -> HashMap<String, Vec<Entry>> {
        let streams = self.streams.iter_mut();
        let streams = streams.filter(|(_, (entries, _))| !entries.is_empty());
        streams
            .map(|(file, (entries, _))| (file.clone(), std::mem::take(entries)))
            .collect()
    }

    /// The files that have packets, in no order.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.streams.keys().map(String::as_str)
    }
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
