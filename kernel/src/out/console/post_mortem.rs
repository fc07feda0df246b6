//! What the console prints after a panic: everything that was logged and not printed, of all CPUs
//! that have stopped, merged by time.
//!
//! It only reads. Neither relay's words nor the console's are changed or trusted to be at rest: the
//! CPU that was at them may have been stopped anywhere. The copies that the console had yet to
//! print come first, then what the rings still hold, of which a part was copied: the records'
//! numbers tell what was printed.

use core::fmt::Write;

use crate::cpu::lock::Mutex;
use relay::clients::klog::{self, Record};
use relay::record::Fields;
use relay::{Salvage, SalvagedPacket};

use super::line::{self, Skip};
use super::output::{Output, skipped, unprinted};
use crate::arch::stop;
use crate::base::cpuset::MAX_CPUS;
use crate::cpu::clock;
use crate::logs::klog::{CHANNEL as KLOG, MAX_PACKET};
use crate::out::copies::{self, Copied, Copies};

/// What is left of each CPU's records. Static because a panic may be short of stack; only the CPU
/// that ends the machine comes here.
static LEFT: Mutex<Left> = Mutex::new(Left {
    trails: [const { None }; MAX_CPUS],
    buffer: [0; MAX_PACKET],
});

/// See [`LEFT`].
struct Left {
    trails: [Option<Trail<'static>>; MAX_CPUS],
    /// Where a copied packet is read.
    buffer: [u8; MAX_PACKET],
}

/// Prints what was logged and not printed. Panic context, after `stop::stop_others`; nothing may be
/// logged after it.
pub(crate) fn panic_flush() {
    let Some(mut out) = Output::open() else {
        return;
    };
    out.end_line();
    // Held only by a CPU that fails in here, which then does not come again.
    let Some(mut left) = LEFT.try_lock() else {
        return;
    };
    let Left { trails, buffer } = &mut *left;
    for (cpu, trail) in trails.iter_mut().enumerate() {
        *trail = Trail::of(cpu, buffer);
        if trail.is_none() && KLOG.stats(cpu).is_some_and(|stats| stats.packets != 0) {
            let _ = writeln!(
                out,
                "-- cpu {cpu}: has not stopped, its last records are not read"
            );
        }
    }
    while let Some(trail) = earliest(trails.as_mut_slice()) {
        trail.print(&mut out, buffer);
    }
    for trail in trails.iter().flatten() {
        trail.conclude(&mut out);
    }
    let no_ring = KLOG.lost_no_ring();
    if no_ring != 0 {
        let _ = writeln!(out, "-- {no_ring} records lost on CPUs without a ring");
    }
}

/// The trail whose next record is the oldest of all.
fn earliest<'t>(trails: &'t mut [Option<Trail<'static>>]) -> Option<&'t mut Trail<'static>> {
    let all = trails.iter_mut().flatten();
    all.filter_map(|trail| Some((trail.ticks?, trail)))
        .min_by_key(|(ticks, _)| *ticks)
        .map(|(_, trail)| trail)
}

/// The records of a CPU that has stopped.
struct Trail<'a> {
    cpu: usize,
    copies: Option<&'static Copies>,
    /// The copied packet that comes next.
    copied: Option<Copied>,
    salvage: Salvage<'a>,
    packet: Option<Packet<'a>>,
    /// Which run of committed records of the packet is being read, and how far.
    run: usize,
    offset: usize,
    /// The number of the record that comes next, and its time; `None` at the end.
    number: u64,
    ticks: Option<u64>,
    /// The number of the first record that was neither printed nor skipped.
    unprinted: u64,
    skipped: u64,
    uncommitted: usize,
    in_doubt: bool,
}

/// A packet that is being read.
enum Packet<'a> {
    /// A copy of the console's.
    Copied(Copied),
    /// It is in the ring.
    Salvaged(SalvagedPacket<'a>),
}

impl Trail<'static> {
    /// What `cpu` has left; `None` if it has no stream, or may still be writing to it.
    fn of(cpu: usize, buffer: &mut [u8]) -> Option<Self> {
        KLOG.stats(cpu)?;
        let salvage = KLOG.salvage(stop::proof(cpu)?)?;
        let copies = copies::of(cpu);
        let mut trail = Self {
            cpu,
            copies,
            copied: copies.and_then(Copies::first),
            salvage,
            packet: None,
            run: 0,
            offset: 0,
            number: 0,
            ticks: None,
            unprinted: unprinted(cpu),
            skipped: skipped(cpu),
            uncommitted: 0,
            in_doubt: false,
        };
        trail.seek(buffer);
        Some(trail)
    }
}

