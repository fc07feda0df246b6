//! What becomes a record.

use super::{FieldsMut, Site, Value as _};
use crate::channel::Channel;
use crate::platform::{Platform, Who};
use crate::record::{EVENTS, STAMP};
use crate::ring::{Fill, Slot, WriteError};
use crate::sync::Usage;
use relay_format::class::EventClass;
use relay_format::stamp::tail_of_class;

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
    /// Its class: what the metadata says of its records, and their id if they have one by hand.
    const CLASS: EventClass;

    /// Whether its records have an id: by hand, or since classes are
    /// [collected](super::HAS_REGISTRY) on this target.
    const HAS_ID: bool = true;

    /// Whether its records say [who](crate::Who) wrote them, between stamp and fields: those
    /// of events for operators do.
    const SAYS_WHO: bool = false;

    /// Where it is declared, with the switch that turns it on and off; `None`: it is always on.
    #[inline(always)]
    fn site() -> Option<&'static Site> {
        None
    }

    /// The id of its records. Any context.
    #[inline(always)]
    fn id() -> u16 {
        Self::CLASS.id
    }

    /// Whether its records are written: a load. Any context.
    #[inline(always)]
    fn is_enabled() -> bool {
        Self::site().is_none_or(Site::is_enabled)
    }

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

/// Bytes of who wrote a record: [`WHO`](relay_format::class::WHO).
pub(crate) const WHO_SIZE: usize = size_of::<i32>() * 2;

impl<P: Platform, const CPUS: usize, U: Usage> Channel<P, CPUS, U> {
    /// Writes an [event](Event) as one record: its [stamp](crate::record::Stamp), then its fields,
    /// stored in place. Nothing is written, and nothing counted, while the event is
    /// [turned off](Event::is_enabled).
    ///
    /// Any context: task, IRQ, NMI, panic. Takes no lock, never waits, never allocates. An event
    /// whose class has one of the [fillers' ids](crate::record::EVENTS) does not compile, nor does
    /// one without an id where classes are [not collected](super::HAS_REGISTRY).
    ///
    /// # Errors
    /// The record was not written, for the reason given; the loss is counted.
    #[inline(always)]
    pub fn emit<E: Event>(&self, event: &E) -> Result<(), WriteError> {
        match E::is_enabled() {
            true => self.emit_always(event),
            false => Ok(()),
        }
    }

    /// As [`emit`](Self::emit), also of an event that is turned off: for who has looked at the
    /// switch, and counted the event.
    ///
    /// # Errors
    /// As [`emit`](Self::emit).
    #[inline(always)]
    pub fn emit_always<E: Event>(&self, event: &E) -> Result<(), WriteError> {
        const { assert!(E::CLASS.id < EVENTS, "the class has an id of a filler") };
        const {
            assert!(
                E::HAS_ID,
                "no class is collected here: the event needs an id by hand"
            )
        };
        let who = E::SAYS_WHO.then(|| self.platform().who());
        let head = const { STAMP + if E::SAYS_WHO { WHO_SIZE } else { 0 } };
        let platform = self.platform();
        let stored = Stored {
            platform,
            who,
            event,
        };
        self.fill(head.saturating_add(event.size()), stored)
    }

    /// As [`emit`](Self::emit), of an event that is made only if it is on.
    ///
    /// # Errors
    /// As [`emit`](Self::emit).
    #[inline(always)]
    pub fn emit_with<E: Event>(&self, event: impl FnOnce() -> E) -> Result<(), WriteError> {
        match E::is_enabled() {
            true => self.emit_always(&event()),
            false => Ok(()),
        }
    }
}

/// What stores an event.
struct Stored<'a, P, E> {
    platform: &'a P,
    who: Option<Who>,
    event: &'a E,
}

impl<P: Platform, E: Event> Fill for Stored<'_, P, E> {
    type Output = ();
    const IS_FIXED: bool = {
        let (fields, mut at, mut is_fixed) = (E::CLASS.fields, 0, true);
        while at < fields.len() {
            is_fixed &= fields[at].kind.size().is_some();
            at += 1;
        }
        is_fixed
    };

    #[inline(always)]
    fn fill(self, slot: &mut Slot<'_>) {
        let tail = tail_of_class(E::id(), self.platform.context());
        let mut fields = FieldsMut::new(slot.stamp_with(tail));
        if let Some(Who { process, thread }) = self.who {
            process.store(&mut fields);
            thread.store(&mut fields);
        }
        self.event.store(&mut fields);
        fields.finish();
    }
}
