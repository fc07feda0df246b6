//! Makes bytes from a guest safe to show on a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Returns `bytes` as text that can be printed as it is: what is not valid UTF-8, and every
/// character that shows nothing by itself, becomes a visible escape (`\x1b`, `\u{202e}`), so that a
/// guest can neither move the cursor nor recolour, reorder or hide text on the host's terminal. A
/// tab stays a tab.
///
/// Borrows when there is nothing to escape, which is the usual case.
#[must_use]
pub fn printable(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(bytes)
        && !has_hidden(text)
    {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if !is_hidden(c) {
                shown.push(c);
            } else if c.is_ascii() {
                push_byte(&mut shown, c as u8);
            } else {
                let _ = write!(shown, "\\u{{{:x}}}", c as u32);
            }
        }
        for &byte in chunk.invalid() {
            push_byte(&mut shown, byte);
        }
    }
    Cow::Owned(shown)
}

/// Appends a value as JSON on one line that can be printed as it is: in its texts, what
/// [`printable`] escapes is escaped as JSON has it (`\u202e`), also a tab.
///
/// # Errors
///
/// When the value cannot be serialised, or the output cannot be written.
pub fn json(out: impl io::Write, value: &(impl Serialize + ?Sized)) -> serde_json::Result<()> {
    value.serialize(&mut Serializer::with_formatter(
        out,
        Printable(CompactFormatter),
    ))
}

/// JSON in which nothing is hidden.
struct Printable(CompactFormatter);

impl Formatter for Printable {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if !has_hidden(fragment) {
            return self.0.write_string_fragment(writer, fragment);
        }
        for piece in fragment.split_inclusive(is_hidden) {
            let plain = piece.trim_end_matches(is_hidden);
            self.0.write_string_fragment(writer, plain)?;
            for unit in piece[plain.len()..].encode_utf16() {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

/// Writes one byte as `\xNN`.
fn push_byte(shown: &mut String, byte: u8) {
    // Writing to a `String` cannot fail.
    let _ = write!(shown, "\\x{byte:02x}");
}

/// Whether a text has a character that has to be escaped.
fn has_hidden(text: &str) -> bool {
    let is_plain = |byte: &u8| (b' '..=b'~').contains(byte) || *byte == b'\t';
    !text.as_bytes().iter().all(is_plain) && text.chars().any(is_hidden)
}

/// Tells whether a character does something else on a terminal than show itself: control
/// characters (C0, DEL, C1: ECMA-48), characters that break lines, all that only format (zero-width
/// ones, those that change the direction of text: UAX #9), those that no version of Unicode knows,
/// and those that are not shown by rule (`Default_Ignorable_Code_Point`), such as selectors of
/// variants.
fn is_hidden(c: char) -> bool {
    match c {
        ' '..='~' | '\t' => false,
        // Not shown by rule, though their categories are those of marks and letters.
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' => {
            true
        }
        '\u{3164}' | '\u{ffa0}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => true,
        c => matches!(
            c.general_category(),
            GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
                | GeneralCategory::Unassigned
        ),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_text_is_borrowed() {
        for text in [
            "",
            "plain",
            "tab\there",
            "gr\u{fc}\u{df}e, \u{4e16}\u{754c} \u{1f600} e\u{301} \u{a0}",
        ] {
            assert!(matches!(printable(text.as_bytes()), Cow::Borrowed(t) if t == text));
        }
    }

    #[test]
    fn escape_sequences_become_visible() {
        assert_eq!(printable(b"\x1b[31mred\x1b[0m"), "\\x1b[31mred\\x1b[0m");
        assert_eq!(printable(b"a\rb\x07\x00\x7f"), "a\\x0db\\x07\\x00\\x7f");
        // C1: a single character that some terminals take for ESC [.
        assert_eq!(printable("\u{9b}2J".as_bytes()), "\\u{9b}2J");
        assert_eq!(printable("\u{202e}txt".as_bytes()), "\\u{202e}txt");
    }

    /// Of every kind, also its first and last character.
    const HIDDEN: [char; 26] = [
        '\0',
        '\n',
        '\x7f',
        '\u{80}',
        '\u{9f}',
        '\u{ad}',
        '\u{34f}',
        '\u{61c}',
        '\u{180e}',
        '\u{200b}',
        '\u{200d}',
        '\u{200f}',
        '\u{2028}',
        '\u{2029}',
        '\u{202a}',
        '\u{2060}',
        '\u{206f}',
        '\u{3164}',
        '\u{fe0f}',
        '\u{feff}',
        '\u{fff9}',
        '\u{ffff}',
        '\u{1d173}',
        '\u{e0001}',
        '\u{e007f}',
        '\u{e0100}',
    ];

    #[test]
    fn what_shows_nothing_is_shown() {
        for c in HIDDEN {
            let text = format!("a{c}b");
            let shown = printable(text.as_bytes());
            let escape = match c.is_ascii() {
                true => format!("a\\x{:02x}b", c as u32),
                false => format!("a\\u{{{:x}}}b", c as u32),
            };
            assert_eq!(shown, escape);
        }
    }

    #[test]
    fn json_hides_nothing() {
        for c in HIDDEN {
            let text = format!("a{c}b");
            let mut out = Vec::new();
            json(&mut out, &text).expect("a Vec takes everything");
            let shown = String::from_utf8(out).expect("JSON is UTF-8");
            assert!(shown.is_ascii() && !shown.contains(c), "{shown:?}");
            let back: String = serde_json::from_str(&shown).expect("it is JSON");
            assert_eq!(back, text);
        }
        let mut out = Vec::new();
        json(&mut out, "\x7f\u{e0001}gr\u{fc}n\t").expect("a Vec takes everything");
        assert_eq!(out, "\"\\u007f\\udb40\\udc01gr\u{fc}n\\t\"".as_bytes());
    }

    #[test]
    fn invalid_utf8_is_shown_byte_by_byte() {
        assert_eq!(printable(b"ok \xff\xc3("), "ok \\xff\\xc3(");
        assert_eq!(printable(b"cut \xe4\xb8"), "cut \\xe4\\xb8");
    }

    proptest! {
        /// JSON says the same, and nothing in it is hidden.
        #[test]
        fn json_keeps_the_text(text in any::<String>()) {
            let mut out = Vec::new();
            json(&mut out, &text).expect("a Vec takes everything");
            let shown = String::from_utf8(out).expect("JSON is UTF-8");
            prop_assert!(!shown.chars().any(is_hidden));
            let back: String = serde_json::from_str(&shown).expect("it is JSON");
            prop_assert_eq!(back, text);
        }
    }
}
