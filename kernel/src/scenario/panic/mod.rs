//! `panic`: one CPU fails while all others log.
//!
//! `cpu=N` says which (default 1, or 0 where it is alone), `kind=` how. In the kinds that are about
//! a moment the CPU goes on with what it does until an interrupt or NMI finds it there.

mod ambush;
mod kinds;
mod storm;

use core::fmt;
use core::sync::atomic::Ordering;

use relay::Storage;

use super::definition::{Scenario, Verdict};
use super::flood;
use super::part::Part;
use super::stress::random::Random;
use crate::arch::provoke;
use crate::base::cmdline::Options;
use crate::base::settings::{About, COUNT, MODE, Preset, SPARES, SUBBUF, Setting, Takes};
use crate::cpu::clock::Timeout;
use crate::cpu::percpu;
use crate::life::{idle, programs};
use crate::logs::flood::CHANNEL;
use crate::logs::klog;
use crate::mem;
use ambush::Moment;
use kinds::{KIND, Kind};

pub(super) static SCENARIO: Scenario = Scenario {
    about: About {
        name: "panic",
        about: "one CPU fails while the others log",
        settings: &[KIND, CPU, MODE, SPARES, SUBBUF, COUNT],
    },
    boot_cpu,
    other_cpu,
    on_timer: |_| {
        ambush::on_timer();
        storm::write_nested();
    },
    on_ipi: |_| storm::write_nested(),
    on_nmi: |_| {
        ambush::on_nmi();
        storm::write_nested();
    },
};

/// How long the others log before the CPU fails.
const WARM_UP_MS: u64 = 300;
/// How long CPU 0 waits for the other CPU's failure to end the machine.
const PATIENCE_MS: u64 = 60_000;

/// Records that are logged behind an unfinished one: they fit into a sub-buffer or two.
const BEHIND: u64 = 64;

/// Records that each CPU logs between two timer interrupts.
const BURST: u32 = 8;
/// Bytes of data in the records that it writes to `flood`, of which there are as many.
const DATA: u16 = 16;
/// Bytes of the record that a CPU leaves unfinished.
const UNFINISHED: usize = 64;

/// Rings that a stream may have when it moves to another one.
const MAX_RINGS: usize = 4;

/// Which CPU fails.
const CPU: Setting = Setting {
    key: "cpu",
    about: "the CPU that fails",
    takes: Takes::cpu(0),
    default: Preset::Else("1, or 0 where it is alone"),
};

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
        relay::error!(
            "command line: cpu {victim} is not up; want one of {}",
            percpu::online()
        );
        return Verdict::Fail;
    }
    if !Kind::of(options).is_possible() {
        relay::error!(
            "this kind needs a kernel with the feature stress: cargo build -p kernel --features \
             stress --target x86_64-unknown-none"
        );
        return Verdict::Fail;
    }
    take_part(options);
    relay::error!(
        "cpu {victim} did not fail within {seconds} s",
        seconds = PATIENCE_MS / 1000
    );
    Verdict::Fail
}

fn other_cpu(options: &Options<'static>) {
    if Kind::of(options).is_possible() {
        take_part(options);
    }
}

/// Logs, and writes to `flood`; and, on the victim, fails after a while.
fn take_part(options: &Options<'static>) {
    if !programs::wait_for_drain(options) {
        return;
    }
    let kind = Kind::of(options);
    let fails = kind == Kind::Together || percpu::cpu_index() == victim(options);
    let patience = Timeout::after_ms(PATIENCE_MS);
    if fails {
        log_until(kind, &Timeout::after_ms(WARM_UP_MS));
        fail(kind);
        log_until(kind, &patience);
    } else if kind == Kind::Halfway {
        // What is logged from here on comes behind it, and stays in the ring until that is full.
        // The CPU that fails begins its own at the end: it has something to say.
        in_a_record(|| log_until(kind, &patience));
    } else {
        log_until(kind, &patience);
    }
    // Nobody has failed: what interrupts write now would not be claimed.
    Part::of(percpu::cpu_index()).end();
}

/// Logs, and writes to `flood`, until `end`.
fn log_until(kind: Kind, end: &Timeout) {
    let timer = &percpu::this().timer_irqs;
    let mut random = Random::new(1, percpu::cpu_index());
    let mut number = 0_u64;
    while !end.expired() {
        for _ in 0..BURST {
            number += 1;
            // A CPU that is in the middle of a record logs less than a lap behind it: otherwise
            // more is lost than the scenario is about.
            if kind != Kind::Halfway || number <= BEHIND {
                relay::info!("record {number} before the panic");
            }
            flood::write(Part::of(percpu::cpu_index()), DATA);
        }
        let tick = timer.load(Ordering::Relaxed);
        let has_ticked = || timer.load(Ordering::Relaxed) != tick;
        match kind {
            Kind::At(Moment::Resize) => storm::until(&mut random, has_ticked, renew_ring),
            kind if kind.is_in_a_storm() => storm::until(&mut random, has_ticked, || {}),
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

/// Moves the stream of the calling CPU in `flood` to a new ring, of the same size; not as long as
/// too much of older ones is unread. Without memory for it, it stays where it is.
fn renew_ring() {
    let me = percpu::cpu_index();
    ambush::resizing(|| {
        CHANNEL.reclaim(me);
        let info = CHANNEL.info(me);
        if let Some(info) = info.filter(|info| info.rings < MAX_RINGS)
            && let Ok(memory) = Storage::allocate(&info.geometry)
        {
            // What is refused is freed.
            let _ = CHANNEL.replace(memory, info.geometry);
        }
    });
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

/// Fails; or goes on, and leaves it to an interrupt.
fn fail(kind: Kind) {
    match kind {
        Kind::At(moment) => ambush::lie_in_wait(moment),
        Kind::Halfway => in_a_record(|| panic!("this is the panic that the scenario is about")),
        Kind::Heap => {
            mem::with_heap_locked(|| panic!("this is the panic that the scenario is about"));
        }
        Kind::Panic | Kind::Together => {
            panic!("this is the panic that the scenario is about")
        }
        Kind::Fault => provoke::page_fault(),
        Kind::Overflow => {
            provoke::stack_overflow(0);
        }
        Kind::DoubleFault => provoke::double_fault(),
        Kind::TripleFault => provoke::triple_fault(),
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
