//! What `examples/line.rs` sends over its line can be read, and nothing is missing.
#![cfg(not(any(loom, miri)))]

use relay::Losses;
use relay::clients::klog;
use relay_format::frame::{self, DELIMITER};
use relay_format::packet::{FINAL, Header, SALVAGED, SIZE};

// A boot is for once: statics of its own for each.
#[expect(dead_code, reason = "it is a program")]
#[path = "../examples/line.rs"]
mod orderly;
#[expect(dead_code, reason = "it is a program")]
#[expect(clippy::duplicate_mod, reason = "its statics are others")]
#[path = "../examples/line.rs"]
mod panicking;

const CPUS: usize = 2;

/// A packet: its header, and what is in it.
#[derive(Clone, Debug, PartialEq)]
struct Packet {
    header: Header,
    content: Vec<u8>,
}

impl Packet {
    fn has(&self, flag: u32) -> bool {
        self.header.flags & flag != 0
    }
}

/// The packets on the wire, in order; and how many pieces are no frames.
fn read(wire: &[u8]) -> (Vec<Packet>, usize) {
    let pieces = wire.split(|byte| *byte == DELIMITER);
    let (mut packets, mut others) = (Vec::new(), 0);
    for piece in pieces.filter(|piece| !piece.is_empty()) {
        let mut body = piece.to_vec();
        let Ok(packet) = frame::read(&mut body) else {
            others += 1;
            continue;
        };
        let header = Header::from_bytes(packet.first_chunk().expect("a header"));
        assert_eq!(header.packet_size, packet.len() as u64 * 8);
        let content = packet[SIZE..header.content_size as usize / 8].to_vec();
        packets.push(Packet { header, content });
    }
    (packets, others)
}

/// The packets of a stream by their numbers, which have no gap, each once.
fn stream(packets: &[Packet], stream_id: u32, cpu: usize) -> Vec<Packet> {
    let mut stream: Vec<Packet> = Vec::new();
    for packet in packets {
        let header = &packet.header;
        if (header.stream_id, header.cpu_id) != (stream_id, cpu as u32) {
            continue;
        }
        let number = header.packet_seq_num as usize;
        assert!(number <= stream.len(), "one before {number} is missing");
        match stream.get(number) {
            Some(known) => assert_eq!(known.content, packet.content, "another {number}"),
            None => stream.push(packet.clone()),
        }
    }
    stream
}

/// The metadata comes first, whole, and describes klog.
fn check_metadata(packets: &[Packet]) {
    let metadata = stream(packets, 0, 0);
    let first = &packets[..metadata.len()];
    assert_eq!(metadata, first);
    let (last, before) = metadata.split_last().expect("there is metadata");
    assert!(last.has(FINAL) && !before.iter().any(|packet| packet.has(FINAL)));
    let text: Vec<u8> = first
        .iter()
        .flat_map(|packet| packet.content.clone())
        .collect();
    let text = String::from_utf8(text).expect("it is text");
    assert!(text.starts_with("/* CTF 1.8 */"), "{text}");
    assert!(text.contains("channel_1 = \"klog\";"), "{text}");
}

/// The messages of a CPU; nothing of it was lost.
fn messages(packets: &[Packet], cpu: usize) -> Vec<String> {
    let mut messages = Vec::new();
    for Packet { header, content } in stream(packets, klog::STREAM.id, cpu) {
        assert_eq!(header.ordinal, messages.len() as u64);
        assert_eq!(
            (header.losses(), header.uncommitted),
            (Losses::default(), 0)
        );
        let records = klog::records(&content, header.timestamp_begin);
        messages.extend(records.map(|record| record.expect("a record").message.to_string()));
        assert_eq!(header.ordinal + header.records, messages.len() as u64);
    }
    messages
}

#[test]
fn every_stream_arrives_whole_and_ends_with_a_final_packet() {
    let (packets, others) = read(&orderly::boot(false));
    assert_eq!(others, 0);
    check_metadata(&packets);
    for cpu in 0..CPUS {
        assert_eq!(messages(&packets, cpu), ["a job is done"; orderly::JOBS]);
        let stream = stream(&packets, klog::STREAM.id, cpu);
        let (last, before) = stream.split_last().expect("there are packets");
        assert!(last.has(FINAL) && !before.iter().any(|packet| packet.has(FINAL)));
        assert!(!stream.iter().any(|packet| packet.has(SALVAGED)));
    }
}

#[test]
fn a_panic_sends_what_was_left() {
    let (packets, others) = read(&panicking::boot(true));
    // The frame in the middle of which the machine was stopped; its packet comes again.
    assert!(others <= 1, "{others}");
    check_metadata(&packets);
    // It is among what was left: nobody knows what arrived.
    let again = |packet: &&Packet| packet.header.stream_id == 0 && packet.has(SALVAGED);
    assert_eq!(
        packets.iter().filter(again).count(),
        stream(&packets, 0, 0).len()
    );
    for cpu in 0..CPUS {
        let mut messages = messages(&packets, cpu);
        if cpu == 0 {
            assert_eq!(messages.pop().as_deref(), Some("panic"));
        }
        assert_eq!(messages, ["a job is done"; panicking::JOBS]);
        let stream = stream(&packets, klog::STREAM.id, cpu);
        let salvaged = stream.iter().position(|packet| packet.has(SALVAGED));
        let (sent, left) = stream.split_at(salvaged.expect("some were left"));
        assert!(!sent.is_empty() && left.iter().all(|packet| packet.has(SALVAGED)));
    }
}
