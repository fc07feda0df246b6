//! The console of a machine that is well: any idle CPU prints what the drain has, one CPU at a
//! time; the others do not wait.

use core::fmt::Write;

use relay::fs::Mount;
use spin::Mutex;

use super::output::Output;
use crate::base::cpuset::MAX_CPUS;
use crate::cpu::{clock, percpu};
use crate::logs::registry::NAMES;
use crate::out::drain::Drain;
use crate::out::printed;

/// How many items one call prints at most: the caller may have something else to do.
const BATCH: usize = 64;

/// How long a record waits for older ones of a CPU that gives no sign, in milliseconds. Emulated
/// CPUs stand still for some 100 ms when the host is busy.
const PATIENCE_MS: u64 = 500;

/// How long [`finish`] waits for the next record of a stream that was not closed.
const FINISH_PATIENCE_MS: u64 = 2_000;

/// The console, once it is started. Task context only; never held while waiting.
static CONSOLE: Mutex<Option<Console>> = Mutex::new(None);

struct Console {
    log: &'static Mount,
    drain: Drain<MAX_CPUS>,
    out: Output,
}

/// Starts the console. Task context on the boot CPU, when the streams of klog and the clock's
/// calibration are there.
pub(crate) fn init() {
    let log = match NAMES.channel("/klog") {
        Ok(log) => log,
        Err(error) => return log::error!("no console: {error}"),
    };
    let drain = match Drain::open(log.files()) {
        Ok(drain) => drain,
        Err(error) => return log::error!("no console: {error}"),
    };
    let Some(out) = Output::open() else {
        // Nobody will see this but a debugger.
        return log::error!("no console: COM1 does not answer");
    };
    *CONSOLE.lock() = Some(Console { log, drain, out });
}

/// Prints some of what there is to print, unless another CPU is at it; true if there may be more.
///
/// Task context, interrupts on or off. Takes the console's lock if it is free.
pub(crate) fn poll() -> bool {
    match CONSOLE.try_lock() {
        Some(mut console) => console
            .as_mut()
            .is_some_and(|console| console.print(BATCH, live)),
        None => false,
    }
}

/// Prints everything that is left, after all streams were closed; says which were not. Task
/// context, the only CPU that still runs.
pub(crate) fn finish() {
    let mut guard = CONSOLE.lock();
    let Some(console) = guard.as_mut() else {
        return;
    };
    let mut patience = clock::Timeout::after_ms(FINISH_PATIENCE_MS);
    while !console.drain.is_at_end() && !patience.expired() {
        if console.print(BATCH, |_| false) {
            patience = clock::Timeout::after_ms(FINISH_PATIENCE_MS);
        }
    }
    // What was printed last is handed over, too.
    console.print(1, |_| false);
    for (cpu, printed) in console.drain.open_streams() {
        let _ = writeln!(
            console.out,
            "-- cpu {cpu}: stream is not closed, {printed} records printed"
        );
    }
    let skipped = printed::skipped();
    if skipped != 0 {
        let _ = writeln!(
            console.out,
            "-- {skipped} sub-buffers were not captured: ports too slow"
        );
    }
    let no_ring = console.log.lost_no_ring();
    if no_ring != 0 {
        let _ = writeln!(
            console.out,
            "-- {no_ring} records lost on CPUs without a ring"
        );
    }
}

/// Whether older records may still come from `cpu`.
fn live(cpu: usize) -> bool {
    percpu::online().contains(cpu)
}

impl Console {
    /// Prints up to `batch` items; true if it printed all of these.
    fn print(&mut self, batch: usize, is_live: impl Fn(usize) -> bool) -> bool {
        self.drain.refill();
        let patience = clock::ticks().saturating_sub(clock::ticks_of_ms(PATIENCE_MS));
        for _ in 0..batch {
            self.drain.settle(printed::put);
            let Some(item) = self.drain.next(&is_live, patience) else {
                return false;
            };
            self.out.print(&item);
        }
        true
    }
}
