//! The seam to the client: what it puts around the records, and where it hears of them.

use super::packet::Packet;

/// What the client puts around the records of a packet, and where it hears of it.
///
/// All have a default, which does nothing: a client implements what it needs, as
/// [`record::Framed`](crate::record::Framed) and [`ctf::Packets`](crate::ctf::Packets) do.
///
/// The hooks run in the context of the write that opens, closes or completes a packet: any
/// context, NMI included. They must not
///
/// - lock, wait or allocate;
/// - panic: where that unwinds, the packet stays as it is, and no later one of the stream is
///   delivered;
/// - keep their own stream going: delivery ends when nothing more is complete. They may write
///   records to it, which are nested ones like any other, but fewer than fit into a packet, must
///   not [flush](crate::Channel::flush) it, and in record delivery, where each record is delivered
///   by itself, must write none. They may write to other channels freely.
///
/// ```
/// use relay::host::{Cpu, Host};
/// use relay::{Channel, Geometry, Hooks, Packet, PacketStart, Storage};
///
/// /// Begins each sub-buffer with the number of records in it.
/// struct Counted;
/// impl Hooks for Counted {
///     fn buffer_end(&self, header: &mut [u8], _trailer: &mut [u8], packet: &Packet) {
///         header.copy_from_slice(&packet.records.to_le_bytes());
///     }
/// }
///
/// static LOG: Channel<Host, 8> = Channel::new(Host, &Counted);
/// let cpu = Cpu::claim();
/// let geometry = Geometry::new(64, 2)?.with_reserves(8, 0)?;
/// LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
/// LOG.write(b"abc")?;
/// LOG.flush();
/// let taken = LOG.reader(cpu.number())?.next_subbuf().unwrap();
/// assert_eq!(taken.bytes()[..8], 1u64.to_le_bytes());
/// assert_eq!(taken.records(), b"abc");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Hooks: Sync {
    /// Packet `start` begins: `header` is its start reserve, to be filled. Not called where there
    /// is no start reserve.
    fn buffer_start(&self, header: &mut [u8], start: &PacketStart) {
        let _ = (header, start);
    }

    /// The packet is complete: `header` is its start reserve, `trailer` its end reserve. After
    /// this it becomes readable.
    fn buffer_end(&self, header: &mut [u8], trailer: &mut [u8], packet: &Packet) {
        let _ = (header, trailer, packet);
    }

    /// `bytes` were reserved at `timestamp` and then given up, or cut off, and something was
    /// written after them: make them a filler, something that readers of this client's records
    /// skip. The default makes them zeros: a client whose readers cannot tell those from records
    /// must give nothing up, or do it better.
    fn fill(&self, bytes: &mut [u8], timestamp: u64) {
        let _ = timestamp;
        bytes.fill(0);
    }

    /// The fewest bytes that [`fill`](Self::fill) can make a filler of: what is cut off a record is
    /// at least as long. Whoever reserves fewer must not give them up: readers would take them for
    /// a record.
    fn least_fill(&self) -> usize {
        1
    }

    /// The fewest bytes of [start reserve](crate::Geometry::with_reserves) that
    /// [`buffer_end`](Self::buffer_end) and [`buffer_start`](Self::buffer_start) need: a stream
    /// does not [start](crate::Channel::start) with fewer.
    fn least_start_reserve(&self) -> usize {
        0
    }

    /// The stream begins: `header` are its first bytes, the channel start reserve, to be filled.
    /// Once, from [`Channel::start`](crate::Channel::start). Not called where there is no such
    /// reserve.
    fn channel_start(&self, header: &mut [u8], start: &PacketStart) {
        let _ = (header, start);
    }

    /// A packet of CPU `cpu` became readable; in record delivery also: a record. For whoever sleeps
    /// until then there is [`Platform::wake`](crate::Platform::wake).
    fn deliver(&self, cpu: usize) {
        let _ = cpu;
    }

    /// Three quarters of the ring of `cpu` are unread: a larger one would lose less. Said once,
    /// until somebody has looked ([`Channel::take_peak`](crate::Channel::take_peak)).
    fn needs_resize(&self, cpu: usize) {
        let _ = cpu;
    }
}

/// The hooks of a channel whose records are plain bytes. What is given up there may leave zeros:
/// see [`Hooks::fill`].
#[derive(Clone, Copy, Debug)]
pub struct NoHooks;

impl Hooks for NoHooks {}

/// What is known of a packet when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketStart {
    /// The CPU it belongs to.
    pub cpu: usize,
    /// The time of its first record, in ticks.
    pub begin_ticks: u64,
}
