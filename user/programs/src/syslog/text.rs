//! Bytes that stay in one message, whatever a record has in it.

use alloc::vec::Vec;
use core::fmt::{self, Write as _};

/// What is behind a text that was cut.
const CUT: &[u8] = b"...";

/// Where a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the end, up to the end of the message.
    Message,
    /// Between quotes: what would end it there is escaped.
    Value,
}

/// Takes a text to the end of some bytes, and escapes what must not be there: control characters and
/// what breaks lines, and what is no UTF-8, as `\x1b` and `\u{2028}`; between quotes also `"`, `\`
/// and `]`, with a `\` in front (RFC 5424, section 6.3.3). A text that is too long is cut, and ends
/// with `...`.
#[derive(Debug)]
pub struct Escaped<'o> {
    out: &'o mut Vec<u8>,
    place: Place,
    /// How many bytes there may be in all.
    most: usize,
    is_cut: bool,
    is_empty: bool,
}

impl<'o> Escaped<'o> {
    /// Takes up to `room` bytes to the end of `out`.
    #[must_use]
    pub fn new(out: &'o mut Vec<u8>, place: Place, room: usize) -> Self {
        let most = out.len() + room.saturating_sub(CUT.len());
        Self {
            out,
            place,
            most,
            is_cut: false,
            is_empty: true,
        }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// There is no room for more, which the text says.
    pub fn put(&mut self, bytes: &[u8]) -> fmt::Result {
        if self.is_cut {
            return Err(fmt::Error);
        }
        if is_plain(bytes, self.place) && self.out.len() + bytes.len() <= self.most {
            self.out.extend_from_slice(bytes);
            self.is_empty &= bytes.is_empty();
            return Ok(());
        }
        for chunk in bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                self.character(c)?;
            }
            for byte in chunk.invalid() {
                self.piece(format_args!("\\x{byte:02x}"), 4)?;
            }
        }
        Ok(())
    }

    fn character(&mut self, c: char) -> fmt::Result {
        // In front of a message it says in which code the rest is.
        let is_mark = c == '\u{feff}' && self.is_empty;
        match c {
            '"' | '\\' | ']' if self.place == Place::Value => self.piece(format_args!("\\{c}"), 2),
            c if c.is_ascii_control() => self.piece(format_args!("\\x{:02x}", c as u32), 4),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || is_mark => {
                self.piece(format_args!("\\u{{{:x}}}", c as u32), 8)
            }
            c => self.piece(format_args!("{c}"), c.len_utf8()),
        }
    }

    /// Appends what has at most so many bytes, all of it or nothing.
    fn piece(&mut self, what: fmt::Arguments<'_>, bytes: usize) -> fmt::Result {
        if self.out.len() + bytes > self.most {
            self.out.extend_from_slice(CUT);
            self.is_cut = true;
            return Err(fmt::Error);
        }
        self.is_empty = false;
        Bytes(self.out).write_fmt(what)
    }
}

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes())
    }
}

/// Bytes that take any text.
struct Bytes<'o>(&'o mut Vec<u8>);

impl fmt::Write for Bytes<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Every byte of a word.
const ONES: u64 = u64::MAX / 255;
const HIGHS: u64 = ONES << 7;

/// Whether nothing in these bytes is to be escaped: eight at a time.
fn is_plain(bytes: &[u8], place: Place) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    let last = {
        let mut word = [b' '; 8];
        word[..rest.len()].copy_from_slice(rest);
        word
    };
    let strange = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        let has = |byte: u8| {
            let other = word ^ (ONES * u64::from(byte));
            other.wrapping_sub(ONES) & !other & HIGHS
        };
        // Bytes below a blank, those of other characters, and DEL.
        let found = word.wrapping_sub(ONES * 0x20) & !word & HIGHS | word & HIGHS | has(0x7f);
        found
            | match place {
                Place::Message => 0,
                Place::Value => has(b'"') | has(b'\\') | has(b']'),
            }
    };
    words.iter().chain([&last]).all(|word| strange(word) == 0)
}

/// Appends a name of a message's header, of at most so many bytes: printable characters of ASCII,
/// `-` if there is none (RFC 5424, section 6). Other characters are `_`.
pub fn name(out: &mut Vec<u8>, text: &str, most: usize) {
    let begin = out.len();
    let bytes = text.chars().take(most);
    out.extend(bytes.map(|c| if c.is_ascii_graphic() { c as u8 } else { b'_' }));
    if out.len() == begin {
        out.push(b'-');
    }
}

