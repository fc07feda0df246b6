//! The entry word: which packet a sub-buffer holds, in what state, in which block of memory.

use core::fmt;

/// What may be done with a sub-buffer, and by whom.
///
/// ```text
///            owner prepares              owner delivers
///   EMPTY ----------------> WRITING ----------------------> READABLE <---- copied: comes back ----.
///     ^                        ^                             |  |  |                              |
///     |                        +--- owner overwrites --------+  |  +--- another reader copies --> LENT
///     |                             (continuous mode)  <--------|-------- owner overwrites -------'
///     +---------------- reader exchanges for a spare -----------+
///     +---- reader gives back ---- TAKEN <---- reader takes ----+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Free: the owner may prepare it for a packet.
    Empty,
    /// The owner writes packet `packet` into it.
    Writing,
    /// Packet `packet` is complete: a reader may take it, in continuous mode the owner may
    /// overwrite it.
    Readable,
    /// A reader reads it in place: nobody else may touch it.
    Taken,
    /// A reader that does not consume copies packet `packet`, and gives it back. In continuous mode
    /// it has the packet's block, and the entry names a spare of the reader's: the owner may
    /// overwrite it.
    Lent,
}

impl State {
    /// Whether nobody has taken the packet, and it may be overwritten in continuous mode.
    #[inline]
    pub(super) const fn is_unread(self) -> bool {
        matches!(self, Self::Readable | Self::Lent)
    }
}

/// `packet << 19 | block << 3 | state`. Packet numbers are kept modulo 2^45: two laps that far
/// apart are never alive together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry(pub(super) u64);

impl Entry {
    const PACKET_SHIFT: u32 = 19;
    const BLOCK_SHIFT: u32 = 3;
    const STATE_MASK: u64 = 7;
    const PACKET_MASK: u64 = u64::MAX >> Self::PACKET_SHIFT;

    /// The word for `packet` in `state` in block `block`.
    #[inline]
    pub(super) const fn new(packet: u64, state: State, block: usize) -> Self {
        Self(
            packet << Self::PACKET_SHIFT
                | ((block & 0xFFFF) as u64) << Self::BLOCK_SHIFT
                | state as u64,
        )
    }

    /// The number of its packet, modulo 2^45.
    #[inline]
    pub(super) const fn packet(self) -> u64 {
        self.0 >> Self::PACKET_SHIFT
    }

    /// Whether this entry is about packet `packet`.
    #[inline]
    pub(super) const fn is_packet(self, packet: u64) -> bool {
        self.packet() == packet & Self::PACKET_MASK
    }

    /// The state.
    #[inline]
    pub(super) const fn state(self) -> State {
        match self.0 & Self::STATE_MASK {
            0 => State::Empty,
            1 => State::Writing,
            2 => State::Readable,
            3 => State::Taken,
            _ => State::Lent,
        }
    }

    /// The number of the block.
    #[inline]
    pub(super) const fn block(self) -> usize {
        (self.0 >> Self::BLOCK_SHIFT) as usize & 0xFFFF
    }

    /// The same packet and block in another state.
    #[inline]
    pub(super) const fn with_state(self, state: State) -> Self {
        Self(self.0 & !Self::STATE_MASK | state as u64)
    }

    /// The same packet in `state`, with `block` in its place.
    #[inline]
    pub(super) const fn exchanged(self, block: usize, state: State) -> Self {
        let packet = self.0 & !((1 << Self::PACKET_SHIFT) - 1);
        Self(packet | ((block & 0xFFFF) as u64) << Self::BLOCK_SHIFT | state as u64)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (packet, state, block) = (self.packet(), self.state(), self.block());
        write!(f, "packet {packet} {state:?} block {block}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_parts_do_not_touch_each_other() {
        for packet in [0, 1, (1 << 45) - 1] {
            for block in [0, 1, 0xFFFF] {
                for state in [
                    State::Empty,
                    State::Writing,
                    State::Readable,
                    State::Taken,
                    State::Lent,
                ] {
                    let entry = Entry::new(packet, state, block);
                    assert!(entry.is_packet(packet));
                    assert!(entry.is_packet(packet.wrapping_add(1 << 45)));
                    assert!(!entry.is_packet(packet ^ 1));
                    assert_eq!(entry.state(), state);
                    assert_eq!(entry.block(), block);
                    assert_eq!(
                        entry.with_state(State::Taken),
                        Entry::new(packet, State::Taken, block)
                    );
                    assert_eq!(
                        entry.exchanged(7, State::Lent),
                        Entry::new(packet, State::Lent, 7)
                    );
                }
            }
        }
    }
}
