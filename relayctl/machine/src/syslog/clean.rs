//! What a message may not have in it.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A message as one line of text: bytes that are not UTF-8, and control characters, which a sound
/// message has none of, become visible escapes (`\x1b`, `\u{85}`). It borrows what is sound.
pub(super) fn clean(message: &[u8]) -> Cow<'_, [u8]> {
    if let Ok(text) = str::from_utf8(message)
        && !text.contains(char::is_control)
    {
        return Cow::Borrowed(message);
    }
    let mut line = String::with_capacity(message.len() + 16);
    for chunk in message.utf8_chunks() {
        for c in chunk.valid().chars() {
            // Writing to a `String` cannot fail.
            let _ = match c {
                c if !c.is_control() => line.write_char(c),
                c if c.is_ascii() => write!(line, "\\x{:02x}", c as u32),
                c => write!(line, "\\u{{{:x}}}", c as u32),
            };
        }
        for byte in chunk.invalid() {
            let _ = write!(line, "\\x{byte:02x}");
        }
    }
    Cow::Owned(line.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_of_text() {
        for sound in ["", "<14>1 - a", "\u{e4}\u{200b}\u{202e}"] {
            assert!(matches!(clean(sound.as_bytes()), Cow::Borrowed(_)));
        }
        assert_eq!(
            clean(b"a\nb\0\t\x7f\xff\xc2\x85\xc3").as_ref(),
            br"a\x0ab\x00\x09\x7f\xff\u{85}\xc3"
        );
    }
}
