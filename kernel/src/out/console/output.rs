//! The serial port as a place for lines, and what was printed there.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use relay::line;

use super::line as text;
use crate::base::cpuset::MAX_CPUS;
use crate::cpu::clock;
use crate::dev::serial::{Com, Uart};
use crate::out::drain::Item;

/// The number of the first record of each CPU that was neither printed nor skipped, and how many
/// were skipped. Kept outside the console so that the post-mortem, which cannot have the lock, goes
/// on there.
static UNPRINTED: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
static SKIPPED: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// A line was begun and not ended.
static IN_LINE: AtomicBool = AtomicBool::new(false);

/// The number of the first record of `cpu` that was neither printed nor skipped. Any context, after
/// the CPU that prints has stopped.
pub(super) fn unprinted(cpu: usize) -> u64 {
    UNPRINTED[cpu % MAX_CPUS].load(Ordering::Relaxed)
}

/// How many of the records before were skipped. Likewise.
pub(super) fn skipped(cpu: usize) -> u64 {
    SKIPPED[cpu % MAX_CPUS].load(Ordering::Relaxed)
}

/// The serial port as a place for lines.
pub(super) struct Output(Uart);

/// COM1 carries packets: text goes there only when these have ended.
static IS_SHARED: AtomicBool = AtomicBool::new(false);

/// Says that COM1 carries packets, too. Task context on the boot CPU, once.
pub(super) fn share() {
    IS_SHARED.store(true, Ordering::Relaxed);
}

impl Output {
    /// Takes the serial port over; `None` if there is none.
    pub(super) fn open() -> Option<Self> {
        let mut uart = Uart::open(Com::Com1)?;
        if IS_SHARED.load(Ordering::Relaxed) {
            // Ends a frame that was cut off.
            uart.send(&[line::DELIMITER]);
        }
        Some(Self(uart))
    }

    /// Prints an item, and notes that it was printed.
    pub(super) fn print(&mut self, item: &Item<'_>) {
        IN_LINE.store(true, Ordering::Relaxed);
        // The port takes everything, or counts what it does not.
        let _ = text::write(self, item, clock::micros);
        let lost = self.0.take_lost();
        if lost != 0 {
            let _ = writeln!(
                self,
                "\n-- {lost} bytes of text were lost: COM1 took nothing"
            );
        }
        // ORDERING: read by the post-mortem after this CPU acknowledged that it stopped.
        match *item {
            Item::Record { cpu, number, .. } | Item::Damaged { cpu, number, .. } => {
                UNPRINTED[cpu].store(number.wrapping_add(1), Ordering::Relaxed);
            }
            Item::Skipped {
                cpu,
                before,
                records,
            } => {
                SKIPPED[cpu].fetch_add(records, Ordering::Relaxed);
                UNPRINTED[cpu].store(before, Ordering::Relaxed);
            }
            Item::Lost { .. } | Item::End { .. } => {}
        }
        // Release: after the number, so that the post-mortem prints no record again without saying
        // so.
        IN_LINE.store(false, Ordering::Release);
    }

    /// Whether the port did not take all that was printed.
    pub(super) fn has_lost(&self) -> bool {
        self.0.has_lost()
    }

    /// Ends the line that somebody else was stopped in.
    pub(super) fn end_line(&mut self) {
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
pub(super) struct Prefixed<'a>(pub(super) &'a mut Output);

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
