//! Readers that do not consume: they copy complete sub-buffers, and leave them where they are.
//!
//! ```text
//! copy:  as for the consuming reader, with {k, LENT, spare or the same block}
//!        copied: CAS back to {k, READABLE, block}, LOCKed; that fails: it was overwritten, and the block is the spare now
//! ```
//!
//! In continuous mode one of the spare blocks stands in for the packet's meanwhile, so that the
//! owner can overwrite it without waiting for the copy. In no-overwrite mode nobody can want the
//! block before it is back, so none is needed.

use super::chain::RingHold;
use super::entry::{Entry, State};
use super::geometry::Mode;
use super::packet::Packet;
use super::spares::{Purpose, Spare};
use super::stream::Stream;
use super::words::Ring;
use crate::sync::Ordering;
use crate::sync::step::{Mistake, broken, step};
use core::fmt;
use core::ops::ControlFlow;

/// A reader of a stream that consumes nothing: any number of them, beside the one that does. It
/// copies complete sub-buffers, each at most once, in order; what is consumed or overwritten before
/// it comes by is passed over (the [ordinals](Packet::ordinal) show it).
///
/// Any CPU, task or IRQ context, one call at a time. Writers never wait for it. In continuous mode
/// it needs a
/// [spare block](crate::Geometry::with_spares) while it copies.
///
/// ```
/// # use relay::host::{Cpu, Host};
/// # use relay::{Channel, Geometry, NoHooks, Storage};
/// # static LOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
/// # let cpu = Cpu::claim();
/// # let geometry = Geometry::new(1024, 4)?;
/// # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
/// for text in ["one", "two"] {
///     LOG.write(text.as_bytes())?;
///     LOG.flush();
/// }
/// let mut observer = LOG.observe(cpu.number())?;
/// let mut copy = [0; 1024];
/// let mut newest_first = Vec::new();
/// observer.read_last(8, &mut copy, |_, bytes| newest_first.push(bytes.to_vec()))?;
/// assert_eq!(newest_first, [b"two", b"one"]);
///
/// let oldest = observer.next_copy(&mut copy)?.unwrap();
/// assert_eq!(&copy[..oldest.content], b"one");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Observer<'a> {
    stream: &'a Stream,
    cpu: usize,
    ring: RingHold<'a>,
    cursor: u64,
}

/// Why nothing was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObserveError {
    /// The sub-buffer does not fit into the memory given.
    TooSmall {
        /// Bytes given.
        given: usize,
        /// Bytes needed.
        needed: usize,
    },
    /// Somebody else is just copying it, or has the spare block that is needed for that: try again.
    Busy,
    /// The ring is overwritten and has no spare blocks, without which nothing can be read safely:
    /// see [`Geometry::with_spares`](crate::Geometry::with_spares).
    NoSpares,
}

impl fmt::Display for ObserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooSmall { given, needed } => {
                write!(
                    f,
                    "the sub-buffer has {needed} bytes, there is room for {given}"
                )
            }
            Self::Busy => f.write_str("the sub-buffer is just being copied; try again"),
            Self::NoSpares => f.write_str(
                "a ring that is overwritten can be observed only if it has a spare block",
            ),
        }
    }
}

impl core::error::Error for ObserveError {}

impl<'a> Observer<'a> {
    /// A reader that begins with the oldest packet; `None` before the start.
    pub(crate) fn open(stream: &'a Stream, cpu: usize) -> Option<Self> {
        let ring = stream.hold_first()?;
        Some(Self {
            stream,
            cpu,
            cursor: ring.first,
            ring,
        })
    }

    /// Copies the next complete sub-buffer to the start of `into`, without its padding: start
    /// reserve, records, [`content`](Packet::content) bytes in all. `Ok(None)` if there is none
    /// yet.
    ///
    /// # Errors
    /// [`ObserveError`]; the same sub-buffer is next again.
    pub fn next_copy(&mut self, into: &mut [u8]) -> Result<Option<Packet>, ObserveError> {
        while self.ring.seek(&mut self.cursor).is_some() {
            let copied = self.ring.copy_packet(self.cursor, self.cpu, into)?;
            self.cursor = self.ring.geometry.after(self.cursor);
            if copied.is_some() {
                return Ok(copied);
            }
        }
        Ok(None)
    }

