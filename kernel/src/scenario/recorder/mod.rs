//! `recorder`: a flight recorder. All CPUs write from all contexts, to rings that overwrite what is
//! oldest and that nobody reads, but for observers. On demand what the rings hold leaves the
//! machine: a snapshot.
//!
//! A snapshot freezes the rings: a CPU stops writing, hands over its open packet, says what it has
//! written so far, and goes on when its ring is empty. So what arrives are the newest records of
//! each CPU, without gaps, up to the moment at which it stopped.

mod observe;

use core::fmt;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use relay::ctf::HEADER;
use relay::record::STAMP;
use relay::{Loss, Mode};

use super::definition::{Scenario, Verdict};
use super::part::Part;
use super::{emptied, flood};
use crate::arch::{smp, stop};
use crate::base::choice::Choice;
use crate::base::cmdline::Options;
use crate::base::cpuset::{CpuSet, MAX_CPUS};
use crate::base::settings::{About, COUNT, MODE, Preset, Range, SPARES, SUBBUF, Setting, Takes};
use crate::cpu::patience::Patience;
use crate::cpu::percpu;
use crate::life::idle;
use crate::logs::flood::{CHANNEL, Flood};
use crate::out::{pump, stream};
use observe::Watch;

pub(super) static SCENARIO: Scenario = Scenario {
    about: About {
        name: "recorder",
        about: "all CPUs overwrite what nobody reads, until a snapshot or a panic",
        settings: &[SNAPSHOTS, LAPS, END, SMALL, FEW, OVERWRITE, SOME],
    },
    boot_cpu,
    other_cpu,
    on_timer: |_| write_nested(),
    on_ipi: |_| write_nested(),
    on_nmi: |_| write_nested(),
};

/// How often what the rings hold leaves the machine.
const SNAPSHOTS: Setting = Setting {
    key: "snapshots",
    about: "how often what the rings hold leaves the machine",
    takes: Takes::number(1, 1000, ""),
    default: Preset::Value(3),
};
/// How much is written before that.
const LAPS: Setting = Setting {
    key: "laps",
    about: "how often each CPU fills its ring before each snapshot",
    takes: Takes::number(1, 1_000_000, ""),
    default: Preset::Value(20),
};
/// What the last snapshot is.
const END: Setting = Setting {
    key: "end",
    about: "how the last snapshot is taken",
    takes: Takes::OneOf(&ENDS),
    default: Preset::Value(0),
};
const ENDS: [Choice; 2] = [
    Choice::new("snapshot", "on demand, as the others"),
    Choice::new("panic", "by a panic of CPU 0, while the others write"),
];
/// [`END`] by a panic.
const PANIC: u64 = 1;
/// The size of the sub-buffers: one holds records of all contexts.
const SMALL: Setting = Setting {
    takes: Takes::PowerOfTwo(Range {
        least: 1024,
        most: 1 << 20,
        unit: "bytes",
    }),
    default: Preset::Value(4096),
    ..SUBBUF
};
/// Observers copy packets of a ring that goes on.
const SOME: Setting = Setting {
    default: Preset::Value(2),
    ..SPARES
};
/// How many there are.
const FEW: Setting = Setting {
    default: Preset::Value(8),
    ..COUNT
};
/// Nothing else makes a flight recorder.
const OVERWRITE: Setting = Setting {
    default: Preset::Value(1),
    ..MODE
};

/// Bytes of data in a record.
const DATA: u16 = 16;
/// Records that a task writes between two looks around.
const BURST: u32 = 16;
/// Records of an interrupt or an NMI.
const NESTED: u32 = 2;
/// How long no CPU may write anything before the scenario fails.
const PATIENCE_MS: u64 = 20_000;

/// What all CPUs do: nothing yet, write, freeze, write, freeze, ... It grows.
static STEP: AtomicU32 = AtomicU32::new(0);
/// CPUs that have stopped writing in this step.
static STOPPED: AtomicU32 = AtomicU32::new(0);
/// CPUs whose ring was emptied in this step.
static EMPTIED: AtomicU32 = AtomicU32::new(0);
/// Snapshots of single CPUs, in all.
static SNAPSHOTS_TAKEN: AtomicU64 = AtomicU64::new(0);

