//! One port's way to the host.

use core::fmt;
use core::marker::PhantomData;

use super::line::Line;
use super::protocol::Name;
use crate::dev::virtio::device::{Device, Memory};
use crate::dev::virtio::events::Own;
use crate::dev::virtio::queue::{Flight, Flights, Queue, QueueFault};

/// Pieces that a buffer may be made of in physical memory. The heap is made of 2 MiB pages, so
/// this is enough for 14 MiB.
const MAX_PIECES: usize = 8;

/// A buffer that a device may read while the port owns it.
///
/// # Safety
/// [`bytes`](Self::bytes) returns the same bytes every time, wherever `self` is moved; they stay
/// allocated, mapped and unchanged as long as `self` lives, and also when it is forgotten.
pub(crate) unsafe trait InFlight: Send + 'static {
    /// What is sent.
    fn bytes(&self) -> &[u8];

    /// Whether what is done for it is not traced: it is a packet of the trace itself, or is sent when
    /// nothing may be written any more. Any context.
    fn is_untraced(&self) -> bool {
        false
    }
}

// SAFETY: borrowed for ever, and so unchanged for ever.
unsafe impl InFlight for &'static [u8] {
    fn bytes(&self) -> &[u8] {
        self
    }
}

/// A part of a packet's copy.
#[derive(Debug)]
pub(crate) enum Piece<const HEADER: usize> {
    /// The header, in memory of its own.
    Header(&'static mut [u8; HEADER]),
    /// What lies where it was written.
    Run(&'static [u8]),
}

// SAFETY: borrowed for ever: nobody else writes the header as long as this is not given back, and
// nobody at all writes the rest.
unsafe impl<const HEADER: usize> InFlight for Piece<HEADER> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Header(bytes) => &bytes[..],
            Self::Run(bytes) => bytes,
        }
    }

    // A panic sends it, which reads the rings.
    fn is_untraced(&self) -> bool {
        true
    }
}

/// A buffer in memory of its own, filled again and again.
#[derive(Debug)]
pub(crate) struct Letter<const SIZE: usize> {
    bytes: &'static mut [u8; SIZE],
    /// So many of them are sent.
    length: usize,
}

// SAFETY: borrowed for ever, and nobody else has it: it changes in `fill` alone, which needs it
// mutably, so that it is not in flight.
unsafe impl<const SIZE: usize> InFlight for Letter<SIZE> {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl<const SIZE: usize> Letter<SIZE> {
    /// An empty one.
    pub(crate) fn new(bytes: &'static mut [u8; SIZE]) -> Self {
        Self { bytes, length: 0 }
    }

    /// Has `fill` write into it, which says how many bytes that are; false, and empty, if it fails.
    pub(crate) fn fill<E>(&mut self, fill: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> bool {
        let filled = fill(&mut self.bytes[..]);
        self.length = filled.as_ref().map_or(0, |length| (*length).min(SIZE));
        filled.is_ok()
    }
}

/// A buffer in flight, as the queue sees it: in pieces that are contiguous in physical memory.
#[derive(Debug)]
struct Parcel<M, B> {
    buffer: B,
    _memory: PhantomData<fn() -> M>,
}

/// The bytes in pieces, which are the same every time; `None` when they are too many, or it is not
/// known where they are.
fn pieces<M: Memory>(mut bytes: &[u8]) -> Option<([&[u8]; MAX_PIECES], usize)> {
    let mut pieces: [&[u8]; MAX_PIECES] = [&[]; MAX_PIECES];
    for count in 0..MAX_PIECES {
        if bytes.is_empty() {
            return Some((pieces, count));
        }
        let run = M::contiguous(bytes);
        if run == 0 {
            return None;
        }
        (pieces[count], bytes) = bytes.split_at_checked(run)?;
    }
    bytes.is_empty().then_some((pieces, MAX_PIECES))
}

// SAFETY: `InFlight` promises the same for the whole that this wants for the pieces, and where
// memory lies does not change. `Port::submit` lets in nothing empty, or too long, or in too many
// pieces.
unsafe impl<M: Memory, B: InFlight> Flight for Parcel<M, B> {
    fn with_buffers<R>(
        &self,
        use_them: impl for<'a> FnOnce(&'a [&'a [u8]], &'a mut [&'a mut [u8]]) -> R,
    ) -> R {
        match pieces::<M>(self.buffer.bytes()) {
            Some((pieces, count)) => use_them(&pieces[..count], &mut []),
            None => use_them(&[], &mut []),
        }
    }
}

/// Why a port sends nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dead {
    /// The device broke the rules of the port's queue. What is in flight stays with the device
    /// until it is reset.
    Fault(QueueFault),
    /// The device has taken the port away.
    Removed,
    /// The device was reset.
    Reset,
}

impl fmt::Display for Dead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::Removed => f.write_str("the device has taken the port away"),
            Self::Reset => f.write_str("the device was reset"),
        }
    }
}

