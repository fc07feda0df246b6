extern crate std;
use super::*;
use crate::frame::DELIMITER;
use crate::frames::Frames;
use crate::packet;
use std::string::{String, ToString};
use std::vec::Vec;

fn framed(message: &Message<'_>) -> Vec<u8> {
    let mut buffer = [0; MAX_FRAME];
    let size = message.frame(&mut buffer).unwrap();
    buffer[..size].to_vec()
}

/// A number that depends on those before it alone: xorshift64*.
fn next(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
}

#[test]
fn requests_come_back_as_they_were_said() {
    let long = "x".repeat(MAX_TEXT - 2);
    let requests = [
        Request::Set {
            name: "log",
            value: "debug",
        },
        Request::Set {
            name: "trace",
            value: "",
        },
        Request::Set {
            name: "a",
            value: &long,
        },
        Request::Set {
            name: "log",
            value: "kernel::sched=debug",
        },
        Request::Get { name: "l\u{f6}g" },
        Request::List,
        Request::Snapshot,
    ];
    for (number, request) in (0..).zip(requests) {
        let mut room = [0; MAX_TEXT];
        let message = request.message(number, &mut room).unwrap();
        let bytes = framed(&message);
        let mut frames = Frames::<MAX_BODY>::new();
        let last = bytes.len() - 1;
        assert!(
            bytes[..last]
                .iter()
                .all(|byte| frames.push(*byte).is_none())
        );
        let read = Message::read(frames.push(bytes[last]).unwrap()).unwrap();
        assert_eq!(read, message);
        assert_eq!(read.request(), Ok(request));
        assert!(!read.is_answer() && read.answer().is_none());
    }
    let mut room = [0; MAX_TEXT];
    let longer = Request::Get {
        name: &"x".repeat(MAX_TEXT + 1),
    };
    assert_eq!(longer.message(0, &mut room), Err(TooLong));
}

#[test]
fn answers_come_back_as_they_were_said() {
    for (number, end) in [
        None,
        Some(End::Done),
        Some(End::Refused),
        Some(End::Undelivered),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = Answer {
            number: u32::MAX - number as u32,
            piece: MAX_PIECES - 1,
            end,
            text: &[0; MAX_TEXT],
        };
        let message = answer.message();
        assert!(message.is_answer() && message.request().is_err());
        let mut contents = message.header().to_vec();
        contents.extend_from_slice(message.text);
        let read = Message::read(&contents).unwrap();
        assert_eq!(read.answer(), Some(answer));
    }
}

#[test]
fn every_frame_begins_alike_and_like_nothing_else() {
    let mut state = 1;
    for _ in 0..1000 {
        let text: Vec<u8> = (0..next(&mut state) % 500)
            .map(|_| next(&mut state) as u8)
            .collect();
        let message = Message {
            kind: next(&mut state) as u8,
            piece: next(&mut state) as u16,
            number: next(&mut state) as u32,
            text: &text,
        };
        let bytes = framed(&message);
        assert!(bytes.len() <= MAX_FRAME);
        assert_eq!(bytes[0], DELIMITER);
        assert_eq!(bytes[1..6], BEGIN);
    }
    assert!(String::from_utf8(BEGIN.to_vec()).is_err());
    assert_ne!(BEGIN[1..], packet::MAGIC.to_le_bytes());
}

#[test]
fn what_is_no_request_is_told_by_name() {
    let message = |kind, text| Message {
        kind,
        piece: 0,
        number: 1,
        text,
    };
    let wrong = |kind, text: &'static [u8]| message(kind, text).request().unwrap_err();
    assert_eq!(wrong(9, b"log"), BadRequest::Kind(9));
    assert_eq!(wrong(0, b""), BadRequest::Kind(0));
    assert_eq!(wrong(SET, b"log"), BadRequest::Value);
    assert_eq!(wrong(SET, b"=debug"), BadRequest::Name);
    assert_eq!(wrong(GET, b""), BadRequest::Name);
    assert_eq!(wrong(GET, b"\xff"), BadRequest::Text);
    let told = wrong(9, b"").to_string();
    assert!(
        told.contains("request 9") && told.contains("1 (set)"),
        "{told}"
    );
    assert!(message(200, b"").is_answer() && message(200, b"").answer().is_none());
}

#[test]
fn no_bytes_are_too_much_for_it() {
    let mut state = 7;
    let mut frames = Frames::<MAX_BODY>::new();
    let mut messages = 0;
    for round in 0..20_000 {
        let mut contents = MAGIC.to_vec();
        contents.extend((0..next(&mut state) % 40).map(|_| next(&mut state) as u8));
        let at = next(&mut state) as usize % contents.len();
        if round % 2 == 0 {
            contents[at] ^= 1 << (next(&mut state) % 8);
        }
        if let Ok(message) = Message::read(&contents) {
            messages += 1;
            let shown: String = match message.request() {
                Ok(Request::Set { name, value }) => name.to_string() + value,
                Ok(Request::Get { name }) => name.to_string(),
                Ok(Request::List | Request::Snapshot) => String::new(),
                Err(why) => why.to_string(),
            };
            assert!(shown.len() <= MAX_TEXT);
        }
        // The same as it comes over a line that damages it: a frame is sound, or is none.
        let mut line = [0; 128];
        let size = frame::write([&contents[..]], &mut line).unwrap();
        let at = next(&mut state) as usize % size;
        let is_damaged = round % 3 == 0;
        if is_damaged {
            line[at] ^= 1 << (next(&mut state) % 8);
        }
        let found = line[..size]
            .iter()
            .filter(|byte| match frames.push(**byte) {
                Some(found) => {
                    assert!(is_damaged || found == contents);
                    true
                }
                None => false,
            });
        let found = found.count();
        assert!(is_damaged && found <= 1 || found == 1, "{found} frames");
    }
    assert!(messages > 5000, "{messages}");
    assert_eq!(Message::read(&[]), Err(NoMessage));
    assert_eq!(Message::read(&MAGIC), Err(NoMessage));
    let mut long = MAGIC.to_vec();
    long.resize(MAX_MESSAGE + 1, 0);
    assert_eq!(Message::read(&long), Err(NoMessage));
    assert!(Message::read(&long[..MAX_MESSAGE]).is_ok());
}
