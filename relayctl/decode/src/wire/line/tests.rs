use proptest::prelude::*;
use relay_format::control::Message;
use relay_format::packet::{self, Header as Raw};

use super::*;

/// What was found, with text and noise that lie together in one.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Packet(u64, Vec<u8>),
    Message(Vec<u8>),
    Text(Vec<u8>),
    Damage(u64, Why, Vec<u8>),
}

/// A packet with a number, of at least so many bytes, in which zeros are rare.
fn packet(number: u64, size: usize) -> Vec<u8> {
    let size = size.max(HEADER_SIZE).next_multiple_of(8);
    let header = Raw {
        magic: MAGIC,
        uuid: [0xA5; 16],
        stream_id: 1,
        content_size: size as u64 * 8,
        packet_size: size as u64 * 8,
        packet_seq_num: number,
        ..Raw::from_bytes(&[0; packet::SIZE])
    };
    let mut packet = header.to_bytes().to_vec();
    let body = (0..size - HEADER_SIZE).map(|at| (at as u64 * 7 + number) as u8);
    packet.extend(body);
    packet
}

/// Its frame.
fn frame_of(packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; frame::max_size(packet.len())];
    let size = frame::write([packet], &mut frame).expect("there is room");
    frame.truncate(size);
    frame
}

/// Adds what was found; text behind text is one.
fn add(items: &mut Vec<Item>, found: Found<'_>) {
    match (found, items.last_mut()) {
        (Found::Packet(header, packet), _) => {
            items.push(Item::Packet(header.number, packet.to_vec()));
        }
        (Found::Message(contents), _) => items.push(Item::Message(contents.to_vec())),
        (Found::Text(text), Some(Item::Text(before))) => before.extend(text),
        (Found::Text(text), _) => items.push(Item::Text(text.to_vec())),
        (Found::Damage(damage, bytes), _) => {
            assert_eq!(damage.length, bytes.len() as u64);
            items.push(Item::Damage(damage.at, damage.why, bytes.to_vec()));
        }
    }
}

/// What a reader finds in a line that comes in chunks of such a length.
fn read_by(mut reader: LineReader, line: &[u8], chunk: usize) -> Vec<Item> {
    let mut items = Vec::new();
    for chunk in line.chunks(chunk) {
        reader.push(chunk, |found| add(&mut items, found));
        assert!(reader.held.len() <= MAX_BODY + 1);
    }
    reader.finish(|found| add(&mut items, found));
    items
}

/// The same by bytes and in one chunk, which is the same.
fn read(line: &[u8]) -> Vec<Item> {
    let whole = read_by(LineReader::new(), line, usize::MAX);
    assert_eq!(read_by(LineReader::new(), line, 1), whole);
    whole
}

fn text(text: &[u8]) -> Item {
    Item::Text(text.to_vec())
}

#[test]
fn frames_and_text_take_turns() {
    let (one, two) = (packet(1, 500), packet(2, 1024));
    let line = [
        b"SeaBIOS\r\n\x1b[2J",
        &frame_of(&one)[..],
        b"text of a kernel",
        &frame_of(&two),
        &frame_of(&one),
        "and gr\u{fc}\u{df}e".as_bytes(),
    ]
    .concat();
    let found = read(&line);
    let wanted = [
        text(b"SeaBIOS\r\n\x1b[2J"),
        Item::Packet(1, one.clone()),
        text(b"text of a kernel"),
        Item::Packet(2, two),
        Item::Packet(1, one),
        text("and gr\u{fc}\u{df}e".as_bytes()),
    ];
    assert_eq!(found, wanted);
}