    /// Shows the next complete sub-buffer where it lies: calls `look` with what is known of it and
    /// its bytes, without its padding. Goes on behind it if `look` says `Ok`; else it is next again.
    /// `Ok(None)` if there is none yet.
    ///
    /// During the call the sub-buffer is lent: no reader takes it and no other observer copies it.
    /// So be quick, and neither sleep in `look` nor leak what it is in.
    ///
    /// # Errors
    /// [`ObserveError`], or what `look` says.
    ///
    /// ```
    /// # use relay::host::{Cpu, Host};
    /// # use relay::{Channel, Geometry, NoHooks, ObserveError, Storage};
    /// # static LOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
    /// # let cpu = Cpu::claim();
    /// # let geometry = Geometry::new(1024, 4)?;
    /// # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
    /// LOG.write(b"hello")?;
    /// LOG.flush();
    /// let mut observer = LOG.observe(cpu.number())?;
    /// let not_now: Result<Option<()>, _> = observer.next_with(|_, _| Err(ObserveError::Busy));
    /// assert_eq!(not_now, Err(ObserveError::Busy));
    /// let length = observer.next_with(|_, bytes| Ok::<_, ObserveError>(bytes.len()))?;
    /// assert_eq!(length, Some(5));
    /// assert_eq!(observer.next_with(|_, _| Ok::<_, ObserveError>(()))?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_with<R, E: From<ObserveError>>(
        &mut self,
        look: impl FnOnce(&Packet, &[u8]) -> Result<R, E>,
    ) -> Result<Option<R>, E> {
        let mut look = Some(look);
        while self.ring.seek(&mut self.cursor).is_some() {
            let looked = self
                .ring
                .with_packet(self.cursor, self.cpu, |packet, bytes| {
                    look.take().map(|look| look(packet, bytes))
                })?;
            let looked = looked.flatten().transpose()?;
            self.cursor = self.ring.geometry.after(self.cursor);
            if looked.is_some() {
                return Ok(looked);
            }
        }
        Ok(None)
    }

    /// Copies the newest complete sub-buffers, newest first, at most `count`, whether this reader
    /// has seen them or not: calls `each` with what is known of each and its bytes, which lie in
    /// `into` during the call. Stops where one is gone: consumed or overwritten. Returns how many
    /// there were.
    ///
    /// Rings that were replaced are not looked at. [`next_copy`](Self::next_copy) goes on where it
    /// was.
    ///
    /// # Errors
    /// [`ObserveError`], if it is the first that cannot be copied; a later one that cannot is as if
    /// it were gone.
    pub fn read_last(
        &self,
        count: usize,
        into: &mut [u8],
        mut each: impl FnMut(&Packet, &[u8]),
    ) -> Result<usize, ObserveError> {
        let ring = self.newest();
        let geometry = &ring.geometry;
        let end = geometry.packet(ring.visible());
        let there = geometry.distance(ring.first, end);
        let there = there.min(geometry.subbuf_count() as u64);
        let mut seen = 0;
        for back in 1..=there {
            if seen == count {
                break;
            }
            let packet = geometry.before(end, back);
            match ring.copy_packet(packet, self.cpu, into) {
                Ok(Some(packet)) => each(&packet, &into[..packet.content.min(into.len())]),
                Err(error) if seen == 0 => return Err(error),
                Ok(None) | Err(_) => break,
            }
            seen += 1;
        }
        Ok(seen)
    }

    /// Shows the newest complete sub-buffers where they lie, newest first, as
    /// [`next_with`](Self::next_with) does: until `look` breaks off, or one is gone, or is just
    /// copied by somebody else. Rings that were replaced are not looked at.
    ///
    /// # Errors
    /// [`ObserveError`], if it is the first that cannot be seen; a later one that cannot is as if it
    /// were gone.
    ///
    /// ```
    /// # use relay::host::{Cpu, Host};
    /// # use relay::{Channel, Geometry, NoHooks, Storage};
    /// # static LOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
    /// # let cpu = Cpu::claim();
    /// # let geometry = Geometry::new(1024, 4)?;
    /// # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
    /// use core::ops::ControlFlow;
    ///
    /// for text in ["one", "two", "three"] {
    ///     LOG.write(text.as_bytes())?;
    ///     LOG.flush();
    /// }
    /// let mut newest_first = Vec::new();
    /// LOG.observe(cpu.number())?.newest_with(|_, bytes| {
    ///     newest_first.push(bytes.to_vec());
    ///     match newest_first.len() {
    ///         2 => ControlFlow::Break(()),
    ///         _ => ControlFlow::Continue(()),
    ///     }
    /// })?;
    /// assert_eq!(newest_first, [&b"three"[..], b"two"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn newest_with(
        &self,
        mut look: impl FnMut(&Packet, &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ObserveError> {
        let ring = self.newest();
        let geometry = &ring.geometry;
        let end = geometry.packet(ring.visible());
        let there = geometry.distance(ring.first, end);
        let there = there.min(geometry.subbuf_count() as u64);
        for back in 1..=there {
            match ring.with_packet(geometry.before(end, back), self.cpu, &mut look) {
                Ok(Some(ControlFlow::Continue(()))) => {}
                Err(error) if back == 1 => return Err(error),
                Ok(_) | Err(_) => break,
            }
        }
        Ok(())
    }

    /// The newest ring.
    fn newest(&self) -> RingHold<'a> {
        let mut newest = self.ring.clone();
        while let Some(next) = newest.successor() {
            newest = next;
        }
        newest
    }

    /// Whether there is a complete sub-buffer that this reader has not seen; somebody else may just
    /// copy it, or be faster.
    #[must_use]
    pub fn is_readable(&mut self) -> bool {
        self.ring.seek(&mut self.cursor).is_some()
    }

    /// Whether everything was seen and nothing more will come: the stream was closed.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.ring.is_end(self.cursor)
    }

    /// Asks the owner to hand over its open packet at its next [tick](crate::Channel::tick).
    pub fn request_flush(&self) {
        self.stream.want_flush();
    }

    /// As [`Reader::prepare_to_sleep`](crate::Reader::prepare_to_sleep): true if there is nothing
    /// to copy, and whatever comes will wake.
    #[must_use = "whether to sleep"]
    pub fn prepare_to_sleep(&mut self) -> bool {
        self.stream.announce_sleep();
        let visible = self.ring.visible();
        let has_more = self.ring.geometry.packet(visible) != self.cursor;
        !has_more && !visible.is_sealed()
    }
}

