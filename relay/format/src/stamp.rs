//! What every record begins with: when it was written, what it is, and in which context.
//!
//! | bits | what |
//! |---|---|
//! | 0 to 39 | the lower [`TIME_BITS`] bits of the time, in ticks |
//! | 40 to 53 | the event id |
//! | 54, 55 | the [`Context`] |
//!
//! Seven bytes, little-endian. The upper bits of the time are those of the packet's begin: a writer
//! begins another packet before a record is 2^40 ticks younger than its packet (six minutes at 3
//! GHz).
//!
//! ```
//! use relay_format::Context;
//! use relay_format::stamp::{Stamp, extend};
//!
//! let begin = 0x0123_4567_89AB_CDEF;
//! let bytes = Stamp::new(7, Context::Irq, begin + 1000).to_bytes();
//! let read = Stamp::from_bytes(bytes);
//! assert_eq!((read.id(), read.context()), (7, Some(Context::Irq)));
//! assert_eq!(extend(read.time(), begin), begin + 1000);
//! ```

use crate::Context;

/// Bytes of a stamp.
pub const SIZE: usize = 7;

/// Bits of the time in it.
pub const TIME_BITS: u32 = 40;

/// Bits of the event id in it.
pub const ID_BITS: u32 = 14;

/// Bits of the context in it.
pub const CONTEXT_BITS: u32 = 2;

/// Where the last two bytes of a stamp begin, its [tail]. A writer may store eight bytes of time
/// first, then the tail, then what follows the stamp.
pub const TAIL: usize = SIZE - 2;

/// Event ids from here on are [fillers](crate::filler): those of a client's events are smaller.
pub const EVENTS: u16 = (1 << ID_BITS) - 3;

const _: () = assert!(TIME_BITS + ID_BITS + CONTEXT_BITS == SIZE as u32 * 8);

/// A stamp: the lower bits of the time, event id, context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(u64);

impl Stamp {
    /// The stamp of a record of event `id` at `ticks`. Of `id`, the lower [`ID_BITS`] bits count.
    #[inline(always)]
    #[must_use]
    pub const fn new(id: u16, context: Context, ticks: u64) -> Self {
        Self::with_tail(tail(id, context), ticks)
    }

    /// The stamp with this [tail], at `ticks`.
    #[inline(always)]
    #[must_use]
    pub const fn with_tail(tail: u16, ticks: u64) -> Self {
        let time = ticks << (64 - TIME_BITS) >> (64 - TIME_BITS);
        Self(time | (tail as u64) << TIME_BITS)
    }

    /// Its bytes.
    #[inline(always)]
    #[must_use]
    pub const fn to_bytes(self) -> [u8; SIZE] {
        let [a, b, c, d, e, f, g, _] = self.0.to_le_bytes();
        [a, b, c, d, e, f, g]
    }

    /// Reads one.
    #[inline(always)]
    #[must_use]
    pub const fn from_bytes(bytes: [u8; SIZE]) -> Self {
        let [a, b, c, d, e, f, g] = bytes;
        Self(u64::from_le_bytes([a, b, c, d, e, f, g, 0]))
    }

    /// The lower [`TIME_BITS`] bits of the time, in ticks.
    #[inline(always)]
    #[must_use]
    pub const fn time(self) -> u64 {
        self.0 & ((1 << TIME_BITS) - 1)
    }

    /// The event id.
    #[inline(always)]
    #[must_use]
    pub const fn id(self) -> u16 {
        (self.0 >> TIME_BITS) as u16 & ((1 << ID_BITS) - 1)
    }

    /// The context; `None` if the bits are those of none.
    #[inline(always)]
    #[must_use]
    pub const fn context(self) -> Option<Context> {
        Context::from_number((self.0 >> (TIME_BITS + ID_BITS)) as u8)
    }
}

/// The last two bytes of a stamp, as a number: id and context.
#[inline(always)]
#[must_use]
pub const fn tail(id: u16, context: Context) -> u16 {
    id & ((1 << ID_BITS) - 1) | (context as u16) << ID_BITS
}

/// The same of a record with the id of a class: it is in range, and its upper bits need not be
/// cleared. Of another id, some of them are taken for the context.
#[inline(always)]
#[must_use]
pub const fn tail_of_class(id: u16, context: Context) -> u16 {
    id | (context as u16) << ID_BITS
}

/// The full time of a record, in ticks, from the bits in its stamp and a time that is less than
/// 2^40 ticks before it: the begin of its packet, or the record before.
#[inline]
#[must_use]
pub const fn extend(time: u64, earlier: u64) -> u64 {
    let later = time.wrapping_sub(earlier) & ((1 << TIME_BITS) - 1);
    earlier.wrapping_add(later)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        for context in Context::ALL {
            for id in [0, 1, 0x1234, EVENTS, (1 << ID_BITS) - 1] {
                for ticks in [0, 1, 0xFF_FFFF_FFFF, 1 << 40, u64::MAX] {
                    let stamp = Stamp::new(id, context, ticks);
                    assert_eq!(Stamp::from_bytes(stamp.to_bytes()), stamp);
                    assert_eq!((stamp.id(), stamp.context()), (id, Some(context)));
                    assert_eq!(stamp.time(), ticks & 0xFF_FFFF_FFFF);
                }
            }
        }
        assert_eq!(Stamp::from_bytes([0xFF; 7]).context(), None);
    }

    #[test]
    fn every_part_stands_where_the_format_says() {
        let bytes = Stamp::new(0x2345, Context::Nmi, 0x99_8877_6655_4433).to_bytes();
        assert_eq!(bytes, [0x33, 0x44, 0x55, 0x66, 0x77, 0x45, 0xA3]);
        assert_eq!(bytes[5..], tail(0x2345, Context::Nmi).to_le_bytes());
    }

    #[test]
    fn time_is_extended_over_the_wrap_of_its_lower_bits() {
        const BITS: u64 = (1 << TIME_BITS) - 1;
        for begin in [0, 5, BITS - 3, BITS, 1 << 50, u64::MAX - 10] {
            for later in [0, 1, 7, 1 << 39, BITS] {
                let ticks = begin.wrapping_add(later);
                assert_eq!(extend(ticks & BITS, begin), ticks);
            }
        }
    }
}
