//! `idle`: the machine stays up and does next to nothing, until it is ended from
//! outside or `seconds=` have passed. With `fault=` something goes wrong meanwhile, and is caught.

use core::sync::atomic::{AtomicU64, Ordering};

use super::definition::{Scenario, Verdict};
use crate::arch::probe;
use crate::base::cmdline::Options;
use crate::base::settings::{About, Preset, SECONDS, Setting, Takes};
use crate::cpu::clock::{self, Timeout};
use crate::life::idle;

pub(super) static SCENARIO: Scenario = Scenario {
    about: About {
        name: "idle",
        about: "stays up, with a heartbeat every second",
        settings: &[SECONDS, FAULT],
    },
    boot_cpu,
    other_cpu: |_| {},
    on_timer: |_| {
        TIMER.fetch_add(1, Ordering::Relaxed);
    },
    on_ipi: |_| {},
    on_nmi: |_| relay::info!("NMI"),
};

/// When something goes wrong.
const FAULT: Setting = Setting {
    key: "fault",
    about: "the second in which CPU 0 reads what is not mapped, catches that and warns",
    takes: Takes::number(1, 366 * 24 * 3600, ""),
    default: Preset::Else("never"),
};

/// An address that nothing is ever mapped at.
const NOWHERE: u64 = 0xffff_c300_0000_0000;

/// Timer interrupts of all CPUs.
static TIMER: AtomicU64 = AtomicU64::new(0);

fn boot_cpu(options: &Options<'static>) -> Verdict {
    let seconds = options.value(&SECONDS);
    let fault = options.value(&FAULT);
    let start = clock::ticks();
    for second in 1_u64.. {
        if seconds.is_some_and(|seconds| second > seconds) {
            break;
        }
        let passed = clock::millis(clock::ticks().wrapping_sub(start));
        // By the time since the start, so that heartbeats do not drift.
        let wait = Timeout::after_ms((second * 1000).saturating_sub(passed));
        idle::until(|| wait.expired());
        relay::info!("heartbeat {second}");
        if fault == Some(second) && probe::read(NOWHERE).is_none() {
            relay::warn!("nothing is mapped at {NOWHERE:#x}");
        }
        relay::debug!(
            "{} timer interrupts on all CPUs",
            TIMER.load(Ordering::Relaxed)
        );
    }
    Verdict::Pass
}
