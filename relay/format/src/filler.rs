//! What a record that was given up or cut leaves where another was reserved behind it: a record of
//! nobody, which readers skip.
//!
//! | event id | after the stamp |
//! |---|---|
//! | [`EMPTY`] | nothing |
//! | [`SHORT`] | a byte *n*, *n* bytes |
//! | [`LONG`] | four bytes *n*, *n* bytes |
//!
//! ```
//! use relay_format::{Context, filler, stamp};
//!
//! let mut bytes = [0x55; 100];
//! filler::fill(&mut bytes, Context::Task, 12);
//! let (head, body) = bytes.split_first_chunk().unwrap();
//! let id = stamp::Stamp::from_bytes(*head).id();
//! assert_eq!((id, filler::length(id, body)), (filler::SHORT, Some(93)));
//! ```

use crate::Context;
use crate::stamp::{self, EVENTS, Stamp};

/// A filler that is a stamp alone.
pub const EMPTY: u16 = EVENTS;
/// A filler with a byte of length, and that many bytes after it.
pub const SHORT: u16 = EVENTS + 1;
/// A filler with four bytes of length, and that many bytes after them.
pub const LONG: u16 = EVENTS + 2;

/// Makes `bytes` a filler. Fewer than [`stamp::SIZE`] bytes cannot be one, and become zeros.
pub fn fill(bytes: &mut [u8], context: Context, ticks: u64) {
    bytes.fill(0);
    let Some((head, body)) = bytes.split_first_chunk_mut() else {
        return;
    };
    let id = match body.len() {
        0 => EMPTY,
        len @ 1..=256 => {
            body[0] = (len - 1) as u8;
            SHORT
        }
        len => {
            body[..4].copy_from_slice(&((len - 4) as u32).to_le_bytes());
            LONG
        }
    };
    *head = Stamp::new(id, context, ticks).to_bytes();
}

/// Bytes of a filler with event id `id` behind its stamp, where `rest` lies; `None` if it is no
/// filler, or `rest` ends within it.
#[must_use]
pub fn length(id: u16, rest: &[u8]) -> Option<usize> {
    let length = match id {
        EMPTY => 0,
        SHORT => 1 + usize::from(*rest.first()?),
        LONG => {
            let length = u32::from_le_bytes(*rest.first_chunk()?);
            4_usize.checked_add(usize::try_from(length).ok()?)?
        }
        _ => return None,
    };
    (length <= rest.len()).then_some(length)
}

const _: () = assert!(stamp::SIZE == 7);

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;

    #[test]
    fn fillers_of_every_length_are_as_long_as_they_say() {
        for len in (stamp::SIZE..600).chain([70_000]) {
            let mut bytes = vec![0x55; len];
            fill(&mut bytes, Context::Irq, 3);
            let (head, body) = bytes.split_first_chunk().unwrap();
            let stamp = Stamp::from_bytes(*head);
            assert!(stamp.id() >= EVENTS);
            assert_eq!((stamp.time(), stamp.context()), (3, Some(Context::Irq)));
            assert_eq!(length(stamp.id(), body), Some(body.len()), "length {len}");
            if let Some((_, cut)) = body.split_last() {
                assert_eq!(length(stamp.id(), cut), None);
            }
        }
    }

    #[test]
    fn what_is_too_short_for_a_stamp_becomes_zeros() {
        let mut bytes = [0x55; stamp::SIZE - 1];
        fill(&mut bytes, Context::Task, 3);
        assert_eq!(bytes, [0; stamp::SIZE - 1]);
        assert_eq!(length(7, &[]), None);
    }
}