fn boot_cpu(options: &Options<'static>) -> Verdict {
    let cpus = percpu::online();
    let Some(lap) = lap(cpus) else {
        return Verdict::Fail;
    };
    // Nobody has written anything yet.
    stream::pause(true);
    let snapshots = options.value(&SNAPSHOTS).unwrap_or(1);
    let laps = options.value(&LAPS).unwrap_or(1);
    let mut watch = Watch::of(neighbour(cpus));
    for number in 1..=snapshots {
        go_on(cpus);
        if !write_so_much(cpus, laps * lap, watch.as_mut()) {
            return Verdict::Fail;
        }
        if number == snapshots && options.value(&END) == Some(PANIC) {
            Part::of(percpu::cpu_index()).end();
            observe::tell();
            panic!("the recorder ends here: {}", Written);
        }
        relay::info!("snapshot {number} of {snapshots}: {cpus} freeze");
        if !take_snapshot(cpus) {
            relay::error!("snapshot {number} was not taken");
            return Verdict::Fail;
        }
    }
    // What comes now are the last packets.
    stream::pause(false);
    conclude(cpus)
}

/// Records that a CPU writes in a lap; `None`, and it is told, if there is a CPU that cannot.
fn lap(cpus: CpuSet) -> Option<u64> {
    if !pump::has_sink() {
        relay::error!("there is no port that a snapshot could leave through");
        return None;
    }
    let geometry = cpus.iter().map(|cpu| CHANNEL.geometry(cpu));
    let Some(geometry) = geometry.reduce(Option::and).flatten() else {
        relay::error!("a cpu has no ring: give the machine more memory");
        return None;
    };
    if geometry.mode() != Mode::Continuous {
        relay::error!("these rings keep what is oldest: mode=overwrite makes a recorder of them");
        return None;
    }
    let record = STAMP + Flood::HEAD + usize::from(DATA);
    let records = (geometry.subbuf_size() - HEADER) / record;
    Some((records * geometry.subbuf_count()) as u64)
}

/// Has all CPUs do the next step.
fn go_on(cpus: CpuSet) {
    STOPPED.store(0, Ordering::Relaxed);
    EMPTIED.store(0, Ordering::Relaxed);
    STEP.fetch_add(1, Ordering::Release);
    smp::wake(cpus.without(CpuSet::only(percpu::cpu_index())));
}

/// Whether CPUs write in this step.
fn is_writing(step: u32) -> bool {
    step % 2 == 1
}

/// Writes until every CPU has tried so many records from now on; false if they do not.
fn write_so_much(cpus: CpuSet, records: u64, watch: Option<&mut Watch>) -> bool {
    let before: [u64; MAX_CPUS] = core::array::from_fn(|cpu| Part::of(cpu).tried());
    let tried = |cpu: usize| Part::of(cpu).tried() - before[cpu % MAX_CPUS];
    let in_all = || cpus.iter().map(tried).sum();
    let is_done = || cpus.iter().all(|cpu| tried(cpu) >= records);
    let mut patience = Patience::after_ms(PATIENCE_MS, in_all());
    write_until(watch, || is_done() || patience.is_over(in_all()));
    if !is_done() {
        relay::error!("not all CPUs have written what they should");
    }
    is_done()
}

/// Freezes the rings of all CPUs, and waits until they are empty; false if they never are.
fn take_snapshot(cpus: CpuSet) -> bool {
    let count = cpus.iter().count() as u32;
    go_on(cpus);
    freeze();
    // A ring that is taken away while it is written to would lose records.
    if !emptied::wait_for(|| STOPPED.load(Ordering::Acquire) == count) {
        return false;
    }
    stream::pause(false);
    smp::wake(cpus.without(CpuSet::only(percpu::cpu_index())));
    let is_taken = empty() && emptied::wait_for(|| EMPTIED.load(Ordering::Acquire) == count);
    stream::pause(true);
    is_taken
}

