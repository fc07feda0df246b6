//! Waiting for something that moves.

use super::clock::Timeout;

/// Waits as long as something moves, and so long after its last move. For patience, never for
/// correctness.
#[derive(Debug)]
pub(crate) struct Patience {
    ms: u64,
    timeout: Timeout,
    seen: u64,
}

impl Patience {
    /// Begins to wait for something that has `moved` so far; gives up when it has not for this many
    /// milliseconds.
    pub(crate) fn after_ms(ms: u64, moved: u64) -> Self {
        Self {
            ms,
            timeout: Timeout::after_ms(ms),
            seen: moved,
        }
    }

    /// Whether it is over, if it has `moved` so far: any number that is another after each move.
    pub(crate) fn is_over(&mut self, moved: u64) -> bool {
        if moved != self.seen {
            *self = Self::after_ms(self.ms, moved);
        }
        self.timeout.expired()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_when_nothing_has_moved_for_so_long() {
        let mut patience = Patience::after_ms(u64::MAX / 4_000_000_000, 7);
        assert!(!patience.is_over(7));
        let mut patience = Patience::after_ms(0, 7);
        assert!(patience.is_over(7));
        assert!(patience.is_over(8), "no time at all is over at once");
    }

    #[test]
    fn a_move_begins_it_anew() {
        // Longer than this may be kept from running between two looks at the clock.
        let mut patience = Patience::after_ms(500, 0);
        let long = Timeout::after_ms(750);
        let mut moved = 0;
        while !long.expired() {
            moved += 1;
            assert!(!patience.is_over(moved), "it moves all the time");
        }
        while !patience.is_over(moved) {}
    }
}
