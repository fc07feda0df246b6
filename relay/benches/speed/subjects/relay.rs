//! relay, written to by one thread.

use super::{mixed, payload, some_payload};
use crate::host::Host;
use crate::measure::{Cell, RING, Size, Subject, time};
use relay::clients::klog::{self, Place, Severity};
use relay::{Channel, Geometry, Mode, NoHooks, Reader, Slot, Storage};
use std::hint::black_box;

/// Bytes of a sub-buffer.
const SUBBUF: usize = 16 * 1024;

/// A channel for two threads.
pub(super) type Writer<const CLOCK: bool> = Channel<Host<CLOCK>, 2>;

/// A channel with a ring of [`RING`] bytes for CPU 0, and as many spare blocks as asked.
pub(super) fn channel<const CLOCK: bool>(mode: Mode, spares: usize) -> &'static Writer<CLOCK> {
    let channel = Box::leak(Box::new(Channel::new(Host, &NoHooks)));
    start(channel, 0, mode, spares);
    channel
}

/// Gives CPU `cpu` its ring.
pub(super) fn start<const CLOCK: bool>(
    channel: &Writer<CLOCK>,
    cpu: usize,
    mode: Mode,
    spares: usize,
) {
    let geometry = Geometry::new(SUBBUF, RING / SUBBUF)
        .and_then(|geometry| geometry.with_mode(mode).with_spares(spares))
        .expect("these are good numbers");
    let storage = Storage::allocate(&geometry).expect("there is memory");
    channel
        .start(cpu, storage, geometry)
        .expect("it has not started");
}

/// A channel, and whoever empties it outside of what is measured.
pub(super) struct Bench<const CLOCK: bool> {
    pub(super) channel: &'static Writer<CLOCK>,
    reader: Option<Reader<'static>>,
}

impl<const CLOCK: bool> Bench<CLOCK> {
    pub(super) fn new(mode: Mode) -> Self {
        let channel = channel(mode, 0);
        // In continuous mode nobody reads: every record overwrites one.
        let reader = (mode == Mode::NoOverwrite).then(|| channel.reader(0).expect("it is free"));
        Self { channel, reader }
    }

    /// Once round the ring, so that its memory is in the cache and has been used.
    pub(super) fn warm(&mut self) {
        for _ in 0..RING / 256 {
            // In no-overwrite mode the last few may not fit; that is as good.
            let _ = self.channel.write(payload::<256>());
        }
        self.empty();
    }

    /// Makes room for a batch.
    fn empty(&mut self) {
        if let Some(reader) = &mut self.reader {
            while reader.next_subbuf().is_some() {}
        }
    }

    /// Records that were lost so far.
    fn lost(&self) -> u64 {
        let stats = self.channel.stats(0).expect("it has started");
        stats.lost.total() + self.channel.lost_no_ring()
    }

    /// Measures a batch of `op`. A lost record would be a cheap one: there may be none.
    #[inline(always)]
    pub(super) fn batch(
        &mut self,
        count: usize,
        mut op: impl FnMut(&Writer<CLOCK>, usize),
    ) -> std::time::Duration {
        self.warm();
        let lost = self.lost();
        let channel = self.channel;
        let took = time(count, |i| op(channel, i));
        assert_eq!(self.lost(), lost, "records were lost while measuring");
        self.empty();
        took
    }
}

/// Writes a record whose length is known when this is compiled.
#[inline(always)]
pub(super) fn write_constant<const N: usize, const CLOCK: bool>(channel: &Writer<CLOCK>) {
    let _ = channel.write(payload::<N>());
}

/// Fills a record in place: the time of its reservation, then payload; or payload alone.
#[inline(always)]
fn fill<const CLOCK: bool>(mut slot: Slot<'_, Host<CLOCK>>, payload: &[u8]) {
    let ticks = slot.timestamp().to_le_bytes();
    let bytes = slot.bytes_mut();
    if CLOCK && let Some((head, body)) = bytes.split_at_mut_checked(8) {
        head.copy_from_slice(&ticks);
        body.copy_from_slice(&payload[8..]);
    } else {
        bytes.copy_from_slice(payload);
    }
    slot.commit();
}

fn constant<const N: usize, const CLOCK: bool>(mode: Mode) -> Cell {
    let mut bench = Bench::<CLOCK>::new(mode);
    let size = Size::Bytes(N);
    Cell::new(size, move || {
        bench.batch(size.records(), |channel, _| {
            write_constant::<N, CLOCK>(channel);
        })
    })
}

