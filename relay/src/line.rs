//! Packets on a serial line: a drain for anything that takes bytes and answers nothing.
//!
//! A UART, a debug port, a pipe: such a line cannot be asked what has arrived, other software may
//! write text to it, and it may lose bytes. A [`Line`] makes each packet a
//! [frame](mod@relay_format::frame), so that a reader finds the next one whatever has happened
//! before; and repeats the metadata within a tenth of what the line carries, so that a reader who
//! comes late can read what comes from then on. `relayctl record --from tty:PATH` is such a reader;
//! `docs/FORMAT.md` of the project has the frames byte by byte.
//!
//! It needs no heap, only a buffer for one frame ([`buffer_size`]). A packet is copied once, into
//! that buffer, and stays taken until all of it was given to the line, so that a panic finds it in
//! its ring. Nobody waits: what the line does not take stays in the ring, and what has no room
//! there is lost and counted, as everywhere.
//!
//! ```
//! use relay::ctf::{self, Packets, Uuid};
//! use relay::line::{self, Line};
//! # use relay::{Channel, Geometry, Platform, StaticMemory, Storage};
//! # struct OneCpu;
//! # // SAFETY: there is one CPU, and this program has one thread.
//! # unsafe impl Platform for OneCpu {
//! #     type Pinned = ();
//! #     fn pin(&self) -> (usize, ()) { (0, ()) }
//! #     unsafe fn unpin(&self, (): ()) {}
//! #     fn now(&self) -> u64 { 7 }
//! # }
//! # const GEOMETRY: Geometry = match Geometry::new(1024, 4) {
//! #     Ok(geometry) => match geometry.with_reserves(ctf::HEADER, 0) {
//! #         Ok(geometry) => geometry,
//! #         Err(_) => panic!(),
//! #     },
//! #     Err(_) => panic!(),
//! # };
//! # static MEMORY: StaticMemory<{ Storage::bytes_for(&GEOMETRY) }> = StaticMemory::new();
//! # static UUID: Uuid = Uuid::new();
//! # static PACKETS: Packets = Packets::new(1, &UUID);
//! # static CHANNEL: Channel<OneCpu, 1> = Channel::new(OneCpu, &PACKETS);
//! # CHANNEL.start(0, MEMORY.take().unwrap(), GEOMETRY).unwrap();
//! # CHANNEL.write(&[0; 16]).unwrap();
//! # CHANNEL.flush();
//! let mut reader = CHANNEL.reader(0).unwrap();
//! let mut buffer = [0; line::buffer_size(1024)];
//! let mut line = Line::new(&mut buffer);
//! let mut uart = Vec::new();
//! // In the idle loop, and in the timer interrupt. If nothing has come for a while, let the line
//! // know by `idle`, so that it repeats the metadata.
//! line.run(
//!     || reader.next_subbuf(),
//!     // As much as it takes now, which is 16 bytes where there is a FIFO.
//!     |bytes| { uart.extend_from_slice(bytes); bytes.len() },
//! );
//! assert_eq!(line.sent().frames, 1);
//! assert_eq!((uart[0], uart[uart.len() - 1]), (0, 0));
//! ```

use core::fmt;

use relay_format::frame::{self, NoRoom};
use relay_format::packet::{Header, SIZE};

use crate::ctf;
use crate::ring::SubBuffer;

pub use relay_format::frame::{DELIMITER, MAX_PACKET};

/// Of so many bytes of the line one may be metadata that is repeated.
const SHARE: u64 = 10;

/// Bytes that a buffer needs for frames of sub-buffers of `subbuf_size` bytes.
#[must_use]
pub const fn buffer_size(subbuf_size: usize) -> usize {
    frame::max_size(subbuf_size)
}

/// Makes a frame of a packet that comes in pieces, such as a [copy](ctf::salvage::PacketCopy) of what a
/// stopped CPU left, at the beginning of `buffer`, which has [`buffer_size`]; how many bytes it has.
///
/// Any context.
///
/// # Errors
///
/// [`NoRoom`].
pub fn frame<'p>(
    pieces: impl IntoIterator<Item = &'p [u8]>,
    buffer: &mut [u8],
) -> Result<usize, NoRoom> {
    frame::write(pieces, buffer)
}

/// What went over a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// Frames, all of whose bytes were taken; those of the metadata, too.
    pub frames: u64,
    /// Bytes that were taken.
    pub bytes: u64,
    /// Those of them that were of the metadata.
    pub metadata_bytes: u64,
    /// Those of them that were of [messages](Line::message).
    pub message_bytes: u64,
    /// Packets that [`Line::run`] has left out, because a frame of them does not fit the buffer.
    pub left_out: u64,
}

