//! The console of a machine that is well: any idle CPU prints what the drain has, one CPU at a
//! time; the others do not wait.

use core::fmt::Write;

use crate::cpu::lock::Mutex;

use super::output::{self, Output};
use crate::base::cpuset::MAX_CPUS;
use crate::cpu::patience::Patience;
use crate::cpu::{clock, percpu};
use crate::logs::klog;
use crate::out::drain::Drain;
use crate::out::{copies, intake, pump, unsent};

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
    drain: Drain<MAX_CPUS>,
    out: Output,
    /// Grows with each item.
    printed: u64,
}

/// Starts the console for CPUs 0 to `cpus - 1`, if there is a serial port. Task context on the boot
/// CPU, when the clock is calibrated, before the [intakes](intake) start.
pub(crate) fn init(cpus: usize) {
    let Some(out) = Output::open() else {
        return relay::warn!("no console: COM1 does not answer; the log goes to ports only");
    };
    copies::keep(cpus);
    *CONSOLE.lock() = Some(Console {
        drain: Drain::of(copies::all()),
        out,
        printed: 0,
    });
}

/// There is no console: COM1 carries packets. What is said at the very end, and by a panic, goes
/// there nevertheless. Task context on the boot CPU, instead of [`init`].
pub(crate) fn do_without() {
    output::share();
}

/// Takes what all CPUs have logged, and prints some of it, unless another CPU is at it; true if
/// there may be more.
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

/// Prints everything that is left, after all streams were closed; says which were not, and what was
/// not sent. True if everything was sent. Task context, the only CPU that still runs.
pub(crate) fn finish() -> bool {
    let patience = clock::Timeout::after_ms(FINISH_PATIENCE_MS);
    let mut guard = loop {
        match CONSOLE.try_lock() {
            Some(guard) => break guard,
            None if patience.expired() => return finish_without(),
            None => core::hint::spin_loop(),
        }
    };
    let Some(console) = guard.as_mut() else {
        return conclude(Output::open().as_mut());
    };
    let mut patience = Patience::after_ms(FINISH_PATIENCE_MS, console.printed);
    while !console.drain.is_at_end() && !patience.is_over(console.printed) {
        console.print(BATCH, |_| false);
    }
    console.conclude()
}

/// The end where a CPU hangs while it prints: what it held is not printed.
fn finish_without() -> bool {
    if let Some(mut out) = Output::open() {
        out.end_line();
        let _ = writeln!(
            out,
            "-- a CPU hangs while it prints: the rest of the log is not printed"
        );
        unsent::unsent(|what, sink| {
            let _ = writeln!(out, "-- {what} ({sink})");
        });
    }
    false
}

/// Says what was not sent, of which there is nothing if this is true, where somebody can hear it.
fn conclude(mut out: Option<&mut Output>) -> bool {
    let mut sent = true;
    // The port takes everything.
    unsent::unsent(|what, sink| {
        sent = false;
        if let Some(out) = &mut out {
            let _ = writeln!(out, "-- {what} ({sink})");
        }
    });
    let no_ring = klog::CHANNEL.lost_no_ring();
    if let Some(out) = out.filter(|_| no_ring != 0) {
        let _ = writeln!(out, "-- {no_ring} records lost on CPUs without a ring");
    }
    sent
}

/// Whether older records may still come from `cpu`.
fn live(cpu: usize) -> bool {
    percpu::online().contains(cpu)
}

impl Console {
    /// Prints up to `batch` items; true if it printed all of these.
    fn print(&mut self, batch: usize, is_live: impl Fn(usize) -> bool) -> bool {
        intake::take_all();
        self.drain.refill();
        let patience = clock::ticks().saturating_sub(clock::ticks_of_ms(PATIENCE_MS));
        for _ in 0..batch {
            let Some(item) = self.drain.next(&is_live, patience) else {
                return false;
            };
            self.out.print(&item);
            self.printed += 1;
            pump::note_move();
        }
        true
    }

    /// Says what was not printed to its end, and what was not sent, of which there is nothing if
    /// this is true.
    fn conclude(&mut self) -> bool {
        let out = &mut self.out;
        let mut sent = true;
        for (cpu, printed) in self.drain.open_streams() {
            // Without ports that was the only way.
            sent &= pump::are_sinks_found();
            // The port takes everything.
            let _ = writeln!(
                out,
                "-- cpu {cpu}: stream is not closed, {printed} records printed"
            );
        }
        sent &= conclude(Some(&mut *out));
        // What COM1 did not take nobody has, where there are no ports.
        sent && (pump::are_sinks_found() || !out.has_lost())
    }
}