impl Trail<'_> {
    /// Goes on to the first record, from here on, that was neither printed nor skipped.
    fn seek(&mut self, buffer: &mut [u8]) {
        self.ticks = None;
        loop {
            if self.packet.is_none() && !self.open_next() {
                return;
            }
            let Some(read) = self.read(buffer) else {
                self.packet = None;
                continue;
            };
            match read {
                Ok((Some(record), after)) => {
                    let ticks = record.ticks;
                    if self.number >= self.unprinted {
                        self.ticks = Some(ticks);
                        return;
                    }
                    self.pass(after);
                }
                Ok((None, _)) => (self.run, self.offset) = (self.run + 1, 0),
                Err(()) => {
                    self.in_doubt = true;
                    (self.run, self.offset) = (self.run + 1, 0);
                }
            }
        }
    }

    /// Goes on to the next packet; false if there is none.
    fn open_next(&mut self) -> bool {
        let (packet, ordinal) = if let Some(copied) = self.copied {
            self.copied = self.copies.and_then(|copies| copies.at(copied.next));
            (Packet::Copied(copied), copied.ordinal)
        } else if let Some(next) = self.salvage.next() {
            self.uncommitted += next.uncommitted();
            self.in_doubt |= next.is_cut();
            let ordinal = next.packet().ordinal;
            (Packet::Salvaged(next), ordinal)
        } else {
            return false;
        };
        (self.run, self.offset, self.number) = (0, 0, ordinal);
        self.packet = Some(packet);
        true
    }

    /// Goes behind the record that ends at `after`.
    fn pass(&mut self, after: usize) {
        self.offset = after;
        self.number = self.number.wrapping_add(1);
    }

    /// The record that comes next in the run, and where it ends; an error if it is none; `None` if
    /// the packet has no more runs.
    fn read<'b>(&'b self, buffer: &'b mut [u8]) -> Option<Result<(Option<Record<'b>>, usize), ()>> {
        let (run, begin_ticks) = match self.packet.as_ref()? {
            Packet::Copied(copied) => {
                let copies = self.copies.filter(|_| self.run == 0)?;
                (copies.read(copied, buffer) as &[u8], copied.begin_ticks)
            }
            Packet::Salvaged(packet) => (
                packet.committed().nth(self.run)?,
                packet.packet().begin_ticks,
            ),
        };
        let mut fields = Fields::new(run.get(self.offset..).unwrap_or_default());
        let record = klog::next(&mut fields, begin_ticks).map_err(|_| ());
        Some(record.map(|record| (record, self.offset + fields.offset())))
    }

    /// Why a record was not printed before.
    fn skip(&self) -> Skip {
        match self.copies {
            Some(_) => Skip::TooSlow,
            None => Skip::NoConsole,
        }
    }

    /// Prints the next record and goes behind it.
    fn print(&mut self, out: &mut Output, buffer: &mut [u8]) {
        if let Some(Ok((Some(record), after))) = self.read(buffer) {
            let passed_over = self.number.saturating_sub(self.unprinted);
            if passed_over != 0 {
                // The port takes everything.
                let _ = line::write_skipped(out, self.cpu, self.number, passed_over, self.skip());
            }
            let micros = clock::micros(record.ticks);
            let _ = line::write_record(out, self.cpu, self.number, &record, micros);
            self.skipped += passed_over;
            self.pass(after);
            self.unprinted = self.number;
        }
        self.seek(buffer);
    }

    /// Says how the stream was left.
    fn conclude(&self, out: &mut Output) {
        let Self {
            cpu, uncommitted, ..
        } = self;
        // What was skipped last, and has left its ring.
        let passed_over = self.number.saturating_sub(self.unprinted);
        if passed_over != 0 {
            let _ = line::write_skipped(out, *cpu, self.number, passed_over, self.skip());
        }
        if *uncommitted != 0 {
            let _ = writeln!(
                out,
                "-- cpu {cpu}: {uncommitted} records uncommitted at panic"
            );
        }
        if self.in_doubt {
            let _ = writeln!(
                out,
                "-- cpu {cpu}: some of its last records are in doubt, left out"
            );
        }
        let lost = KLOG.stats(*cpu).map(|stats| stats.lost).unwrap_or_default();
        if lost.total() != 0 {
            let total = lost.total();
            let _ = writeln!(out, "-- cpu {cpu}: {total} records lost in all ({lost})");
        }
        let printed = self.unprinted.wrapping_sub(self.skipped);
        let _ = writeln!(
            out,
            "-- cpu {cpu}: stream is not closed, {printed} records printed"
        );
    }
}
