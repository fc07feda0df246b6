//! Lines that change, lose, add and double bytes: no record that was not sent comes out, every frame
//! that was not touched does, and what is missing is told.
//!
//! `RELAY_LINE_FRAMES=1000000 cargo test --release -p relayfs-decode --test line_noise` reads so
//! many frames for each rate of damage.

use std::env;
use std::ops::Range;

use relay_decode::wire::{Found, HEADER_SIZE, LineReader, MAGIC};
use relay_format::frame::{self, DELIMITER};
use relay_format::packet::Header;

/// Frames for each rate, unless the environment says otherwise.
const FRAMES: u64 = 4000;

/// A generator of numbers: xorshift64* (S. Vigna, 2016).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// The packet with a number: always the same.
fn packet(number: u64) -> Vec<u8> {
    let mut random = Random::new(number + 1);
    let size = (HEADER_SIZE + random.below(900) as usize).next_multiple_of(8);
    let header = Header {
        magic: MAGIC,
        uuid: [0xA5; 16],
        stream_id: 1,
        content_size: size as u64 * 8,
        packet_size: size as u64 * 8,
        packet_seq_num: number,
        timestamp_begin: number,
        timestamp_end: number + 5,
        ..Header::from_bytes(&[0; HEADER_SIZE])
    };
    let mut packet = header.to_bytes().to_vec();
    // Numbers, texts, noise, and what looks like the beginning of a frame.
    while packet.len() < size {
        let word = match random.below(4) {
            0 => random.below(300),
            1 => u64::from_le_bytes(*b"a record"),
            2 => random.next(),
            _ => u64::from(MAGIC) << 8 | 5,
        };
        packet.extend(word.to_le_bytes());
    }
    packet
}

/// A line with frames, and now and then text between them.
struct Line {
    bytes: Vec<u8>,
    /// Where each frame is, with its delimiters, from the first number on.
    frames: Vec<Range<usize>>,
}

fn line(numbers: Range<u64>, random: &mut Random) -> Line {
    let (mut bytes, mut frames) = (Vec::new(), Vec::new());
    let mut buffer = vec![0; frame::max_size(HEADER_SIZE + 1000)];
    for number in numbers {
        if random.below(8) == 0 {
            bytes.extend(format!("[{number:>9}] text of somebody else\r\n").bytes());
        }
        let size = frame::write([&packet(number)[..]], &mut buffer).expect("there is room");
        frames.push(bytes.len()..bytes.len() + size);
        bytes.extend(&buffer[..size]);
    }
    Line { bytes, frames }
}

/// Damages bytes, one of so many. Where `is_touched` is set, a byte is changed, is gone, or has
/// another one before it.
fn damage(line: &[u8], one_of: u64, random: &mut Random) -> (Vec<u8>, Vec<bool>) {
    let mut damaged = Vec::with_capacity(line.len());
    let mut is_touched = vec![false; line.len()];
    for (at, byte) in line.iter().enumerate() {
        if random.below(one_of) != 0 {
            damaged.push(*byte);
            continue;
        }
        is_touched[at] = true;
        match random.below(4) {
            0 => damaged.push(byte ^ 1 << random.below(8)),
            1 => {}
            2 => damaged.extend([random.next() as u8, *byte]),
            _ => damaged.extend([*byte; 2]),
        }
    }
    (damaged, is_touched)
}

/// What came of some frames.
#[derive(Debug, Default)]
struct Came {
    frames: u64,
    intact: u64,
    read: u64,
    damaged: u64,
}

