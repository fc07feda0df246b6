//! Packets over lines that take much, little and nothing.

extern crate std;

use super::*;
use crate::ctf::{HEADER, Packets, Uuid, metadata::Trace};
use crate::host::{Cpu, Host};
use crate::{Channel, Geometry, Reader, Storage};
use std::boxed::Box;
use std::vec;
use std::vec::Vec;

type Log = Channel<Host, 64>;

static UUID: Uuid = Uuid::new();
static METADATA: Packets = Packets::new(0, &UUID);
static PACKETS: Packets = Packets::new(1, &UUID);

/// A channel with a ring of `count` sub-buffers of this CPU.
fn start(packets: &'static Packets, size: usize, count: usize) -> (&'static Log, Cpu) {
    let cpu = Cpu::claim();
    let channel: &Log = Box::leak(Box::new(Channel::new(Host, packets)));
    let geometry = Geometry::new(size, count).unwrap();
    let geometry = geometry.with_reserves(HEADER, 0).unwrap();
    let storage = Storage::allocate(&geometry).unwrap();
    channel.start(cpu.number(), storage, geometry).unwrap();
    (channel, cpu)
}

/// Metadata in packets of at most `size` bytes.
fn metadata(size: usize) -> Vec<u8> {
    let (channel, cpu) = start(&METADATA, size, 64);
    let trace = Trace {
        uuid: [7; 16],
        clock_hz: 1,
        cpus: 1,
        streams: &[crate::clients::klog::STREAM],
        env: &[],
    };
    for piece in std::format!("{trace}").as_bytes().chunks(size - HEADER) {
        channel.write(piece).unwrap();
    }
    channel.close().unwrap();
    let mut reader = channel.reader(cpu.number()).unwrap();
    let mut whole = Vec::new();
    while let Some(taken) = reader.next_subbuf() {
        whole.extend_from_slice(ctf::packet_bytes(&taken));
    }
    whole
}

/// The packets of all frames of a line, which has nothing else.
fn packets(line: &[u8]) -> Vec<Vec<u8>> {
    let pieces = line.split(|byte| *byte == DELIMITER);
    let bodies = pieces.filter(|piece| !piece.is_empty());
    bodies
        .map(|body| frame::read(&mut body.to_vec()).unwrap().to_vec())
        .collect()
}

/// Which stream a packet is of, and its number there.
fn stream_and_number(packet: &[u8]) -> (u32, u64) {
    let header = Header::from_bytes(packet.first_chunk().unwrap());
    (header.stream_id, header.packet_seq_num)
}

#[test]
fn every_packet_arrives_whatever_the_line_takes_at_a_time() {
    // Some laps of the ring.
    let count: u64 = 2000;
    for most in [1, 2, 16, 300, usize::MAX] {
        let (channel, cpu) = start(&PACKETS, 512, 8);
        let mut reader = channel.reader(cpu.number()).unwrap();
        let mut buffer = vec![0; buffer_size(512)];
        let (mut line, mut sent) = (Line::new(&mut buffer), Vec::new());
        let mut taken = 0;
        for number in 0..count {
            while channel.write(&number.to_le_bytes()).is_err() {
                // It takes a little, then nothing, until it is asked again.
                let mut left = most;
                taken += line.run(
                    || reader.next_subbuf(),
                    |bytes| {
                        let now = bytes.len().min(left);
                        sent.extend_from_slice(&bytes[..now]);
                        left -= now;
                        now
                    },
                );
            }
        }
        channel.close().unwrap();
        while line.run(
            || reader.next_subbuf(),
            |bytes| {
                sent.push(bytes[0]);
                taken += 1;
                1
            },
        ) != 0
        {}
        let packets = packets(&sent);
        let records: Vec<_> = packets
            .iter()
            .flat_map(|packet| packet[HEADER..].chunks_exact(8))
            .map(|record| u64::from_le_bytes(record.try_into().unwrap()))
            .collect();
        assert!(
            records.iter().copied().eq(0..count),
            "{most} bytes at a time"
        );
        assert!(!line.is_busy() && reader.is_at_end());
        let told = line.sent();
        assert_eq!(told.frames, packets.len() as u64);
        assert_eq!((told.bytes, taken), (sent.len() as u64, sent.len()));
        assert_eq!((told.metadata_bytes, told.left_out), (0, 0));
    }
}

