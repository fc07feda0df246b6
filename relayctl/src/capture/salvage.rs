//! Packets that a stopped CPU left: they wait until all ports have ended.
//!
//! They may come before packets that are older, and some may have come before. Which, their
//! numbers tell, once everything else is there.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::folder::{SALVAGED, TRACE, open_file};
use super::writer::{CaptureError, Shared};
use crate::wire::{self, HEADER_SIZE, Header, crc32c};

/// The most packets that wait. Their bytes lie in a file.
const MAX_WAITING: usize = 1 << 18;

/// The most contradictions that are told.
pub(super) const MAX_CONTRADICTIONS: usize = 16;

/// The byte of a header that holds the flags, and the one that says how the packet came.
const FLAGS: (usize, u8) = (84, 2);

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// In the order in which it came.
    packets: Vec<Place>,
    /// Bytes in the file that they wait in.
    bytes: u64,
    /// Whether the ports have ended.
    is_over: bool,
}

/// A packet that waits.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Its channel, CPU and number.
    stream: (u32, u32),
    number: u64,
    /// The port that it came over.
    port: u32,
    /// Where in the file it lies.
    offset: u64,
    /// Its size in bytes.
    size: u64,
}

/// What a stream holds already.
#[derive(Debug, Default)]
struct Written {
    /// The number of the packet with the highest one.
    last: Option<u64>,
    /// Where packets with wanted numbers lie, and how long they are.
    places: HashMap<u64, (u64, u64)>,
}

impl Written {
    /// Looks through a stream's file, which holds whole packets only.
    fn of(path: &Path, wanted: &HashSet<u64>) -> io::Result<Self> {
        let mut written = Self::default();
        let file = match open_file(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(written),
            Err(error) => return Err(error),
        };
        let (length, mut offset) = (file.metadata()?.len(), 0);
        let mut from = BufReader::with_capacity(1 << 16, &file);
        while offset < length {
            let mut header = [0; HEADER_SIZE];
            from.read_exact(&mut header)?;
            // It was sound when it came.
            let header = Header::parse(&header).map_err(|_| io::ErrorKind::InvalidData)?;
            if wanted.contains(&header.number) {
                written.note(header.number, offset, header.packet_size);
            }
            written.last = written.last.max(Some(header.number));
            let rest = header.packet_size.saturating_sub(HEADER_SIZE as u64);
            from.seek_relative(i64::try_from(rest).unwrap_or(i64::MAX))?;
            offset = offset.saturating_add(header.packet_size);
        }
        Ok(written)
    }

    /// Notes where a packet is. The first with a number counts.
    fn note(&mut self, number: u64, offset: u64, size: u64) {
        self.places.entry(number).or_insert((offset, size));
        self.last = self.last.max(Some(number));
    }
}

/// Reads a packet.
fn read(file: &File, offset: u64, size: u64) -> io::Result<Vec<u8>> {
    let size = usize::try_from(size).map_err(|_| io::ErrorKind::InvalidData)?;
    let mut packet = vec![0; size];
    file.read_exact_at(&mut packet, offset)?;
    Ok(packet)
}

/// What of a packet has to be the same however it came: all but one flag, and the padding.
fn essence(packet: &[u8]) -> Option<Vec<u8>> {
    let header = Header::of(packet)?.ok()?;
    let end = usize::try_from(header.content_size).ok()?;
    let mut packet = packet.get(..end)?.to_vec();
    let (at, flag) = FLAGS;
    *packet.get_mut(at)? &= !flag;
    Some(packet)
}

impl Shared {
    /// Takes a packet that a stopped CPU left.
    pub(super) fn salvaged(&mut self, port: u32, header: &Header, packet: &[u8]) {
        if self.waiting.is_over || self.waiting.packets.len() == MAX_WAITING {
            return self.fragment(port, packet);
        }
        if !self.has_room(packet.len() as u64) {
            return;
        }
        let Some(offset) = self.append(Path::new(SALVAGED), packet) else {
            return;
        };
        let size = packet.len() as u64;
        self.waiting.bytes += size;
        self.waiting.packets.push(Place {
            stream: (header.stream_id, header.cpu),
            number: header.number,
            port,
            offset,
            size,
        });
    }

