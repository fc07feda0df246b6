//! Reads the packets of a stream's file, and finds what has become of it since
//! the packets arrived.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::folder::open_file;
use super::index::Entry;
use crate::wire::{HEADER_SIZE, Header, MAGIC, MAX_PACKET, crc32c};

/// How many packets before and behind the expected one are considered.
const WINDOW: usize = 256;

/// How much is read at once when a packet's beginning is looked for.
const BLOCK: usize = 1 << 16;

/// What comes next in a stream's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A whole packet, as it arrived as far as that is known.
    Packet {
        /// Where in the file it begins.
        offset: u64,
        /// Its header.
        header: Header,
    },
    /// Something else.
    Problem {
        /// Where in the file.
        offset: u64,
        /// What it is.
        what: String,
    },
    /// Whole packets begin here that the list of packets does not have.
    Unlisted {
        /// Where in the file.
        offset: u64,
    },
}

/// Where the packets of a stream come from.
pub trait PacketSource {
    /// The next packet or problem; a packet's bytes are in `buffer` then. `None`
    /// if there is none now. The same buffer, unchanged, has to be given each time.
    ///
    /// # Errors
    ///
    /// When the stream cannot be read.
    fn next(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<Item>>;
}

/// How the bytes at a place relate to the list of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    /// They are the packet with this number in the list.
    Entry(usize),
    /// They look like a packet, and there is no list that says otherwise.
    Plain,
    /// They are no packet.
    Nothing,
}

/// Reads one stream's file, packet by packet.
#[derive(Debug)]
pub struct PacketReader<'a> {
    /// The file.
    file: File,
    /// Its length.
    length: u64,
    /// The packets that should be in it; none if it is not known.
    entries: &'a [Entry],
    /// The next byte.
    at: u64,
    /// The next packet of the list.
    next: usize,
    /// Packets that were expected earlier and did not come.
    skipped: VecDeque<usize>,
    /// What is said next.
    queue: VecDeque<Item>,
    /// Whether it was said that packets are not in the list.
    said_unlisted: bool,
    /// Bytes that may still be read in search of packets.
    budget: u64,
}

