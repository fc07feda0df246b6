//! A record put together on the stack.

use super::class::{MAX_MESSAGE, Place};
use crate::event::Severity;
use crate::ring::copy_into;
use core::fmt::{self, Write as _};

/// Room that is kept for the note of a cut.
pub(super) const CUT_NOTE: usize = 32;

/// What a NUL byte becomes: readers of CTF take one for the end of a text.
const NUL_INSTEAD: u8 = b'?';

/// The longest module path and file name that is kept, in bytes.
const MAX_NAME: usize = 255;

/// Bytes of a record between its stamp and its texts.
const FIXED: usize = 1 + 4 + 2 + 2 + 2;

/// Where in it the lengths of module and file name are, of two bytes each.
const LENGTHS: [usize; 2] = [5, 7];

/// Bytes of all of it, at most.
pub(super) const ROOM: usize = FIXED + 2 * MAX_NAME + MAX_MESSAGE;

/// A record without its stamp, put together on the stack; the message is cut where it does not
/// fit.
pub(super) struct Line<'a> {
    /// Texts in it are of whole characters.
    room_for_it: &'a mut [u8; ROOM],
    /// Bytes of it that are used.
    len: usize,
    /// Where the message begins.
    message: usize,
    /// Bytes that it may still grow by; after a cut none, since what follows would not belong
    /// there.
    room: usize,
    /// Bytes of it that did not fit.
    missing: usize,
}

impl<'a> Line<'a> {
    /// Nothing yet, in this room.
    #[inline(always)]
    pub(super) fn new(room_for_it: &'a mut [u8; ROOM]) -> Self {
        Self {
            room_for_it,
            len: 0,
            message: 0,
            room: 0,
            missing: 0,
        }
    }

    /// Begins a record with an empty message.
    pub(super) fn begin(&mut self, severity: Severity, place: Place<'_>) {
        let module = shortened(place.module, MAX_NAME);
        let file = shortened(base_name(place.file), MAX_NAME);
        let [line_0, line_1, line_2, line_3] = place.line.to_le_bytes();
        let [module_0, module_1] = (module.len() as u16).to_le_bytes();
        let [file_0, file_1] = (file.len() as u16).to_le_bytes();
        let severity = severity as u8;
        let fixed: [u8; FIXED] = [
            severity, line_0, line_1, line_2, line_3, module_0, module_1, file_0, file_1, 0, 0,
        ];
        self.message = FIXED + module.len() + file.len();
        self.room = MAX_MESSAGE;
        self.append(&fixed);
        self.append(module.as_bytes());
        self.append(file.as_bytes());
    }

    /// Appends `bytes`, for which there is room: no limit is above the capacity.
    #[inline(always)]
    fn append(&mut self, bytes: &[u8]) {
        copy_into(&mut self.room_for_it[self.len..], bytes);
        self.len += bytes.len();
    }

    /// The record, of at most `room` bytes; if something of the message is missing, it ends by
    /// saying how much. To be called once.
    pub(super) fn finish(&mut self, room: usize) -> &[u8] {
        if self.missing != 0 || self.len > room {
            self.fit(room);
        }
        let begin = self.message;
        let bytes = self.bytes();
        let message = &mut bytes[begin..];
        if has_nul(message) {
            let nuls = message.iter_mut().filter(|byte| **byte == 0);
            nuls.for_each(|byte| *byte = NUL_INSTEAD);
        }
        let len = (message.len() as u16).to_le_bytes();
        bytes[FIXED - len.len()..FIXED].copy_from_slice(&len);
        bytes
    }

    /// What was put together.
    #[inline(always)]
    fn bytes(&mut self) -> &mut [u8] {
        &mut self.room_for_it[..self.len]
    }

    /// Appends as much of `text` as there is room for: not all.
    #[cold]
    fn cut(&mut self, text: &str) {
        let kept = shortened(text, self.room);
        self.append(kept.as_bytes());
        self.missing = self.missing.saturating_add(text.len() - kept.len());
        self.room = 0;
    }

    /// Says that an argument failed to print: what comes after it is missing.
    #[cold]
    pub(super) fn note_a_failure(&mut self) {
        // What is cut says that already.
        if self.missing == 0 {
            let _ = self.write_str("...[an argument failed to print]");
        }
    }

    /// Cuts the names, and if need be the message, so that the record has at most `room` bytes; says
    /// how much of the message is missing.
    #[cold]
    fn fit(&mut self, room: usize) {
        self.shorten_names((room.saturating_sub(FIXED) / 4).min(MAX_NAME));
        if self.missing == 0 && self.len <= room {
            return;
        }
        let begin = self.message;
        let said = text(&self.room_for_it[begin..self.len]);
        let limit = room.saturating_sub(begin).min(MAX_MESSAGE);
        let kept = shortened(said, limit.saturating_sub(CUT_NOTE)).len();
        let missing = self.missing.saturating_add(said.len() - kept);
        self.len = begin + kept;
        self.room = limit - kept;
        // It fits into CUT_NOTE: 20 digits at most. In a tiny sub-buffer it is cut itself.
        let _ = write!(self, "...[{missing} bytes cut]");
    }

    /// Cuts module and file name to `most` bytes: in a small sub-buffer a message is worth more.
    fn shorten_names(&mut self, most: usize) {
        let mut begin = FIXED;
        for length in LENGTHS {
            let bytes = self.bytes();
            let len = u16::from_le_bytes([bytes[length], bytes[length + 1]]);
            let end = begin + usize::from(len);
            let kept = shortened(text(&bytes[begin..end]), most).len();
            let len = (kept as u16).to_le_bytes();
            bytes[length..length + 2].copy_from_slice(&len);
            bytes.copy_within(end.., begin + kept);
            self.len -= end - begin - kept;
            begin += kept;
        }
        self.message = begin;
    }
}

/// What was put together as text.
fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or_default()
}

impl fmt::Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match self.room.checked_sub(text.len()) {
            Some(room) => {
                self.append(text.as_bytes());
                self.room = room;
            }
            None => self.cut(text),
        }
        Ok(())
    }
}

/// The last component of a path: what is kept of a file name.
pub(super) fn base_name(path: &str) -> &str {
    // Bytes: no other character has one of these in it.
    let last = |wanted| path.bytes().rposition(|byte| byte == wanted);
    let end = last(b'/').or_else(|| last(b'\\'));
    end.and_then(|end| path.get(end + 1..)).unwrap_or(path)
}

/// `text`, shortened to at most `max` bytes at a character's boundary.
fn shortened(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let end = (0..=max).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// Whether a byte of `bytes` is 0: eight at a time, since there is hardly ever one.
pub(super) fn has_nul(bytes: &[u8]) -> bool {
    let in_word = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        word.wrapping_sub(0x0101_0101_0101_0101) & !word & 0x8080_8080_8080_8080 != 0
    };
    // The last word may have some bytes of the one before it.
    match bytes.last_chunk() {
        Some(last) => in_word(last) || bytes.as_chunks().0.iter().any(in_word),
        None => bytes.contains(&0),
    }
}
