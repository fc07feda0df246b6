//! Positions, and the numbers of packets: what wraps.

use super::geometry::{Delivery, Geometry};
use core::fmt;

/// A place in the endless sequence of bytes that passes through a ring: `SEALED | byte`, the flag
/// in the highest bit.
///
/// Positions only grow, and are compared modulo 2^63: nothing happens where they wrap. They wrap
/// where a packet ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Position(pub(super) u64);

impl Position {
    const SEALED: u64 = 1 << 63;
    /// The bits that say where it is.
    const BYTES: u64 = !Self::SEALED;

    /// Whether no reservation may succeed any more.
    #[inline]
    pub(super) const fn is_sealed(self) -> bool {
        self.0 & Self::SEALED != 0
    }

    /// The same place, sealed.
    #[inline]
    pub(super) const fn sealed(self) -> Self {
        Self(self.0 | Self::SEALED)
    }

    /// The same place, not sealed.
    #[inline]
    pub(super) const fn unsealed(self) -> Self {
        Self(self.0 & Self::BYTES)
    }

    /// How many bytes this lies after `start`, modulo.
    #[inline]
    pub(super) const fn since(self, start: Self) -> u64 {
        self.0.wrapping_sub(start.0) & Self::BYTES
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.is_sealed() { " sealed" } else { "" };
        write!(f, "{:#x}{mark}", self.unsealed().0)
    }
}

/// No record is longer, in bytes: no sub-buffer is.
pub(super) const MAX_RECORD: u64 = 1 << 30;

/// What lies where in a ring of this shape.
impl Geometry {
    /// The index of packet `packet`'s entry and commit word.
    #[inline]
    pub(super) const fn index(&self, packet: u64) -> usize {
        (packet & (self.count as u64 - 1)) as usize
    }

    /// The number of the packet that `position` lies in.
    #[inline]
    pub(super) const fn packet(&self, position: Position) -> u64 {
        position.unsealed().0 >> self.size_log2
    }

    /// Bytes from the start of its sub-buffer to `position`.
    #[inline]
    pub(super) const fn offset(&self, position: Position) -> u64 {
        position.0 & ((1u64 << self.size_log2) - 1)
    }

    /// The position `offset` bytes into packet `packet`, not sealed. An offset of a whole
    /// sub-buffer is the start of the next packet.
    #[inline]
    pub(super) const fn position(&self, packet: u64, offset: u64) -> Position {
        Position((packet << self.size_log2).wrapping_add(offset)).unsealed()
    }

    /// The packet after `packet`, modulo the number of packets a position can tell apart.
    #[inline]
    pub(super) const fn after(&self, packet: u64) -> u64 {
        packet.wrapping_add(1) & self.packet_mask()
    }

    /// How far packet `from` lies before packet `to`, modulo.
    #[inline]
    pub(super) const fn distance(&self, from: u64, to: u64) -> u64 {
        to.wrapping_sub(from) & self.packet_mask()
    }

    /// Whether so few packets lie between `packet` and the end of the range of positions that what
    /// is known of `packet` may still be found when the position has come round to 0: a lap for the
    /// packet itself, a lap for the next one in its place, and the longest record.
    #[inline]
    pub(super) const fn is_near_the_end(&self, packet: u64) -> bool {
        let left = self.packet_mask() - packet;
        left <= 2 * self.count as u64 + (MAX_RECORD >> self.size_log2)
    }

    /// The position that a record of `packet` must end before to be written the fast way: where its
    /// packet is full. 0, before which nothing ends, where none is written so: where commits must
    /// be looked at one by one, and near the end of the range, so that positions that are compared
    /// need no look at where they wrap.
    #[inline]
    pub(super) const fn fast_bound(&self, packet: u64) -> u64 {
        if matches!(self.delivery(), Delivery::Record) || self.is_near_the_end(packet) {
            return 0;
        }
        self.position(packet, self.limit()).0
    }

    /// `packet` minus `back`, modulo.
    #[inline]
    pub(super) const fn before(&self, packet: u64, back: u64) -> u64 {
        packet.wrapping_sub(back) & self.packet_mask()
    }

    #[inline]
    const fn packet_mask(&self) -> u64 {
        Position::BYTES >> self.size_log2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_shows_its_byte_and_its_seal() {
        extern crate std;
        let position = Geometry::new(64, 4).unwrap().position(2, 5);
        assert_eq!(std::format!("{position:?}"), "0x85");
        assert_eq!(std::format!("{:?}", position.sealed()), "0x85 sealed");
        assert_eq!(position.sealed().sealed(), position.sealed());
        assert_eq!(position.sealed().unsealed(), position);
    }

    #[test]
    fn positions_wrap_without_a_seam() {
        let geometry = Geometry::new(64, 4).unwrap();
        let last = u64::MAX >> 7;
        let end = geometry.position(last, 60);
        assert_eq!(geometry.packet(end), last);
        assert_eq!(geometry.offset(end), 60);
        let next = Position(end.0 + 4).unsealed();
        assert_eq!(geometry.packet(next), 0);
        assert_eq!(geometry.offset(next), 0);
        assert_eq!(next, geometry.position(last, 64));
        assert_eq!(next, geometry.position(geometry.after(last), 0));
        assert_eq!(next.sealed().since(end), 4);
        assert_eq!(geometry.distance(last, 1), 2);
        assert_eq!(geometry.before(1, 2), last);
        assert_eq!(geometry.index(last), 3);
        assert!(geometry.is_near_the_end(last) && !geometry.is_near_the_end(0));
        let first_near = last - 8 - (MAX_RECORD >> 6);
        assert!(geometry.is_near_the_end(first_near));
        assert!(!geometry.is_near_the_end(first_near - 1));
    }
}
