//! The place of a record's fields.

use crate::ring::copy_into;
use core::fmt;

/// What a text or a list has at most: 16 bits count it. What is longer is cut.
pub(super) const MOST: usize = u16::MAX as usize;

/// Room that the note of a cut takes, at most: 20 digits are in it.
const CUT_NOTE: usize = 36;

/// What a NUL byte becomes where one ends the text.
const NUL_INSTEAD: &str = "?";

/// The place of a record's fields, filled one after the other; numbers are little-endian. The
/// counterpart of [`record::Fields`](crate::record::Fields).
///
/// What does not fit is left out, and what is not stored is zeros: mistakes in
/// [`Event::size`](super::Event::size), which an assertion tells where those are on. Any context.
#[derive(Debug)]
pub struct FieldsMut<'a> {
    rest: &'a mut [u8],
    /// Bytes that a text may have.
    most: usize,
    /// What was there is put together in a buffer: what does not fit is no mistake.
    may_overflow: bool,
    /// What did not fit; and texts, with what they would have taken.
    missing: usize,
    texts: usize,
    text_bytes: usize,
}

impl<'a> FieldsMut<'a> {
    /// Fields that take all of `bytes`.
    #[inline(always)]
    pub const fn new(bytes: &'a mut [u8]) -> Self {
        Self {
            rest: bytes,
            most: MOST,
            may_overflow: false,
            missing: 0,
            texts: 0,
            text_bytes: 0,
        }
    }

    /// Fields that may take some of `bytes`, with texts of at most `most` bytes.
    #[inline(always)]
    pub(crate) const fn within(bytes: &'a mut [u8], most: usize) -> Self {
        Self {
            most: if most < MOST { most } else { MOST },
            may_overflow: true,
            ..Self::new(bytes)
        }
    }

    /// Bytes that are still free.
    #[inline(always)]
    #[must_use]
    pub const fn left(&self) -> usize {
        self.rest.len()
    }

    /// How many bytes did not fit.
    #[inline(always)]
    pub(crate) const fn missing(&self) -> usize {
        self.missing
    }

    /// How many texts there were, and their bytes, had there been room.
    pub(crate) const fn texts(&self) -> (usize, usize) {
        (self.texts, self.text_bytes)
    }

