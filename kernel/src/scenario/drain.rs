//! `drain`: measures what writing costs and how fast ports, or a line, take it away: first one CPU
//! with idle neighbours, then all CPUs at once.
//!
//! Each round fills the rings with the drain paused, which gives the writers' cost without it; then
//! lets the drain run on what is there, which gives its speed; then writes as much again with the
//! drain running, which gives the writers' cost with it.

use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

use relay::Losses;

use super::definition::{Scenario, Verdict};
use super::emptied;
use super::flood;
use super::part::Part;
use crate::arch::smp;
use crate::base::cmdline::Options;
use crate::base::cpuset::CpuSet;
use crate::base::settings::{About, COUNT, Preset, Range, SUBBUF, Setting, Takes};
use crate::cpu::clock;
use crate::cpu::percpu;
use crate::life::{idle, programs};
use crate::logs::flood::CHANNEL as FLOOD;
use crate::out::{pump, stream};

pub(super) static SCENARIO: Scenario = Scenario {
    about: About {
        name: "drain",
        about: "measures writers and drain, from one CPU and from all",
        settings: &[LARGE, MANY],
    },
    boot_cpu,
    other_cpu,
    on_timer: |_| {},
    on_ipi: |_| {},
    on_nmi: |_| {},
};

/// Bytes of data in a record, if a sub-buffer holds some: the measure is the drain, not the writer.
const DATA: u64 = 1000;
/// A record without its data.
const FRAME: u64 = 21;
/// Bytes of a sub-buffer that are left to its header, and to a rest that is too small for a record.
const MARGIN: u64 = 256;
/// The size of the sub-buffers: several records shall fit into one.
const LARGE: Setting = Setting {
    takes: Takes::PowerOfTwo(Range {
        least: 4096,
        most: 1 << 30,
        unit: "bytes",
    }),
    default: Preset::Value(64 * 1024),
    ..SUBBUF
};
/// How many there are.
const MANY: Setting = Setting {
    default: Preset::Value(64),
    ..COUNT
};
/// What all CPUs shall do; each does a step once, when this reaches its number.
static STEP: AtomicU32 = AtomicU32::new(0);
/// CPUs that have done the step.
static DONE: AtomicU32 = AtomicU32::new(0);
/// Ticks that they needed, added up.
static TOOK: AtomicU64 = AtomicU64::new(0);

/// All CPUs fill their rings, the drain being paused.
const FILL: u32 = 1;
/// All CPUs empty their rings.
const EMPTY: u32 = 2;
/// All CPUs write as much again.
const REFILL: u32 = 3;

fn boot_cpu(options: &Options<'static>) -> Verdict {
    if !pump::has_sink() {
        relay::error!("there is no port to drain to");
        return Verdict::Fail;
    }
    if !programs::wait_for_drain(options) {
        return Verdict::Fail;
    }
    let all = percpu::online();
    if let Some(cpu) = all.iter().find(|cpu| FLOOD.geometry(*cpu).is_none()) {
        relay::error!("cpu {cpu} has no ring to drain: give the machine more memory");
        return Verdict::Fail;
    }
    let me = percpu::cpu_index();
    // All rings are alike, and a line's are smaller than what the settings say.
    let Some(load) = FLOOD.geometry(me).and_then(|geometry| {
        Load::of(
            geometry.subbuf_size() as u64,
            geometry.subbuf_count() as u64,
        )
    }) else {
        relay::error!("the rings are too small: subbuf=1024 is the least");
        return Verdict::Fail;
    };
    let measured = round(CpuSet::only(me), load) && round(all, load);
    let lost = lost();
    relay::info!("drain: {lost} records lost while they were written with the drain running");
    if measured {
        Verdict::Pass
    } else {
        Verdict::Fail
    }
}

/// What each CPU writes in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Load {
    records: u64,
    /// Bytes of data in each.
    data: u16,
}

impl Load {
    /// What a ring of `count` sub-buffers of `size` bytes surely holds: a sub-buffer less, and
    /// [`MARGIN`] in each. `None` if that is nothing.
    fn of(size: u64, count: u64) -> Option<Self> {
        let room = size.checked_sub(MARGIN)?;
        let data = DATA.min(room.checked_sub(FRAME)?);
        let records = count.saturating_sub(1) * (room / (data + FRAME));
        // Not more than `DATA`.
        (data > 0 && records > 0).then_some(Self {
            records,
            data: data as u16,
        })
    }
}

