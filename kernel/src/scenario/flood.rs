//! `flood`: every CPU writes records as fast as it can, from task and timer interrupt, to a channel
//! of its own: `records=` per CPU, or for `seconds=`. With small buffers (`subbuf=`, `count=`)
//! records are lost, with large ones none; either way the ledger must balance.

use super::definition::{Scenario, Verdict};
use super::part::Part;
use crate::arch::frame::Interrupted;
use crate::base::cmdline::Options;
use crate::base::settings::{About, COUNT, MODE, Preset, SECONDS, SPARES, SUBBUF, Setting, Takes};
use crate::cpu::clock::{self, Timeout};
use crate::cpu::percpu;
use crate::life::idle;
use crate::logs::flood::CHANNEL;

pub(super) static SCENARIO: Scenario = Scenario {
    about: About {
        name: "flood",
        about: "every CPU writes as fast as it can, from task and interrupt context",
        settings: &[RECORDS, SECONDS, SUBBUF, COUNT, MODE, SPARES],
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

fn boot_cpu(options: &Options<'static>) -> Verdict {
    let cpus = percpu::online();
    let start = clock::ticks();
    take_part(options);
    let tried = || -> u64 { cpus.iter().map(|cpu| Part::of(cpu).tried()).sum() };
    let all_done = || cpus.iter().all(|cpu| Part::of(cpu).is_done());
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
    relay::info!(
        "{} records tried in {took} us, {} lost",
        tried(),
        lost.saturating_add(no_ring)
    );
    if no_ring != 0 {
        relay::warn!("{no_ring} of them were lost on CPUs that have no ring for them");
    }
    if all_done() {
        Verdict::Pass
    } else {
        relay::error!("not all CPUs have written what they should");
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
    part.begin();
    while part.tried() < records && !time.is_some_and(|time| time.expired()) {
        write(part, DATA);
    }
    part.end();
}

/// The timer interrupt's share: a burst, into the middle of whatever the task is writing.
fn on_timer(_interrupted: &Interrupted) {
    let part = Part::of(percpu::cpu_index());
    if part.is_writing() {
        for _ in 0..BURST {
            write(part, DATA);
        }
    }
}

/// Writes one record of the calling CPU and context, whose part this is, with `length` bytes of
/// data.
pub(super) fn write(part: &Part, length: u16) {
    // What is lost is counted by the channel, and missed by the host.
    let _ = CHANNEL.emit(&part.next(length));
}
