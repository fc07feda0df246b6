//! The load of scenarios: which of the channels [`flood`] and [`shared`] it goes to, and the rings
//! that it has there.

use alloc::vec::Vec;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use relay::fs::Mount;
use relay::line::MAX_PACKET;
use relay::record::Fields;
use relay::{Delivery, Geometry, GeometryError, Mode, StaticMemory, Storage};
use spin::Once;

use super::flood::Flood;
use super::{channel, flood, shared};
use crate::base::cmdline::Options;
use crate::base::cpuset::MAX_CPUS;
use crate::base::settings::{BEGIN, COUNT, DELIVERY, MODE, SPARES, SUBBUF, USAGE};
use crate::base::shortfall;

/// Bytes of the heap that the rings leave to others, in all and for each CPU.
const LEFT: usize = 640 * 1024;
const LEFT_PER_CPU: usize = 48 * 1024;
/// It is kept in pieces of so many bytes.
const PIECE: usize = 64 * 1024;

/// The size of sub-buffers that go over a slow line, unless somebody sets another.
const SLOW: u64 = 1024;

/// The rings in static memory.
const EARLY: Geometry = channel::fixed(1024, 2);
static EARLY_MEMORY: [StaticMemory<{ Storage::bytes_for(&EARLY) }>; MAX_CPUS] =
    [const { StaticMemory::new() }; MAX_CPUS];

/// It goes to the one stream that all CPUs write.
static IS_SHARED: AtomicBool = AtomicBool::new(false);

/// The rings that the settings ask for; those at first may be smaller.
static FULL: Once<Geometry> = Once::new();

/// Decides which channel it goes to. Task context on the boot CPU, before the rings are made.
pub(super) fn choose(options: &Options<'_>) {
    IS_SHARED.store(options.value(&USAGE) == Some(1), Ordering::Relaxed);
}

/// Whether all CPUs write one stream. Any context.
pub(crate) fn is_shared() -> bool {
    IS_SHARED.load(Ordering::Relaxed)
}

/// Whether a channel is one that the load can go to; then whether it does. Any context.
pub(super) fn goes_to(mount: &Mount) -> Option<bool> {
    let [is_flood, is_the_shared] =
        [&flood::MOUNT, &shared::MOUNT].map(|known| ptr::eq(mount, known));
    (is_flood || is_the_shared).then(|| is_the_shared == is_shared())
}

/// The rings that the settings ask for, if there are such. Any context.
pub(crate) fn full() -> Option<Geometry> {
    FULL.get().copied()
}

/// Whether what nobody has read is overwritten. Any context.
pub(super) fn overwrites() -> bool {
    full().is_some_and(|full| full.mode() == Mode::Continuous)
}

/// Gives CPUs 0 to `cpus - 1` their streams, or all of them theirs. Task context, with a heap.
pub(super) fn start(cpus: usize, options: &Options<'_>, is_slow: bool) {
    let size = match options.given(&SUBBUF) {
        None if is_slow => Some(SLOW),
        _ => options.value(&SUBBUF),
    };
    let size = size.unwrap_or_default() as usize;
    if is_slow && size > MAX_PACKET {
        shortfall::note();
        return relay::error!(
            "subbuf={size} is too much for a serial port, whose frames have {MAX_PACKET} bytes at \
             most: there is no flood"
        );
    }
    let count = options.value(&COUNT).unwrap_or_default() as usize;
    let full = channel::geometry(size, count).and_then(|full| with_kind(full, options));
    let full = full.and_then(|full| full.with_spares(spares(options)));
    let early = with_kind(EARLY, options);
    let (full, early) = match full.and_then(|full| Ok((full, early?))) {
        Ok(both) => both,
        Err(error) => return relay::error!("there is no flood: {error}"),
    };
    FULL.call_once(|| full);
    // What comes later (devices, ports, stacks) needs memory more than the load of scenarios does:
    // this much is left to it, or all that there is.
    let left = keep(LEFT + cpus * LEFT_PER_CPU);
    let streams = if is_shared() { 1 } else { cpus };
    for (stream, memory) in EARLY_MEMORY.iter().enumerate().take(streams) {
        match options.value(&BEGIN) {
            Some(1) => start_in(stream, memory.take(), early),
            _ => start_in(stream, None, full),
        }
    }
    drop(left);
}

