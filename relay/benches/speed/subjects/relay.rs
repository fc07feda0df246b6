//! relay, written to by one thread.

use super::{mixed, payload, some_payload};
use crate::host::Host;
use crate::measure::{Cell, RING, Size, Subject, time};
use relay::clients::klog::{self, Place, Severity};
use relay::record::STAMP;
use relay::{
    Channel, Context, Delivery, Geometry, GeometryError, Global, Mode, NoHooks, PerCpu, Reader,
    Slot, Storage, Usage,
};
use std::hint::black_box;
use std::time::Duration;

/// Bytes of a sub-buffer.
pub(super) const SUBBUF: usize = 16 * 1024;

/// The event id of all stamps.
const EVENT: u16 = 7;

/// A channel for two threads.
pub(super) type Writer<U = PerCpu> = Channel<Host, 2, U>;

/// What a ring is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) mode: Mode,
    pub(super) delivery: Delivery,
    pub(super) spares: usize,
}

impl Kind {
    /// The oldest records are overwritten.
    pub(super) const OVERWRITING: Self = Self {
        mode: Mode::Continuous,
        delivery: Delivery::Bulk,
        spares: 0,
    };

    /// New records are refused if there is no room.
    pub(super) const REFUSING: Self = Self {
        mode: Mode::NoOverwrite,
        ..Self::OVERWRITING
    };

    /// The same, and each record can be read at once.
    const BY_PACKET: Self = Self {
        delivery: Delivery::Record,
        ..Self::REFUSING
    };

    fn geometry(self) -> Result<Geometry, GeometryError> {
        Geometry::new(SUBBUF, RING / SUBBUF)?
            .with_spares(self.spares)?
            .with_mode(self.mode)?
            .with_delivery(self.delivery)
    }
}

/// A channel with a ring of [`RING`] bytes for CPU 0.
pub(super) fn channel<U: Usage>(kind: Kind) -> &'static Writer<U> {
    let channel = Box::leak(Box::new(Channel::new(Host, &NoHooks)));
    start(channel, 0, kind);
    channel
}

/// Gives CPU `cpu` its ring.
pub(super) fn start<U: Usage>(channel: &Writer<U>, cpu: usize, kind: Kind) {
    let geometry = kind.geometry().expect("these are good numbers");
    let storage = Storage::allocate(&geometry).expect("there is memory");
    channel
        .start(cpu, storage, geometry)
        .expect("it has not started");
}

/// Records that were lost so far.
pub(super) fn lost<U: Usage>(channel: &Writer<U>) -> u64 {
    let of = |cpu| channel.stats(cpu).map_or(0, |stats| stats.lost.total());
    of(0) + of(1) + channel.lost_no_ring()
}

/// A cell that writes its batches with `op`, and empties the channel outside of what is measured.
fn cell<U: Usage>(
    size: Size,
    kind: Kind,
    count: usize,
    op: impl FnMut(&Writer<U>, usize) + 'static,
) -> Cell {
    cell_of(channel::<U>(kind), size, kind, count, op)
}

/// The same with a channel that is started already, as `kind` says.
pub(super) fn cell_of<U: Usage>(
    channel: &'static Writer<U>,
    size: Size,
    kind: Kind,
    count: usize,
    mut op: impl FnMut(&Writer<U>, usize) + 'static,
) -> Cell {
    // Where records are overwritten, nobody reads: every record overwrites one.
    let mut reader =
        (kind.mode == Mode::NoOverwrite).then(|| channel.reader(0).expect("it is free"));
    Cell::new(size, move || {
        // Once round the ring, so that its memory is in the cache and was used before. The last few
        // may not fit; that is as good.
        for _ in 0..RING / 256 {
            let _ = channel.write_array(payload::<256>());
        }
        empty(reader.as_mut());
        let before = lost(channel);
        let took: Duration = time(count, |i| op(channel, i));
        assert_eq!(
            lost(channel),
            before,
            "a lost record is a cheap one: there may be none"
        );
        empty(reader.as_mut());
        took
    })
}

/// Takes all there is.
fn empty(reader: Option<&mut Reader<'static>>) {
    if let Some(reader) = reader {
        while reader.next_subbuf().is_some() {}
    }
}

/// Writes a record of a stamp and `BODY` bytes.
#[inline(always)]
pub(super) fn write_stamped<const BODY: usize, U: Usage>(channel: &Writer<U>) {
    let _ = channel.write_event_array(EVENT, payload::<BODY>());
}

/// Writes a record of `N` bytes.
#[inline(always)]
pub(super) fn write_plain<const N: usize, U: Usage>(channel: &Writer<U>) {
    let _ = channel.write_array(payload::<N>());
}

/// Fills a record in place: time, event id and body.
#[inline(always)]
fn fill(slot: &mut Slot<'_>, body: &[u8]) {
    slot.stamp(EVENT, Context::Task).copy_from_slice(body);
}

fn stamped_constant<const BODY: usize, U: Usage>(kind: Kind) -> Cell {
    let size = Size::Bytes(STAMP + BODY);
    cell::<U>(size, kind, size.records(), |channel, _| {
        write_stamped::<BODY, U>(channel);
    })
}

fn plain_constant<const BODY: usize, U: Usage>(kind: Kind) -> Cell {
    // STAMP + BODY is the length, as in the other rows; a constant argument cannot say so.
    let size = Size::Bytes(STAMP + BODY);
    match size {
        Size::Bytes(8) => cell::<U>(size, kind, size.records(), |channel, _| {
            write_plain::<8, U>(channel);
        }),
        Size::Bytes(32) => cell::<U>(size, kind, size.records(), |channel, _| {
            write_plain::<32, U>(channel);
        }),
        Size::Bytes(64) => cell::<U>(size, kind, size.records(), |channel, _| {
            write_plain::<64, U>(channel);
        }),
        _ => cell::<U>(size, kind, size.records(), |channel, _| {
            write_plain::<256, U>(channel);
        }),
    }
}

