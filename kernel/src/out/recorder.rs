//! When a stream of the trace may be read, where it is a flight recorder: while a
//! [snapshot] is taken, and when the stream is closed, to its end.
//!
//! A snapshot of a stream is over when a packet has left that ends after the snapshot was asked for,
//! or when its CPU says that it has written nothing since then that was not handed over.

use core::sync::atomic::{AtomicU32, Ordering};

use relay::clients::klog::{Place, Severity};
use relay::fs::File;
use relay::{Reader, SubBuffer};

use crate::base::cpuset::{CpuSet, MAX_CPUS};
use crate::cpu::percpu;
use crate::logs::snapshot::{self, Asked};
use crate::logs::{klog, switches};

/// The last snapshot of each CPU's stream that was taken, or found taken.
static TAKEN: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];
/// The CPUs that have such streams.
static STREAMS: AtomicU32 = AtomicU32::new(0);
/// The last snapshot that was told to be taken.
static TOLD: AtomicU32 = AtomicU32::new(0);

/// The recorder of one CPU.
#[derive(Debug)]
pub(super) struct Recorder {
    cpu: usize,
    file: File,
    /// The snapshot that is under way.
    now: Option<Asked>,
}

impl Recorder {
    /// That of `cpu`, whose stream is this one.
    pub(super) fn new(cpu: usize, file: File) -> Self {
        STREAMS.fetch_or(CpuSet::only(cpu).bits(), Ordering::Relaxed);
        Self {
            cpu,
            file,
            now: None,
        }
    }

    /// The next sub-buffer of the stream, if it is to be read now. Task and IRQ context.
    pub(super) fn next(&mut self, reader: &mut Reader<'static>) -> Option<SubBuffer<'static>> {
        if self.file.is_closed() {
            self.now = None;
            return reader.next_subbuf();
        }
        let asked = snapshot::asked();
        if self.now.is_none() && asked.number != self.taken().load(Ordering::Relaxed) {
            self.now = Some(asked);
        }
        let until = self.now?.until;
        // A packet that is taken while there is no spare block stands in the way of the writer when
        // it comes round: one, but no more.
        if self.file.info().is_some_and(|info| info.taken != 0) {
            return None;
        }
        // The time first: what was readable then is found now.
        let quiet = reader.quiet_since();
        let Some(packet) = reader.next_subbuf() else {
            match quiet >= until {
                true => self.finish(),
                false => reader.request_flush(),
            }
            return None;
        };
        if packet.packet().end_ticks >= until {
            self.finish();
        }
        Some(packet)
    }

    fn taken(&self) -> &'static AtomicU32 {
        &TAKEN[self.cpu % MAX_CPUS]
    }

    /// The snapshot of this stream is taken.
    fn finish(&mut self) {
        if let Some(Asked { number, .. }) = self.now.take() {
            self.taken().store(number, Ordering::Release);
            tell();
        }
    }
}

/// The last snapshots that were taken of the streams of the CPUs that are up: others have written
/// nothing, and never say so.
fn taken_by_cpu() -> impl Iterator<Item = u32> {
    let streams = CpuSet::from_bits(STREAMS.load(Ordering::Relaxed)).and(percpu::online());
    streams.iter().map(|cpu| TAKEN[cpu].load(Ordering::Acquire))
}

/// The last snapshot that was taken of all streams.
fn taken() -> u32 {
    taken_by_cpu().min().unwrap_or(0)
}

/// Whether the snapshot with this number, or a later one, was taken of all streams: of none it is.
/// Any context.
pub(crate) fn has_taken(number: u32) -> bool {
    taken_by_cpu().all(|taken| is_at_least(taken, number))
}

/// Whether a number that comes round is this one, or one of those after it.
fn is_at_least(taken: u32, number: u32) -> bool {
    taken.wrapping_sub(number) <= u32::MAX / 2
}

/// Says in the log that a snapshot was taken, when it was of all streams: once. It is no statement:
/// a snapshot that is taken at those would be a reason for the next one.
fn tell() {
    let taken = taken();
    if TOLD.fetch_max(taken, Ordering::Relaxed) >= taken || !switches::is_carried(Severity::Info) {
        return;
    }
    let place = Place {
        module: module_path!(),
        file: file!(),
        line: line!(),
    };
    klog::write(
        Severity::Info,
        place,
        format_args!(
            "snapshot {taken} of the trace is taken: {}",
            snapshot::why()
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_is_recorded_nothing_is_waited_for() {
        assert!(has_taken(0) && has_taken(7));
    }

    #[test]
    fn numbers_come_round() {
        assert!(is_at_least(7, 7) && is_at_least(8, 7) && !is_at_least(6, 7));
        assert!(is_at_least(0, u32::MAX) && !is_at_least(u32::MAX, 0));
    }
}