/// What each CPU has lost so far.
fn losses() -> impl Iterator<Item = Losses> {
    let all = percpu::online();
    all.iter().filter_map(|cpu| Some(FLOOD.stats(cpu)?.lost))
}

/// What all have lost.
fn lost() -> u64 {
    losses().map(|lost| lost.total()).sum()
}

/// One round with `cpus`; false if it got stuck, or the rings did not hold what they hold.
fn round(cpus: CpuSet, load: Load) -> bool {
    let writers = cpus.iter().count() as u64;
    let before = lost();
    stream::pause(true);
    let Some((alone, _)) = step(FILL, cpus, load) else {
        return false;
    };
    if lost() != before {
        for lost in losses().filter(|lost| lost.total() > 0) {
            relay::error!("drain: an empty ring did not hold {load:?}: lost {lost:?}");
        }
        return false;
    }
    stream::pause(false);
    let Some((_, wall)) = step(EMPTY, cpus, load) else {
        return false;
    };
    let Some((together, _)) = step(REFILL, cpus, load) else {
        return false;
    };
    if step(EMPTY, cpus, load).is_none() {
        return false;
    }
    let (records, record) = (load.records * writers, u64::from(load.data) + FRAME);
    let nanos = |ticks: u64| clock::micros(ticks) * 1000 / records;
    let bytes = records * record;
    // Hundredths of MB/s.
    let rate = bytes * 100 / clock::micros(wall).max(1);
    let (rate, part) = (rate / 100, rate % 100);
    relay::info!(
        "drain: {writers} cpus, {bytes} bytes in {} us = {rate}.{part:02} MB/s; a record of \
         {record} bytes costs its writer {} ns without the drain, {} ns with it",
        clock::micros(wall),
        nanos(alone),
        nanos(together)
    );
    true
}

/// Has `cpus` do a step, and waits for it. Returns the ticks that they needed, added up, and from
/// begin to end; `None` if they got stuck.
fn step(what: u32, cpus: CpuSet, load: Load) -> Option<(u64, u64)> {
    let me = CpuSet::only(percpu::cpu_index());
    TOOK.store(0, Ordering::Relaxed);
    DONE.store(0, Ordering::Relaxed);
    let start = clock::ticks();
    if cpus != me {
        RECORDS.store(load.records, Ordering::Relaxed);
        BYTES.store(load.data, Ordering::Relaxed);
        // ORDERING: who sees the step sees what to write.
        STEP.store(
            STEP.load(Ordering::Relaxed) & !0xF | what,
            Ordering::Relaxed,
        );
        STEP.fetch_add(0x10, Ordering::Release);
        smp::wake(cpus.without(me));
    }
    act(what, load);
    let wanted = cpus.iter().count() as u32;
    emptied::wait_for(|| DONE.load(Ordering::Acquire) == wanted);
    let end = clock::ticks();
    let done = DONE.load(Ordering::Acquire) == wanted;
    if !done {
        relay::error!("drain: stuck in step {what}");
    }
    done.then(|| (TOOK.load(Ordering::Relaxed), end.wrapping_sub(start)))
}

/// Records of the step.
static RECORDS: AtomicU64 = AtomicU64::new(0);
/// Bytes of data in each.
static BYTES: AtomicU16 = AtomicU16::new(0);

/// The steps of the other CPUs, as they come.
fn other_cpu(_options: &Options<'static>) {
    let mut seen = 0;
    loop {
        idle::until(|| STEP.load(Ordering::Acquire) >> 4 != seen);
        let now = STEP.load(Ordering::Acquire);
        seen = now >> 4;
        let load = Load {
            records: RECORDS.load(Ordering::Relaxed),
            data: BYTES.load(Ordering::Relaxed),
        };
        act(now & 0xF, load);
        smp::wake(CpuSet::only(0));
    }
}

/// Does one step on the calling CPU.
fn act(what: u32, load: Load) {
    let start = clock::ticks();
    match what {
        EMPTY => {
            FLOOD.flush();
            pump::poll();
            if !emptied::wait() {
                // The step is not done, and who waits for it says so.
                return;
            }
        }
        _ => {
            let part = Part::of(percpu::cpu_index());
            (0..load.records).for_each(|_| flood::write(part, load.data));
        }
    }
    TOOK.fetch_add(clock::ticks().wrapping_sub(start), Ordering::Relaxed);
    DONE.fetch_add(1, Ordering::Release);
}