#[test]
fn one_delimiter_is_as_good_as_many() {
    let all: Vec<_> = (0..4).map(|number| packet(number, 200)).collect();
    let mut line = Vec::new();
    for (number, packet) in all.iter().enumerate() {
        let frame = frame_of(packet);
        match number {
            // Without the closing one.
            0 | 1 => line.extend(&frame[..frame.len() - 1]),
            2 => line.extend(&frame),
            _ => line.extend(&frame[1..]),
        }
        line.extend(if number == 1 { &[0; 9][..] } else { &[] });
    }
    // The last one lacks its delimiter, too.
    line.pop();
    let wanted = (0..)
        .zip(all)
        .map(|(number, packet)| Item::Packet(number, packet));
    assert_eq!(read(&line), wanted.collect::<Vec<_>>());
}

#[test]
fn text_is_not_waited_for() {
    let mut reader = LineReader::new();
    let mut items = Vec::new();
    for (byte, wanted) in [(b'l', ""), (b'o', "lo"), (b'g', "log")] {
        reader.push(&[byte], |found| add(&mut items, found));
        let so_far = match wanted {
            "" => vec![],
            some => vec![text(some.as_bytes())],
        };
        assert_eq!(items, so_far);
    }
}

#[test]
fn a_packet_comes_with_its_delimiter() {
    let mut reader = LineReader::new();
    let frame = frame_of(&packet(7, 300));
    let mut items = Vec::new();
    reader.push(&frame[..frame.len() - 1], |found| add(&mut items, found));
    assert!(items.is_empty());
    reader.push(&[0], |found| add(&mut items, found));
    assert!(matches!(items[..], [Item::Packet(7, _)]));
}

#[test]
fn damage_has_its_place_and_its_reason() {
    let good = frame_of(&packet(1, 600));
    let reason = |damaged: &[u8]| {
        let line = [&good[..], damaged, &good].concat();
        match &read(&line)[..] {
            [
                Item::Packet(1, _),
                Item::Damage(at, why, bytes),
                Item::Packet(1, _),
            ] => {
                let begin = line.iter().skip(good.len()).position(|byte| *byte != 0);
                assert_eq!(*at, (good.len() + begin.unwrap()) as u64);
                assert_eq!(bytes[..], damaged[1..damaged.len() - 1]);
                *why
            }
            other => panic!("{other:?}"),
        }
    };
    let mut flipped = good.clone();
    flipped[400] ^= 0x55;
    assert_eq!(reason(&flipped), Why::Frame(NoFrame::Checksum));
    let mut cut = good.clone();
    cut.truncate(300);
    cut.push(0);
    assert!(matches!(reason(&cut), Why::Frame(_)));
    let mut header = good.clone();
    header[30] ^= 0x80;
    assert!(matches!(reason(&header), Why::Header(_) | Why::Frame(_)));
    let mut first = good.clone();
    first[2] ^= 0x80;
    assert_eq!(reason(&first), Why::Noise);
    // It goes on after the end that its header promises.
    let mut long = good.clone();
    long.splice(500..500, [0x99; 300]);
    assert_eq!(reason(&long), Why::Endless);
    // A packet that says another size, in a frame whose checksum is right.
    let mut other = packet(3, 400);
    other.truncate(392);
    let says = Why::Size { says: 400, is: 392 };
    assert_eq!(reason(&frame_of(&other)), says);
    let cut_off = read(&good[..good.len() - 2]);
    assert!(matches!(cut_off[..], [Item::Damage(1, Why::CutOff, _)]));
}

/// Metadata is text, and no text of somebody else.
#[test]
fn a_damaged_frame_has_no_text_in_it() {
    let mut packet = packet(1, 1000);
    let lines = b"struct { uint64_t overwritten; };\n".iter().cycle();
    for (byte, text) in packet[HEADER_SIZE..].iter_mut().zip(lines) {
        *byte = *text;
    }
    let good = frame_of(&packet);
    for damage in 0..4 {
        let mut frame = good.clone();
        match damage {
            0 => frame[600] ^= 2,
            1 => drop(frame.remove(600)),
            2 => frame.insert(600, 0x80),
            _ => frame.splice(600..600, [0x80; 9]).for_each(drop),
        }
        let line = [&good[..], &frame, &good].concat();
        let found = read(&line);
        let [
            Item::Packet(..),
            Item::Damage(_, _, bytes),
            Item::Packet(..),
        ] = &found[..]
        else {
            panic!("{damage}: {found:?}");
        };
        assert_eq!(bytes[..], frame[1..frame.len() - 1]);
    }
}

