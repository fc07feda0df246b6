//! `flood`: every CPU writes records as fast as it can, from task and timer interrupt, to a channel
//! of its own: `records=` per CPU, or for `seconds=`. With small buffers (`subbuf=`, `count=`)
//! records are lost, with large ones none; either way the ledger must balance.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::definition::{Scenario, Verdict};
use crate::arch::frame::Interrupted;
use crate::base::cmdline::Options;
use crate::base::cpuset::MAX_CPUS;
use crate::base::settings::{About, COUNT, Preset, SECONDS, SUBBUF, Setting, Takes};
use crate::cpu::clock::{self, Timeout};
use crate::cpu::percpu;
use crate::life::idle;
use crate::logs::flood::{ATTEMPTS, CHANNEL, Flood};

pub(super) static SCENARIO: Scenario = Scenario {
    about: About {
        name: "flood",
        about: "every CPU writes as fast as it can, from task and interrupt context",
        settings: &[RECORDS, SECONDS, SUBBUF, COUNT],
    },
    boot_cpu,
    other_cpu: take_part,
    on_timer,
    on_ipi: |_| {},
    on_nmi: |_| {},
};

/// How many records each CPU writes, unless it is told how long it shall write.
const RECORDS: Setting = Setting {
    key: "records",
    about: "how many records each CPU writes",
    takes: Takes::number(0, u64::MAX, ""),
    default: Preset::Else("20000, or as many as it can where seconds are set"),
};
/// Its default.
const FEW: u64 = 20_000;
/// Of how many records one is written by the timer interrupt, in bursts.
const BURST: u64 = 32;
/// Bytes of data in a record.
const DATA: u16 = 16;
/// How long no CPU may write anything before the scenario fails.
const PATIENCE_MS: u64 = 20_000;

/// One CPU's part.
#[repr(align(128))]
pub(super) struct Part {
    /// Interrupts shall write.
    runs: AtomicBool,
    /// The CPU has written all it shall.
    is_done: AtomicBool,
    /// Records tried from task, interrupt and NMI context.
    tried: [AtomicU64; 3],
}

static PARTS: [Part; MAX_CPUS] = [const {
    Part {
        runs: AtomicBool::new(false),
        is_done: AtomicBool::new(false),
        tried: [const { AtomicU64::new(0) }; 3],
    }
}; MAX_CPUS];

impl Part {
    pub(super) fn of(cpu: usize) -> &'static Self {
        &PARTS[cpu % MAX_CPUS]
    }

    fn tried(&self) -> u64 {
        self.tried
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .sum()
    }
}

fn boot_cpu(options: &Options<'static>) -> Verdict {
    let cpus = percpu::online();
    let start = clock::ticks();
    take_part(options);
    let tried = || -> u64 { cpus.iter().map(|cpu| Part::of(cpu).tried()).sum() };
    let all_done = || {
        cpus.iter()
            .all(|cpu| Part::of(cpu).is_done.load(Ordering::Acquire))
    };
    let mut seen = tried();
    let mut patience = Timeout::after_ms(PATIENCE_MS);
    idle::until(|| {
        if tried() != seen {
            seen = tried();
            patience = Timeout::after_ms(PATIENCE_MS);
        }
        all_done() || patience.expired()
    });
    let took = clock::micros(clock::ticks().wrapping_sub(start));
    let lost: u64 = cpus
        .iter()
        .filter_map(|cpu| CHANNEL.stats(cpu))
        .map(|stats| stats.lost.total())
        .sum();
    let no_ring = CHANNEL.lost_no_ring();
    log::info!(
        "{} records tried in {took} us, {} lost",
        tried(),
        lost.saturating_add(no_ring)
    );
    if no_ring != 0 {
        log::warn!("{no_ring} of them were lost on CPUs that have no ring for them");
    }
    if all_done() {
        Verdict::Pass
    } else {
        log::error!("not all CPUs have written what they should");
        Verdict::Fail
    }
}

/// Writes this CPU's share.
fn take_part(options: &Options<'static>) {
    let part = Part::of(percpu::cpu_index());
    let seconds = options.value(&SECONDS);
    let records = match (options.value(&RECORDS), seconds) {
        (Some(records), _) => records,
        (None, Some(_)) => u64::MAX,
        (None, None) => FEW,
    };
    let time = seconds.map(|seconds| Timeout::after_ms(seconds * 1000));
    part.runs.store(true, Ordering::Relaxed);
    while part.tried() < records && !time.is_some_and(|time| time.expired()) {
        write(part, DATA);
    }
    part.runs.store(false, Ordering::Relaxed);
    part.is_done.store(true, Ordering::Release);
}

/// The timer interrupt's share: a burst, into the middle of whatever the task is writing.
fn on_timer(_interrupted: &Interrupted) {
    let part = Part::of(percpu::cpu_index());
    if part.runs.load(Ordering::Relaxed) {
        for _ in 0..BURST {
            write(part, DATA);
        }
    }
}

/// Writes one record of the calling CPU and context, whose part this is, with `length` bytes of
/// data.
pub(super) fn write(part: &Part, length: u16) {
    let context = percpu::context();
    let count = &part.tried[context as usize];
    // Its own context alone changes it.
    let sequence = count.load(Ordering::Relaxed);
    count.store(sequence + 1, Ordering::Relaxed);
    ATTEMPTS.count();

    // What is lost is counted by the channel, and missed by the host.
    let _ = CHANNEL.emit(&Flood {
        sequence,
        context,
        length,
    });
}