/// Why a buffer was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The port is dead.
    Dead(Dead),
    /// The host does not have the port open: it would lose the bytes.
    HostClosed,
    /// As much is in flight as can be. [`Port::reclaim`] makes room when the device is done with
    /// something.
    Full,
    /// There are no bytes, or 4 GiB and more.
    Length(usize),
    /// The bytes are not mapped, or lie in too many pieces in physical memory.
    Scattered,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dead(dead) => dead.fmt(f),
            Self::HostClosed => f.write_str("the host does not have the port open"),
            Self::Full => f.write_str("the port's queue is full"),
            Self::Length(length) => {
                write!(f, "a buffer of {length} bytes, want 1 to {}", u32::MAX)
            }
            Self::Scattered => write!(
                f,
                "the buffer is not mapped, or not in at most {MAX_PIECES} pieces of physical memory"
            ),
        }
    }
}

/// A buffer that was not taken, and why.
#[derive(Debug)]
pub(crate) struct Rejected<B> {
    /// The buffer: it is the caller's again.
    pub(crate) buffer: B,
    /// Why.
    pub(crate) refusal: Refusal,
}

/// A buffer that comes back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reclaimed<B> {
    /// The device is done with it: the host has the bytes, or will get them.
    Sent(B),
    /// The device was reset before it was done: nobody knows how much the host has got.
    Unsent(B),
}

impl<B> Reclaimed<B> {
    /// The buffer.
    pub(crate) fn into_inner(self) -> B {
        match self {
            Self::Sent(buffer) | Self::Unsent(buffer) => buffer,
        }
    }
}

/// What has happened on a port since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Buffers that were taken.
    pub(crate) submitted: u64,
    /// Their bytes.
    pub(crate) submitted_bytes: u64,
    /// Buffers that the device was done with.
    pub(crate) sent: u64,
    /// Their bytes.
    pub(crate) sent_bytes: u64,
    /// Buffers that came back because the device was reset.
    pub(crate) unsent: u64,
    /// Times the device was told.
    pub(crate) notified: u64,
    /// Times it did not want to be told.
    pub(crate) not_notified: u64,
    /// Interrupts that were taken.
    pub(crate) interrupts: u64,
    /// Buffers of which the device says to have written to them, which it cannot.
    pub(crate) bad_lengths: u64,
    /// Times the device said to be done with what it did not have, or took that back.
    pub(crate) faults: u64,
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "submitted {} ({} bytes), sent {} ({} bytes), unsent {}, notified {} (saved {}), \
             interrupts {}, bad lengths {}, faults {}",
            self.submitted,
            self.submitted_bytes,
            self.sent,
            self.sent_bytes,
            self.unsent,
            self.notified,
            self.not_notified,
            self.interrupts,
            self.bad_lengths,
            self.faults
        )
    }
}

/// A port's queue, with the buffers in flight.
type Cargo<M, B> = Flights<M, Parcel<M, B>>;