#[test]
fn text_behind_half_a_frame_is_passed_on() {
    let frame = frame_of(&packet(1, 1000));
    for cut in [20, 150, 200, 700] {
        let cut = &frame[..cut];
        let firmware = b"rest of a line\r\nSeaBIOS (version 1.16)\r\n\r\nBooting from ROM..\n";
        let whole = [cut, firmware, &frame].concat();
        let found = read(&whole);
        let [
            Item::Damage(1, _, noise),
            Item::Text(text),
            ..,
            Item::Packet(1, _),
        ] = &found[..]
        else {
            panic!("{found:?}");
        };
        assert!(noise.ends_with(b"rest of a line\r\n"));
        assert!(text.starts_with(b"SeaBIOS (version 1.16)\r\n"));
        let all: Vec<_> = found
            .iter()
            .filter_map(|item| match item {
                Item::Text(text) => Some(&text[..]),
                _ => None,
            })
            .collect();
        assert!(all.concat().ends_with(b"Booting from ROM..\n"));
        // As soon as it cannot be of the frame.
        if cut.len() > 200 {
            continue;
        }
        let mut reader = LineReader::new();
        let mut early = Vec::new();
        let endless = [cut, &b"a line of firmware\n".repeat(200)[..]].concat();
        reader.push(&endless, |found| add(&mut early, found));
        assert!(early.iter().any(|item| matches!(item, Item::Text(_))));
    }
}

#[test]
fn noise_is_no_text() {
    let noise = b"\xff\x80junk\x01A\nB\x02\n\xf0\xff\n";
    let found = read(noise);
    assert_eq!(found, [Item::Damage(0, Why::Noise, noise.to_vec())]);
    // But lines of text are, if they come whole.
    let found = read(b"\xff glitch\nBooting\n");
    let glitch = Item::Damage(0, Why::Noise, b"\xff glitch\n".to_vec());
    assert_eq!(found, [glitch, text(b"Booting\n")]);
}

#[test]
fn a_console_shows_all_before_the_first_frame() {
    let odd = b"\xff\x01 odd\n\x09\xc1\x1f\xfc\xc1 like a frame";
    let frame = frame_of(&packet(1, 300));
    let line = [&odd[..], &frame, b"\xff\x01"].concat();
    for chunk in [1, 7, usize::MAX] {
        let found = read_by(LineReader::console(), &line, chunk);
        let [Item::Text(before), Item::Packet(1, _), Item::Damage(..)] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(before, odd);
    }
    // What begins like one, too.
    let half = [&frame[..200], &[0], &b"text"[..]].concat();
    let found = read_by(LineReader::console(), &half, 3);
    assert_eq!(found, [text(&[&frame[1..200], b"text"].concat())]);
}

#[test]
fn the_largest_frame_is_found_and_no_larger_one() {
    let largest = packet(1, frame::MAX_PACKET);
    let found = read_by(LineReader::new(), &frame_of(&largest), 1000);
    assert_eq!(found, [Item::Packet(1, largest)]);
    let larger = packet(1, frame::MAX_PACKET + 8);
    let found = read_by(LineReader::new(), &frame_of(&larger), 1000);
    let why = Why::Frame(NoFrame::TooLong);
    let all = found
        .iter()
        .all(|item| matches!(item, Item::Damage(_, is, _) if *is == why));
    assert!(all && !found.is_empty());
}

/// A message with a text of so many bytes.
fn message(size: usize, byte: u8) -> Vec<u8> {
    let text = vec![byte; size];
    let message = Message {
        kind: control::DONE,
        piece: 0,
        number: 0x0100_0000,
        text: &text,
    };
    [&message.header()[..], &text].concat()
}

