//! The rings of the load, changed while all CPUs write: they leave static memory, are exchanged at
//! random, or grow and shrink by what they need. The memory of those that were left comes back.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use relay::{Geometry, Storage, StreamError};

use super::channel;
use super::random::Random;
use super::ring_plan::{Change, RingPlan};
use crate::base::cpuset::CpuSet;
use crate::cpu::patience::Patience;
use crate::cpu::percpu;
use crate::life::idle;
use crate::logs::load;
use crate::mem::heap;
use crate::out::{pump, shown, stream};
use crate::scenario::part::Part;

/// How long nothing may move before something is given up.
const PATIENCE_MS: u64 = 20_000;
/// So many records each CPU has written before a ring leaves static memory.
const BEFORE: u64 = 100;
/// A stream with so many rings gets no more until older ones were read: they take memory.
const MOST_RINGS: usize = 8;

/// After so many steps, on average, a CPU sees to a ring.
const RARELY: u64 = 16;

/// Rings may be changed.
static IS_OPEN: AtomicBool = AtomicBool::new(false);

/// What has become of rings.
static COUNTS: Counts = Counts {
    exchanged: AtomicU64::new(0),
    grown: AtomicU64::new(0),
    shrunk: AtomicU64::new(0),
    no_memory: AtomicU64::new(0),
};

