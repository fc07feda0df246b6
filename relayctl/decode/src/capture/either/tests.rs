//! Each byte goes one way only, however it comes.

use std::fs;

use relay_format::frame;
use relay_format::packet::{self, SIZE};

use super::MAX_HELD;
use crate::capture::{Capture, Options, Scratch};
use crate::wire::{Kind, MAGIC};

/// A packet of a boot without metadata: it waits for that.
fn packet(number: u64) -> Vec<u8> {
    let size = SIZE.next_multiple_of(8) + 64;
    let header = packet::Header {
        magic: MAGIC,
        stream_id: 1,
        content_size: size as u64 * 8,
        packet_size: size as u64 * 8,
        packet_seq_num: number,
        ..packet::Header::from_bytes(&[0; SIZE])
    };
    let mut packet = header.to_bytes().to_vec();
    packet.resize(size, 0x55);
    packet
}

fn frame_of(packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; frame::max_size(packet.len())];
    let size = frame::write([packet], &mut frame).expect("there is room");
    frame.truncate(size);
    frame
}

/// What became of bytes that came in chunks of some length.
#[derive(Debug, PartialEq, Eq)]
struct Became {
    /// Bytes that were handed over.
    shown: usize,
    /// Those of the console's text.
    text: u64,
    fragments: u64,
    frames: u64,
    /// Bytes of packets that wait for metadata.
    waits: u64,
}

fn became(kind: Kind, bytes: &[u8], chunk: usize) -> Became {
    let scratch = Scratch::new().expect("it is writable");
    let folder = scratch.path().join("capture");
    let capture = Capture::create(&Options::new(&folder, kind)).expect("it is writable");
    let (mut either, mut shown) = (capture.either(0), 0);
    for chunk in bytes.chunks(chunk) {
        either.push(chunk, |text| shown += text.len());
    }
    either.finish(|text| shown += text.len());
    let came = capture.totals();
    capture.settle();
    Became {
        shown,
        text: fs::metadata(folder.join("console.log")).map_or(0, |text| text.len()),
        fragments: came.fragments,
        frames: came.line.frames,
        waits: capture.totals().fragments - came.fragments,
    }
}

#[test]
fn text_that_was_handed_over_is_no_fragment() {
    let (text, packets) = (&b"text of firmware\n"[..], [packet(0), packet(1)].concat());
    let bytes = [text, &packets].concat();
    for chunk in [1, 7, 17, 20, 100, 1000] {
        let wanted = Became {
            shown: 17,
            text: 17,
            fragments: 0,
            frames: 0,
            waits: 0,
        };
        assert_eq!(became(Kind::Live, text, chunk), wanted, "chunks of {chunk}");
        let waits = packets.len() as u64;
        let wanted = Became { waits, ..wanted };
        assert_eq!(
            became(Kind::Live, &bytes, chunk),
            wanted,
            "chunks of {chunk}"
        );
        // Nobody waits for the text of what is there already.
        let wanted = Became {
            shown: 0,
            text: 0,
            fragments: 17,
            ..wanted
        };
        assert_eq!(
            became(Kind::Stored, &bytes, chunk),
            wanted,
            "chunks of {chunk}"
        );
    }
}

#[test]
fn what_comes_first_tells_however_it_is_cut() {
    let (first, second) = (packet(0), packet(1));
    let (line, port) = (
        [frame_of(&first), second.clone()].concat(),
        [first, frame_of(&second)].concat(),
    );
    for kind in [Kind::Live, Kind::Stored] {
        for chunk in [1, 10, 300, 1000] {
            let of_line = became(kind, &line, chunk);
            assert_eq!(of_line.frames, 1, "{kind:?}, chunks of {chunk}");
            let of_port = became(kind, &port, chunk);
            assert_eq!(of_port.frames, 0, "{kind:?}, chunks of {chunk}");
            assert_eq!(of_port.waits, second.len() as u64, "chunks of {chunk}");
        }
    }
}

#[test]
fn of_much_before_the_first_packet_nothing_is_told_twice() {
    let junk = [&b"no packet. "[..], &[0xff, 0xfe, b'\n']].concat();
    let junk = junk.repeat((MAX_HELD + MAX_HELD / 2) / junk.len());
    let bytes = [&junk[..], &packet(0), &packet(1)].concat();
    for kind in [Kind::Live, Kind::Stored] {
        for chunk in [1000, 1 << 18, 1 << 20] {
            let became = became(kind, &bytes, chunk);
            let told = became.text + became.fragments;
            assert_eq!(told, junk.len() as u64, "{kind:?}, chunks of {chunk}");
            assert_eq!(became.shown as u64, became.text);
            assert_eq!(became.waits, 2 * packet(0).len() as u64);
        }
    }
}