    /// The next `len` bytes, to be filled by the caller, which hold what was there before; fewer if
    /// there are not so many left.
    #[inline(always)]
    pub fn next(&mut self, len: usize) -> &'a mut [u8] {
        let rest = core::mem::take(&mut self.rest);
        debug_assert!(
            len <= rest.len() || self.may_overflow,
            "the fields are longer than `size` said"
        );
        let kept = len.min(rest.len());
        self.missing = self.missing.saturating_add(len - kept);
        let (next, rest) = rest.split_at_mut(kept);
        self.rest = rest;
        next
    }

    /// Ends the fields: nothing that was there before stays.
    #[inline(always)]
    pub(super) fn finish(self) {
        debug_assert!(
            self.rest.is_empty(),
            "the fields are shorter than `size` said"
        );
        self.rest.fill(0);
    }

    /// Stores bytes, all or none of them.
    #[inline(always)]
    pub fn bytes(&mut self, bytes: &[u8]) {
        let place = self.next(bytes.len());
        match place.len() == bytes.len() {
            true => place.copy_from_slice(bytes),
            false => place.fill(0),
        }
    }

    /// Stores so many bytes, all or none of them. Where the compiler has lost sight of how many are
    /// left, it compares, and does not call a function that copies.
    #[inline(always)]
    pub fn array<const N: usize>(&mut self, bytes: &[u8; N]) {
        let place = self.next(N);
        match place.first_chunk_mut::<N>() {
            Some(place) => *place = *bytes,
            None => place.fill(0),
        }
    }

    /// Stores bytes, all or none of them, whose number the compiler does not know.
    #[inline(always)]
    pub(super) fn run(&mut self, bytes: &[u8]) {
        let place = self.next(bytes.len());
        match place.len() == bytes.len() {
            true => copy_into(place, bytes),
            false => place.fill(0),
        }
    }

    /// Stores a number of 8 bits.
    #[inline(always)]
    pub fn u8(&mut self, number: u8) {
        self.array(&[number]);
    }

    /// Stores a number of 16 bits.
    #[inline(always)]
    pub fn u16(&mut self, number: u16) {
        self.array(&number.to_le_bytes());
    }

    /// Stores a number of 32 bits.
    #[inline(always)]
    pub fn u32(&mut self, number: u32) {
        self.array(&number.to_le_bytes());
    }

    /// Stores a number of 64 bits.
    #[inline(always)]
    pub fn u64(&mut self, number: u64) {
        self.array(&number.to_le_bytes());
    }

    /// Stores a text, its length in 16 bits first: [`Kind::Str`](super::Kind::Str). One of more
    /// than 65535 bytes is cut.
    #[inline(always)]
    pub fn text(&mut self, text: &str) {
        self.texts += 1;
        if text.len() <= self.most {
            self.text_bytes = self.text_bytes.saturating_add(text.len());
            self.u16(text.len() as u16);
            return self.run(text.as_bytes());
        }
        self.cut_text(text);
    }

    /// Stores what there is room for of a text.
    #[cold]
    fn cut_text(&mut self, text: &str) {
        // Of an event, `size` knows of no note.
        let note = if self.may_overflow { CUT_NOTE } else { 0 };
        let kept = shortened(text, self.most.saturating_sub(note));
        let length = self.next(2);
        let (before, wanted) = (self.left(), self.wanted());
        self.bytes(kept.as_bytes());
        if note != 0 && self.most > note {
            let _ = fmt::write(
                &mut Raw(self),
                format_args!("...[{} bytes cut]", text.len() - kept.len()),
            );
        }
        self.note_text(wanted);
        let stored = (before - self.left()) as u16;
        length.copy_from_slice(&stored.to_le_bytes()[..length.len()]);
    }

    /// Stores what `message` says, and a zero byte: [`Kind::String`](super::Kind::String). What
    /// fails to print says so.
    pub(crate) fn formatted(&mut self, message: fmt::Arguments<'_>) {
        self.texts += 1;
        let wanted = self.wanted();
        let room = match self.most {
            MOST => MOST,
            most if length(message).is_some_and(|length| length <= most) => most,
            most => most.saturating_sub(CUT_NOTE),
        };
        let mut out = Limited {
            room,
            missing: 0,
            fields: self,
        };
        let has_failed = fmt::write(&mut out, message).is_err();
        let missing = out.missing;
        // What prints otherwise each time may leave no room for a note.
        let left = match self.most {
            MOST => MOST,
            most => most.saturating_sub(wanted.wrapping_sub(self.wanted())),
        };
        if missing != 0 {
            self.note(left, format_args!("...[{missing} bytes cut]"));
        } else if has_failed {
            self.note(left, format_args!("...[an argument failed to print]"));
        }
        self.note_text(wanted);
        self.u8(0);
    }

    /// Stores a note behind a text, if it has at most `most` bytes.
    #[cold]
    fn note(&mut self, most: usize, note: fmt::Arguments<'_>) {
        if length(note).is_some_and(|length| length <= most) {
            let _ = fmt::write(&mut Raw(self), note);
        }
    }

    /// What tells how many bytes there were, had there been room: it falls by each.
    fn wanted(&self) -> usize {
        self.left().wrapping_sub(self.missing)
    }

    /// Counts the bytes since then as those of a text.
    fn note_text(&mut self, since: usize) {
        let bytes = since.wrapping_sub(self.wanted());
        self.text_bytes = self.text_bytes.saturating_add(bytes);
    }
}

/// Bytes that a message has; `None` if it fails to print. It is printed for that, which is seldom
/// needed.
#[cold]
fn length(message: fmt::Arguments<'_>) -> Option<usize> {
    struct Count(usize);
    impl fmt::Write for Count {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 = self.0.saturating_add(text.len());
            Ok(())
        }
    }
    let mut count = Count(0);
    fmt::write(&mut count, message).ok()?;
    Some(count.0)
}

/// Appends a text as it is.
struct Raw<'f, 'a>(&'f mut FieldsMut<'a>);

impl fmt::Write for Raw<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.run(text.as_bytes());
        Ok(())
    }
}

/// Appends texts as far as there is room, without zero bytes.
struct Limited<'f, 'a> {
    fields: &'f mut FieldsMut<'a>,
    room: usize,
    missing: usize,
}

impl fmt::Write for Limited<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let kept = match self.missing {
            0 => shortened(text, self.room),
            // What follows a cut does not belong there.
            _ => "",
        };
        self.missing = self.missing.saturating_add(text.len() - kept.len());
        self.room -= kept.len();
        for (number, part) in kept.split('\0').enumerate() {
            if number > 0 {
                self.fields.bytes(NUL_INSTEAD.as_bytes());
            }
            self.fields.run(part.as_bytes());
        }
        Ok(())
    }
}

/// `text`, shortened to at most `most` bytes at a character's boundary.
#[inline]
pub(super) fn shortened(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}
