//! What a stopped CPU left, as CTF packets: copies, because nothing of that CPU's is changed.
//!
//! A copy is a header of its own and the committed records where they lie. Uncommitted ones are
//! left out, and counted; nothing stands in their place, because nobody knows at what time.

use core::iter;

use relay_format::packet::GRAIN;

use super::packet::{CUT, HEADER, Packets, SALVAGED, encode, padded};
use crate::record::{Stamp, extend};
use crate::ring::{Packet, Salvage, SalvagedPacket};

/// The packets of a stopped CPU as CTF packets, oldest first: see [`Packets::salvage`].
#[derive(Debug)]
pub struct Copies<'a> {
    packets: &'a Packets,
    salvage: Salvage<'a>,
    stopped_at: u64,
    /// When the packet before was closed.
    end_ticks: u64,
    /// Records left out so far.
    uncommitted: u64,
}

/// A packet of a stopped CPU, in the parts that make it a CTF packet: [`header`](Self::header),
/// then
/// [`runs`](Self::runs), then [`padding`](Self::padding) bytes of anything.
#[derive(Debug)]
pub struct PacketCopy<'a> {
    header: [u8; HEADER],
    content: usize,
    salvaged: SalvagedPacket<'a>,
}

impl Packets {
    /// The packets in `salvage`, which is that of a channel with these hooks. `stopped_at` is a
    /// time in ticks, by the clock of the CPU that has stopped: it wrote nothing after it.
    ///
    /// Packets that were complete have the header that they were closed with, but for
    /// [`SALVAGED`]. Who has had some of them before knows them by their numbers. Panic context.
    ///
    /// ```
    /// use relay::ctf::{self, Packets, Uuid, packet::SALVAGED};
    /// use relay::{Channel, Geometry, Platform, Stopped, Storage};
    /// # struct OneCpu;
    /// # // SAFETY: there is one CPU, and this program has one thread.
    /// # unsafe impl Platform for OneCpu {
    /// #     type Pinned = ();
    /// #     fn pin(&self) -> (usize, ()) { (0, ()) }
    /// #     unsafe fn unpin(&self, (): ()) {}
    /// #     fn now(&self) -> u64 { 7 }
    /// # }
    /// static UUID: Uuid = Uuid::new();
    /// static PACKETS: Packets = Packets::new(1, &UUID);
    /// static CHANNEL: Channel<OneCpu, 1> = Channel::new(OneCpu, &PACKETS);
    ///
    /// let geometry = Geometry::new(1024, 4)?.with_reserves(ctf::HEADER, 0)?;
    /// CHANNEL.start(0, Storage::allocate(&geometry)?, geometry)?;
    /// CHANNEL.write(&[0; 16])?;
    ///
    /// // SAFETY: the caller writes nothing more.
    /// let stopped = unsafe { Stopped::new(0) };
    /// let mut copies = PACKETS.salvage(CHANNEL.salvage(stopped).unwrap(), 9);
    /// let copy = copies.next().unwrap();
    /// assert_eq!(copy.header()[84..88], SALVAGED.to_le_bytes());
    /// assert_eq!(copy.runs().collect::<Vec<_>>(), [[0; 16]]);
    /// assert!(copies.next().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn salvage<'a>(&'a self, salvage: Salvage<'a>, stopped_at: u64) -> Copies<'a> {
        Copies {
            packets: self,
            salvage,
            stopped_at,
            end_ticks: 0,
            uncommitted: 0,
        }
    }
}

impl<'a> Copies<'a> {
    /// The begin and end of a packet that was not complete. Its opener may have stopped before it
    /// noted the one, its closer before it noted the other; what is certain are the times of the
    /// records.
    fn times(&self, salvaged: &SalvagedPacket<'_>) -> (u64, u64) {
        let end = if salvaged.is_closed() {
            salvaged.packet().end_ticks
        } else {
            let mut later = self.salvage.clone();
            let later = later.find_map(|packet| first_record(&packet));
            later.unwrap_or(self.stopped_at)
        };
        let begin = first_record(salvaged).unwrap_or(end).max(self.end_ticks);
        (begin, end.max(begin))
    }
}

/// The time of the first record that is whole, in ticks.
fn first_record(salvaged: &SalvagedPacket<'_>) -> Option<u64> {
    let stamp = Stamp::from_bytes(*salvaged.committed().next()?.first_chunk()?);
    Some(extend(stamp.time(), salvaged.packet().begin_ticks))
}

impl<'a> Iterator for Copies<'a> {
    type Item = PacketCopy<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let salvaged = self.salvage.next()?;
        let content = HEADER + salvaged.committed().map(<[u8]>::len).sum::<usize>();
        self.uncommitted += salvaged.uncommitted() as u64;
        let mut packet = Packet {
            content,
            ..*salvaged.packet()
        };
        if !salvaged.is_complete() {
            (packet.begin_ticks, packet.end_ticks) = self.times(&salvaged);
        }
        // What is left out did not come to its end.
        packet.is_final &= self.uncommitted == 0 && !salvaged.is_cut();
        self.end_ticks = packet.end_ticks;
        let flags = SALVAGED | if salvaged.is_cut() { CUT } else { 0 };
        let Packets { uuid, stream_id } = self.packets;
        let header = encode(&uuid.bytes(), *stream_id, &packet, flags, self.uncommitted);
        Some(PacketCopy {
            header,
            content,
            salvaged,
        })
    }
}

impl<'a> PacketCopy<'a> {
    /// The packet's header.
    #[must_use]
    pub fn header(&self) -> &[u8; HEADER] {
        &self.header
    }

    /// The records: runs of whole records where they lie, in order.
    pub fn runs(&self) -> impl Iterator<Item = &'a [u8]> {
        self.salvaged.committed()
    }

    /// All bytes of the packet, in order: header, records, padding. What a
    /// frame is made of, for example.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let header: &[u8] = &self.header;
        let padding = &[0; GRAIN][..self.padding()];
        iter::once(header).chain(self.runs()).chain([padding])
    }

    /// How many bytes follow the records, fewer than 8.
    #[must_use]
    pub fn padding(&self) -> usize {
        padded(self.content) - self.content
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
