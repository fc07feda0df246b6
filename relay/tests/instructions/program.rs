//! What is counted: one operation on a ring in a certain state, and what interrupts it.

use crate::stepper;
use relay::event::{Event, EventClass, Field, FieldsMut, Kind};
use relay::record::STAMP;
use relay::{
    Channel, Context, Delivery, Flushed, Geometry, GeometryError, Loss, Mode, NoHooks, Platform,
    Storage, WriteError,
};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// Bytes of a sub-buffer.
const SUBBUF: usize = 256;
/// Bytes of the record that is counted, where it is not as long as it can be.
const RECORD: usize = 32;
/// The event id of all stamps.
const EVENT: u16 = 7;
/// Reserves for a packet header and trailer, in those programs that have them.
const RESERVES: (usize, usize) = (24, 8);

/// One CPU, whose number lies in memory as on any kernel, with the time stamp counter.
pub(crate) struct OneCpu;

static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// A signal's handler runs: an interrupt.
static CONTEXT: AtomicU8 = AtomicU8::new(Context::Task as u8);

// SAFETY: one thread writes, that of the test; signals that interrupt it run to their end before it
// goes on. The time stamp counter of one thread does not go back.
unsafe impl Platform for OneCpu {
    type Pinned = ();

    #[inline(always)]
    fn pin(&self) -> (usize, ()) {
        (NUMBER.load(Ordering::Relaxed), ())
    }
    #[inline(always)]
    unsafe fn unpin(&self, (): ()) {}
    #[inline(always)]
    fn now(&self) -> u64 {
        // SAFETY: every x86_64 processor has the instruction.
        unsafe { core::arch::x86_64::_rdtsc() }
    }

    #[inline(always)]
    fn context(&self) -> Context {
        let context = CONTEXT.load(Ordering::Relaxed);
        // SAFETY: only numbers of contexts are ever stored there.
        unsafe { core::mem::transmute(context) }
    }
}

/// What becomes of records, in all the ways there are.
const WAYS: [(Mode, Delivery); 3] = [
    (Mode::NoOverwrite, Delivery::Bulk),
    (Mode::Continuous, Delivery::Bulk),
    (Mode::NoOverwrite, Delivery::Record),
];

/// What has happened to the ring's sub-buffers before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Past {
    /// They were written and read.
    Read,
    /// They were written and not read: in no-overwrite mode, there is no room.
    Unread,
}

/// The state of the ring before the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) mode: Mode,
    pub(crate) delivery: Delivery,
    /// Sub-buffers.
    pub(crate) count: usize,
    /// There are start and end reserves.
    pub(crate) reserves: bool,
    pub(crate) past: Past,
    /// Bytes left in the open sub-buffer; `None` if none is open.
    pub(crate) left: Option<usize>,
}

impl State {
    /// A no-overwrite ring of four sub-buffers without reserves, with room for more in the open
    /// one.
    pub(crate) const PLAIN: Self = Self {
        mode: Mode::NoOverwrite,
        delivery: Delivery::Bulk,
        count: 4,
        reserves: false,
        past: Past::Read,
        left: Some(SUBBUF - 8),
    };

    /// All that differ for a record of [`RECORD`] bytes: none is open, it does not fit, it fits
    /// exactly, it fits.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let lefts = [None, Some(RECORD - 8), Some(RECORD), Some(RECORD + 64)];
        let pasts = [Past::Read, Past::Unread];
        WAYS.into_iter()
            .flat_map(|way| [(way, false), (way, true)])
            .flat_map(move |(way, reserves)| pasts.map(|past| (way, reserves, past)))
            .flat_map(move |(way, reserves, past)| {
                lefts.map(|left| Self {
                    mode: way.0,
                    delivery: way.1,
                    reserves,
                    past,
                    left,
                    ..Self::PLAIN
                })
            })
            .filter(|state| !state.is_full() || state.left.is_none())
    }

    /// Whether no record can be written.
    fn is_full(&self) -> bool {
        self.mode == Mode::NoOverwrite && self.past == Past::Unread
    }
}

/// The operation that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// A stamped record of so many bytes, which the compiler knows: 8, 32, 64 or 256.
    Stamped(usize),
    /// A stamped record of so many bytes, which it does not know.
    StampedRunTime(usize),
    /// A record of 32 bytes without a stamp; the compiler knows how many they are.
    Plain,
    /// The same; it does not know.
    PlainRunTime,
    /// A stamped record of 32 bytes: reserved, filled and committed.
    InPlace,
    /// An event of four numbers of 64 bits, by the trait for events.
    Event,
    /// A stamped record of 32 bytes, while a slot of the same CPU is open: as in an interrupt.
    Nested,
    /// The same: reserved, filled and committed.
    NestedInPlace,
    /// A record as long as it can be.
    Longest,
    /// A record of 32 bytes that is given up.
    Discarded,
    /// Handing over the open sub-buffer.
    Flush,
}