fn in_place_constant<const BODY: usize, U: Usage>(kind: Kind) -> Cell {
    let size = Size::Bytes(STAMP + BODY);
    cell::<U>(size, kind, size.records(), |channel, _| {
        let _ = channel.reserve_with(STAMP + BODY, |slot| fill(slot, payload::<BODY>()));
    })
}

/// Pairs of records: one is under way while the other is written, as if an interrupt did.
fn nested<const BODY: usize, U: Usage>(kind: Kind) -> Cell {
    let size = Size::Bytes(STAMP + BODY);
    cell::<U>(size, kind, size.records() / 2, |channel, _| {
        let _ = channel.reserve_with(STAMP + BODY, |slot| {
            write_stamped::<BODY, U>(channel);
            fill(slot, payload::<BODY>());
        });
    })
}

/// The length of record `i` of a batch of `size`.
#[inline(always)]
fn length(size: Size, i: usize) -> usize {
    match size {
        Size::Bytes(bytes) => bytes,
        Size::Mixed => mixed(i),
    }
}

fn stamped_run_time(kind: Kind, size: Size) -> Cell {
    cell::<PerCpu>(size, kind, size.records(), move |channel, i| {
        let body = some_payload(length(size, i) - STAMP);
        let _ = channel.write_event(EVENT, body);
    })
}

fn plain_run_time(kind: Kind, size: Size) -> Cell {
    cell::<PerCpu>(size, kind, size.records(), move |channel, i| {
        let _ = channel.write(some_payload(length(size, i)));
    })
}

fn in_place_run_time(kind: Kind, size: Size) -> Cell {
    cell::<PerCpu>(size, kind, size.records(), move |channel, i| {
        let body = some_payload(length(size, i) - STAMP);
        let _ = channel.reserve_with(STAMP + body.len(), |slot| fill(slot, body));
    })
}

/// A log line with two arguments, formatted in place.
fn log_line(kind: Kind) -> Cell {
    let size = Size::REFERENCE;
    // It is longer than the column says: fewer fit.
    let count = size.records() / 8;
    let mut cell = cell::<PerCpu>(size, kind, count, |channel, i| {
        let place = Place {
            module: "kernel::scheduler",
            file: "scheduler.rs",
            line: 42,
        };
        let _ = klog::write(
            channel,
            Severity::Info,
            place,
            format_args!("woke task {} on cpu {}", black_box(i), black_box(3)),
        );
    });
    cell.records = count;
    cell
}

/// All sizes of a constant length.
macro_rules! constants {
    ($cell:ident, $usage:ty, $kind:expr) => {
        vec![
            $cell::<1, $usage>($kind),
            $cell::<25, $usage>($kind),
            $cell::<57, $usage>($kind),
            $cell::<249, $usage>($kind),
        ]
    };
}

/// All sizes of a run-time length.
fn lengths(cell: fn(Kind, Size) -> Cell, kind: Kind) -> Vec<Cell> {
    Size::ALL.map(|size| cell(kind, size)).into()
}

pub(super) fn subjects() -> Vec<Subject> {
    let row = |name, note, cells| Subject {
        whose: "relay",
        name,
        note,
        cells,
    };
    let (over, refuse) = (Kind::OVERWRITING, Kind::REFUSING);
    vec![
        row(
            "stamped, constant length",
            "time and event id first; overwrites the oldest, steadily",
            constants!(stamped_constant, PerCpu, over),
        ),
        row(
            "stamped, run-time length",
            "overwrites",
            lengths(stamped_run_time, over),
        ),
        row(
            "stamped in place, constant length",
            "reserve, fill, commit; overwrites",
            constants!(in_place_constant, PerCpu, over),
        ),
        row(
            "stamped in place, run-time length",
            "overwrites",
            lengths(in_place_run_time, over),
        ),
        row(
            "stamped, nested pairs",
            "overwrites; every other record is written while one is under way",
            constants!(nested, PerCpu, over),
        ),
        row(
            "stamped, constant, no-overwrite",
            "emptied between the batches, nothing lost",
            constants!(stamped_constant, PerCpu, refuse),
        ),
        row(
            "stamped, run-time, no-overwrite",
            "emptied between the batches",
            lengths(stamped_run_time, refuse),
        ),
        row(
            "stamped, constant, record delivery",
            "each record readable at once; emptied between the batches",
            constants!(stamped_constant, PerCpu, Kind::BY_PACKET),
        ),
        row(
            "plain, constant length",
            "the clock is read only where a sub-buffer begins; overwrites",
            constants!(plain_constant, PerCpu, over),
        ),
        row(
            "plain, run-time length",
            "overwrites",
            lengths(plain_run_time, over),
        ),
        row(
            "plain, constant, no-overwrite",
            "emptied between the batches, as the peers are",
            constants!(plain_constant, PerCpu, refuse),
        ),
        row(
            "plain, run-time, no-overwrite",
            "emptied between the batches",
            lengths(plain_run_time, refuse),
        ),
        row(
            "global usage, stamped, constant",
            "one ring for all CPUs, here one alone; overwrites",
            constants!(stamped_constant, Global, over),
        ),
        row(
            "klog line, two arguments",
            "formats the text; adds place, severity and context; overwrites",
            vec![log_line(over)],
        ),
    ]
}