#[test]
fn messages_are_told_from_packets_and_damaged_ones_are_none() {
    let (packet, message) = (packet(3, 300), message(40, b'x'));
    let line = [
        frame_of(&message),
        frame_of(&packet),
        b"text\n".to_vec(),
        frame_of(&message),
    ]
    .concat();
    let wanted = [
        Item::Message(message.clone()),
        Item::Packet(3, packet.clone()),
        Item::Text(b"text\n".to_vec()),
        Item::Message(message.clone()),
    ];
    assert_eq!(read(&line), wanted);
    assert_eq!(read_by(LineReader::console(), &line, 7), wanted);
    // Nothing that is damaged is a message, and the packet behind it is there.
    let frame = frame_of(&message);
    for at in 1..frame.len() - 1 {
        let mut damaged = frame.clone();
        damaged[at] ^= 0x20;
        let items = read(&[damaged, frame_of(&packet)].concat());
        assert!(items.contains(&Item::Packet(3, packet.clone())), "at {at}");
        assert!(!items.iter().any(|item| matches!(item, Item::Message(_))));
    }
    // One that is longer than it can be.
    let long = frame_of(&self::message(control::MAX_BODY, 1));
    let items = read(&long);
    assert!(
        matches!(items[..], [Item::Damage(1, Why::Endless, _)]),
        "{items:?}"
    );
}

/// Parts of a line.
fn part() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (0..9u64, 0..400usize).prop_map(|(number, size)| frame_of(&packet(number, size))),
        (0..9u64, 1..200usize, 0..400usize).prop_map(|(number, size, cut)| {
            let frame = frame_of(&packet(number, size));
            frame[cut % frame.len()..].to_vec()
        }),
        (0..9u64, 1..400usize, 0..400usize).prop_map(|(number, size, cut)| {
            let frame = frame_of(&packet(number, size));
            frame[..cut % frame.len()].to_vec()
        }),
        (0..600usize, any::<u8>()).prop_map(|(size, byte)| frame_of(&message(size, byte))),
        (0..50usize, 0..80usize).prop_map(|(size, cut)| {
            let frame = frame_of(&message(size, 1));
            frame[cut % frame.len()..].to_vec()
        }),
        "[a-z \n\u{e4}]{0,40}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..60),
        Just(vec![0x09, 0xc1, 0x1f, 0xfc, 0xc1]),
        Just(control::BEGIN.to_vec()),
        Just(vec![0]),
    ]
}

proptest! {
    /// However a line is cut into chunks, the same is found; and every byte that is no delimiter is
    /// told once.
    #[test]
    fn any_line_is_read_alike_in_any_chunks(
        parts in prop::collection::vec(part(), 0..12),
        chunk in 1..300usize,
        is_console in any::<bool>(),
    ) {
        let reader = || match is_console {
            true => LineReader::console(),
            false => LineReader::new(),
        };
        let line = parts.concat();
        let whole = read_by(reader(), &line, usize::MAX);
        prop_assert_eq!(&read_by(reader(), &line, chunk), &whole);
        prop_assert_eq!(&read_by(reader(), &line, 1), &whole);
        let mut told = Vec::new();
        for item in whole {
            told.extend(match item {
                Item::Packet(_, packet) => frame_of(&packet),
                Item::Message(contents) => frame_of(&contents),
                Item::Text(bytes) => bytes,
                Item::Damage(at, _, bytes) => {
                    let at = usize::try_from(at).unwrap();
                    prop_assert_eq!(line.get(at..at + bytes.len()), Some(&bytes[..]));
                    bytes
                }
            });
        }
        told.retain(|byte| *byte != 0);
        let line: Vec<_> = line.into_iter().filter(|byte| *byte != 0).collect();
        prop_assert_eq!(told, line);
    }
}