impl<'a> PacketReader<'a> {
    /// Opens a stream's file, whose packets begin at `begin`.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn open(path: &Path, begin: u64, entries: &'a [Entry]) -> io::Result<Self> {
        let file = open_file(path)?;
        let length = file.metadata()?.len();
        Ok(Self {
            file,
            length,
            entries,
            at: begin,
            next: 0,
            skipped: VecDeque::new(),
            queue: VecDeque::new(),
            said_unlisted: false,
            budget: length.saturating_mul(4).saturating_add(256 << 20),
        })
    }

    /// The file's length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Takes the packet with a number in the list, whose bytes are in `buffer`:
    /// its header, unless it was there before.
    fn entry(&mut self, entry: usize, buffer: &[u8]) -> Option<Header> {
        let offset = self.at;
        self.at += buffer.len() as u64;
        if entry >= self.next {
            if entry > self.next {
                let gap = self.next..entry;
                self.problem(offset, format!("{} should be here", packets(gap.clone())));
                self.skipped.extend(gap);
                let excess = self.skipped.len().saturating_sub(WINDOW);
                self.skipped.drain(..excess);
            }
            self.next = entry + 1;
        } else if let Some(at) = self.skipped.iter().position(|skipped| *skipped == entry) {
            self.skipped.remove(at);
            self.problem(offset, format!("packet {entry} lies here, out of order"));
        } else {
            self.problem(offset, format!("packet {entry} is here once more"));
            return None;
        }
        match Header::of(buffer)? {
            Ok(header) if header.packet_size == buffer.len() as u64 => {
                if self.queue.is_empty() {
                    return Some(header);
                }
                self.queue.push_back(Item::Packet { offset, header });
                None
            }
            // It was listed, and nevertheless is no packet.
            Ok(_) => {
                self.problem(
                    offset,
                    format!("packet {entry} has another size than its header says"),
                );
                None
            }
            Err(error) => {
                self.problem(offset, format!("packet {entry}: {error}"));
                None
            }
        }
    }

    /// Says what the bytes at a place are; if a packet, they are in `buffer`.
    fn fit(&mut self, at: u64, buffer: &mut Vec<u8>) -> io::Result<Fit> {
        // The packet that is expected, which it is nearly always.
        let expected = self.entries.get(self.next).copied();
        let expected = expected.filter(|entry| u64::from(entry.size) <= MAX_PACKET);
        // Looking costs as much as there is to read: what nobody wrote must not cost for ever.
        self.budget = self
            .budget
            .saturating_sub(expected.map_or(0, |entry| entry.size.into()));
        if let Some(entry) = expected
            && self.read(at, entry.size.into(), buffer)?
            && crc32c(buffer) == entry.crc
        {
            return Ok(Fit::Entry(self.next));
        }
        if !self.read(at, HEADER_SIZE as u64, buffer)? {
            return Ok(Fit::Nothing);
        }
        let header = match Header::of(buffer) {
            Some(Ok(header)) if header.packet_size <= MAX_PACKET => header,
            _ => return Ok(Fit::Nothing),
        };
        let size = header.packet_size;
        let from = self.next.saturating_sub(WINDOW);
        let to = self.entries.len().min(self.next.saturating_add(WINDOW));
        let near = self.entries.get(from..to).unwrap_or_default();
        let sized = near.iter().any(|entry| u64::from(entry.size) == size);
        let is_behind = self.next >= self.entries.len();
        if !(sized || is_behind) || !self.read(at, size, buffer)? {
            return Ok(Fit::Nothing);
        }
        self.budget = self.budget.saturating_sub(size);
        let is = Entry {
            size: u32::try_from(size).unwrap_or(u32::MAX),
            crc: crc32c(buffer),
        };
        let same: Vec<usize> = (from..to).filter(|n| self.entries[*n] == is).collect();
        // Of several the one that comes next, or that was skipped.
        let ahead = same.iter().find(|n| **n >= self.next);
        let skipped = same.iter().find(|n| self.skipped.contains(n));
        Ok(match ahead.or(skipped).or(same.last()) {
            Some(entry) => Fit::Entry(*entry),
            None if is_behind => Fit::Plain,
            None => Fit::Nothing,
        })
    }

    /// Goes on behind damage.
    fn damage(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        let offset = self.at;
        if let Some(entry) = self.entries.get(self.next).copied() {
            // Changed where it lies: what should follow follows.
            let behind = offset.saturating_add(entry.size.into());
            let number = self.next;
            self.next += 1;
            let is_last = self.next == self.entries.len();
            let in_place = match behind.cmp(&self.length) {
                std::cmp::Ordering::Greater => is_last,
                std::cmp::Ordering::Equal => true,
                std::cmp::Ordering::Less => self.fit(behind, buffer)? == Fit::Entry(self.next),
            };
            if in_place && behind > self.length {
                let there = self.length - offset;
                self.problem(
                    offset,
                    format!(
                        "of packet {number} only {there} of {} bytes are there",
                        entry.size
                    ),
                );
            } else if in_place {
                self.problem(
                    offset,
                    format!(
                        "packet {number} was changed: its checksum is not {:08x}",
                        entry.crc
                    ),
                );
            }
            if in_place {
                self.at = behind.min(self.length);
                return Ok(());
            }
            self.next = number;
        }
        let found = self.search(offset + 1, buffer)?;
        self.at = found.unwrap_or(self.length);
        let bytes = self.at - offset;
        self.problem(offset, format!("{bytes} bytes are damaged or foreign"));
        Ok(())
    }

    /// The first place from `at` on where a packet is.
    fn search(&mut self, mut at: u64, buffer: &mut Vec<u8>) -> io::Result<Option<u64>> {
        let magic = MAGIC.to_le_bytes();
        let mut block = vec![0; BLOCK];
        while at < self.length && self.budget > 0 {
            let length = self.read_some(at, &mut block)?;
            let found = block[..length]
                .windows(4)
                .position(|window| window == magic);
            self.budget = self.budget.saturating_sub(found.unwrap_or(length) as u64);
            match found {
                Some(skip) => {
                    at += skip as u64;
                    if self.fit(at, buffer)? != Fit::Nothing {
                        return Ok(Some(at));
                    }
                    at += 1;
                }
                // A magic number may begin in the last three bytes.
                None if length > 3 => at += length as u64 - 3,
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// What is to be said at the end of the file.
    fn end(&mut self) -> Option<Item> {
        let rest = self.next..self.entries.len();
        if rest.is_empty() {
            return None;
        }
        self.next = self.entries.len();
        let offset = self.length;
        let what = format!("the file ends here, without {}", packets(rest));
        Some(Item::Problem { offset, what })
    }

    /// Says that something is wrong.
    fn problem(&mut self, offset: u64, what: String) {
        self.queue.push_back(Item::Problem { offset, what });
    }

    /// Reads so many bytes; false if the file has not so many.
    fn read(&self, at: u64, size: u64, buffer: &mut Vec<u8>) -> io::Result<bool> {
        let fits = at.checked_add(size).is_some_and(|end| end <= self.length);
        let (true, Ok(size)) = (fits, usize::try_from(size)) else {
            return Ok(false);
        };
        buffer.resize(size, 0);
        match self.file.read_exact_at(buffer, at) {
            Ok(()) => Ok(true),
            // Cut off while it is read.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads what there is, up to the buffer's length.
    fn read_some(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(self.length.saturating_sub(at)).unwrap_or(usize::MAX);
        let length = buffer.len().min(rest);
        match self.file.read_exact_at(&mut buffer[..length], at) {
            Ok(()) => Ok(length),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            Err(error) => Err(error),
        }
    }
}

impl PacketSource for PacketReader<'_> {
    fn next(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<Item>> {
        loop {
            if let Some(item) = self.queue.pop_front() {
                return Ok(Some(item));
            }
            if self.at >= self.length {
                return Ok(self.end());
            }
            let offset = self.at;
            match self.fit(offset, buffer)? {
                Fit::Entry(entry) => {
                    if let Some(header) = self.entry(entry, buffer) {
                        return Ok(Some(Item::Packet { offset, header }));
                    }
                }
                Fit::Plain => {
                    self.at += buffer.len() as u64;
                    if !self.said_unlisted {
                        self.said_unlisted = true;
                        self.queue.push_back(Item::Unlisted { offset });
                    }
                    if let Some(Ok(header)) = Header::of(buffer) {
                        let packet = Item::Packet { offset, header };
                        if self.queue.is_empty() {
                            return Ok(Some(packet));
                        }
                        // The packet's bytes stay where they are until it is taken.
                        self.queue.push_back(packet);
                    }
                }
                Fit::Nothing => self.damage(buffer)?,
            }
        }
    }
}

/// Packets by their place in the list.
fn packets(range: std::ops::Range<usize>) -> String {
    match range.len() {
        1 => format!("packet {}", range.start),
        _ => format!("packets {} to {}", range.start, range.end.saturating_sub(1)),
    }
}