struct Counts {
    exchanged: AtomicU64,
    grown: AtomicU64,
    shrunk: AtomicU64,
    no_memory: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn counted(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// What each CPU does in its task, between records. What was asked of its own stream is done in its
/// task, too: interrupts come in between.
pub(super) fn step(plan: &RingPlan, random: &mut Random) {
    let cpus = percpu::online();
    if plan.by_record || plan.change != Change::None {
        // Records and rings are read while they are written, on other CPUs.
        random.one_of(cpus).into_iter().for_each(pump::poll_of);
    }
    let is_open = IS_OPEN.load(Ordering::Acquire);
    let stream = random.one_of(channel::streams(cpus));
    // Who looks at a stream's rings keeps them from being freed: where CPUs take turns, and each of
    // them is found looking when its turn is over, none ever is.
    let is_open = is_open && random.below(RARELY) == 0;
    if let (true, Some(stream), Some(full)) = (is_open, stream, load::full()) {
        match plan.change {
            Change::None => {}
            Change::Resize(number) => exchange(stream, full, number, random),
            Change::Adapt(most) => adapt(stream, full, most),
        }
    }
    if plan.change != Change::None {
        channel::tick();
    }
}

/// Has a stream go on in a ring of a random size, up to that of `full`, unless `number` have.
fn exchange(stream: usize, full: Geometry, number: u64, random: &mut Random) {
    channel::reclaim(stream);
    let rings = channel::info(stream).map_or(usize::MAX, |info| info.rings);
    if rings > MOST_RINGS || counted(&COUNTS.exchanged) >= number {
        return;
    }
    let sizes = full.subbuf_count().ilog2();
    let wanted = full.with_count(2 << random.below(sizes.into()));
    if wanted.is_ok_and(|wanted| offer(stream, wanted) == Ok(())) {
        count(&COUNTS.exchanged);
    }
}

/// Has a stream go on in a ring of `geometry`, if it has done what was asked before.
fn offer(stream: usize, geometry: Geometry) -> Result<(), StreamError> {
    let asked = Storage::allocate(&geometry)
        .map_err(StreamError::Storage)
        .and_then(|ring| channel::resize(stream, ring, geometry));
    note_memory(&asked);
    asked
}

/// Has a stream grow up to `most` sub-buffers, or shrink down to those of `full`, by what it needs.
fn adapt(stream: usize, full: Geometry, most: usize) {
    let before = channel::geometry(stream).map_or(0, |geometry| geometry.subbuf_count());
    let asked = channel::adapt(stream, full.subbuf_count()..=most);
    note_memory(&asked);
    match asked {
        Ok(Some(wanted)) if wanted > before => count(&COUNTS.grown),
        Ok(Some(_)) => count(&COUNTS.shrunk),
        _ => {}
    }
}

fn note_memory<T>(asked: &Result<T, StreamError>) {
    if matches!(asked, Err(StreamError::Storage(_))) {
        count(&COUNTS.no_memory);
    }
}

/// The changes, as the boot CPU sees to them: in the order of its functions.
pub(super) struct Changes {
    plan: RingPlan,
    streams: CpuSet,
    /// Rings that were in static memory.
    small: usize,
    /// Bytes of the heap in use, all rings being of the size that the settings say.
    heap: usize,
    patience: Patience,
    /// They have grown as far as they may.
    has_grown: bool,
    failures: u32,
}

impl Changes {
    /// None yet.
    pub(super) fn new(plan: RingPlan) -> Self {
        Self {
            plan,
            streams: channel::streams(percpu::online()),
            small: 0,
            heap: 0,
            patience: Patience::after_ms(PATIENCE_MS, 0),
            has_grown: false,
            failures: 0,
        }
    }

    /// Whether all CPUs write; or it takes too long.
    pub(super) fn may_begin(&mut self) -> bool {
        let cpus = percpu::online();
        let write = |cpu| Part::of(cpu).is_writing() && Part::of(cpu).tried() >= BEFORE;
        cpus.iter().all(write) || self.patience.is_over(0)
    }

    /// Has rings leave static memory.
    pub(super) fn leave_static_memory(&mut self) {
        let Some(full) = load::full().filter(|_| self.plan.begins_small) else {
            return;
        };
        for stream in self.streams.iter().filter(|stream| !has(*stream, full)) {
            match offer(stream, full) {
                Ok(()) => self.small += 1,
                Err(error) => {
                    self.failures += 1;
                    relay::error!("stream {stream} stays in static memory: {error}");
                }
            }
        }
        self.patience = Patience::after_ms(PATIENCE_MS, 0);
    }

    /// Whether they have left it; or it takes too long.
    pub(super) fn have_left(&mut self) -> bool {
        self.all_have(load::full()) || self.failures != 0 || self.patience.is_over(0)
    }

    /// Has all CPUs change rings from now on.
    pub(super) fn begin(&mut self) {
        if self.small != 0 {
            self.streams.iter().for_each(|stream| {
                channel::reclaim(stream);
            });
            let small = self.small;
            relay::info!("{small} rings have left static memory while all CPUs wrote");
        }
        self.heap = heap::used();
        // So that rings need more.
        stream::pause(matches!(self.plan.change, Change::Adapt(_)));
        self.patience = Patience::after_ms(PATIENCE_MS, 0);
        IS_OPEN.store(true, Ordering::Release);
    }

    /// Whether all that was asked for was changed, and some records were read one by one where they
    /// can be; or nothing happens any more.
    pub(super) fn are_done(&mut self) -> bool {
        let is_done = load::full().is_none_or(|full| match self.plan.change {
            Change::None => true,
            Change::Resize(number) => counted(&COUNTS.exchanged) >= number,
            Change::Adapt(most) => {
                self.has_grown |= self.all_have(full.with_count(most).ok());
                // What is full is read from now on.
                stream::pause(!self.has_grown);
                self.has_grown
            }
        });
        let is_read = !self.plan.by_record || shown::sums().records != 0;
        let moved = counted(&COUNTS.exchanged) + counted(&COUNTS.grown);
        is_done && is_read || self.patience.is_over(moved)
    }

    /// When nobody writes any more: has all rings become as large as the settings say, and waits
    /// until those that were left are read and freed.
    pub(super) fn settle(&mut self) {
        IS_OPEN.store(false, Ordering::Release);
        stream::pause(false);
        let Some(full) = load::full() else {
            return;
        };
        let mut patience = Patience::after_ms(PATIENCE_MS, pump::moved());
        idle::until(|| {
            let mut are_settled = true;
            for stream in self.streams.iter() {
                match self.plan.change {
                    Change::Adapt(most) => adapt(stream, full, most),
                    // It may not have done what was asked last: then once more.
                    _ if !has(stream, full) => drop(offer(stream, full)),
                    _ => {}
                }
                channel::reclaim(stream);
                // One that was asked for in the end may still be to come.
                let is_alone =
                    channel::info(stream).is_none_or(|info| info.rings == 1 && !info.is_resize_due);
                are_settled &= is_alone && has(stream, full);
            }
            are_settled || patience.is_over(pump::moved())
        });
    }

    /// Says what was changed; whether it was all that was asked for, and the memory has come back.
    pub(super) fn tell(&self) -> bool {
        let [exchanged, grown, shrunk, no_memory] = [
            &COUNTS.exchanged,
            &COUNTS.grown,
            &COUNTS.shrunk,
            &COUNTS.no_memory,
        ]
        .map(counted);
        let mut is_good = self.failures == 0;
        let mut must = |is_right: bool, what: &str| {
            if !is_right {
                relay::error!("{what}");
            }
            is_good &= is_right;
        };
        match self.plan.change {
            Change::None => {}
            Change::Resize(number) => {
                relay::info!("{exchanged} rings were exchanged while all CPUs wrote");
                must(
                    exchanged >= number,
                    "fewer rings were exchanged than asked for",
                );
            }
            Change::Adapt(most) => {
                relay::info!(
                    "rings have grown to {most} sub-buffers: they were asked {grown} times to grow, \
                     {shrunk} times to shrink again"
                );
                must(self.has_grown, "a ring has not grown as far as it may");
                must(shrunk != 0, "no ring has shrunk again");
            }
        }
        if self.plan.begins_small {
            must(
                self.small == self.streams.iter().count(),
                "not all rings were in static memory",
            );
        }
        if self.plan.begins_small || self.plan.change != Change::None {
            let (before, after) = (self.heap, heap::used());
            relay::info!("heap in use: {before} bytes before, {after} after");
            must(
                self.all_have(load::full()),
                "a ring is not of the size that was asked for last",
            );
            must(after <= before, "the memory of rings has not come back");
            if no_memory != 0 {
                relay::warn!("{no_memory} times there was no memory for a ring");
            }
        }
        if self.plan.by_record {
            let shown::Sums {
                records,
                looks,
                wrong,
            } = shown::sums();
            relay::info!(
                "{records} records were read before their sub-buffers were complete, in {looks} looks"
            );
            must(
                records != 0,
                "no record was read before its sub-buffer was complete: the drain is too slow",
            );
            must(wrong == 0, "records that could be read were not right");
        }
        is_good
    }

    fn all_have(&self, geometry: Option<Geometry>) -> bool {
        let mut streams = self.streams.iter();
        geometry.is_none_or(|geometry| streams.all(|stream| has(stream, geometry)))
    }
}

/// Whether a stream is in a ring of `geometry`, or has none.
fn has(stream: usize, geometry: Geometry) -> bool {
    channel::geometry(stream).is_none_or(|is| is == geometry)
}
