//! The one conversion between counts of clocks with different rates.

/// `count * to / from`, rounded down, without overflow in between; the greatest
/// value when the result (or a `from` of 0) has no room in 64 bits.
///
/// With `count` counts of a clock of `from` Hz it is the same time on one of `to`
/// Hz; with counts of two clocks over the same time it is the unknown rate.
pub(crate) fn scale(count: u64, to: u64, from: u64) -> u64 {
    if from == 0 {
        return u64::MAX;
    }
    let product = u128::from(count) * u128::from(to);
    u64::try_from(product / u128::from(from)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::scale;

    #[test]
    fn an_unknown_rate_follows_from_counts_over_the_same_time() {
        // 10 ms by a 100 MHz HPET in which the TSC advanced by 22 945 123.
        assert_eq!(scale(22_945_123, 100_000_000, 1_000_000), 2_294_512_300);
        // 10 ms by the PIT.
        assert_eq!(scale(23_000_000, 1_193_182, 11_931), 2_300_158_075);
    }

    #[test]
    fn nothing_overflows() {
        assert_eq!(scale(u64::MAX, u64::MAX, u64::MAX), u64::MAX);
        assert_eq!(scale(u64::MAX, 2, 1), u64::MAX);
        assert_eq!(
            scale(u64::MAX, 1_000_000_000, 2_300_000_000),
            8_020_323_510_308_500_702
        );
        assert_eq!(scale(5, 5, 0), u64::MAX);
        assert_eq!(scale(0, 5, 1), 0);
    }
}
