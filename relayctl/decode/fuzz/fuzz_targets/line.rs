//! Any line, read in one piece and in many: the same is found, every byte is told once, and a packet
//! is one that was put in.

#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use relay_decode::wire::{Found, HEADER_SIZE, Header, LineReader, MAGIC};
use relay_format::frame::{self, DELIMITER};
use relay_format::packet;

/// What was found, in a form that does not depend on chunks.
#[derive(Debug, PartialEq, Eq)]
enum Item {
    Packet(Vec<u8>),
    Message(Vec<u8>),
    Text(Vec<u8>),
    Damage(u64, String, Vec<u8>),
}

/// Reads a line in chunks whose lengths `lengths` says, over and over.
fn read(mut reader: LineReader, mut line: &[u8], lengths: &[u8]) -> Vec<Item> {
    let mut items = Vec::new();
    let mut found = |found: Found<'_>| match (found, items.last_mut()) {
        (Found::Packet(_, packet), _) => items.push(Item::Packet(packet.to_vec())),
        (Found::Message(contents), _) => items.push(Item::Message(contents.to_vec())),
        (Found::Text(text), Some(Item::Text(before))) => before.extend(text),
        (Found::Text(text), _) => items.push(Item::Text(text.to_vec())),
        (Found::Damage(damage, bytes), _) => {
            assert_eq!(damage.length, bytes.len() as u64);
            items.push(Item::Damage(
                damage.at,
                damage.why.to_string(),
                bytes.to_vec(),
            ));
        }
    };
    let mut lengths = lengths.iter().cycle();
    while !line.is_empty() {
        let length = lengths
            .next()
            .map_or(usize::MAX, |length| 1 + usize::from(*length));
        let (chunk, rest) = line.split_at(length.min(line.len()));
        reader.push(chunk, &mut found);
        line = rest;
    }
    reader.finish(&mut found);
    items
}

/// The frame of any bytes.
fn frame_of(bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; frame::max_size(bytes.len())];
    let size = frame::write([bytes], &mut frame).expect("there is room");
    frame.truncate(size);
    frame
}

/// A packet with a sound header.
fn packet_of(body: &[u8]) -> Vec<u8> {
    let size = (HEADER_SIZE + body.len()).next_multiple_of(8);
    let header = packet::Header {
        magic: MAGIC,
        content_size: size as u64 * 8,
        packet_size: size as u64 * 8,
        packet_seq_num: body.len() as u64,
        ..packet::Header::from_bytes(&[0; HEADER_SIZE])
    };
    let mut packet = header.to_bytes().to_vec();
    packet.extend(body);
    packet.resize(size, 0);
    packet
}

/// Makes a line by a recipe: an operation, a length, so many bytes, and again. The packets in it
/// whose frames are sound come with it.
fn line_of(mut recipe: &[u8]) -> (Vec<u8>, HashSet<Vec<u8>>) {
    let (mut line, mut packets) = (Vec::new(), HashSet::new());
    while let [operation, low, high, rest @ ..] = recipe {
        let length = usize::from(*low) | usize::from(*high & 7) << 8;
        let (bytes, next) = rest.split_at(length.min(rest.len()));
        recipe = next;
        match operation % 4 {
            0 => line.extend(bytes),
            1 => {
                let packet = packet_of(bytes);
                line.extend(frame_of(&packet));
                packets.insert(packet);
            }
            // Sound as a frame; as a packet, maybe.
            2 => {
                line.extend(frame_of(bytes));
                packets.insert(bytes.to_vec());
            }
            _ => {
                let packet = packet_of(bytes);
                let frame = frame_of(&packet);
                let cut = frame.len() * usize::from(*high) / 256;
                line.extend(&frame[..cut]);
                // Its delimiter may be all that is missing.
                packets.insert(packet);
            }
        }
    }
    (line, packets)
}

fuzz_target!(|data: (bool, &[u8], &[u8])| {
    let (is_console, lengths, recipe) = data;
    let reader = || match is_console {
        true => LineReader::console(),
        false => LineReader::new(),
    };
    // The recipe by itself is a line, too.
    let (made, packets) = line_of(recipe);
    for line in [&made[..], recipe] {
        let whole = read(reader(), line, &[]);
        assert_eq!(read(reader(), line, lengths), whole);
        assert_eq!(read(reader(), line, &[0]), whole);
        let mut told = Vec::new();
        for item in &whole {
            match item {
                Item::Packet(packet) => {
                    let header = Header::of(packet)
                        .and_then(Result::ok)
                        .expect("it is sound");
                    assert_eq!(header.packet_size, packet.len() as u64);
                    // By chance a recipe has a checksum that is right once in 2^32 times.
                    assert!(packets.contains(packet), "a packet that was not put in");
                    told.extend(frame_of(packet));
                }
                Item::Message(contents) => {
                    assert!(packets.contains(contents), "a message that was not put in");
                    told.extend(frame_of(contents));
                }
                Item::Text(bytes) => told.extend(bytes),
                Item::Damage(at, _, bytes) => {
                    let at = *at as usize;
                    assert_eq!(line.get(at..at + bytes.len()), Some(&bytes[..]));
                    told.extend(bytes);
                }
            }
        }
        let bare = |bytes: &[u8]| -> Vec<u8> {
            bytes
                .iter()
                .copied()
                .filter(|byte| *byte != DELIMITER)
                .collect()
        };
        assert_eq!(bare(&told), bare(line));
    }
});