/// Stops writing on this CPU, and hands over what it has written.
fn freeze() {
    Part::of(percpu::cpu_index()).end();
    CHANNEL.flush();
    relay::info!("{Written}");
    STOPPED.fetch_add(1, Ordering::Release);
}

/// Waits until what this CPU has handed over has left.
fn empty() -> bool {
    let is_empty = emptied::wait();
    if is_empty {
        SNAPSHOTS_TAKEN.fetch_add(1, Ordering::Relaxed);
        EMPTIED.fetch_add(1, Ordering::Release);
        smp::wake(CpuSet::only(0));
    }
    is_empty
}

/// What the calling CPU, which does not write any more, has written.
struct Written;

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpu = percpu::cpu_index();
        let [task, irq, nmi] = Part::of(cpu).tried_from();
        write!(
            f,
            "cpu {cpu} has written {task} records in tasks, {irq} in interrupts, {nmi} in NMIs"
        )
    }
}

/// Says what was seen, and what became of it.
fn conclude(cpus: CpuSet) -> Verdict {
    let stats = || cpus.iter().filter_map(|cpu| CHANNEL.stats(cpu));
    let overwritten: u64 = stats().map(|stats| stats.overwritten).sum();
    let lost: u64 = stats().map(|stats| stats.lost.total()).sum();
    // Interrupts may go round a small ring while a record is under way: that is nobody's fault.
    let wrapped: u64 = stats().map(|stats| stats.lost.get(Loss::Wrapped)).sum();
    let tried: u64 = cpus.iter().map(|cpu| Part::of(cpu).tried()).sum();
    let taken = SNAPSHOTS_TAKEN.load(Ordering::Relaxed);
    relay::info!(
        "{tried} records tried, {overwritten} overwritten, {lost} lost; {taken} snapshots of a cpu"
    );
    let are_seen = observe::tell();
    if lost != wrapped {
        relay::error!("somebody has disturbed the writers: see why they have lost records");
    }
    if !are_seen {
        relay::error!("observers have seen nothing, or what is wrong");
    }
    match are_seen && lost == wrapped {
        true => Verdict::Pass,
        false => Verdict::Fail,
    }
}

/// The part of the other CPUs: each step once, as they come.
fn other_cpu(_options: &Options<'static>) {
    let mut watch = Watch::of(neighbour(percpu::online()));
    let mut seen = 0;
    loop {
        idle::until(|| STEP.load(Ordering::Acquire) != seen);
        seen = STEP.load(Ordering::Acquire);
        if is_writing(seen) {
            write_until(watch.as_mut(), || STEP.load(Ordering::Acquire) != seen);
        } else {
            freeze();
            // Who waits for it says that it is not.
            empty();
        }
    }
}

/// The CPU after this one.
fn neighbour(cpus: CpuSet) -> usize {
    let me = percpu::cpu_index();
    let after = cpus.iter().find(|cpu| *cpu > me);
    after.or(cpus.iter().next()).unwrap_or(me)
}

/// Writes in task context, interrupts the next CPU, and watches it, until `is_over`.
fn write_until(mut watch: Option<&mut Watch>, mut is_over: impl FnMut() -> bool) {
    let cpus = percpu::online();
    let (me, next) = (percpu::cpu_index(), neighbour(cpus));
    let part = Part::of(me);
    part.begin();
    let mut turn = 0_u32;
    while !is_over() {
        for _ in 0..BURST {
            flood::write(part, DATA);
        }
        turn = turn.wrapping_add(1);
        match turn % 2 {
            _ if next == me => {}
            0 => smp::wake(CpuSet::only(next)),
            _ => stop::send_nmi(next),
        }
        if let Some(watch) = &mut watch {
            watch.look();
        }
    }
}

/// The share of interrupts and NMIs.
fn write_nested() {
    let part = Part::of(percpu::cpu_index());
    if part.is_writing() {
        for _ in 0..NESTED {
            flood::write(part, DATA);
        }
    }
}
