//! The shape of a buffer: sizes, counts, reserves, mode.

use core::fmt;

/// What happens to a record for which there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The new record is refused and counted as lost (`full`); what is in the buffer stays.
    NoOverwrite,
    /// The oldest sub-buffer is overwritten, its records counted as overwritten (flight recorder).
    Continuous,
}

/// What becomes readable, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Whole sub-buffers, when they are complete.
    Bulk,
    /// Also each record of the open sub-buffer, as soon as it and all before it are committed: see
    /// [`Records::next_run`](crate::Records::next_run). Costs some work per record, and works only
    /// where nothing is overwritten. (relayfs called it packet delivery.)
    Record,
}

/// The validated shape of one buffer. Having a `Geometry` tells you:
///
/// - the sub-buffer size is a power of two of 8 bytes to 1 GiB, the number of sub-buffers a power
///   of two of 2 to 32768, there are at most 64 spare blocks, and the whole fits an address space;
/// - after `start_reserve`, `channel_start_reserve` and `end_reserve` at least 8 bytes of a
///   sub-buffer are left for records;
/// - it is not both overwritten and delivered record by record.
///
/// It is a value, made by [`new`](Self::new) and changed by what begins with `with_`, in a constant
/// or at run time, in any context:
///
/// ```
/// use relay::{Geometry, Mode};
/// // 16 times 4 KiB, of which 64 bytes are kept for a header; overwritten; two readers may hold a sub-buffer.
/// let geometry = Geometry::new(4096, 16)?
///     .with_reserves(64, 0)?
///     .with_mode(Mode::Continuous)?
///     .with_spares(2)?;
/// assert_eq!(geometry.max_record(), 4032);
/// # Ok::<(), relay::GeometryError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    pub(super) size_log2: u32,
    pub(super) count: u32,
    spares: u32,
    start_reserve: u32,
    /// Where records must end at the latest: the size less the end reserve.
    limit: u32,
    channel_start_reserve: u32,
    mode: Mode,
    delivery: Delivery,
}

/// Why a [`Geometry`] was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeometryError {
    /// The sub-buffer size in bytes is not a power of two from 8 to 2^30.
    SubbufSize(usize),
    /// The number of sub-buffers is not a power of two from 2 to 32768.
    SubbufCount(usize),
    /// More than 64 spare blocks.
    Spares(usize),
    /// Record delivery in continuous mode: a reader could not rely on a record that may be
    /// overwritten at any time.
    RecordDeliveryOverwrites,
    /// The reserves leave less than 8 bytes of a sub-buffer for records.
    Reserves {
        /// The sub-buffer size in bytes.
        subbuf_size: usize,
        /// What the reserves take together, in bytes.
        reserved: usize,
    },
    /// The whole buffer would not fit into the address space.
    TooLarge,
}

impl fmt::Display for GeometryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::SubbufSize(size) => write!(
                f,
                "the sub-buffer size is {size} bytes; it must be a power of two from 8 to 1073741824"
            ),
            Self::SubbufCount(count) => write!(
                f,
                "there are {count} sub-buffers; it must be a power of two from 2 to 32768"
            ),
            Self::Spares(spares) => {
                write!(f, "there are {spares} spare blocks; at most 64 can be kept")
            }
            Self::RecordDeliveryOverwrites => f.write_str(
                "delivery of single records needs a buffer that is not overwritten: use bulk delivery, or no-overwrite mode",
            ),
            Self::Reserves {
                subbuf_size,
                reserved,
            } => write!(
                f,
                "the reserves take {reserved} of {subbuf_size} bytes; at least 8 must be left for records"
            ),
            Self::TooLarge => f.write_str("the buffer would not fit into the address space"),
        }
    }
}

impl core::error::Error for GeometryError {}