#[test]
fn a_packet_is_taken_until_all_of_its_frame_was_sent() {
    let (channel, cpu) = start(&PACKETS, 512, 2);
    let mut reader = channel.reader(cpu.number()).unwrap();
    let mut buffer = vec![0; buffer_size(512)];
    let mut line = Line::new(&mut buffer);
    let fill = || while channel.write(&[7; 40]).is_ok() {};
    fill();
    let mut left = 100;
    line.run(
        || reader.next_subbuf(),
        |bytes| std::mem::take(&mut left).min(bytes.len()),
    );
    assert!(line.is_busy());
    assert!(
        channel.write(&[7; 40]).is_err(),
        "its space is not free yet"
    );
    line.send(<[u8]>::len);
    assert!(!line.is_busy());
    assert!(channel.write(&[7; 40]).is_ok(), "now it is");
}

/// Writes to the channel and sends it over a line until that had so many frames; what was sent.
fn load(
    line: &mut Line<'static>,
    channel: &Log,
    reader: &mut Reader<'static>,
    frames: u64,
) -> Vec<u8> {
    let mut sent = Vec::new();
    while line.sent().frames < frames {
        channel.write(&[0xAA; 100]).unwrap();
        line.run(
            || reader.next_subbuf(),
            |bytes| {
                sent.extend_from_slice(bytes);
                bytes.len()
            },
        );
    }
    sent
}

#[test]
fn metadata_comes_first_and_again_within_a_tenth() {
    let (channel, cpu) = start(&PACKETS, 1024, 4);
    let mut reader = channel.reader(cpu.number()).unwrap();
    let metadata: &[u8] = metadata(512).leak();
    let mut line = Line::new(vec![0; buffer_size(1024)].leak());
    line.describe(metadata).unwrap();
    assert!(line.is_busy(), "metadata first");
    let first = {
        let mut sent = Vec::new();
        line.send(|bytes| {
            sent.extend_from_slice(bytes);
            bytes.len()
        });
        sent
    };
    assert_eq!(packets(&first).concat(), metadata);
    let of_metadata = packets(&first).len();
    assert!(of_metadata > 3);
    let begun = line.sent();
    let sent = load(&mut line, channel, &mut reader, 2000);
    let told = line.sent();
    let again = told.metadata_bytes - begun.metadata_bytes;
    let all = told.bytes - begun.bytes;
    assert!(again * 10 <= all, "{again} of {all} bytes");
    assert!(again * 12 >= all, "{again} of {all} bytes are few");
    // Who comes at any time has all of it soon, and each packet of it equally often.
    let numbers: Vec<_> = packets(&sent)
        .iter()
        .map(|packet| stream_and_number(packet))
        .filter_map(|(stream, number)| (stream == 0).then_some(number))
        .collect();
    assert!(numbers.len() > 2 * of_metadata);
    for (at, number) in numbers.iter().enumerate() {
        assert_eq!(*number, (at % of_metadata) as u64);
    }
}

#[test]
fn an_idle_line_repeats_the_metadata_in_a_tenth_of_its_time() {
    let metadata: &[u8] = metadata(512).leak();
    let mut line = Line::new(vec![0; buffer_size(512)].leak());
    line.describe(metadata).unwrap();
    line.send(<[u8]>::len);
    let begun = line.sent();
    for _ in 0..1000 {
        line.idle(115);
        line.send(<[u8]>::len);
    }
    let again = line.sent().metadata_bytes - begun.metadata_bytes;
    assert!(
        again * 9 <= 115_000 && again * 11 >= 115_000,
        "{again} bytes"
    );
    // However long it stood idle, not all of it twice.
    line.idle(u64::MAX);
    let taken = line.send(<[u8]>::len);
    assert!(
        taken <= buffer_size(metadata.len()),
        "{taken} bytes at once"
    );
    assert!(taken * 2 > metadata.len());
}

