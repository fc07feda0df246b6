//! relay, with a second thread at work.

use super::relay::{Writer, channel, start, write_constant};
use crate::companion::Companion;
use crate::host::become_cpu;
use crate::measure::{Cell, Size, Subject, time};
use relay::Mode;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) fn subjects() -> Vec<Subject> {
    let row = |name, note, cells| Subject {
        whose: "relay",
        name,
        note,
        cells,
    };
    vec![
        row(
            "read meanwhile, no-overwrite",
            "clock, constant length; another thread takes and reads every sub-buffer, nothing lost",
            vec![
                drained::<32>(Mode::NoOverwrite),
                drained::<256>(Mode::NoOverwrite),
            ],
        ),
        row(
            "read meanwhile, overwriting",
            "clock, constant length; the reader exchanges sub-buffers for spare ones",
            vec![
                drained::<32>(Mode::Continuous),
                drained::<256>(Mode::Continuous),
            ],
        ),
        row(
            "two threads, a CPU each",
            "clock, constant length, overwrites; the other one writes as fast",
            vec![side_by_side::<32, true>(), side_by_side::<256, true>()],
        ),
        row(
            "two threads, no clock",
            "the same without the clock",
            vec![side_by_side::<32, false>(), side_by_side::<256, false>()],
        ),
    ]
}

// Global usage: one ring, written by both threads, belongs here. Its row compares with that of
// crossbeam's ArrayQueue, written by two threads.

/// A reader on another thread takes every sub-buffer as soon as it can be had, and looks at every
/// byte.
fn drained<const N: usize>(mode: Mode) -> Cell {
    let size = Size::Bytes(N);
    let spares = if mode == Mode::Continuous { 2 } else { 0 };
    let channel = channel::<true>(mode, spares);
    let taken = Arc::new(AtomicU64::new(0));
    let companion = Companion::start({
        let taken = Arc::clone(&taken);
        move || {
            let mut reader = channel.reader(0).expect("it is free");
            move || match reader.next_subbuf() {
                Some(subbuf) => {
                    let sum = |sum: u8, byte: &u8| sum.wrapping_add(*byte);
                    black_box(subbuf.records().iter().fold(0, sum));
                    drop(subbuf);
                    taken.fetch_add(1, Ordering::Release);
                }
                None => std::hint::spin_loop(),
            }
        }
    });
    Cell::new(size, move || {
        companion.with(|| {
            // A batch fits into what is free, once everything before it is read.
            while mode == Mode::NoOverwrite && taken.load(Ordering::Acquire) != delivered(channel) {
                std::hint::spin_loop();
            }
            let lost = lost(channel);
            let took = time(size.records(), |_| write_constant::<N, true>(channel));
            assert_eq!(
                self::lost(channel),
                lost,
                "records were lost while measuring"
            );
            took
        })
    })
}

/// Two threads write to one channel, each into the ring of its own CPU.
fn side_by_side<const N: usize, const CLOCK: bool>() -> Cell {
    let size = Size::Bytes(N);
    let channel = channel::<CLOCK>(Mode::Continuous, 0);
    start(channel, 1, Mode::Continuous, 0);
    // All companions that write are CPU 1, and of those only one is awake at a time.
    let companion = Companion::start(move || {
        become_cpu(1);
        move || (0..64).for_each(|_| write_constant::<N, CLOCK>(channel))
    });
    Cell::new(size, move || {
        companion.with(|| {
            let lost = lost(channel);
            let took = time(size.records(), |_| write_constant::<N, CLOCK>(channel));
            assert_eq!(
                self::lost(channel),
                lost,
                "records were lost while measuring"
            );
            took
        })
    })
}

/// Sub-buffers that can be read, or could.
fn delivered(channel: &Writer<true>) -> u64 {
    channel.stats(0).map_or(0, |stats| stats.packets)
}

/// Records that were lost so far.
fn lost<const CLOCK: bool>(channel: &Writer<CLOCK>) -> u64 {
    let of = |cpu| channel.stats(cpu).map_or(0, |stats| stats.lost.total());
    of(0) + of(1) + channel.lost_no_ring()
}
