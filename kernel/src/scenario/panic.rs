//! `panic`: one CPU fails while all others log.
//!
//! `cpu=N` says which (default 1, or 0 where it is alone), `kind=` how.

use core::fmt;
use core::sync::atomic::Ordering;

use super::definition::{Scenario, Verdict};
use super::flood::{self, Part};
use crate::arch::provoke;
use crate::base::cmdline::Options;
use crate::cpu::clock::Timeout;
use crate::cpu::percpu;
use crate::life::idle;
use crate::logs::klog;
use crate::out::{console, pump};

pub(super) static SCENARIO: Scenario = Scenario {
    name: "panic",
    about: "one CPU fails while the others log",
    boot_cpu,
    other_cpu,
    on_timer: || {},
    on_ipi: || {},
    on_nmi: || {},
};

/// How long the others log before the CPU fails.
const WARM_UP_MS: u64 = 300;
/// How long CPU 0 waits for the other CPU's failure to end the machine.
const PATIENCE_MS: u64 = 20_000;

/// Records that are logged behind an unfinished one: they fit into a sub-buffer or two.
const BEHIND: u64 = 64;

/// Records that each CPU logs between two timer interrupts.
const BURST: u32 = 8;
/// Bytes of data in the records that it writes to `flood`, of which there are as many.
const DATA: u16 = 16;
/// Records that a CPU writes as fast as it can, before it looks around.
const FLOOD_BURST: u32 = 100;
/// Bytes of the record that a CPU leaves unfinished.
const UNFINISHED: usize = 64;

/// How the CPU fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `panic`: an explicit panic.
    Panic,
    /// `fault`: a write to an unmapped page.
    Fault,
    /// `overflow`: endless recursion into the stack's guard page.
    Overflow,
    /// `together`: an explicit panic on every CPU at once.
    Together,
    /// `halfway`: an explicit panic while every CPU is in the middle of a record.
    Halfway,
    /// `flood`: an explicit panic while every CPU writes as fast as it can.
    Flood,
    /// `relay`: a panic whose message panics while it is told, so that the report itself fails and
    /// only the fallback is left.
    Relay,
}

impl Kind {
    /// The kind with this name.
    fn parse(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("panic") => Some(Self::Panic),
            Some("fault") => Some(Self::Fault),
            Some("overflow") => Some(Self::Overflow),
            Some("together") => Some(Self::Together),
            Some("halfway") => Some(Self::Halfway),
            Some("flood") => Some(Self::Flood),
            Some("relay") => Some(Self::Relay),
            Some(_) => None,
        }
    }
}

/// The CPU that fails.
fn victim(options: &Options<'_>) -> usize {
    options
        .cpu
        .unwrap_or(usize::from(percpu::online().contains(1)))
}

fn boot_cpu(options: &Options<'static>) -> Verdict {
    if Kind::parse(options.kind).is_none() {
        log::error!(
            "command line: unknown kind '{}'; want panic, fault, overflow, together, halfway, flood or relay",
            options.kind.unwrap_or_default()
        );
        return Verdict::Fail;
    }
    let victim = victim(options);
    if !percpu::online().contains(victim) {
        log::error!(
            "command line: cpu {victim} is not up; want one of {}",
            percpu::online()
        );
        return Verdict::Fail;
    }
    take_part(options);
    log::error!("cpu {victim} did not fail within {} s", PATIENCE_MS / 1000);
    Verdict::Fail
}

fn other_cpu(options: &Options<'static>) {
    take_part(options);
}

/// Logs, and writes to `flood`; and, on the victim, fails after a while.
fn take_part(options: &Options<'static>) {
    let kind = Kind::parse(options.kind).unwrap_or(Kind::Panic);
    let fails = kind == Kind::Together || percpu::cpu_index() == victim(options);
    let end = Timeout::after_ms(if fails { WARM_UP_MS } else { PATIENCE_MS });
    if fails {
        log_until(kind, &end);
        fail(kind);
    } else if kind == Kind::Halfway {
        // What is logged from here on comes behind it, and stays in the ring until that is full.
        // The CPU that fails begins its own at the end: it has something to say.
        in_a_record(|| log_until(kind, &end));
    } else {
        log_until(kind, &end);
    }
}

/// Logs, and writes to `flood`, until `end`.
fn log_until(kind: Kind, end: &Timeout) {
    let timer = &percpu::this().timer_irqs;
    let mut number = 0_u64;
    while !end.expired() {
        for _ in 0..BURST {
            number += 1;
            // A CPU that is in the middle of a record logs less than a lap behind it: otherwise
            // more is lost than the scenario is about.
            if kind != Kind::Halfway || number <= BEHIND {
                log::info!("record {number} before the panic");
            }
            flood::write(Part::of(percpu::cpu_index()), DATA);
        }
        let tick = timer.load(Ordering::Relaxed);
        let has_ticked = || timer.load(Ordering::Relaxed) != tick;
        match kind {
            Kind::Flood => flood_until(has_ticked),
            // In the middle of a record, as all CPUs but the one that will fail, a CPU is pinned, so
            // it is not idle.
            Kind::Halfway => {
                while !has_ticked() {
                    x86_64::instructions::hlt();
                }
            }
            _ => idle::until(has_ticked),
        }
    }
}

/// Writes as fast as it can, and has taken away what it has written.
fn flood_until(done: impl Fn() -> bool) {
    while !done() {
        for _ in 0..FLOOD_BURST {
            flood::write(Part::of(percpu::cpu_index()), DATA);
        }
        console::poll();
        pump::poll();
    }
}

/// Runs `body` in the middle of a record of klog, which `body` may never return to.
fn in_a_record(body: impl FnOnce()) {
    klog::ATTEMPTS.count();
    let _ = klog::CHANNEL.reserve_with(UNFINISHED, |slot| {
        // And one that is lost behind it, of which no packet will tell.
        klog::ATTEMPTS.count();
        let _ = klog::CHANNEL.reserve_with(usize::MAX, |_| ());
        slot.bytes_mut()[..UNFINISHED / 2].fill(0xAA);
        body();
    });
}

/// Fails.
fn fail(kind: Kind) {
    match kind {
        Kind::Halfway => in_a_record(|| panic!("this is the panic that the scenario is about")),
        Kind::Panic | Kind::Together | Kind::Flood => {
            panic!("this is the panic that the scenario is about")
        }
        Kind::Fault => provoke::page_fault(),
        Kind::Overflow => {
            provoke::stack_overflow(0);
        }
        Kind::Relay => panic!("{}", Unprintable),
    }
}

/// Panics while it is printed.
struct Unprintable;

impl fmt::Display for Unprintable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is the panic that the scenario is about")?;
        panic!("this panic comes while the first one is being told")
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn kinds_are_known_by_name() {
        assert_eq!(Kind::parse(None), Some(Kind::Panic));
        assert_eq!(Kind::parse(Some("overflow")), Some(Kind::Overflow));
        assert_eq!(Kind::parse(Some("fun")), None);
    }
}
