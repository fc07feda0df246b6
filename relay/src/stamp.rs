//! How a record says when it was written and what it is: one word at its start.
//!
//! The word is 64 bits, little-endian, a single store: the lower 48 bits of the time above a 16-bit
//! event id. The ring knows this much of a record, and only so that it can store the time that it
//! has validated; the rest of the format is [`record`](crate::record).

/// Bytes of the header word of a record.
pub const HEADER: usize = 8;

/// Event ids from here on are fillers: those of a client's events are smaller.
pub const EVENTS: u16 = 0xFFFD;

/// The header of a record of event `id` at `ticks`. Arithmetic: any context.
#[inline(always)]
#[must_use]
pub const fn header(id: u16, ticks: u64) -> [u8; HEADER] {
    (ticks << 16 | id as u64).to_le_bytes()
}

/// The full time of a record, in ticks, from the 48 bits in its header and a time that is at most
/// 2^48 ticks before it: the begin of its packet, or the record before. Arithmetic: any context.
#[must_use]
pub const fn extend_ticks(low: u64, begin_ticks: u64) -> u64 {
    const MASK: u64 = u64::MAX >> 16;
    begin_ticks.wrapping_add(low.wrapping_sub(begin_ticks) & MASK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_extended_over_the_wrap_of_its_lower_bits() {
        const BITS: u64 = (1 << 48) - 1;
        for begin in [0, 5, BITS - 3, BITS, 1 << 50, u64::MAX - 10] {
            for later in [0, 1, 7, 1 << 40] {
                let ticks = begin.wrapping_add(later);
                assert_eq!(extend_ticks(ticks & BITS, begin), ticks);
            }
        }
    }
}
