//! What the console prints after a panic: everything that was logged and not printed, of all CPUs
//! that have stopped, merged by time.
//!
//! It only reads. Neither relay's words nor the console's are changed or trusted to be at rest: the
//! CPU that was at them may have been stopped anywhere.

use core::fmt::Write;

use relay::clients::klog::{self, Record};
use relay::record::Fields;
use relay::{Salvage, SalvagedPacket};
use spin::Mutex;

use super::line;
use super::output::{Output, unprinted};
use crate::arch::stop;
use crate::base::cpuset::MAX_CPUS;
use crate::cpu::clock;
use crate::logs::klog::CHANNEL as KLOG;

/// What is left of each CPU's records. Static because a panic may be short of stack; only the CPU
/// that ends the machine comes here.
static TRAILS: Mutex<[Option<Trail<'static>>; MAX_CPUS]> = Mutex::new([const { None }; MAX_CPUS]);

/// Prints what was logged and not printed. Panic context, after `stop::stop_others`; nothing may be
/// logged after it.
pub(crate) fn panic_flush() {
    let Some(mut out) = Output::open() else {
        return;
    };
    out.end_line();
    // Held only by a CPU that fails in here, which then does not come again.
    let Some(mut trails) = TRAILS.try_lock() else {
        return;
    };
    for (cpu, trail) in trails.iter_mut().enumerate() {
        *trail = Trail::of(cpu);
        if trail.is_none() && KLOG.stats(cpu).is_some_and(|stats| stats.packets != 0) {
            let _ = writeln!(
                out,
                "-- cpu {cpu}: has not stopped, its last records are not read"
            );
        }
    }
    while let Some(trail) = earliest(trails.as_mut_slice()) {
        trail.print(&mut out);
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
    salvage: Salvage<'a>,
    packet: Option<SalvagedPacket<'a>>,
    /// Which run of committed records of the packet is being read, and how far.
    run: usize,
    offset: usize,
    /// The number of the record that comes next, and its time; `None` at the end.
    number: u64,
    ticks: Option<u64>,
    uncommitted: usize,
    in_doubt: bool,
}

impl Trail<'static> {
    /// What `cpu` has left; `None` if it has no stream, or may still be writing to it.
    fn of(cpu: usize) -> Option<Self> {
        KLOG.stats(cpu)?;
        let salvage = KLOG.salvage(stop::proof(cpu)?)?;
        let mut trail = Self {
            cpu,
            salvage,
            packet: None,
            run: 0,
            offset: 0,
            number: 0,
            ticks: None,
            uncommitted: 0,
            in_doubt: false,
        };
        trail.seek(unprinted(cpu));
        Some(trail)
    }
}

impl<'a> Trail<'a> {
    /// Goes on to the first record, from here on, whose number is at least `number`.
    fn seek(&mut self, number: u64) {
        self.ticks = None;
        loop {
            let Some(packet) = &self.packet else {
                let Some(next) = self.salvage.next() else {
                    self.number = self.number.max(number);
                    return;
                };
                (self.run, self.offset, self.number) = (0, 0, next.packet().ordinal);
                self.uncommitted += next.uncommitted();
                self.in_doubt |= next.is_cut();
                self.packet = Some(next);
                continue;
            };
            if packet.committed().nth(self.run).is_none() {
                self.packet = None;
                continue;
            }
            match self.read() {
                Ok((Some(record), _)) if self.number >= number => {
                    self.ticks = Some(record.ticks);
                    return;
                }
                Ok((Some(_), after)) => self.pass(after),
                Ok((None, _)) => (self.run, self.offset) = (self.run + 1, 0),
                Err(()) => {
                    self.in_doubt = true;
                    (self.run, self.offset) = (self.run + 1, 0);
                }
            }
        }
    }

    /// Goes behind the record that ends at `after`.
    fn pass(&mut self, after: usize) {
        self.offset = after;
        self.number = self.number.wrapping_add(1);
    }

    /// The record that comes next in the run, and where it ends; an error if it is none.
    fn read(&self) -> Result<(Option<Record<'a>>, usize), ()> {
        let packet = self.packet.as_ref().ok_or(())?;
        let run = packet.committed().nth(self.run).unwrap_or_default();
        let mut fields = Fields::new(run.get(self.offset..).unwrap_or_default());
        let record = klog::next(&mut fields, packet.packet().begin_ticks).map_err(|_| ())?;
        Ok((record, self.offset + fields.offset()))
    }

    /// Prints the next record and goes behind it.
    fn print(&mut self, out: &mut Output) {
        if let Ok((Some(record), after)) = self.read() {
            let micros = clock::micros(record.ticks);
            // The port takes everything.
            let _ = line::write_record(out, self.cpu, self.number, &record, micros);
            self.pass(after);
        }
        self.seek(self.number);
    }

    /// Says how the stream was left.
    fn conclude(&self, out: &mut Output) {
        let Self {
            cpu,
            number,
            uncommitted,
            ..
        } = self;
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
        let _ = writeln!(
            out,
            "-- cpu {cpu}: stream is not closed, {number} records printed"
        );
    }
}