/// Takes so many bytes of the heap, or all that there are, in pieces: however it is split up.
fn keep(bytes: usize) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    for _ in 0..bytes.div_ceil(PIECE) {
        let mut piece = Vec::new();
        if pieces.try_reserve(1).is_err() || piece.try_reserve_exact(PIECE).is_err() {
            break;
        }
        pieces.push(piece);
    }
    // Used by nobody, and there nevertheless.
    core::hint::black_box(pieces)
}

/// Makes the rings what the settings say beside sizes and counts.
fn with_kind(geometry: Geometry, options: &Options<'_>) -> Result<Geometry, GeometryError> {
    let mode = match options.value(&MODE) {
        Some(1) => Mode::Continuous,
        _ => Mode::NoOverwrite,
    };
    let delivery = match options.value(&DELIVERY) {
        Some(1) => Delivery::Record,
        _ => Delivery::Bulk,
    };
    geometry.with_mode(mode)?.with_delivery(delivery)
}

/// Blocks that readers have at hand, where rings overwrite.
fn spares(options: &Options<'_>) -> usize {
    match options.value(&MODE) {
        Some(1) => options.value(&SPARES).unwrap_or_default() as usize,
        _ => 0,
    }
}

/// Starts a stream in this memory, or in some of the heap.
fn start_in(stream: usize, memory: Option<Storage>, geometry: Geometry) {
    match is_shared() {
        true => channel::start(&shared::CHANNEL, "shared", stream, memory, geometry),
        false => channel::start(&flood::CHANNEL, "flood", stream, memory, geometry),
    };
}

/// Checks whole records of the load, read from this stream; returns how many there are.
///
/// # Errors
/// What is wrong with one.
pub(crate) fn check(records: &[u8], stream: usize) -> Result<u64, &'static str> {
    let mut fields = Fields::new(records);
    let mut count = 0;
    while let Some(stamp) = fields.next_stamp().map_err(|error| error.reason)? {
        let cpu = match is_shared() {
            true => fields.u32().ok_or("it is cut off")?,
            false => stream as u32,
        };
        Flood::read(&stamp, &mut fields, cpu as usize)?;
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::settings::{Range, Takes};
    use relay::Context;
    use relay::event::Event;
    use relay::record::{STAMP, Stamp};

    #[test]
    fn what_the_settings_take_makes_a_ring_that_holds_a_record() {
        let (Takes::PowerOfTwo(size), Takes::PowerOfTwo(count)) = (SUBBUF.takes, COUNT.takes)
        else {
            panic!("they are powers of two");
        };
        let ends = |range: Range| [range.least as usize, range.most as usize];
        let record = Flood {
            sequence: 0,
            context: Context::Task,
            length: 16,
        };
        for size in ends(size) {
            for count in ends(count) {
                let geometry = channel::geometry(size, count).expect("there is such a ring");
                assert!(geometry.max_record() >= STAMP + record.size());
            }
        }
    }

    #[test]
    fn whole_records_that_are_right_are_counted_and_others_are_found() {
        let mut records = Vec::new();
        for sequence in [7, 8] {
            records.extend(Stamp::new(Flood::CLASS.id, Context::Task, 5).to_bytes());
            let record = Flood {
                sequence,
                context: Context::Task,
                length: 16,
            };
            records.extend(record.bytes(0));
        }
        assert_eq!(check(&records, 0), Ok(2));
        assert_eq!(check(&[], 0), Ok(0));
        assert_eq!(check(&records, 1), Err("its checksum is wrong"));
        for cut in 1..records.len() {
            let found = check(&records[..cut], 0);
            assert_eq!(found.is_ok(), cut == records.len() / 2, "{cut} bytes");
        }
        for at in STAMP..records.len() / 2 {
            let mut wrong = records.clone();
            wrong[at] ^= 1;
            assert!(check(&wrong, 0).is_err(), "byte {at}");
        }
    }
}