/// One port, in the hands of whoever sends through it.
///
/// All calls take no lock, allocate nothing, and never wait. Task or IRQ context; a port has one
/// owner at a time, who may be on any CPU. Interrupts come on the CPU that opened it.
///
/// Dropping it keeps what is in flight, and the queue, out of use for ever unless the device was
/// reset: the device may be reading it.
pub(crate) struct Port<D: Device, B: InFlight> {
    id: usize,
    name: Name,
    flights: Cargo<D::Memory, B>,
    doorbell: D::Doorbell,
    line: &'static Line,
    has_interrupt: bool,
    fault: Option<QueueFault>,
    /// Openings by the host that [`take_return`](Self::take_return) has seen.
    openings: u64,
    /// Buffers that came back while the host had the port closed, and those of them that were told.
    unheard: u64,
    told_unheard: u64,
    /// Something was submitted since the device was told.
    is_untold: bool,
    /// None of that is traced.
    is_own: bool,
    /// What was done for the trace alone.
    own: Own,
    counters: Counters,
}

/// What a port is made of.
pub(super) struct Parts<D: Device> {
    pub(super) id: usize,
    pub(super) name: Name,
    pub(super) queue: Queue<D::Memory>,
    pub(super) doorbell: D::Doorbell,
    pub(super) line: &'static Line,
    pub(super) has_interrupt: bool,
}

impl<D: Device, B: InFlight> Port<D, B> {
    /// A port with nothing in flight. Allocates the table of what is in flight.
    pub(super) fn new(parts: Parts<D>) -> Self {
        Self {
            id: parts.id,
            name: parts.name,
            flights: Flights::new(parts.queue),
            doorbell: parts.doorbell,
            line: parts.line,
            has_interrupt: parts.has_interrupt,
            fault: None,
            openings: 0,
            unheard: 0,
            told_unheard: 0,
            is_untold: false,
            is_own: true,
            own: Own::default(),
            counters: Counters::default(),
        }
    }

    /// The port's number (`nr=` of QEMU's `virtserialport`).
    pub(crate) fn id(&self) -> usize {
        self.id
    }

    /// The port's name (`name=` of QEMU's `virtserialport`).
    pub(crate) fn name(&self) -> &str {
        self.name.as_str()
    }

    /// How many buffers can be in flight, if none is in pieces.
    pub(crate) fn depth(&self) -> usize {
        self.flights.queue().size()
    }