/// A packet that a line does not take.
#[derive(Debug)]
pub enum Refused<'a> {
    /// Something is being sent: [`Line::send`] first.
    Busy(SubBuffer<'a>),
    /// A frame of it does not fit the buffer, which has [`buffer_size`] of a smaller one; or it is
    /// larger than any frame takes, [`MAX_PACKET`].
    TooLarge(SubBuffer<'a>),
}

/// Metadata that no line can send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undescribed {
    /// At this place of it no packet begins.
    NoPacket(usize),
    /// A frame of a packet of so many bytes does not fit the buffer.
    TooLarge(usize),
}

impl fmt::Display for Undescribed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPacket(at) => write!(
                f,
                "the metadata should be whole packets, and at byte {at} there is none"
            ),
            Self::TooLarge(size) => write!(
                f,
                "a packet of {size} bytes of the metadata needs a buffer of {} bytes, and fits no \
                 frame above {}",
                buffer_size(*size),
                MAX_PACKET
            ),
        }
    }
}

impl core::error::Error for Undescribed {}

/// The packets of the metadata, and when they are due.
#[derive(Debug, Default)]
struct Description<'a> {
    packets: &'a [u8],
    /// The one that is next.
    at: usize,
    /// So many bytes of packets are due at once: nobody can read anything before.
    pressing: usize,
    /// Bytes of the line that metadata may follow: nine for one.
    credit: u64,
}

/// What a frame was made of.
enum Loaded<'a> {
    Metadata,
    /// A packet, which is given back when the frame was sent.
    Packet(#[expect(dead_code, reason = "it is kept until it is dropped")] SubBuffer<'a>),
    Message,
}

/// A serial line, which takes packets and gives bytes. See the [module](self).
///
/// Task and IRQ context, whoever has it; none of its functions waits.
pub struct Line<'a> {
    /// Where a frame is put together.
    buffer: &'a mut [u8],
    /// What of it is still to be sent.
    at: usize,
    end: usize,
    /// What it was made of.
    loaded: Loaded<'a>,
    description: Description<'a>,
    sent: Sent,
}

impl fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("unsent", &(self.end - self.at))
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}

/// The size of the packet that `packets` begins with, if that is one.
fn first_size(packets: &[u8]) -> Option<usize> {
    let header = Header::from_bytes(packets.first_chunk::<SIZE>()?);
    let size = usize::try_from(header.packet_size / 8).ok()?;
    let is_sound = header.magic == ctf::MAGIC && (SIZE..=packets.len()).contains(&size);
    is_sound.then_some(size)
}

