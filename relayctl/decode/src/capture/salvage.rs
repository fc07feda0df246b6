//! Packets that a stopped CPU left: they wait until all ports have ended.
//!
//! They may come before packets that are older, and some may have come before. Which, their
//! numbers tell, once everything else is there.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use relay_format::packet;

use super::error::CaptureError;
use super::folder::{SALVAGED, TRACE, open_file};
use super::intake::Intake;
use super::left_out::LeftOut;
use super::store::{ROOM, Store};
use crate::wire::{self, HEADER_SIZE, Header, crc32c};

/// The most packets that wait. Their bytes lie in a file.
const MAX_WAITING: usize = 1 << 18;

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
    /// What came and is left out.
    left_out: Option<LeftOut>,
}

impl Written {
    /// Looks through a stream's file, which holds whole packets only.
    fn of(path: &Path, left_out: Option<LeftOut>, wanted: &HashSet<u64>) -> io::Result<Self> {
        let mut written = Self {
            left_out,
            ..Self::default()
        };
        let file = match open_file(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(written),
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        let mut offset = left_out.map_or(0, |left_out| left_out.hole);
        let mut from = BufReader::with_capacity(1 << 16, &file);
        from.seek(SeekFrom::Start(offset))?;
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
    let head = packet.first_chunk_mut()?;
    let mut header = packet::Header::from_bytes(head);
    header.flags &= !packet::SALVAGED;
    *head = header.to_bytes();
    Some(packet)
}

impl Waiting {
    /// Takes a packet that a stopped CPU left.
    pub(super) fn take(&mut self, store: &mut Store, port: u32, header: &Header, packet: &[u8]) {
        if self.is_over || self.packets.len() == MAX_WAITING {
            return store.fragment(port, packet);
        }
        let size = packet.len() as u64;
        if self.bytes.saturating_add(size) > store.max_size.max(ROOM) || store.is_over {
            store.totals.left_out += size;
            return;
        }
        let Some(offset) = store.append(Path::new(SALVAGED), packet) else {
            return;
        };
        self.bytes += size;
        self.packets.push(Place {
            stream: (header.stream_id, header.cpu),
            number: header.number,
            port,
            offset,
            size,
        });
    }

    /// Puts what waits where it belongs, once all ports have ended.
    pub(super) fn settle(&mut self, intake: &mut Intake) {
        let mut waiting = std::mem::take(self);
        self.is_over = true;
        let store = &mut intake.store;
        if waiting.packets.is_empty() || store.error.is_some() {
            return;
        }
        // Their bytes are counted where they go now.
        store.totals.bytes = store.totals.bytes.saturating_sub(waiting.bytes);
        let path = store.folder.join(SALVAGED);
        // The first of several that are alike in all this is the first that came.
        let packets = &mut waiting.packets;
        packets.sort_by_key(|packet| (packet.stream, packet.number));
        let settled = open_file(&path).and_then(|file| distribute(intake, &file, packets));
        if let Err(error) = settled {
            let path = path.clone();
            intake.store.fail(CaptureError::Write { path, error });
        }
        intake.store.forget(Path::new(SALVAGED));
        // If it stays, it does no harm.
        let _ = fs::remove_file(path);
    }
}

/// Puts sorted packets, which lie in `file`, where they belong.
fn distribute(intake: &mut Intake, file: &File, packets: &[Place]) -> io::Result<()> {
    for packets in packets.chunk_by(|one, other| one.stream == other.stream) {
        let Some(first) = packets.first() else {
            continue;
        };
        match first.stream.0 {
            // The metadata, too, may not have come to its end before.
            wire::METADATA => complete_metadata(intake, file, packets)?,
            _ => extend_stream(intake, file, packets)?,
        }
    }
    Ok(())
}

/// Goes on with the metadata where its port has ended.
fn complete_metadata(intake: &mut Intake, file: &File, packets: &[Place]) -> io::Result<()> {
    for place in packets {
        if intake.schema.is_none() && place.number == intake.collector.next() {
            let packet = read(file, place.offset, place.size)?;
            if let Some(Ok(header)) = Header::of(&packet) {
                intake.metadata(&header, &packet);
                continue;
            }
        }
        intake.store.totals.doubles += 1;
    }
    Ok(())
}

/// Appends the packets of one stream that are new to it.
fn extend_stream(intake: &mut Intake, file: &File, packets: &[Place]) -> io::Result<()> {
    let mut written: Option<(String, Written)> = None;
    for place in packets {
        let packet = read(file, place.offset, place.size)?;
        let Some(Ok(header)) = Header::of(&packet) else {
            continue;
        };
        let Some(name) = intake.file_of(&header) else {
            intake.store.fragment(place.port, &packet);
            continue;
        };
        let path = intake.store.folder.join(TRACE).join(&name);
        let (_, written) = match &mut written {
            Some(written) => written,
            none => {
                let wanted = packets.iter().map(|place| place.number).collect();
                let left_out = intake.store.left_out(&name).copied();
                none.insert((name.clone(), Written::of(&path, left_out, &wanted)?))
            }
        };
        if written.last < Some(place.number) {
            if let Some(offset) = intake.store.append_packet(&name, &packet, crc32c(&packet)) {
                written.note(place.number, offset, place.size);
                intake.store.totals.salvaged += 1;
            }
            continue;
        }
        let there = match written.places.get(&place.number) {
            Some((offset, size)) => Some(read(&open_file(&path)?, *offset, *size)?),
            None => None,
        };
        match there {
            Some(there) if essence(&there) == essence(&packet) => intake.store.totals.doubles += 1,
            Some(_) => {
                let number = place.number;
                intake.store.contradiction(format!(
                    "{name}: packet {number} came twice, and its salvaged copy differs; \
                     it is among the fragments"
                ));
                intake.store.fragment(place.port, &packet);
            }
            None if written
                .left_out
                .is_some_and(|all| all.holds(place.number, place.number)) =>
            {
                intake.store.totals.left_out += place.size;
            }
            // It is missing between packets that are there: the trace says so.
            None => intake.store.fragment(place.port, &packet),
        }
    }
    Ok(())
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
