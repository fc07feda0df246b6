//! `hang`: all CPUs stop making progress, for whoever watches from outside to notice.

use core::sync::atomic::{AtomicU32, Ordering};

use x86_64::instructions::interrupts;

use super::definition::{Scenario, Verdict};
use crate::base::cmdline::Options;
use crate::base::cpuset::CpuSet;
use crate::base::settings::About;
use crate::cpu::clock::Timeout;
use crate::cpu::{self, percpu};
use crate::life::idle;

pub(super) static SCENARIO: Scenario = Scenario {
    about: About {
        name: "hang",
        about: "all CPUs stop, with interrupts off",
        settings: &[],
    },
    boot_cpu,
    other_cpu,
    on_timer: |_| {},
    on_ipi: |_| {},
    on_nmi: |_| {},
};

/// How long a CPU still takes interrupts after its last record, so that the
/// record is handed to the console.
const LINGER_MS: u64 = 200;
/// How long CPU 0 waits for the others.
const PATIENCE_MS: u64 = 5_000;

/// The CPUs that hang.
static HANGING: AtomicU32 = AtomicU32::new(0);

fn boot_cpu(_options: &Options<'static>) -> Verdict {
    say_so();
    // The last to hang: it is the console's reader, and the others' last records
    // shall be seen.
    let others = percpu::online().without(CpuSet::only(percpu::cpu_index()));
    let patience = Timeout::after_ms(PATIENCE_MS);
    idle::until(|| {
        let hanging = CpuSet::from_bits(HANGING.load(Ordering::Relaxed));
        others.without(hanging).is_empty() || patience.expired()
    });
    hang()
}

fn other_cpu(_options: &Options<'static>) {
    say_so();
    hang()
}

/// Logs what is about to happen, and lingers.
fn say_so() {
    relay::warn!("cpu {} hangs now", percpu::cpu_index());
    let linger = Timeout::after_ms(LINGER_MS);
    idle::until(|| linger.expired());
}

/// Hangs.
fn hang() -> ! {
    interrupts::disable();
    HANGING.fetch_or(CpuSet::only(percpu::cpu_index()).bits(), Ordering::Relaxed);
    cpu::halt_forever()
}
