//! `smoke`: every CPU logs from task, interrupt and NMI context.
//!
//! Each CPU logs [`BURSTS`] bursts of task records and, after each, sends an NMI
//! and a wake-up to the next CPU (a lone CPU sends itself the NMIs). Handlers log
//! their first few calls and only count the rest. CPU 0 waits for all of it,
//! however slow the machine is, as long as something still happens.

use core::sync::atomic::{AtomicU32, Ordering};

use super::definition::{Scenario, Verdict};
use super::pin;
use crate::arch::frame::Interrupted;
use crate::arch::{smp, stop};
use crate::base::cmdline::Options;
use crate::base::cpuset::{CpuSet, MAX_CPUS};
use crate::base::settings::About;
use crate::cpu::clock::Timeout;
use crate::cpu::percpu;
use crate::life::idle;

pub(super) static SCENARIO: Scenario = Scenario {
    about: About {
        name: "smoke",
        about: "every CPU logs from task, interrupt and NMI context",
        settings: &[],
    },
    boot_cpu,
    other_cpu: |_| take_part(),
    on_timer,
    on_ipi,
    on_nmi,
};

/// Bursts of task records on each CPU.
const BURSTS: u32 = 4;
/// Task records in a burst.
const BURST: u32 = 4;
/// Handler calls that are logged, for each kind of handler.
const LOGGED: u32 = 4;
/// How long nothing at all may happen before the scenario fails.
const PATIENCE_MS: u64 = 20_000;
/// How long to wait for an NMI before it is sent again: NMIs that come while one
/// is waiting are one.
const RESEND_MS: u64 = 200;

/// What has happened on one CPU.
#[derive(Debug)]
#[repr(align(64))]
struct Counts {
    task: AtomicU32,
    timer: AtomicU32,
    wake: AtomicU32,
    nmi: AtomicU32,
}

static COUNTS: [Counts; MAX_CPUS] = [const {
    Counts {
        task: AtomicU32::new(0),
        timer: AtomicU32::new(0),
        wake: AtomicU32::new(0),
        nmi: AtomicU32::new(0),
    }
}; MAX_CPUS];

impl Counts {
    fn of(cpu: usize) -> &'static Self {
        &COUNTS[cpu % MAX_CPUS]
    }

    /// All that counts towards the end, capped where more does not help.
    fn progress(&self) -> u32 {
        [&self.task, &self.timer, &self.nmi]
            .iter()
            .map(|count| count.load(Ordering::Relaxed).min(BURSTS * BURST))
            .sum()
    }

    /// Whether the CPU has logged from everywhere as often as it shall.
    fn is_complete(&self) -> bool {
        self.task.load(Ordering::Relaxed) >= BURSTS * BURST
            && self.timer.load(Ordering::Relaxed) >= LOGGED
            && self.nmi.load(Ordering::Relaxed) >= LOGGED
    }
}

fn boot_cpu(_options: &Options<'static>) -> Verdict {
    if let Err(error) = pin::check() {
        relay::error!("a pin that turns interrupts off: {error}");
        return Verdict::Fail;
    }
    let cpus = percpu::online();
    take_part();
    let progress = || -> u32 { cpus.iter().map(|cpu| Counts::of(cpu).progress()).sum() };
    let incomplete = || {
        cpus.iter()
            .filter(|&cpu| !Counts::of(cpu).is_complete())
            .map(CpuSet::only)
            .fold(CpuSet::EMPTY, CpuSet::with)
    };
    let mut seen = progress();
    let mut patience = Timeout::after_ms(PATIENCE_MS);
    idle::until(|| {
        if progress() != seen {
            seen = progress();
            patience = Timeout::after_ms(PATIENCE_MS);
        }
        incomplete().is_empty() || patience.expired()
    });
    for cpu in incomplete().iter() {
        let counts = Counts::of(cpu);
        relay::error!(
            "cpu {cpu} is stuck: task records {records} of {all}, timer interrupts {timer} of \
             {LOGGED}, NMIs {nmis} of {LOGGED}",
            records = counts.task.load(Ordering::Relaxed),
            all = BURSTS * BURST,
            timer = counts.timer.load(Ordering::Relaxed),
            nmis = counts.nmi.load(Ordering::Relaxed),
        );
    }
    if incomplete().is_empty() {
        Verdict::Pass
    } else {
        Verdict::Fail
    }
}

/// One CPU's part.
fn take_part() {
    let me = percpu::cpu_index();
    let mine = Counts::of(me);
    let next = percpu::online().next_after(me).unwrap_or(me);
    for burst in 0..BURSTS {
        for number in 0..BURST {
            relay::info!(
                "task record {record} of {all}",
                record = burst * BURST + number + 1,
                all = BURSTS * BURST
            );
            mine.task.fetch_add(1, Ordering::Relaxed);
        }
        if next != me {
            smp::wake(CpuSet::only(next));
        }
        let timer = mine.timer.load(Ordering::Relaxed);
        send_nmi(next, burst + 1);
        // Bursts of different CPUs shall mix: wait for a timer interrupt.
        idle::until(|| mine.timer.load(Ordering::Relaxed) != timer);
    }
}

/// Sends NMIs to a CPU until it has had `count` of them.
fn send_nmi(cpu: usize, count: u32) {
    let nmis = &Counts::of(cpu).nmi;
    while nmis.load(Ordering::Relaxed) < count {
        stop::send_nmi(cpu);
        let resend = Timeout::after_ms(RESEND_MS);
        idle::until(|| nmis.load(Ordering::Relaxed) >= count || resend.expired());
    }
}

/// Counts a handler's call, and says its number if it is one of those that are logged.
fn logged(count: &AtomicU32) -> Option<u32> {
    let number = count.fetch_add(1, Ordering::Relaxed) + 1;
    (number <= LOGGED).then_some(number)
}

fn on_timer(_interrupted: &Interrupted) {
    if let Some(number) = logged(&Counts::of(percpu::cpu_index()).timer) {
        relay::info!("timer interrupt {number}");
    }
}

fn on_ipi(_interrupted: &Interrupted) {
    if let Some(number) = logged(&Counts::of(percpu::cpu_index()).wake) {
        relay::info!("interrupt from another cpu {number}");
    }
}

fn on_nmi(_interrupted: &Interrupted) {
    if let Some(number) = logged(&Counts::of(percpu::cpu_index()).nmi) {
        relay::info!("NMI {number}");
    }
}

const _: () = assert!(LOGGED <= BURSTS, "every burst makes sure of one NMI");