/// Appends the name of a value, likewise: without what it must not have either.
pub fn value_name(out: &mut Vec<u8>, text: &str) {
    let begin = out.len();
    name(out, text, 32);
    for byte in &mut out[begin..] {
        if matches!(byte, b'=' | b']' | b'"') {
            *byte = b'_';
        }
    }
}

/// Appends a number.
pub fn number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec;

    fn escaped(bytes: &[u8], place: Place, room: usize) -> String {
        let mut out = Vec::new();
        // It fails where the text is cut.
        let _ = Escaped::new(&mut out, place, room).put(bytes);
        assert!(out.len() <= room.max(CUT.len()));
        String::from_utf8(out).expect("it is UTF-8")
    }

    #[test]
    fn whatever_comes_stays_in_one_message() {
        let cases: [(&[u8], &str, &str); 12] = [
            (b"", "", ""),
            (
                b"plain text of some length, (all) of it",
                "plain text of some length, (all) of it",
                "plain text of some length, (all) of it",
            ),
            (b"a\nb\r\n", "a\\x0ab\\x0d\\x0a", "a\\x0ab\\x0d\\x0a"),
            (
                b"\0\t\x1b[1m\x7f",
                "\\x00\\x09\\x1b[1m\\x7f",
                "\\x00\\x09\\x1b[1m\\x7f",
            ),
            (b"say \"no\"", "say \"no\"", "say \\\"no\\\""),
            (b"a[1] = b]", "a[1] = b]", "a[1\\] = b\\]"),
            (b"back\\slash", "back\\slash", "back\\\\slash"),
            (b"\xff\xfe", "\\xff\\xfe", "\\xff\\xfe"),
            (b"cut \xe4\xb8", "cut \\xe4\\xb8", "cut \\xe4\\xb8"),
            (
                "gr\u{fc}n \u{9b}\u{2028}".as_bytes(),
                "gr\u{fc}n \\u{9b}\\u{2028}",
                "gr\u{fc}n \\u{9b}\\u{2028}",
            ),
            (
                "\u{feff}x\u{feff}".as_bytes(),
                "\\u{feff}x\u{feff}",
                "\\u{feff}x\u{feff}",
            ),
            (
                b"<13>1 - - - - - -",
                "<13>1 - - - - - -",
                "<13>1 - - - - - -",
            ),
        ];
        for (bytes, message, value) in cases {
            assert_eq!(escaped(bytes, Place::Message, 1000), message);
            assert_eq!(escaped(bytes, Place::Value, 1000), value);
        }
    }

    #[test]
    fn every_byte_is_found_wherever_it_stands() {
        for byte in 0..=255_u8 {
            let is_plain_here = |place| match byte {
                b'"' | b'\\' | b']' => place == Place::Message,
                byte => (0x20..0x7f).contains(&byte),
            };
            for length in 1..20 {
                for at in 0..length {
                    let mut bytes = vec![b'a'; length];
                    bytes[at] = byte;
                    for place in [Place::Message, Place::Value] {
                        assert_eq!(
                            is_plain(&bytes, place),
                            is_plain_here(place),
                            "{byte:#x} {at}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_too_long_is_cut_between_two_characters() {
        assert_eq!(escaped(b"12345678", Place::Message, 11), "12345678");
        assert_eq!(escaped(b"123456789", Place::Message, 11), "12345678...");
        assert_eq!(escaped(b"1234567\n", Place::Message, 11), "1234567...");
        assert_eq!(
            escaped("1234567\u{fc}".as_bytes(), Place::Message, 11),
            "1234567..."
        );
        let mut out = Vec::new();
        let mut text = Escaped::new(&mut out, Place::Value, 8);
        assert_eq!(text.put(b"1234"), Ok(()));
        assert!(text.put(b"56").is_err());
        assert!(text.put(b"").is_err(), "the rest is not wanted either");
        assert_eq!(out, b"12345...");
    }

    #[test]
    fn names_are_printable_and_never_empty() {
        let of = |text: &str, most| {
            let mut out = Vec::new();
            name(&mut out, text, most);
            String::from_utf8(out).expect("it is ASCII")
        };
        assert_eq!(of("kernel::mem", 48), "kernel::mem");
        assert_eq!(of("a b\n\u{fc}", 48), "a_b__");
        assert_eq!((of("", 48), of("abcdef", 3)), ("-".into(), "abc".into()));
        let mut out = Vec::new();
        value_name(&mut out, "a=b]\"c");
        number(&mut out, 0);
        number(&mut out, u64::MAX);
        assert_eq!(out, b"a_b__c018446744073709551615");
    }
}