#[test]
fn what_does_not_fit_is_given_back() {
    let (channel, cpu) = start(&PACKETS, 1024, 4);
    let mut reader = channel.reader(cpu.number()).unwrap();
    let mut buffer = vec![0; buffer_size(512)];
    let mut line = Line::new(&mut buffer);
    channel.write(&[0xAA; 700]).unwrap();
    channel.flush();
    let large = reader.next_subbuf().unwrap();
    let Err(Refused::TooLarge(large)) = line.submit(large) else {
        panic!("it does not fit");
    };
    drop(large);
    channel.write(&[0xAA; 100]).unwrap();
    channel.flush();
    let small = reader.next_subbuf().unwrap();
    line.submit(small).unwrap();
    channel.write(&[0xAA; 100]).unwrap();
    channel.flush();
    let next = reader.next_subbuf().unwrap();
    let Err(Refused::Busy(next)) = line.submit(next) else {
        panic!("one is being sent");
    };
    drop(next);
    assert_eq!(line.send(|_| 0), 0, "it takes nothing");
    assert!(line.send(<[u8]>::len) > HEADER);
    // In a run it is left out, and what follows is sent.
    channel.write(&[0xAA; 700]).unwrap();
    channel.flush();
    channel.write(&[0xAA; 100]).unwrap();
    channel.flush();
    line.run(|| reader.next_subbuf(), <[u8]>::len);
    let told = line.sent();
    assert_eq!((told.frames, told.left_out), (2, 1));
}

#[test]
fn metadata_that_is_none_is_refused() {
    let metadata: &[u8] = metadata(512).leak();
    let mut line = Line::new(vec![0; buffer_size(512)].leak());
    let cut = &metadata[..metadata.len() - 1];
    let Err(Undescribed::NoPacket(at)) = line.describe(cut) else {
        panic!("the last one is cut");
    };
    assert!(at > 0 && at.is_multiple_of(8));
    assert_eq!(line.describe(&[7; 200]), Err(Undescribed::NoPacket(0)));
    assert!(!line.is_busy());
    let mut small = Line::new(vec![0; buffer_size(200)].leak());
    let Err(Undescribed::TooLarge(size)) = small.describe(metadata) else {
        panic!("it does not fit");
    };
    assert!(size > 200 && size <= 512);
    assert_eq!(line.describe(&[]), Ok(()));
    assert!(!line.is_busy());
}

#[test]
fn messages_go_between_packets_and_count_as_neither() {
    let (channel, cpu) = start(&PACKETS, 512, 4);
    let mut reader = channel.reader(cpu.number()).unwrap();
    let mut buffer = vec![0; buffer_size(512)];
    let mut line = Line::new(&mut buffer);
    channel.write(&[7; 40]).unwrap();
    channel.flush();
    assert!(!line.message([&[1; 600][..]]), "it does not fit");
    assert!(line.message([&b"to be "[..], b"sent"]));
    let packet = reader.next_subbuf().unwrap();
    let Err(Refused::Busy(packet)) = line.submit(packet) else {
        panic!("a message is being sent");
    };
    let mut sent = Vec::new();
    // Byte by byte.
    while line.is_busy() {
        line.send(|bytes| {
            sent.push(bytes[0]);
            1
        });
    }
    let message = sent.len();
    line.submit(packet).unwrap();
    assert!(!line.message([&b"not now"[..]]));
    line.send(|bytes| {
        sent.extend_from_slice(bytes);
        bytes.len()
    });
    let pieces: Vec<_> = sent.split(|byte| *byte == DELIMITER).collect();
    let pieces: Vec<_> = pieces
        .into_iter()
        .filter(|piece| !piece.is_empty())
        .collect();
    assert_eq!(frame::read(&mut pieces[0].to_vec()), Ok(&b"to be sent"[..]));
    assert_eq!(packets(&sent[message..]).len(), 1);
    let told = line.sent();
    assert_eq!((told.frames, told.message_bytes), (2, message as u64));
    assert_eq!((told.bytes, told.metadata_bytes), (sent.len() as u64, 0));
}