fn constant_in_place<const N: usize, const CLOCK: bool>(mode: Mode) -> Cell {
    let mut bench = Bench::<CLOCK>::new(mode);
    let size = Size::Bytes(N);
    Cell::new(size, move || {
        bench.batch(size.records(), |channel, _| {
            if let Ok(slot) = channel.reserve(N) {
                fill(slot, payload::<N>());
            }
        })
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

fn run_time<const CLOCK: bool>(mode: Mode, size: Size) -> Cell {
    let mut bench = Bench::<CLOCK>::new(mode);
    Cell::new(size, move || {
        bench.batch(size.records(), |channel, i| {
            let _ = channel.write(some_payload(length(size, i)));
        })
    })
}

fn run_time_in_place<const CLOCK: bool>(mode: Mode, size: Size) -> Cell {
    let mut bench = Bench::<CLOCK>::new(mode);
    Cell::new(size, move || {
        bench.batch(size.records(), |channel, i| {
            let payload = some_payload(length(size, i));
            if let Ok(slot) = channel.reserve(payload.len()) {
                fill(slot, payload);
            }
        })
    })
}

/// Pairs of records: one is under way while the other is written, as if an interrupt did.
fn nested<const N: usize, const CLOCK: bool>(mode: Mode) -> Cell {
    let mut bench = Bench::<CLOCK>::new(mode);
    let size = Size::Bytes(N);
    Cell::new(size, move || {
        bench.batch(size.records() / 2, |channel, _| {
            let outer = channel.reserve(N);
            write_constant::<N, CLOCK>(channel);
            if let Ok(slot) = outer {
                fill(slot, payload::<N>());
            }
        })
    })
}

/// A log line with two arguments, formatted in place.
fn log_line() -> Cell {
    let mut bench = Bench::<true>::new(Mode::Continuous);
    Cell::new(Size::REFERENCE, move || {
        bench.batch(Size::REFERENCE.records(), |channel, i| {
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
        })
    })
}

/// All sizes of a constant length.
macro_rules! constants {
    ($cell:ident, $clock:literal, $mode:expr) => {
        vec![
            $cell::<8, $clock>($mode),
            $cell::<32, $clock>($mode),
            $cell::<64, $clock>($mode),
            $cell::<256, $clock>($mode),
        ]
    };
}

/// All sizes of a run-time length.
fn lengths(cell: fn(Mode, Size) -> Cell, mode: Mode) -> Vec<Cell> {
    Size::ALL.map(|size| cell(mode, size)).into()
}

pub(super) fn subjects() -> Vec<Subject> {
    let row = |name, note, cells| Subject {
        whose: "relay",
        name,
        note,
        cells,
    };
    let (over, full) = (Mode::Continuous, Mode::NoOverwrite);
    vec![
        row(
            "write, constant length",
            "clock; overwrites the oldest, steadily",
            constants!(constant, true, over),
        ),
        row(
            "write, run-time length",
            "clock, overwrites",
            lengths(run_time::<true>, over),
        ),
        row(
            "in place, constant length",
            "clock, its time stored in the record; overwrites",
            constants!(constant_in_place, true, over),
        ),
        row(
            "in place, run-time length",
            "clock, its time stored in the record; overwrites",
            lengths(run_time_in_place::<true>, over),
        ),
        row(
            "nested pair, constant length",
            "clock, overwrites; every other record is written while one is under way",
            constants!(nested, true, over),
        ),
        row(
            "write, constant, no-overwrite",
            "clock; emptied between the batches, nothing lost",
            constants!(constant, true, full),
        ),
        row(
            "write, run-time, no-overwrite",
            "clock; emptied between the batches",
            lengths(run_time::<true>, full),
        ),
        row(
            "write, constant, no clock",
            "overwrites",
            constants!(constant, false, over),
        ),
        row(
            "write, run-time, no clock",
            "overwrites",
            lengths(run_time::<false>, over),
        ),
        row(
            "in place, constant, no clock",
            "overwrites",
            constants!(constant_in_place, false, over),
        ),
        row(
            "constant, no clock, no-overwrite",
            "emptied between the batches: what the peers without a clock do",
            constants!(constant, false, full),
        ),
        row(
            "run-time, no clock, no-overwrite",
            "emptied between the batches",
            lengths(run_time::<false>, full),
        ),
        row(
            "klog line, two arguments",
            "clock, overwrites; formats the text, adds place, severity and context",
            vec![log_line()],
        ),
    ]
}