impl fmt::Debug for Observer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer")
            .field("cpu", &self.cpu)
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

impl Ring {
    /// Copies packet `packet`, if it is readable, to the start of `into`.
    fn copy_packet(
        &self,
        packet: u64,
        cpu: usize,
        into: &mut [u8],
    ) -> Result<Option<Packet>, ObserveError> {
        let copied = self.with_packet(packet, cpu, |packet, bytes| {
            let (given, needed) = (into.len(), bytes.len());
            let place = into
                .get_mut(..needed)
                .ok_or(ObserveError::TooSmall { given, needed })?;
            place.copy_from_slice(bytes);
            step();
            Ok(*packet)
        })?;
        copied.transpose()
    }

    /// Calls `look` with packet `packet`, if it is readable, while it is lent.
    fn with_packet<R>(
        &self,
        packet: u64,
        cpu: usize,
        look: impl FnOnce(&Packet, &[u8]) -> R,
    ) -> Result<Option<R>, ObserveError> {
        loop {
            let entry = self.entry(packet);
            if !entry.is_packet(packet) {
                return Ok(None);
            }
            match entry.state() {
                State::Readable => {}
                State::Lent => return Err(ObserveError::Busy),
                State::Empty | State::Writing | State::Taken => return Ok(None),
            }
            let Some(loan) = self.lend(packet, entry, cpu)? else {
                if broken(Mistake::BusyInsteadOfGone) {
                    return Err(ObserveError::Busy);
                }
                continue;
            };
            // SAFETY: as long as the loan lasts, nobody writes to the block.
            let bytes = unsafe { self.slice(entry.block(), 0, loan.packet.content) };
            return Ok(Some(look(&loan.packet, bytes)));
        }
    }

    /// Lends packet `packet`, whose entry was `entry`; `None` if somebody was faster.
    pub(super) fn lend(
        &self,
        packet: u64,
        entry: Entry,
        cpu: usize,
    ) -> Result<Option<Loan<'_>>, ObserveError> {
        let info = self.info(entry.block());
        let stand_in = match self.geometry.mode() {
            Mode::NoOverwrite => None,
            Mode::Continuous if self.geometry.spares() == 0 => return Err(ObserveError::NoSpares),
            Mode::Continuous => {
                let spare = self.take_spare(Purpose::Lend(entry.block()));
                Some(spare.ok_or(ObserveError::Busy)?)
            }
        };
        if let Some(spare) = &stand_in {
            self.info(spare.block).stand_for(info, cpu);
        }
        let block = stand_in.as_ref().map_or(entry.block(), |spare| spare.block);
        let lent = entry.exchanged(block, State::Lent);
        let word = &self.sub(packet).entry;
        // Release: the owner that overwrites it reads the stand-in's count. Acquire: pairs with the
        // Release that made it readable. If the owner has overwritten it meanwhile, this fails, and
        // what was read of its description is not used.
        if word
            .compare_exchange(entry.0, lent.0, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            if let Some(spare) = stand_in {
                spare.give_back(self, spare.block);
            }
            return Ok(None);
        }
        Ok(Some(Loan {
            ring: self,
            number: packet,
            readable: entry,
            lent,
            stand_in,
            packet: info.load(cpu, self.records_start(packet)),
        }))
    }
}

/// A sub-buffer that is lent: nobody writes to its block, and no reader takes it. Dropping it gives
/// it back.
pub(super) struct Loan<'r> {
    ring: &'r Ring,
    number: u64,
    readable: Entry,
    lent: Entry,
    /// What is in the ring for it; `None`: it is where it was.
    stand_in: Option<Spare>,
    packet: Packet,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        // Release: the owner that prepares the block next sees that reading is over.
        let is_back = self
            .ring
            .sub(self.number)
            .entry
            .compare_exchange(
                self.lent.0,
                self.readable.0,
                Ordering::AcqRel,
                Ordering::Acquire,
            )
            .is_ok();
        if let Some(spare) = &self.stand_in {
            // Whichever block is not in the ring now is the spare.
            let left = if is_back { self.lent } else { self.readable };
            spare.give_back(self.ring, left.block());
        }
    }
}
