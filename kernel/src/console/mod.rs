//! The serial console: prints what the drain gives it, as text, for people and for `relayctl`.
//!
//! Whoever is idle prints; one CPU at a time, the others do not wait. In a panic nobody is asked:
//! see [`post_mortem`].

mod line;
mod post_mortem;
#[expect(unsafe_code, reason = "the serial port")]
mod uart;

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use relay::fs::Mount;
use spin::Mutex;

use crate::arch::{clock, percpu};
use crate::channels::NAMES;
use crate::cpuset::MAX_CPUS;
use crate::drain::{Drain, Item};
use crate::transport;
use uart::Uart;

pub(crate) use post_mortem::panic_flush;

/// How many items one call prints at most: the caller may have something else to do.
const BATCH: usize = 64;

/// How long a record waits for older ones of a CPU that gives no sign, in milliseconds. Emulated
/// CPUs stand still for some 100 ms when the host is busy.
const PATIENCE_MS: u64 = 500;

/// How long [`finish`] waits for the next record of a stream that was not closed.
const FINISH_PATIENCE_MS: u64 = 2_000;

/// The console, once it is started. Task context only; never held while waiting.
static CONSOLE: Mutex<Option<Console>> = Mutex::new(None);

/// The number of the first record of each CPU that was not printed. Kept outside the console so
/// that the post-mortem, which cannot have the lock, goes on there.
static PRINTED: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// A line was begun and not ended.
static IN_LINE: AtomicBool = AtomicBool::new(false);

struct Console {
    log: &'static Mount,
    drain: Drain<MAX_CPUS>,
    out: Output,
}

/// Starts the console. Task context on the boot CPU, when the streams of klog and the clock's calibration are
/// there.
pub(crate) fn init() {
    let log = match NAMES.channel("/klog") {
        Ok(log) => log,
        Err(error) => return log::error!("no console: {error}"),
    };
    let drain = match Drain::open(log.files()) {
        Ok(drain) => drain,
        Err(error) => return log::error!("no console: {error}"),
    };
    let Some(uart) = Uart::open() else {
        // Nobody will see this but a debugger.
        return log::error!("no console: COM1 does not answer");
    };
    *CONSOLE.lock() = Some(Console {
        log,
        drain,
        out: Output(uart),
    });
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
    let skipped = transport::skipped();
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

/// Says something about the end, after [`panic_flush`]. Panic context.
pub(crate) fn panic_note(what: fmt::Arguments<'_>) {
    if let Some(uart) = Uart::open() {
        // The port takes everything.
        let _ = writeln!(Output(uart), "-- {what}");
    }
}

/// The last way out, for a panic in relay or in the console itself: raw lines, no records. Any
/// context; the lock is not asked for.
pub(crate) fn fallback(what: fmt::Arguments<'_>) {
    if let Some(uart) = Uart::open() {
        let mut out = Output(uart);
        out.end_line();
        let _ = writeln!(Prefixed(&mut out), "{what}");
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
            self.drain.settle(transport::hand_over);
            let Some(item) = self.drain.next(&is_live, patience) else {
                return false;
            };
            self.out.print(&item);
        }
        true
    }
}

/// The serial port as a place for lines.
struct Output(Uart);

impl Output {
    /// Prints an item, and notes that it was printed.
    fn print(&mut self, item: &Item<'_>) {
        IN_LINE.store(true, Ordering::Relaxed);
        // The port takes everything.
        let _ = line::write(self, item, clock::micros);
        if let Item::Record { cpu, number, .. } | Item::Damaged { cpu, number, .. } = *item {
            // ORDERING: read by the post-mortem after this CPU acknowledged that it stopped.
            PRINTED[cpu].store(number.wrapping_add(1), Ordering::Relaxed);
        }
        // Release: after the number, so that the post-mortem prints no record again without saying so.
        IN_LINE.store(false, Ordering::Release);
    }

    /// Ends the line that somebody else was stopped in.
    fn end_line(&mut self) {
        if IN_LINE.swap(false, Ordering::Relaxed) {
            self.0.send(b"\n-- the line above was cut off\n");
        }
    }
}

impl Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.send(text.as_bytes());
        Ok(())
    }
}

/// Marks every line with `!! `.
struct Prefixed<'a>(&'a mut Output);

impl Write for Prefixed<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive('\n') {
            if !IN_LINE.swap(!piece.ends_with('\n'), Ordering::Relaxed) {
                self.0.write_str("!! ")?;
            }
            self.0.write_str(piece)?;
        }
        Ok(())
    }
}
