//! What becomes a record.

use crate::channel::Channel;
use crate::platform::Platform;
use crate::record::{EVENTS, STAMP};
use crate::ring::WriteError;
use crate::sync::Usage;
use relay_format::class::EventClass;

/// A value that becomes a record: it knows its class, and how to store its fields. Any crate may
/// have its own, and [`Channel::emit`] writes them the way of relay's own: reserved with one
/// compare-and-swap, stored where they stay.
///
/// ```
/// use relay::event::{Event, EventClass, Field, FieldsMut, Kind};
///
/// /// A task was switched to another.
/// struct Switch { from: u32, to: u32 }
///
/// impl Event for Switch {
///     const CLASS: EventClass = EventClass {
///         id: 1,
///         name: "switch",
///         fields: &[Field::new("from", Kind::U32), Field::new("to", Kind::U32)],
///     };
///
///     fn size(&self) -> usize { 8 }
///
///     fn store(&self, fields: &mut FieldsMut<'_>) {
///         fields.u32(self.from);
///         fields.u32(self.to);
///     }
/// }
/// # use relay::host::{Cpu, Host};
/// # use relay::{Channel, Geometry, NoHooks, Storage, record::Fields};
/// # static LOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
/// # let cpu = Cpu::claim();
/// # let geometry = Geometry::new(1024, 4)?;
/// # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
///
/// LOG.emit(&Switch { from: 7, to: 8 })?;
/// LOG.flush();
/// let taken = LOG.reader(cpu.number())?.next_subbuf().unwrap();
/// let mut fields = Fields::new(taken.records());
/// assert_eq!(fields.next_stamp()?.unwrap().id(), 1);
/// assert_eq!((fields.u32(), fields.u32()), (Some(7), Some(8)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Event {
    /// Its class: the id of its records, and what the metadata says of their fields.
    const CLASS: EventClass;

    /// Bytes of its fields. Where that is a constant, so is the length of the record, and the code
    /// that writes it is short. Any context.
    fn size(&self) -> usize;

    /// Stores the fields, [`size`](Self::size) bytes in all, in the order of the class. Any
    /// context.
    ///
    /// It is called between the reservation and the commit, pinned: it should be short. Where it
    /// unwinds, the record is counted as lost ([`Loss::Discarded`](crate::Loss::Discarded)).
    fn store(&self, fields: &mut FieldsMut<'_>);
}

/// The place of a record's fields, filled one after the other; numbers are little-endian. The
/// counterpart of [`record::Fields`](crate::record::Fields).
///
/// What does not fit is left out, and what is not stored is zeros: mistakes in [`Event::size`],
/// which an assertion tells where those are on. Any context.
#[derive(Debug)]
pub struct FieldsMut<'a> {
    rest: &'a mut [u8],
}

impl<'a> FieldsMut<'a> {
    /// Fields that take all of `bytes`.
    #[inline(always)]
    pub const fn new(bytes: &'a mut [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes that are still free.
    #[inline(always)]
    #[must_use]
    pub const fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next `len` bytes, to be filled by the caller, which hold what was there before; fewer if
    /// there are not so many left.
    #[inline(always)]
    pub fn next(&mut self, len: usize) -> &'a mut [u8] {
        let rest = core::mem::take(&mut self.rest);
        debug_assert!(len <= rest.len(), "the fields are longer than `size` said");
        let (next, rest) = rest.split_at_mut(len.min(rest.len()));
        self.rest = rest;
        next
    }

    /// Ends the fields: nothing that was there before stays.
    #[inline(always)]
    fn finish(self) {
        debug_assert!(
            self.rest.is_empty(),
            "the fields are shorter than `size` said"
        );
        self.rest.fill(0);
    }

    /// Stores bytes, all or none of them.
    #[inline(always)]
    pub fn bytes(&mut self, bytes: &[u8]) {
        let place = self.next(bytes.len());
        match place.len() == bytes.len() {
            true => place.copy_from_slice(bytes),
            false => place.fill(0),
        }
    }

    /// Stores a number of 8 bits.
    #[inline(always)]
    pub fn u8(&mut self, number: u8) {
        self.bytes(&[number]);
    }

    /// Stores a number of 16 bits.
    #[inline(always)]
    pub fn u16(&mut self, number: u16) {
        self.bytes(&number.to_le_bytes());
    }

    /// Stores a number of 32 bits.
    #[inline(always)]
    pub fn u32(&mut self, number: u32) {
        self.bytes(&number.to_le_bytes());
    }

    /// Stores a number of 64 bits.
    #[inline(always)]
    pub fn u64(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }
}

impl<P: Platform, const CPUS: usize, U: Usage> Channel<P, CPUS, U> {
    /// Writes an [event](Event) as one record: its [stamp](crate::record::Stamp), then its fields,
    /// stored in place.
    ///
    /// Any context: task, IRQ, NMI, panic. Takes no lock, never waits, never allocates. An event
    /// whose class has one of the [fillers' ids](crate::record::EVENTS) does not compile.
    ///
    /// # Errors
    /// The record was not written, for the reason given; the loss is counted.
    #[inline(always)]
    pub fn emit<E: Event>(&self, event: &E) -> Result<(), WriteError> {
        const { assert!(E::CLASS.id < EVENTS, "the class has an id of a filler") };
        self.reserve_with(STAMP.saturating_add(event.size()), |slot| {
            let context = self.platform().context();
            let mut fields = FieldsMut::new(slot.stamp(E::CLASS.id, context));
            event.store(&mut fields);
            fields.finish();
        })
    }
}
