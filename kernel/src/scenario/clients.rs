//! `clients`: every client of relay at once, each in its own channel, with its own mode and size:
//! klog, evlog, trace, profile if it is on, and the load.
//!
//! Each CPU writes [`ROUNDS`] bursts with interrupts off, so that nobody empties a ring meanwhile:
//! a ring that has room for a burst loses nothing, one that has not loses some. Then it waits until
//! its rings are empty. NMIs that CPUs send each other come into the middle of bursts, and
//! interrupts behind them; both write a little, too.

use core::sync::atomic::{AtomicU32, Ordering};

use relay::Mode;
use x86_64::instructions::interrupts;

use super::definition::{Scenario, Verdict};
use super::part::Part;
use super::{emptied, flood};
use crate::arch::frame::Interrupted;
use crate::arch::{smp, stop};
use crate::base::cmdline::Options;
use crate::base::cpuset::{CpuSet, MAX_CPUS};
use crate::base::settings::{About, COUNT, MODE, Preset, SUBBUF, Setting, TRACE, Takes};
use crate::cpu::patience::Patience;
use crate::cpu::percpu;
use crate::life::idle;
use crate::logs::{claims, evlog, registry, switches, trace};

pub(super) static SCENARIO: Scenario = Scenario {
    about: About {
        name: "clients",
        about: "writes to klog, evlog, trace and flood at once, from all CPUs and contexts",
        settings: &[ROUNDS, BURST, MODE, SUBBUF, COUNT],
    },
    boot_cpu,
    other_cpu: take_part,
    on_timer: |_| write_from_interrupt(),
    on_ipi: |_| write_from_interrupt(),
    on_nmi: |_: &Interrupted| write_from_interrupt(),
};

/// How many bursts each CPU writes.
const ROUNDS: Setting = Setting {
    key: "rounds",
    about: "how many bursts each CPU writes",
    takes: Takes::number(1, 1 << 20, ""),
    default: Preset::Value(8),
};

/// How many records of a channel a burst has.
const BURST: Setting = Setting {
    key: "burst",
    about: "how many records each burst has in a channel; the log has a quarter of them",
    takes: Takes::number(1, 1 << 16, ""),
    default: Preset::Value(200),
};

/// Of so many records one is a line of the log, too.
const SELDOM: u64 = 4;
/// Bytes of data in a record of the load.
const DATA: u16 = 16;
/// What a line of the log has: so few lines must be as long as many events.
const WORDS: &str = "a line that takes as much room as some events of the other channels do";
/// What interrupts and NMIs of a CPU write in a round: few, since each tick ends a packet, and a
/// ring of a client has eight.
const SHARE: u32 = 3;
/// How long nothing may move before the scenario fails.
const PATIENCE_MS: u64 = 20_000;

relay::event! {
    /// A turn of a CPU, for operators.
    #[event(
        channel = "evlog",
        facility = "scenario",
        type = 4,
        severity = Info,
        text = "turn {number} of round {round}"
    )]
    struct Turn {
        round: u32,
        number: u64,
    }

    /// The same in the trace.
    #[event(
        channel = "trace",
        name = "clients_turn",
        facility = "scenario",
        enabled = false,
        text = "turn {number} of round {round}"
    )]
    struct TracedTurn {
        round: u32,
        number: u64,
    }
}

fn boot_cpu(options: &Options<'static>) -> Verdict {
    // All that there is, unless the command line says what.
    if options.text(&TRACE).is_none()
        && let Err(error) = switches::set(TRACE.key, "all")
    {
        relay::error!("trace=all: {error}");
        return Verdict::Fail;
    }
    let cpus = percpu::online();
    take_part(options);
    let tried = || -> u64 { cpus.iter().map(|cpu| Part::of(cpu).tried()).sum() };
    let are_done = || cpus.iter().all(|cpu| Part::of(cpu).is_done());
    let mut patience = Patience::after_ms(PATIENCE_MS, tried());
    idle::until(|| are_done() || patience.is_over(tried()));
    if !are_done() {
        relay::error!("not all CPUs have sent what they wrote");
        return Verdict::Fail;
    }
    relay::info!("{} records tried in flood", tried());
    Verdict::Pass
}

/// Writes this CPU's share.
fn take_part(options: &Options<'static>) {
    let me = percpu::cpu_index();
    let part = Part::of(me);
    let rounds = options.value(&ROUNDS).unwrap_or_default() as u32;
    let burst = options.value(&BURST).unwrap_or_default();
    let next = percpu::online().next_after(me).unwrap_or(me);
    part.begin();
    for round in 1..=rounds {
        SHARES[me % MAX_CPUS].store(SHARE, Ordering::Relaxed);
        interrupts::without_interrupts(|| {
            for number in 1..=burst {
                write(part, round, number);
                if number == burst / 2 {
                    stop::send_nmi(next);
                }
                if number.is_multiple_of(SELDOM) {
                    relay::info!("round {round}: {WORDS}");
                }
            }
        });
        if next != me {
            smp::wake(CpuSet::only(next));
        }
        if !emptied::wait_for(|| is_empty(me)) {
            // It is not done: CPU 0 says so.
            return;
        }
    }
    part.end();
}

/// Writes a record to each channel but the log's.
fn write(part: &Part, round: u32, number: u64) {
    flood::write(part, DATA);
    evlog::emit(|| Turn { round, number });
    trace::emit(|| TracedTurn { round, number });
}

/// How many records of each channel interrupts and NMIs of a CPU may still write in this round.
static SHARES: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];

/// The share of interrupts and NMIs: one of each, of round 0.
fn write_from_interrupt() {
    let me = percpu::cpu_index();
    let part = Part::of(me);
    let take = |left: u32| left.checked_sub(1);
    let share = SHARES[me % MAX_CPUS].fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
    if part.is_writing() && share.is_ok() {
        write(part, 0, part.tried_here());
    }
}

/// Whether all that `cpu` has written has left the machine, but for what overwrites: that stays.
fn is_empty(cpu: usize) -> bool {
    let sent = registry::all().filter(|channel| !core::ptr::eq(*channel, &claims::CHANNEL));
    let mut rings = sent.filter_map(|channel| Some((channel.geometry(cpu)?, channel.info(cpu)?)));
    rings.all(|(ring, info)| {
        ring.mode() == Mode::Continuous || (info.unread == 0 && info.taken == 0)
    })
}
