//! Hosts that ask, and hosts that do not.

use relay_format::control::MAX_FRAME;

use super::*;
use crate::logs::switches::tests::alone;

fn framed(message: &Message<'_>) -> Vec<u8> {
    let mut buffer = [0; MAX_FRAME];
    let size = message.frame(&mut buffer).expect("it fits");
    buffer[..size].to_vec()
}

fn request(number: u32, request: &Request<'_>) -> Vec<u8> {
    let mut room = [0; MAX_TEXT];
    framed(&request.message(number, &mut room).expect("it fits"))
}

/// The whole answer that is there: the number, how it ends, the text.
fn answer(conversation: &mut Conversation) -> Option<(u32, End, String)> {
    let mut text = Vec::new();
    for place in 0.. {
        let piece = conversation.piece()?;
        let mut contents = piece.header.to_vec();
        contents.extend_from_slice(piece.text);
        let message = Message::read(&contents).expect("it is a message");
        let answer = message.answer().expect("it is an answer");
        assert_eq!(usize::from(answer.piece), place);
        text.extend_from_slice(answer.text);
        conversation.note_sent();
        if let Some(end) = answer.end {
            assert!(!conversation.has_answer());
            let text = String::from_utf8(text).expect("it is UTF-8");
            return Some((answer.number, end, text));
        }
    }
    None
}

/// What is answered to these bytes.
fn answers(conversation: &mut Conversation, mut bytes: &[u8]) -> Vec<(u32, End, String)> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        bytes = &bytes[conversation.take(bytes)..];
        all.extend(answer(conversation));
    }
    all
}

#[test]
fn what_is_asked_is_done_and_told() {
    let _alone = alone();
    let mut conversation = Conversation::new();
    let (name, value) = ("log", "debug");
    let mut asked = request(5, &Request::Set { name, value });
    asked.extend(request(6, &Request::Get { name }));
    asked.extend(request(7, &Request::List));
    let told = answers(&mut conversation, &asked);
    let done = |number, text: &str| (number, End::Done, text.to_owned());
    assert_eq!(
        told,
        [
            done(5, "debug"),
            done(6, "debug"),
            done(7, "log=debug\ntrace=off\ntrace-snapshot=off\nevlog=all\n")
        ]
    );
    assert_eq!(log::max_level(), log::LevelFilter::Debug);
}

#[test]
fn what_cannot_be_is_refused_with_what_would_be_right() {
    let _alone = alone();
    let mut conversation = Conversation::new();
    switches::set("log", "info").expect("it is a severity");
    let odd = |kind, text: &'static [u8]| {
        framed(&Message {
            kind,
            piece: 0,
            number: 9,
            text,
        })
    };
    let wrong = [
        (
            request(
                9,
                &Request::Set {
                    name: "log",
                    value: "loud",
                },
            ),
            "off, emerg, alert",
        ),
        (
            request(
                9,
                &Request::Set {
                    name: "x",
                    value: "info",
                },
            ),
            "log, trace, trace-snapshot, evlog would be right",
        ),
        (
            request(9, &Request::Get { name: "\u{1b}[2J" }),
            "log, trace, trace-snapshot, evlog would be right",
        ),
        (odd(77, b""), "no request 77"),
        // The channel trace of this program has no rings.
        (
            request(9, &Request::Snapshot),
            "trace-mode=continuous would be right",
        ),
        (odd(1, b"\xff=\xff"), "UTF-8"),
        (odd(1, b"log"), "NAME=VALUE"),
    ];
    for (bytes, what) in wrong {
        let told = answers(&mut conversation, &bytes);
        let [(9, End::Refused, text)] = &told[..] else {
            panic!("{told:?}");
        };
        assert!(text.contains(what), "{text}");
    }
    assert_eq!(log::max_level(), log::LevelFilter::Info);
}

#[test]
fn nothing_is_heard_before_the_answer_was_taken() {
    let _alone = alone();
    let mut conversation = Conversation::new();
    let one = request(1, &Request::List);
    let both = [&one[..], &request(2, &Request::List)].concat();
    assert_eq!(conversation.take(&both), one.len());
    assert_eq!(conversation.take(&both[one.len()..]), 0);
    // The same piece as often as it is looked at.
    for _ in 0..3 {
        let piece = conversation.piece().expect("there is one");
        assert_eq!(Message::read(&piece.header).expect("a header").number, 1);
    }
    conversation.give_up();
    assert!(conversation.piece().is_none());
    assert_eq!(answers(&mut conversation, &both[one.len()..])[0].0, 2);
}

#[test]
fn its_own_answers_are_no_requests() {
    let _alone = alone();
    let mut conversation = Conversation::new();
    for kind in [128, 129, 130, 131, 255] {
        let echo = framed(&Message {
            kind,
            piece: 0,
            number: 1,
            text: b"log",
        });
        assert_eq!(conversation.take(&echo), echo.len());
        assert!(!conversation.has_answer());
    }
}

#[test]
fn noise_is_passed_over_and_damage_is_no_request() {
    let _alone = alone();
    switches::set("log", "info").expect("it is a severity");
    let mut conversation = Conversation::new();
    let mut state = 3_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let good = request(1, &Request::Get { name: "log" });
    let set = request(
        2,
        &Request::Set {
            name: "log",
            value: "trace",
        },
    );
    for _ in 0..500 {
        let mut noise: Vec<u8> = (0..next() % 2000).map(|_| next() as u8).collect();
        // A request with one bit changed.
        let mut damaged = set.clone();
        let at = 1 + next() as usize % (damaged.len() - 2);
        damaged[at] ^= 1 << (next() % 8);
        noise.extend(damaged);
        assert!(answers(&mut conversation, &noise).is_empty());
        let told = answers(&mut conversation, &good);
        assert_eq!(told, [(1, End::Done, "info".to_owned())]);
    }
}

#[test]
fn a_long_text_comes_in_pieces_and_is_whole() {
    let whole: String = (0..3000).map(|number| format!("{number}\u{e4},")).collect();
    let (mut all, mut piece) = (Vec::new(), 0);
    loop {
        let mut text = [0; MAX_TEXT];
        let mut window = Window {
            skip: piece * MAX_TEXT,
            text: &mut text,
            length: 0,
            has_more: false,
        };
        // Written bit by bit, as `Display` does.
        let written = whole
            .split_inclusive(',')
            .try_for_each(|part| window.write_str(part));
        let (length, has_more) = (window.length, window.has_more);
        assert_eq!(written.is_err(), has_more);
        all.extend_from_slice(&text[..length]);
        piece += 1;
        if !has_more {
            break;
        }
        assert_eq!(length, MAX_TEXT);
    }
    assert_eq!(String::from_utf8(all).expect("it is whole"), whole);
    assert_eq!(piece, whole.len().div_ceil(MAX_TEXT));
}
