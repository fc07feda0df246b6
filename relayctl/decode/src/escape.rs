//! Makes bytes from a guest safe to show on a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns `bytes` as text that can be printed as it is: what is not valid
/// UTF-8 and every control character becomes a visible escape (`\x1b`,
/// `\u{202e}`), so that a guest can neither move the cursor nor recolour,
/// reorder or hide text on the host's terminal. A tab stays a tab.
///
/// Borrows when there is nothing to escape, which is the usual case.
#[must_use]
pub fn printable(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(bytes)
        && !text.chars().any(is_hostile)
    {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if !is_hostile(c) {
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

/// Writes one byte as `\xNN`.
fn push_byte(shown: &mut String, byte: u8) {
    // Writing to a `String` cannot fail.
    let _ = write!(shown, "\\x{byte:02x}");
}

/// Tells whether a character could do more on a terminal than show itself:
/// the C0 and C1 control characters (ECMA-48), and the Unicode controls that
/// break lines or change the direction of text (UAX #9).
fn is_hostile(c: char) -> bool {
    match c {
        '\t' => false,
        '\u{200e}' | '\u{200f}' | '\u{061c}' => true,
        '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        c => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_is_borrowed() {
        for text in ["", "plain", "tab\there", "grüße, 世界"] {
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

    #[test]
    fn invalid_utf8_is_shown_byte_by_byte() {
        assert_eq!(printable(b"ok \xff\xc3("), "ok \\xff\\xc3(");
        assert_eq!(printable(b"cut \xe4\xb8"), "cut \\xe4\\xb8");
    }
}
