//! What a CPU's first failure was, in plain text: kept apart from relay, which may be what failed.

use core::fmt::{self, Write};
use core::str;
use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// The most bytes that are kept: a few lines.
const ROOM: usize = 512;

/// The text of one CPU's failure. Written by that CPU once, and read by it, perhaps in the middle
/// of the writing: what was written until then is there.
pub(super) struct Words {
    bytes: [AtomicU8; ROOM],
    length: AtomicUsize,
}

impl Words {
    /// None yet.
    pub(super) const fn new() -> Self {
        Self {
            bytes: [const { AtomicU8::new(0) }; ROOM],
            length: AtomicUsize::new(0),
        }
    }

    /// Keeps `what`, as far as there is room. If it fails while it is written, the part before that
    /// is kept. Any context.
    pub(super) fn keep(&self, what: fmt::Arguments<'_>) {
        // That there is no more room is no failure.
        let _ = Writer(self).write_fmt(what);
    }

    /// Calls `use_it` with the text; with nothing if there is none.
    pub(super) fn with<R>(&self, use_it: impl FnOnce(&str) -> R) -> R {
        let length = self.length.load(Ordering::Relaxed).min(ROOM);
        let mut copy = [0; ROOM];
        for (to, from) in copy.iter_mut().zip(&self.bytes[..length]) {
            *to = from.load(Ordering::Relaxed);
        }
        use_it(match str::from_utf8(&copy[..length]) {
            Ok(text) => text,
            // Cut off within a character.
            Err(error) => str::from_utf8(&copy[..error.valid_up_to()]).unwrap_or_default(),
        })
    }
}

/// Puts text behind what is there.
struct Writer<'a>(&'a Words);

impl Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let at = self.0.length.load(Ordering::Relaxed);
            self.0
                .bytes
                .get(at)
                .ok_or(fmt::Error)?
                .store(byte, Ordering::Relaxed);
            self.0.length.store(at + 1, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic;

    /// Fails in the middle.
    struct Unprintable;

    impl fmt::Display for Unprintable {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the part before")?;
            panic!("it fails");
        }
    }

    #[test]
    fn what_fails_while_it_is_written_is_kept_up_to_there() {
        static WORDS: Words = Words::new();
        WORDS.with(|text| assert_eq!(text, ""));
        let failed = panic::catch_unwind(|| WORDS.keep(format_args!("at 5: {Unprintable}")));
        assert!(failed.is_err());
        WORDS.with(|text| assert_eq!(text, "at 5: the part before"));
    }

    #[test]
    fn text_is_cut_at_a_character_where_there_is_no_more_room() {
        let words = Words::new();
        words.keep(format_args!("x{}", "\u{e4}".repeat(ROOM)));
        words.with(|text| {
            assert_eq!(text.len(), ROOM - 1);
            assert!(text.starts_with("x\u{e4}"));
        });
    }
}