/// Sends frames over a line with so much damage, and checks what comes.
fn check(numbers: Range<u64>, one_of: u64, random: &mut Random) -> Came {
    let line = line(numbers.clone(), random);
    let (damaged, is_touched) = damage(&line.bytes, one_of, random);
    let mut reader = LineReader::new();
    let mut came = Came::default();
    let mut next = numbers.start;
    let (mut told, mut missing) = (0, Vec::new());
    let count = |bytes: &[u8]| bytes.iter().filter(|byte| **byte != DELIMITER).count();
    let mut found = |found: Found<'_>| match found {
        Found::Packet(header, bytes) => {
            // Each is one that was sent, as it was sent, in order, once.
            assert!(numbers.contains(&header.number), "packet {}", header.number);
            assert!(header.number >= next, "packet {} again", header.number);
            assert_eq!(bytes, packet(header.number), "packet {}", header.number);
            missing.extend(next..header.number);
            next = header.number + 1;
            came.read += 1;
        }
        Found::Message(_) => panic!("nobody has sent a message"),
        Found::Text(text) => told += count(text),
        Found::Damage(damage, bytes) => {
            let at = usize::try_from(damage.at).unwrap();
            assert_eq!(damaged.get(at..at + bytes.len()), Some(bytes), "{damage:?}");
            told += count(bytes);
            came.damaged += 1;
        }
    };
    let mut rest = &damaged[..];
    while !rest.is_empty() {
        let length = 1 + random.below(4000) as usize;
        let (chunk, later) = rest.split_at(length.min(rest.len()));
        reader.push(chunk, &mut found);
        rest = later;
    }
    reader.finish(&mut found);
    missing.extend(next..numbers.end);
    // What was not touched came: from the byte before the opening delimiter on, with which
    // something else could have begun, or the delimiter itself.
    for (number, place) in numbers.clone().zip(&line.frames) {
        came.frames += 1;
        if !is_touched[place.clone()].contains(&true) {
            came.intact += 1;
            assert!(
                !missing.contains(&number),
                "packet {number} was not touched"
            );
        }
    }
    // What did not come as a packet was told as something else, byte by byte.
    let mut bytes = count(&damaged) - told;
    let mut buffer = vec![0; frame::max_size(HEADER_SIZE + 1000)];
    for number in numbers.filter(|number| !missing.contains(number)) {
        bytes -= frame::write([&packet(number)[..]], &mut buffer).expect("there is room") - 2;
    }
    assert_eq!(bytes, 0, "bytes that were not told");
    came
}

/// The same for all frames, some at a time.
fn check_all(one_of: u64) -> Came {
    let frames = env::var("RELAY_LINE_FRAMES").ok();
    let frames = frames.map_or(FRAMES, |frames| frames.parse().expect("it is a number"));
    let mut random = Random::new(one_of);
    let mut all = Came::default();
    let mut from = 0;
    while from < frames {
        let to = (from + 200).min(frames);
        let came = check(from..to, one_of, &mut random);
        all.frames += came.frames;
        all.intact += came.intact;
        all.read += came.read;
        all.damaged += came.damaged;
        from = to;
    }
    println!("one byte of {one_of}: {all:?}");
    assert!(all.read >= all.intact);
    assert!(all.read < all.frames, "there was no damage");
    all
}

#[test]
fn one_byte_of_ten_thousand_is_damaged() {
    let came = check_all(10_000);
    assert!(came.intact * 10 > came.frames * 9 && came.damaged > 0);
}

#[test]
fn one_byte_of_a_thousand_is_damaged() {
    let came = check_all(1000);
    assert!(came.intact * 10 > came.frames * 4 && came.damaged > 0);
}

#[test]
fn one_byte_of_a_hundred_is_damaged() {
    let came = check_all(100);
    assert!(came.damaged > 0);
}

/// A line that is opened at any byte has lost no more than the frame that it was opened in.
#[test]
fn a_line_opened_at_any_byte_is_read_from_the_next_frame_on() {
    let line = line(0..6, &mut Random::new(9));
    for from in 0..line.bytes.len() {
        let mut numbers = Vec::new();
        let mut reader = LineReader::new();
        let mut found = |found: Found<'_>| {
            if let Found::Packet(header, bytes) = found {
                assert_eq!(bytes, packet(header.number));
                numbers.push(header.number);
            }
        };
        reader.push(&line.bytes[from..], &mut found);
        reader.finish(&mut found);
        // A frame's opening delimiter is not needed where a line begins.
        let whole = line.frames.iter().filter(|frame| frame.start + 1 >= from);
        let wanted = 6 - whole.count() as u64..6;
        assert_eq!(numbers, wanted.collect::<Vec<_>>(), "from byte {from}");
    }
}