impl Op {
    /// The operations that differ.
    pub(crate) const ALL: [Self; 8] = [
        Self::Stamped(RECORD),
        Self::StampedRunTime(RECORD),
        Self::PlainRunTime,
        Self::InPlace,
        Self::Nested,
        Self::Longest,
        Self::Discarded,
        Self::Flush,
    ];
}

/// An event of four numbers.
struct Four([u64; 4]);

impl Event for Four {
    const CLASS: EventClass = EventClass {
        id: EVENT,
        name: "four",
        fields: &[
            Field::new("a", Kind::U64),
            Field::new("b", Kind::U64),
            Field::new("c", Kind::U64),
            Field::new("d", Kind::U64),
        ],
    };

    fn size(&self) -> usize {
        size_of_val(&self.0)
    }

    fn store(&self, fields: &mut FieldsMut<'_>) {
        for number in self.0 {
            fields.u64(number);
        }
    }
}

/// What interrupts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// Nothing does.
    Never,
    /// A stamped record of so many bytes.
    Write(usize),
    /// A record as long as it can be: it fills a sub-buffer.
    Longest,
    /// The open sub-buffer is handed over.
    Flush,
    /// A reader, on another CPU, takes all there is and gives it back.
    Read,
    /// As many records as fill a sub-buffer and a half.
    Burst,
    /// Records as long as they can be: as many as there are sub-buffers, and one more.
    Lap,
}

impl Interrupt {
    /// Interrupts of one write at most.
    pub(crate) const SHORT: [Self; 5] = [
        Self::Write(RECORD),
        Self::Write(STAMP),
        Self::Longest,
        Self::Flush,
        Self::Read,
    ];

    /// Interrupts of many writes.
    pub(crate) const LONG: [Self; 2] = [Self::Burst, Self::Lap];
}

/// What a run took, in instructions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// The operation itself.
    pub(crate) op: u64,
    /// The write or flush of the interrupt, where it is one.
    pub(crate) interrupt: u64,
}

/// A channel, and what was tried on it.
struct World {
    channel: Channel<OneCpu, 1>,
    tried: Cell<u64>,
    written: Cell<u64>,
    interrupt: Cell<u64>,
}

/// Runs `op` in `state`, interrupted after instruction `at` of it, and checks that every record is
/// accounted for.
pub(crate) fn run(state: State, op: Op, interrupt: Interrupt, at: u64) -> Cost {
    let world = World::new(state);
    let interrupting = || world.interrupt(interrupt, state);
    let op = stepper::interrupted(at, &interrupting, || world.operate(op));
    world.check(&format!(
        "{op} instructions of {state:?}, {interrupt:?} after {at}"
    ));
    Cost {
        op,
        interrupt: world.interrupt.get(),
    }
}

impl World {
    fn new(state: State) -> Self {
        let geometry = Self::geometry(state).expect("a good geometry");
        let storage = Storage::allocate(&geometry).expect("there is memory");
        let world = Self {
            channel: Channel::new(OneCpu, &NoHooks),
            tried: Cell::new(0),
            written: Cell::new(0),
            interrupt: Cell::new(0),
        };
        world
            .channel
            .start(0, storage, geometry)
            .expect("it has not started");
        let longest = geometry.max_record();
        for _ in 0..state.count {
            world.write(longest);
        }
        if state.past == Past::Read {
            world.read();
        }
        if let Some(left) = state.left {
            world.write(longest - left);
        }
        world
    }

    fn geometry(state: State) -> Result<Geometry, GeometryError> {
        let (start, end) = if state.reserves { RESERVES } else { (0, 0) };
        Geometry::new(SUBBUF, state.count)?
            .with_mode(state.mode)?
            .with_delivery(state.delivery)?
            .with_reserves(start, end)
    }

    /// Counts what was tried and what of it was written.
    fn note(&self, result: Result<(), WriteError>) {
        self.tried.set(self.tried.get() + 1);
        self.written
            .set(self.written.get() + u64::from(result.is_ok()));
    }

    fn write(&self, len: usize) {
        self.note(self.channel.write(&BYTES[..len]));
    }

    fn longest(&self) -> usize {
        self.channel.max_record().expect("it has started")
    }

