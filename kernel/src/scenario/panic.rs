//! `panic`: one CPU fails while all others log.
//!
//! `cpu=N` says which (default 1, or 0 where it is alone), `kind=` how.

use core::fmt;
use core::sync::atomic::Ordering;

use super::definition::{Scenario, Verdict};
use super::flood;
use super::part::Part;
use crate::arch::provoke;
use crate::base::choice::Choice;
use crate::base::cmdline::Options;
use crate::base::settings::{About, COUNT, Preset, SUBBUF, Setting, Takes};
use crate::cpu::clock::Timeout;
use crate::cpu::percpu;
use crate::life::idle;
use crate::logs::klog;
use crate::out::{console, pump};

pub(super) static SCENARIO: Scenario = Scenario {
    about: About {
        name: "panic",
        about: "one CPU fails while the others log",
        settings: &[KIND, CPU, SUBBUF, COUNT],
    },
    boot_cpu,
    other_cpu,
    on_timer: |_| {},
    on_ipi: |_| {},
    on_nmi: |_| {},
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
    Panic,
    Fault,
    Overflow,
    Together,
    Halfway,
    Flood,
    Relay,
}

/// What the command line calls them.
static KINDS: [(Kind, Choice); 7] = [
    (Kind::Panic, Choice::new("panic", "an explicit panic")),
    (
        Kind::Fault,
        Choice::new("fault", "a write to an unmapped page"),
    ),
    (
        Kind::Overflow,
        Choice::new(
            "overflow",
            "endless recursion into the guard page of the stack",
        ),
    ),
    (
        Kind::Together,
        Choice::new("together", "an explicit panic on every CPU at once"),
    ),
    (
        Kind::Halfway,
        Choice::new(
            "halfway",
            "a panic while every CPU is in the middle of a record",
        ),
    ),
    (
        Kind::Flood,
        Choice::new("flood", "a panic while every CPU writes as fast as it can"),
    ),
    (
        // The report itself fails, and only the fallback is left.
        Kind::Relay,
        Choice::new(
            "relay",
            "a panic whose message panics while it is being logged",
        ),
    ),
];

/// Their names.
static CHOICES: [Choice; KINDS.len()] = {
    let mut choices = [KINDS[0].1; KINDS.len()];
    let mut at = 0;
    while at < KINDS.len() {
        choices[at] = KINDS[at].1;
        at += 1;
    }
    choices
};

/// How the CPU fails.
const KIND: Setting = Setting {
    key: "kind",
    about: "how the CPU fails",
    takes: Takes::OneOf(&CHOICES),
    default: Preset::Value(0),
};
/// Which CPU fails.
const CPU: Setting = Setting {
    key: "cpu",
    about: "the CPU that fails",
    takes: Takes::cpu(0),
    default: Preset::Else("1, or 0 where it is alone"),
};

impl Kind {
    /// The one that was asked for.
    fn of(options: &Options<'_>) -> Self {
        let place = options.value(&KIND).unwrap_or_default();
        let kind = KINDS.get(place as usize);
        kind.map_or(Self::Panic, |(kind, _)| *kind)
    }
}

/// The CPU that fails.
fn victim(options: &Options<'_>) -> usize {
    match options.value(&CPU) {
        Some(cpu) => cpu as usize,
        None => usize::from(percpu::online().contains(1)),
    }
}

fn boot_cpu(options: &Options<'static>) -> Verdict {
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
    let kind = Kind::of(options);
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
            // In the middle of a record, as all CPUs but the one that will fail, a CPU is pinned,
            // so it is not idle.
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
    use super::{Kind, SCENARIO};
    use crate::base::cmdline;
    use crate::base::settings::About;

    #[test]
    fn kinds_are_known_by_name() {
        static ABOUTS: [About; 1] = [SCENARIO.about];
        let kind = |text| Kind::of(&cmdline::parse(text, &ABOUTS, |_| {}));
        assert_eq!(kind(""), Kind::Panic);
        assert_eq!(kind("kind=overflow"), Kind::Overflow);
        assert_eq!(kind("kind=relay"), Kind::Relay);
    }
}
