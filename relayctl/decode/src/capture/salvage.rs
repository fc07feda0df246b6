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
use super::left_out::Runs;
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
    /// Whether something found no room: what comes later would lie behind a gap.
    is_full: bool,
    /// Whether the ports have ended.
    is_over: bool,
}

/// A packet that waits.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Its boot, channel and CPU.
    stream: ([u8; 16], u32, u32),
    /// Its number there.
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
    left_out: Runs,
}

impl Written {
    /// Looks through a stream's file, which holds whole packets only.
    fn of(path: &Path, left_out: Runs, wanted: &HashSet<u64>) -> io::Result<Self> {
        let begin = left_out.hole();
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
        let mut offset = begin;
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
        self.is_full |= self.packets.len() == MAX_WAITING;
        if self.is_over {
            return store.fragment(Path::new(""), port, packet);
        }
        let size = packet.len() as u64;
        self.is_full |= self.bytes.saturating_add(size) > store.max_size.max(ROOM);
        if self.is_full || store.is_over {
            store.totals.left_out += size;
            return;
        }
        let Some(offset) = store.append(Path::new(SALVAGED), packet) else {
            store.totals.left_out += size;
            return;
        };
        self.bytes += size;
        self.packets.push(Place {
            stream: (header.uuid, header.stream_id, header.cpu),
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
        if waiting.packets.is_empty() {
            return;
        }
        // Their bytes are counted where they go now.
        store.totals.bytes = store.totals.bytes.saturating_sub(waiting.bytes);
        let path = store.folder.join(SALVAGED);
        if store.error.is_some() {
            store.totals.left_out += waiting.bytes;
        } else {
            // The first of several that are alike in all this is the first that came.
            let packets = &mut waiting.packets;
            packets.sort_by_key(|packet| (packet.stream, packet.number));
            let settled = open_file(&path).and_then(|file| distribute(intake, &file, packets));
            if let Err(error) = settled {
                // Nobody knows how much of it was used; it stays where it is.
                intake.store.totals.left_out += waiting.bytes;
                intake.store.forget(Path::new(SALVAGED));
                return intake.store.fail(CaptureError::Write { path, error });
            }
        }
        intake.store.forget(Path::new(SALVAGED));
        // If it stays, it does no harm.
        let _ = fs::remove_file(path);
    }
}

/// Puts sorted packets, which lie in `file`, where they belong.
fn distribute(intake: &mut Intake, file: &File, packets: &[Place]) -> io::Result<()> {
    for packets in packets.chunk_by(|one, other| one.stream == other.stream) {
        let Some((uuid, stream, _)) = packets.first().map(|first| first.stream) else {
            continue;
        };
        // The metadata, too, may not have come to its end before. It is the first of a boot.
        let is_metadata = stream == wire::METADATA;
        let has_streams = intake.boot(uuid).is_some_and(|boot| boot.place().is_some());
        match has_streams && !is_metadata {
            true => extend_stream(intake, file, packets)?,
            false => take_in(intake, file, packets)?,
        }
    }
    Ok(())
}

/// Takes packets as if they had come now: those of the metadata, and those that cannot be used
/// without it.
fn take_in(intake: &mut Intake, file: &File, packets: &[Place]) -> io::Result<()> {
    for place in packets {
        let packet = read(file, place.offset, place.size)?;
        if let Some(Ok(header)) = Header::of(&packet) {
            intake.packet(place.port, &header, &packet, crc32c(&packet));
        }
    }
    Ok(())
}

/// Appends the packets of one stream that are new to it.
fn extend_stream(intake: &mut Intake, file: &File, packets: &[Place]) -> io::Result<()> {
    let Some(first) = packets.first() else {
        return Ok(());
    };
    let Intake { store, boots, .. } = intake;
    let mut boots = boots.iter_mut();
    let Some(boot) = boots.find(|boot| boot.uuid == first.stream.0) else {
        return Ok(());
    };
    let Some(within) = boot.place().map(|(_, within)| within.to_owned()) else {
        return Ok(());
    };
    let mut written: Option<Written> = None;
    for place in packets {
        let packet = read(file, place.offset, place.size)?;
        let Some(Ok(header)) = Header::of(&packet) else {
            continue;
        };
        let Some(name) = boot.file_of(&header) else {
            boot.foreign(store, place.port, &header, &packet);
            continue;
        };
        let path = store.folder.join(&within).join(TRACE).join(&name);
        let written = match &mut written {
            Some(written) => written,
            none => {
                let wanted = packets.iter().map(|place| place.number).collect();
                let left_out = store.left_out(&within, &name).cloned();
                let left_out = left_out.unwrap_or_default();
                none.insert(Written::of(&path, left_out, &wanted)?)
            }
        };
        if written.last < Some(place.number) {
            // What a panic leaves has room in any case.
            let crc = crc32c(&packet);
            if let Some(offset) = store.append_packet(&within, &name, &header, &packet, crc) {
                written.note(place.number, offset, place.size);
                boot.made.salvaged += 1;
                store.totals.salvaged += 1;
            }
            continue;
        }
        let there = match written.places.get(&place.number) {
            Some((offset, size)) => Some(read(&open_file(&path)?, *offset, *size)?),
            None => None,
        };
        match there {
            Some(there) if essence(&there) == essence(&packet) => {
                boot.made.doubles += 1;
                store.totals.doubles += 1;
            }
            Some(_) => {
                let number = place.number;
                boot.contradiction(
                    store,
                    &format!(
                        "{name}: packet {number} came twice, and its salvaged copy differs; \
                         it is among the fragments"
                    ),
                );
                boot.fragment(store, place.port, &packet);
            }
            None if written.left_out.lack(place.number, place.number).is_none() => {
                store.totals.left_out += place.size;
                store.held(&within).left_out += place.size;
            }
            // It is missing between packets that are there: the trace says so.
            None => boot.fragment(store, place.port, &packet),
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