    /// The operation; returns its instructions.
    fn operate(&self, op: Op) -> u64 {
        let channel = &self.channel;
        let bytes = black_box(&BYTES);
        let body = |len: usize| &bytes[..black_box(len - STAMP)];
        let longest = &bytes[..self.longest()];
        let plain = &bytes[..black_box(RECORD)];
        let (count, result) = match op {
            Op::Stamped(8) => {
                stepper::count(|| channel.write_event_array(EVENT, first::<1>(bytes)))
            }
            Op::Stamped(64) => {
                stepper::count(|| channel.write_event_array(EVENT, first::<57>(bytes)))
            }
            Op::Stamped(256) => {
                stepper::count(|| channel.write_event_array(EVENT, first::<249>(bytes)))
            }
            Op::Stamped(_) => {
                stepper::count(|| channel.write_event_array(EVENT, first::<25>(bytes)))
            }
            Op::StampedRunTime(len) => {
                let body = body(len);
                stepper::count(|| channel.write_event(EVENT, body))
            }
            Op::Plain => stepper::count(|| channel.write_array(first::<RECORD>(bytes))),
            Op::PlainRunTime => stepper::count(|| channel.write(plain)),
            Op::Longest => stepper::count(|| channel.write(longest)),
            Op::Nested => return self.beside_a_slot(|| self.operate(Op::Stamped(RECORD))),
            Op::NestedInPlace => return self.beside_a_slot(|| self.operate(Op::InPlace)),
            Op::InPlace => stepper::count(|| {
                channel.reserve_with(RECORD, |slot| {
                    let body = slot.stamp(EVENT, Context::Task);
                    body.copy_from_slice(first::<{ RECORD - STAMP }>(bytes));
                })
            }),
            Op::Event => {
                let event = black_box(Four([1, 2, 3, 4]));
                stepper::count(|| channel.emit(&event))
            }
            Op::Discarded => stepper::count(|| {
                channel.reserve_with(RECORD, |slot| slot.give_up())?;
                Err(WriteError::Lost(Loss::Discarded))
            }),
            Op::Flush => {
                let (count, _): (_, Flushed) = stepper::count(|| channel.flush());
                return count;
            }
        };
        self.note(result);
        count
    }

    /// Runs `body` while a slot is open, if there is room for one.
    fn beside_a_slot(&self, body: impl FnOnce() -> u64) -> u64 {
        let mut body = Some(body);
        let counted = self
            .channel
            .reserve_with(STAMP, |_| body.take().map_or(0, |body| body()));
        self.note(counted.map(|_| ()));
        counted.unwrap_or_else(|_| body.take().map_or(0, |body| body()))
    }

    /// The interrupt. If it is one write, that is counted, too.
    fn interrupt(&self, interrupt: Interrupt, state: State) {
        CONTEXT.store(Context::Irq as u8, Ordering::Relaxed);
        match interrupt {
            Interrupt::Never => {}
            Interrupt::Write(len) => {
                let body = &BYTES[..black_box(len) - STAMP];
                self.note_counted(stepper::count(|| self.channel.write_event(EVENT, body)));
            }
            Interrupt::Longest => {
                let bytes = &BYTES[..self.longest()];
                self.note_counted(stepper::count(|| self.channel.write(bytes)));
            }
            Interrupt::Flush => {
                let (count, _) = stepper::count(|| self.channel.flush());
                self.interrupt.set(count);
            }
            Interrupt::Read => self.read(),
            Interrupt::Burst => (0..SUBBUF / RECORD * 3 / 2).for_each(|_| self.write(RECORD)),
            Interrupt::Lap => (0..=state.count).for_each(|_| self.write(self.longest())),
        }
        CONTEXT.store(Context::Task as u8, Ordering::Relaxed);
    }

    fn note_counted(&self, (count, result): (u64, Result<(), WriteError>)) {
        self.note(result);
        self.interrupt.set(count);
    }

    /// Takes everything, and gives it back.
    fn read(&self) {
        let mut reader = self.channel.reader(0).expect("nobody else reads");
        while reader.next_subbuf().is_some() {}
    }

    /// Ends the stream: everything that was tried was written, or is counted as lost.
    fn check(&self, what: &str) {
        while self.channel.close().is_err() {
            self.read();
        }
        let stats = self.channel.stats(0).expect("it has started");
        let (tried, written) = (self.tried.get(), self.written.get());
        assert_eq!(stats.records, written, "records delivered: {what}");
        assert_eq!(stats.lost.total(), tried - written, "records lost: {what}");
    }
}

/// The first `N` of them.
#[inline(always)]
fn first<const N: usize>(bytes: &[u8; SUBBUF]) -> &[u8; N] {
    bytes.first_chunk().expect("N is at most 256")
}

/// What all records are made of.
static BYTES: [u8; SUBBUF] = [0x5A; SUBBUF];