impl Geometry {
    /// A no-overwrite buffer of `count` sub-buffers of `subbuf_size` bytes, without reserves and
    /// without spare blocks.
    ///
    /// # Errors
    /// Says which number is out of range, see [`GeometryError`].
    ///
    /// ```
    /// use relay::{Geometry, GeometryError};
    /// assert!(Geometry::new(4096, 8).is_ok());
    /// assert_eq!(Geometry::new(1000, 8), Err(GeometryError::SubbufSize(1000)));
    /// ```
    pub const fn new(subbuf_size: usize, count: usize) -> Result<Self, GeometryError> {
        if !subbuf_size.is_power_of_two() || subbuf_size < 8 || subbuf_size > 1 << 30 {
            return Err(GeometryError::SubbufSize(subbuf_size));
        }
        if !count.is_power_of_two() || count < 2 || count > 1 << 15 {
            return Err(GeometryError::SubbufCount(count));
        }
        let geometry = Self {
            size_log2: subbuf_size.trailing_zeros(),
            count: count as u32,
            spares: 0,
            start_reserve: 0,
            limit: subbuf_size as u32,
            channel_start_reserve: 0,
            mode: Mode::NoOverwrite,
            delivery: Delivery::Bulk,
        };
        geometry.check_total()
    }

    /// The same with `start` bytes at the start and `end` bytes at the end of every sub-buffer
    /// kept free for the client's packet header and trailer.
    ///
    /// # Errors
    /// [`GeometryError::Reserves`] if less than 8 bytes are left for records.
    pub const fn with_reserves(self, start: usize, end: usize) -> Result<Self, GeometryError> {
        self.with_all_reserves(start, end, self.channel_start_reserve())
    }

    /// The same with `bytes` bytes after the start reserve of the stream's very first sub-buffer,
    /// for the client's header of the whole stream
    /// ([`Hooks::channel_start`](crate::Hooks::channel_start)).
    ///
    /// # Errors
    /// [`GeometryError::Reserves`] if less than 8 bytes are left for records there.
    pub const fn with_channel_start_reserve(self, bytes: usize) -> Result<Self, GeometryError> {
        self.with_all_reserves(self.start_reserve(), self.end_reserve(), bytes)
    }

    const fn with_all_reserves(
        mut self,
        start: usize,
        end: usize,
        channel_start: usize,
    ) -> Result<Self, GeometryError> {
        let reserved = start.saturating_add(end).saturating_add(channel_start);
        if reserved > self.subbuf_size() - 8 {
            return Err(GeometryError::Reserves {
                subbuf_size: self.subbuf_size(),
                reserved,
            });
        }
        self.start_reserve = start as u32;
        self.limit = (self.subbuf_size() - end) as u32;
        self.channel_start_reserve = channel_start as u32;
        Ok(self)
    }

    /// The same in `mode`.
    ///
    /// # Errors
    /// [`GeometryError::RecordDeliveryOverwrites`].
    pub const fn with_mode(mut self, mode: Mode) -> Result<Self, GeometryError> {
        self.mode = mode;
        self.check_delivery()
    }

    /// The same with `delivery`.
    ///
    /// # Errors
    /// [`GeometryError::RecordDeliveryOverwrites`].
    pub const fn with_delivery(mut self, delivery: Delivery) -> Result<Self, GeometryError> {
        self.delivery = delivery;
        self.check_delivery()
    }

    const fn check_delivery(self) -> Result<Self, GeometryError> {
        match (self.mode, self.delivery) {
            (Mode::Continuous, Delivery::Record) => Err(GeometryError::RecordDeliveryOverwrites),
            _ => Ok(self),
        }
    }

    /// The same with `spares` blocks beside the buffer, for readers to exchange against readable
    /// sub-buffers: what a reader has taken then never stands in a writer's way.
    ///
    /// # Errors
    /// [`GeometryError::Spares`] if there are more than 64.
    pub const fn with_spares(mut self, spares: usize) -> Result<Self, GeometryError> {
        if spares > 64 {
            return Err(GeometryError::Spares(spares));
        }
        self.spares = spares as u32;
        self.check_total()
    }

    /// The same with `count` sub-buffers.
    ///
    /// # Errors
    /// [`GeometryError::SubbufCount`], [`GeometryError::TooLarge`].
    pub const fn with_count(mut self, count: usize) -> Result<Self, GeometryError> {
        if let Err(error) = Self::new(self.subbuf_size(), count) {
            return Err(error);
        }
        self.count = count as u32;
        self.check_total()
    }

    const fn check_total(self) -> Result<Self, GeometryError> {
        // 2^30 bytes times 2^15 blocks fits 64 bits; a margin is left for the control words.
        let total = (self.blocks() as u64) << self.size_log2;
        if total > (isize::MAX as u64) / 2 {
            return Err(GeometryError::TooLarge);
        }
        Ok(self)
    }

    /// Bytes in a sub-buffer.
    #[must_use]
    #[inline]
    pub const fn subbuf_size(&self) -> usize {
        1 << self.size_log2
    }

