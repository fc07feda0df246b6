//! One combination, tried.

use super::histogram::Histogram;
use crate::args::Sweep;
use crate::host::{Host, ticks};
use relay::{Channel, Geometry, NoHooks, Reader, Storage};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Bytes of a record; the first eight are the time of its reservation.
const RECORD: usize = 32;

/// What is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    pub(crate) geometry: Geometry,
    /// Records per second.
    pub(crate) rate: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) attempted: u64,
    pub(crate) lost: u64,
    pub(crate) median_us: f64,
    /// The 99th percentile.
    pub(crate) late_us: f64,
}

impl Outcome {
    pub(crate) fn lost_percent(&self) -> f64 {
        self.lost as f64 * 100.0 / self.attempted.max(1) as f64
    }
}

impl Trial {
    /// The best of as many tries as are wanted: what lost least, and of those what was read
    /// soonest.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub(crate) fn best(&self, sweep: &Sweep, ticks_per_ns: f64) -> Result<Outcome, String> {
        let mut best = self.run(sweep, ticks_per_ns)?;
        for _ in 1..sweep.tries {
            let next = self.run(sweep, ticks_per_ns)?;
            let by_loss = next.lost_percent().total_cmp(&best.lost_percent());
            if by_loss.then(next.late_us.total_cmp(&best.late_us)).is_lt() {
                best = next;
            }
        }
        Ok(best)
    }

    /// Writes on the calling thread, which is CPU 0, and reads on another.
    ///
    /// # Errors
    /// There is no memory; or a record is neither read nor counted as lost.
    fn run(&self, sweep: &Sweep, ticks_per_ns: f64) -> Result<Outcome, String> {
        let channel = Channel::<Host, 1>::new(Host, &NoHooks);
        let storage = Storage::allocate(&self.geometry).map_err(|error| error.to_string())?;
        channel
            .start(0, storage, self.geometry)
            .map_err(|error| error.to_string())?;
        let reader = channel.reader(0).map_err(|error| error.to_string())?;
        let reader_is_there = AtomicBool::new(false);
        let nap = Duration::from_micros(sweep.nap);
        let (attempted, latencies) = thread::scope(|scope| {
            let reading = scope.spawn(|| {
                reader_is_there.store(true, Ordering::Release);
                read(reader, nap)
            });
            while !reader_is_there.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
            let attempted = self.write(&channel, sweep, ticks_per_ns);
            (attempted, reading.join())
        });
        let latencies = latencies.map_err(|_| "the reader panicked")?;
        let stats = channel.stats(0).ok_or("the stream has gone")?;
        let lost = stats.lost.total();
        if latencies.records + lost != attempted {
            return Err(format!(
                "{attempted} records were tried, {} read and {lost} lost: that is not even",
                latencies.records
            ));
        }
        let us = |share| latencies.ticks.percentile(share) as f64 / ticks_per_ns / 1000.0;
        Ok(Outcome {
            attempted,
            lost,
            median_us: us(0.5),
            late_us: us(0.99),
        })
    }

    /// Writes at the rate, ticks, and ends the stream; returns how many records it tried.
    fn write(&self, channel: &Channel<Host, 1>, sweep: &Sweep, ticks_per_ns: f64) -> u64 {
        let begin = ticks();
        let since = || ticks().wrapping_sub(begin) as f64 / ticks_per_ns;
        let interval = 1e9 / self.rate as f64;
        let tick = sweep.tick as f64 * 1e3;
        let end = sweep.time as f64 * 1e6;
        let mut next_tick = tick;
        let mut attempted = 0;
        loop {
            let now = since();
            if now >= next_tick {
                channel.tick();
                next_tick += tick;
            }
            if now >= end {
                break;
            }
            if now < attempted as f64 * interval {
                std::hint::spin_loop();
                continue;
            }
            attempted += 1;
            let _ = channel.reserve_with(RECORD, |slot| {
                let stamp = slot.timestamp().to_le_bytes();
                slot.bytes_mut()[..8].copy_from_slice(&stamp);
            });
        }
        // Without room for the last packet, the reader is about to make some.
        while channel.close().is_err() {
            std::hint::spin_loop();
        }
        attempted
    }
}

/// What the reader saw.
struct Latencies {
    records: u64,
    ticks: Histogram,
}

/// Reads until the stream ends.
fn read(mut reader: Reader<'_>, nap: Duration) -> Latencies {
    let mut seen = Latencies {
        records: 0,
        ticks: Histogram::new(),
    };
    loop {
        let Some(taken) = reader.next_subbuf() else {
            if reader.is_at_end() {
                return seen;
            }
            reader.request_flush();
            thread::sleep(nap);
            continue;
        };
        let now = ticks();
        for record in taken.records().chunks_exact(RECORD) {
            let stamp = record
                .first_chunk()
                .map_or(0, |stamp| u64::from_le_bytes(*stamp));
            seen.ticks.add(now.saturating_sub(stamp));
            seen.records += 1;
        }
    }
}