    /// Puts what waits where it belongs, once all ports have ended.
    pub(super) fn settle(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        self.waiting.is_over = true;
        if waiting.packets.is_empty() || self.error.is_some() {
            return;
        }
        // Their bytes are counted where they go now.
        self.totals.bytes = self.totals.bytes.saturating_sub(waiting.bytes);
        let path = self.folder.join(SALVAGED);
        if self.is_full {
            // What was left out before them is missing: they would lie behind a gap.
            self.totals.left_out += waiting.bytes;
        } else {
            // The first of several that are alike in all this is the first that came.
            let packets = &mut waiting.packets;
            packets.sort_by_key(|packet| (packet.stream, packet.number));
            let settled = open_file(&path).and_then(|file| self.distribute(&file, packets));
            if let Err(error) = settled {
                let path = path.clone();
                self.fail(CaptureError::Write { path, error });
            }
        }
        self.forget(Path::new(SALVAGED));
        // If it stays, nobody minds.
        let _ = fs::remove_file(path);
    }

    /// Puts sorted packets, which lie in `file`, where they belong.
    fn distribute(&mut self, file: &File, packets: &[Place]) -> io::Result<()> {
        for packets in packets.chunk_by(|one, other| one.stream == other.stream) {
            let Some(first) = packets.first() else {
                continue;
            };
            match first.stream.0 {
                // The metadata, too, may not have come to its end before.
                wire::METADATA => self.complete_metadata(file, packets)?,
                _ => self.extend_stream(file, packets)?,
            }
        }
        Ok(())
    }

    /// Goes on with the metadata where its port has ended.
    fn complete_metadata(&mut self, file: &File, packets: &[Place]) -> io::Result<()> {
        for place in packets {
            if self.schema.is_none() && place.number == self.collector.next() {
                let packet = read(file, place.offset, place.size)?;
                if let Some(Ok(header)) = Header::of(&packet) {
                    self.metadata(&header, &packet);
                    continue;
                }
            }
            self.totals.doubles += 1;
        }
        Ok(())
    }

    /// Appends the packets of one stream that are new to it.
    fn extend_stream(&mut self, file: &File, packets: &[Place]) -> io::Result<()> {
        let mut written: Option<(String, Written)> = None;
        for place in packets {
            let packet = read(file, place.offset, place.size)?;
            let Some(Ok(header)) = Header::of(&packet) else {
                continue;
            };
            let Some(name) = self.file_of(&header) else {
                self.fragment(place.port, &packet);
                continue;
            };
            let path = self.folder.join(TRACE).join(&name);
            let (_, written) = match &mut written {
                Some(written) => written,
                none => {
                    let wanted = packets.iter().map(|place| place.number).collect();
                    none.insert((name.clone(), Written::of(&path, &wanted)?))
                }
            };
            if written.last < Some(place.number) {
                if let Some(offset) = self.append_packet(&name, &packet, crc32c(&packet)) {
                    written.note(place.number, offset, place.size);
                    self.totals.salvaged += 1;
                }
                continue;
            }
            let there = match written.places.get(&place.number) {
                Some((offset, size)) => Some(read(&open_file(&path)?, *offset, *size)?),
                None => None,
            };
            match there {
                Some(there) if essence(&there) == essence(&packet) => self.totals.doubles += 1,
                Some(_) => {
                    let number = place.number;
                    self.contradiction(format!(
                        "{name}: packet {number} came twice, and its salvaged copy differs; \
                         it is among the fragments"
                    ));
                    self.fragment(place.port, &packet);
                }
                // It is missing between packets that are there: the trace says so.
                None => self.fragment(place.port, &packet),
            }
        }
        Ok(())
    }

    /// Notes that two things that came cannot both be true.
    fn contradiction(&mut self, what: String) {
        (self.announce)(&what);
        if self.totals.contradictions.len() < MAX_CONTRADICTIONS {
            self.totals.contradictions.push(what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_essence_of_a_packet_is_not_how_it_came() {
        let mut packet = vec![0; HEADER_SIZE + 8];
        packet[..4].copy_from_slice(&wire::MAGIC.to_le_bytes());
        packet[48..56].copy_from_slice(&((HEADER_SIZE as u64 + 3) * 8).to_le_bytes());
        packet[56..64].copy_from_slice(&((HEADER_SIZE as u64 + 8) * 8).to_le_bytes());
        let whole = essence(&packet).expect("a sound packet");
        assert_eq!(whole.len(), HEADER_SIZE + 3);
        let changed = |at: usize, bit: u8| {
            let mut packet = packet.clone();
            packet[at] ^= bit;
            essence(&packet)
        };
        assert_eq!(changed(84, 2).as_ref(), Some(&whole));
        assert_eq!(changed(HEADER_SIZE + 3, 1).as_ref(), Some(&whole));
        assert_ne!(changed(84, 1).as_ref(), Some(&whole));
        assert_ne!(changed(HEADER_SIZE + 2, 1).as_ref(), Some(&whole));
        assert_ne!(changed(88, 1).as_ref(), Some(&whole));
        assert_eq!(essence(&packet[..HEADER_SIZE + 2]), None);
        assert_eq!(essence(&[]), None);
    }
}