impl<'a> Line<'a> {
    /// A line that has sent nothing. `buffer` limits the packets that it can take:
    /// [`buffer_size`].
    #[must_use]
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self {
            buffer,
            at: 0,
            end: 0,
            loaded: Loaded::Metadata,
            description: Description::default(),
            sent: Sent::default(),
        }
    }

    /// Sends these packets of metadata, which lie back to back, before all others, and repeats
    /// them in a tenth of what the line carries.
    ///
    /// # Errors
    ///
    /// [`Undescribed`]: then the line sends no metadata.
    pub fn describe(&mut self, packets: &'a [u8]) -> Result<(), Undescribed> {
        let mut at = 0;
        while let Some(rest) = packets.get(at..).filter(|rest| !rest.is_empty()) {
            let size = first_size(rest).ok_or(Undescribed::NoPacket(at))?;
            if size > MAX_PACKET || buffer_size(size) > self.buffer.len() {
                return Err(Undescribed::TooLarge(size));
            }
            at += size;
        }
        self.description = Description {
            packets,
            at: 0,
            pressing: packets.len(),
            credit: 0,
        };
        Ok(())
    }

    /// Whether something is being sent. Then no packet can be submitted, and no message.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.at < self.end || self.description.pressing > 0
    }

    /// What went over it so far.
    #[must_use]
    pub fn sent(&self) -> Sent {
        self.sent
    }

    /// Takes a packet, to be sent next. It is given back when all of it was.
    ///
    /// # Errors
    ///
    /// [`Refused`], with the packet.
    #[expect(
        clippy::result_large_err,
        reason = "it is the packet, which nobody can box"
    )]
    pub fn submit(&mut self, packet: SubBuffer<'a>) -> Result<(), Refused<'a>> {
        if self.is_busy() {
            return Err(Refused::Busy(packet));
        }
        match self.load(ctf::packet_bytes(&packet)) {
            Some(()) => {
                self.loaded = Loaded::Packet(packet);
                Ok(())
            }
            None => Err(Refused::TooLarge(packet)),
        }
    }

    /// Takes something else than a packet, in pieces, to be sent next in a frame of its own: an
    /// answer to somebody who has sent something over the same line. Readers of packets pass it over
    /// if it does not begin like one. True if it was taken; false if something is being sent, or its
    /// frame does not fit the buffer.
    ///
    /// ```
    /// # use relay::line::{self, Line};
    /// let mut buffer = [0; line::buffer_size(64)];
    /// let mut line = Line::new(&mut buffer);
    /// assert!(line.message([&b"an "[..], b"answer"]));
    /// assert!(!line.message([&b"another"[..]]), "one at a time");
    /// line.send(|bytes| bytes.len());
    /// assert_eq!(line.sent().frames, 1);
    /// ```
    #[must_use]
    pub fn message<'p>(&mut self, pieces: impl IntoIterator<Item = &'p [u8]>) -> bool {
        if self.is_busy() {
            return false;
        }
        let Ok(size) = frame::write(pieces, self.buffer) else {
            return false;
        };
        (self.at, self.end) = (0, size);
        self.loaded = Loaded::Message;
        true
    }

    /// Sends what it has. `write` takes bytes, and says how many of them; with fewer than it was
    /// given it is not asked again in this call. Returns how many it has taken in all.
    pub fn send(&mut self, mut write: impl FnMut(&[u8]) -> usize) -> usize {
        let mut all = 0;
        loop {
            let unsent = &self.buffer[self.at..self.end];
            if !unsent.is_empty() {
                let taken = write(unsent).min(unsent.len());
                all += taken;
                self.note(taken);
                if self.at < self.end {
                    return all;
                }
                self.sent.frames += 1;
                self.loaded = Loaded::Metadata;
            }
            if !self.load_description() {
                return all;
            }
        }
    }

    /// Sends what it has, and what `next` has, until `write` takes no more or there is nothing
    /// more. Returns how many bytes were taken. An interrupt handler lets its `write` count, and
    /// take no more in the end: an emulated port may take all that there is.
    ///
    /// A packet that does not fit the buffer is [left out](Sent::left_out): give the buffer the
    /// size of the largest sub-buffer.
    pub fn run(
        &mut self,
        mut next: impl FnMut() -> Option<SubBuffer<'a>>,
        mut write: impl FnMut(&[u8]) -> usize,
    ) -> usize {
        let mut all = self.send(&mut write);
        while !self.is_busy()
            && let Some(packet) = next()
        {
            if self.submit(packet).is_err() {
                self.sent.left_out += 1;
            }
            all += self.send(&mut write);
        }
        all
    }

    /// Says that the line stood idle for as long as `bytes` would have taken: metadata may use a
    /// tenth of that, too. For a line that a reader may come to while nothing is written.
    pub fn idle(&mut self, bytes: u64) {
        let Description {
            packets, credit, ..
        } = &mut self.description;
        // Not more than all of it once: nobody needs it twice in a row.
        let most = (SHARE - 1) * buffer_size(packets.len()) as u64;
        *credit = credit.saturating_add(bytes).min(most);
    }

    /// Counts bytes that were taken.
    fn note(&mut self, taken: usize) {
        self.at += taken;
        self.sent.bytes += taken as u64;
        match self.loaded {
            Loaded::Packet(_) => self.idle(taken as u64),
            Loaded::Message => self.sent.message_bytes += taken as u64,
            Loaded::Metadata => self.sent.metadata_bytes += taken as u64,
        }
    }

    /// Makes a frame of a packet, if it fits.
    fn load(&mut self, packet: &[u8]) -> Option<()> {
        let fits = packet.len() <= MAX_PACKET;
        let size = fits.then(|| frame::write([packet], self.buffer).ok());
        (self.at, self.end) = (0, size.flatten()?);
        Some(())
    }

    /// Makes a frame of the next packet of the metadata, if that is due.
    fn load_description(&mut self) -> bool {
        let rest = &self.description.packets[self.description.at..];
        let Some(size) = first_size(rest) else {
            return false;
        };
        let price = (SHARE - 1) * buffer_size(size) as u64;
        let description = &mut self.description;
        if description.pressing > 0 {
            description.pressing = description.pressing.saturating_sub(size);
        } else if description.credit >= price {
            description.credit -= price;
        } else {
            return false;
        }
        description.at += size;
        if description.at == description.packets.len() {
            description.at = 0;
        }
        self.load(&rest[..size]).is_some()
    }
}

// Nothing here is unsafe, or shared: an interpreter would find nothing, and takes minutes for the
// checksums.
#[cfg(all(test, not(loom), not(miri)))]
mod tests;
