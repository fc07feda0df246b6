//! `idle`: the machine stays up and does next to nothing, until it is ended from
//! outside or `seconds=` have passed.

use core::sync::atomic::{AtomicU64, Ordering};

use super::definition::{Scenario, Verdict};
use crate::base::cmdline::Options;
use crate::base::settings::{About, SECONDS};
use crate::cpu::clock::{self, Timeout};
use crate::life::idle;

pub(super) static SCENARIO: Scenario = Scenario {
    about: About {
        name: "idle",
        about: "stays up, with a heartbeat every second",
        settings: &[SECONDS],
    },
    boot_cpu,
    other_cpu: |_| {},
    on_timer: |_| {
        TIMER.fetch_add(1, Ordering::Relaxed);
    },
    on_ipi: |_| {},
    on_nmi: |_| relay::info!("NMI"),
};

/// Timer interrupts of all CPUs.
static TIMER: AtomicU64 = AtomicU64::new(0);

fn boot_cpu(options: &Options<'static>) -> Verdict {
    let seconds = options.value(&SECONDS);
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
        relay::debug!(
            "{} timer interrupts on all CPUs",
            TIMER.load(Ordering::Relaxed)
        );
    }
    Verdict::Pass
}