    /// Number of sub-buffers.
    #[must_use]
    #[inline]
    pub const fn subbuf_count(&self) -> usize {
        self.count as usize
    }

    /// Blocks of memory: one for each sub-buffer, and the spares.
    #[must_use]
    #[inline]
    pub const fn blocks(&self) -> usize {
        self.count as usize + self.spares as usize
    }

    /// Number of spare blocks.
    #[must_use]
    #[inline]
    pub const fn spares(&self) -> usize {
        self.spares as usize
    }

    /// Bytes kept free at the start of every sub-buffer.
    #[must_use]
    #[inline]
    pub const fn start_reserve(&self) -> usize {
        self.start_reserve as usize
    }

    /// Bytes kept free at the end of every sub-buffer.
    #[must_use]
    #[inline]
    pub const fn end_reserve(&self) -> usize {
        self.subbuf_size() - self.limit as usize
    }

    /// Bytes kept free after the start reserve of the stream's first sub-buffer.
    #[must_use]
    #[inline]
    pub const fn channel_start_reserve(&self) -> usize {
        self.channel_start_reserve as usize
    }

    /// What becomes readable, and when.
    #[must_use]
    #[inline]
    pub const fn delivery(&self) -> Delivery {
        self.delivery
    }

    /// What happens when the buffer is full.
    #[must_use]
    #[inline]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether a ring of `self` can follow one of `other` in the same stream: its client's
    /// reserves, its mode and its delivery are the same, only sizes and counts differ.
    #[must_use]
    pub(super) fn can_follow(&self, other: &Self) -> bool {
        let kind = |g: &Self| (g.start_reserve, g.end_reserve(), g.mode, g.delivery);
        kind(self) == kind(other)
    }

    /// The longest record that fits, in bytes: a sub-buffer less the reserves. (Behind a channel
    /// start reserve, less of it fits into the stream's first sub-buffer; a record that does not
    /// goes into the second.)
    #[must_use]
    #[inline]
    pub const fn max_record(&self) -> usize {
        (self.limit - self.start_reserve) as usize
    }

    /// Where records must end at the latest, in bytes from the start of the sub-buffer.
    #[inline]
    pub(super) const fn limit(&self) -> u64 {
        self.limit as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_numbers_are_refused_with_their_names() {
        for size in [0, 1, 4, 7, 12, 4095, 1 << 31, usize::MAX] {
            assert_eq!(Geometry::new(size, 4), Err(GeometryError::SubbufSize(size)));
        }
        for count in [0, 1, 3, 1 << 16, usize::MAX] {
            assert_eq!(
                Geometry::new(4096, count),
                Err(GeometryError::SubbufCount(count))
            );
        }
        let geometry = Geometry::new(64, 2).unwrap();
        assert_eq!(geometry.with_spares(65), Err(GeometryError::Spares(65)));
        assert!(geometry.with_reserves(40, 16).is_ok());
        for (start, end) in [(57, 0), (0, 57), (40, 17), (usize::MAX, usize::MAX)] {
            assert!(matches!(
                geometry.with_reserves(start, end),
                Err(GeometryError::Reserves {
                    subbuf_size: 64,
                    ..
                })
            ));
        }
        assert!(Geometry::new(1 << 30, 1 << 15).is_ok());
        // Records that are read one by one cannot be overwritten, whichever is asked for first.
        let overwriting = geometry.with_mode(Mode::Continuous).unwrap();
        let by_packet = geometry.with_delivery(Delivery::Record).unwrap();
        let refused = Err(GeometryError::RecordDeliveryOverwrites);
        assert_eq!(overwriting.with_delivery(Delivery::Record), refused);
        assert_eq!(by_packet.with_mode(Mode::Continuous), refused);
    }

    #[test]
    fn a_ring_is_followed_by_one_of_its_kind() {
        let ring = Geometry::new(64, 4).unwrap();
        let other_size = Geometry::new(128, 8).unwrap().with_spares(2).unwrap();
        assert!(other_size.can_follow(&ring));
        for other in [
            ring.with_reserves(1, 0),
            ring.with_reserves(0, 1),
            ring.with_mode(Mode::Continuous),
            ring.with_delivery(Delivery::Record),
        ] {
            assert!(!other.unwrap().can_follow(&ring));
        }
    }
}