    /// How many buffers are in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.flights.count()
    }

    /// Whether the host has the port open. It may close at any time; what is in flight then is
    /// lost.
    pub(crate) fn is_host_open(&self) -> bool {
        self.line.is_host_open()
    }

    /// Whether the host has opened the port anew since the last call: how many buffers were under
    /// way when it had closed it. The device gives those back like others, but the host may not
    /// have got them. `None` for the first opening.
    pub(crate) fn take_return(&mut self) -> Option<u64> {
        let before = core::mem::replace(&mut self.openings, self.line.openings());
        let is_return = before != self.openings && self.openings > 1;
        is_return.then(|| {
            let told = core::mem::replace(&mut self.told_unheard, self.unheard);
            self.unheard - told
        })
    }

    /// How many buffers came back in all while the host had the port closed, or before
    /// [`take_return`](Self::take_return) has told that it is open again.
    pub(crate) fn unheard(&self) -> u64 {
        self.unheard
    }

    /// Whether the device tells this CPU of buffers that it is done with. If not, ask
    /// [`reclaim`](Self::reclaim) from time to time.
    pub(crate) fn has_interrupt(&self) -> bool {
        self.has_interrupt
    }

    /// Whether there was an interrupt since the last call. The interrupt itself has ended the halt
    /// of the CPU that opened the port, if it was halted.
    #[cfg(test)]
    pub(crate) fn take_signal(&self) -> bool {
        self.line.take_signal()
    }

    /// Why the port sends nothing more; `None` while it works.
    pub(crate) fn is_dead(&self) -> Option<Dead> {
        if self.line.is_reset() {
            Some(Dead::Reset)
        } else if let Some(fault) = self.fault {
            Some(Dead::Fault(fault))
        } else {
            self.line.is_removed().then_some(Dead::Removed)
        }
    }

    /// What has happened so far.
    pub(crate) fn counters(&self) -> Counters {
        Counters {
            interrupts: self.line.interrupts(),
            ..self.counters
        }
    }

    /// Gives a buffer to the device, which is told by the next [`notify`](Self::notify). The bytes
    /// follow those of the buffers before.
    ///
    /// # Errors
    /// [`Rejected`] gives the buffer back and says why it was not taken.
    pub(crate) fn submit(&mut self, buffer: B) -> Result<(), Rejected<B>> {
        if let Some(dead) = self.is_dead() {
            let refusal = Refusal::Dead(dead);
            return Err(Rejected { buffer, refusal });
        }
        if !self.line.is_host_open() {
            let refusal = Refusal::HostClosed;
            return Err(Rejected { buffer, refusal });
        }
        let length = buffer.bytes().len();
        if length == 0 || u32::try_from(length).is_err() {
            let refusal = Refusal::Length(length);
            return Err(Rejected { buffer, refusal });
        }
        if pieces::<D::Memory>(buffer.bytes()).is_none() {
            let refusal = Refusal::Scattered;
            return Err(Rejected { buffer, refusal });
        }
        let is_own = buffer.is_untraced();
        let parcel = Parcel {
            buffer,
            _memory: PhantomData,
        };
        self.flights
            .launch(parcel)
            .map_err(|Parcel { buffer, .. }| Rejected {
                buffer,
                refusal: Refusal::Full,
            })?;
        self.counters.submitted += 1;
        self.counters.submitted_bytes += length as u64;
        self.is_untold = true;
        self.is_own &= is_own;
        Ok(())
    }

    /// Tells the device of all buffers that were submitted since the last call. Costs an exit from
    /// a virtual machine: call it once for a batch.
    pub(crate) fn notify(&mut self) {
        if !self.is_untold || self.is_dead().is_some() {
            return;
        }
        let wanted = self.flights.notify(&mut self.doorbell);
        match wanted {
            true => self.counters.notified += 1,
            false => self.counters.not_notified += 1,
        }
        self.own.notified(self.id, wanted, self.is_own);
        self.is_untold = false;
        self.is_own = true;
    }

    /// Whether [`reclaim`](Self::reclaim) has something to say. To be asked before a CPU halts,
    /// with interrupts off.
    pub(crate) fn has_reclaimable(&self) -> bool {
        (self.fault.is_none() && self.flights.has_used())
            || (self.line.is_reset() && self.in_flight() > 0)
    }

    /// Takes back a buffer that the device is done with; in no particular order. To be called until
    /// it returns `None`, which it does after at most as many calls as buffers are in flight.
    ///
    /// When the device breaks the rules the port is [dead](Self::is_dead), and what is in flight
    /// comes back only after the device was reset.
    pub(crate) fn reclaim(&mut self) -> Option<Reclaimed<B>> {
        if self.fault.is_none() {
            match self.flights.take() {
                Ok(Some((Parcel { buffer, .. }, written))) => {
                    let is_away = !self.line.is_host_open()
                        || (self.openings != 0 && self.openings != self.line.openings());
                    self.unheard += u64::from(is_away);
                    self.counters.sent += 1;
                    self.counters.sent_bytes += buffer.bytes().len() as u64;
                    // The device reads these buffers only (section 2.7.8).
                    self.counters.bad_lengths += u64::from(written != 0);
                    let (bytes, is_own) = (buffer.bytes().len(), buffer.is_untraced());
                    self.own.used(self.id, bytes, is_own);
                    return Some(Reclaimed::Sent(buffer));
                }
                Ok(None) => {}
                Err(fault) => {
                    self.fault = Some(fault);
                    self.counters.faults += 1;
                }
            }
        }
        if !self.line.is_reset() {
            return None;
        }
        // SAFETY: the line says that the device was reset, and has said so, after the queue was
        // set up: the queue is older than the port.
        let Parcel { buffer, .. } = unsafe { self.flights.recover() }?;
        self.counters.unsent += 1;
        Some(Reclaimed::Unsent(buffer))
    }
}

impl<D: Device, B: InFlight> Drop for Port<D, B> {
    fn drop(&mut self) {
        if self.line.is_reset() {
            // SAFETY: as in `reclaim`; and this is the end of `self`.
            unsafe { self.flights.free() };
        }
    }
}

impl<D: Device, B: InFlight> fmt::Debug for Port<D, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("in_flight", &self.in_flight())
            .field("dead", &self.is_dead())
            .finish_non_exhaustive()
    }
}
