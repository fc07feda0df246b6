//! relay, with a second thread at work.

use super::relay::{Kind, SUBBUF, Writer, channel, lost, start, write_plain, write_stamped};
use crate::companion::Companion;
use crate::host::become_cpu;
use crate::measure::{Cell, Size, Subject, time};
use relay::record::STAMP;
use relay::{Global, Mode, PerCpu, Usage};
use std::hint::black_box;

pub(super) fn subjects() -> Vec<Subject> {
    let row = |name, note, cells| Subject {
        whose: "relay",
        name,
        note,
        cells,
    };
    let exchanging = Kind {
        spares: 2,
        ..Kind::OVERWRITING
    };
    vec![
        row(
            "stamped, read meanwhile, no-overwrite",
            "another thread takes and reads every sub-buffer; nothing lost",
            vec![
                drained::<25>(Kind::REFUSING),
                drained::<249>(Kind::REFUSING),
            ],
        ),
        row(
            "stamped, read meanwhile, overwriting",
            "the reader exchanges sub-buffers for spare ones",
            vec![drained::<25>(exchanging), drained::<249>(exchanging)],
        ),
        row(
            "stamped, two threads, a CPU each",
            "the other one writes as fast; overwrites",
            vec![
                side_by_side::<PerCpu>(32, write_stamped::<25, PerCpu>),
                side_by_side::<PerCpu>(256, write_stamped::<249, PerCpu>),
            ],
        ),
        row(
            "plain, two threads, a CPU each",
            "the same without the clock",
            vec![
                side_by_side::<PerCpu>(32, write_plain::<32, PerCpu>),
                side_by_side::<PerCpu>(256, write_plain::<256, PerCpu>),
            ],
        ),
        row(
            "global usage, stamped, two threads",
            "both write to one ring; overwrites",
            vec![
                side_by_side::<Global>(32, write_stamped::<25, Global>),
                side_by_side::<Global>(256, write_stamped::<249, Global>),
            ],
        ),
        row(
            "global usage, plain, two threads",
            "the same without the clock",
            vec![
                side_by_side::<Global>(32, write_plain::<32, Global>),
                side_by_side::<Global>(256, write_plain::<256, Global>),
            ],
        ),
    ]
}

/// A reader on another thread takes every sub-buffer as soon as it can be had, and looks at every
/// byte.
fn drained<const BODY: usize>(kind: Kind) -> Cell {
    let size = Size::Bytes(STAMP + BODY);
    let channel = channel::<PerCpu>(kind);
    let companion = Companion::start(move || {
        let mut reader = channel.reader(0).expect("it is free");
        move || {
            let Some(taken) = reader.next_subbuf() else {
                std::hint::spin_loop();
                return false;
            };
            let sum = |sum: u8, byte: &u8| sum.wrapping_add(*byte);
            black_box(taken.records().iter().fold(0, sum));
            true
        }
    });
    // Half of the sub-buffers that a batch fills.
    let least = (size.records() * size.max() / SUBBUF / 2) as u64;
    Cell::with_companion(size, move || {
        companion.with(least, || {
            // A batch fits into what is free, once everything before it is read.
            while kind.mode == Mode::NoOverwrite && companion.done() != delivered(channel) {
                std::hint::spin_loop();
            }
            let before = lost(channel);
            let took = time(size.records(), |_| write_stamped::<BODY, PerCpu>(channel));
            assert_eq!(lost(channel), before, "records were lost while measuring");
            took
        })
    })
}

/// Records that a second thread writes between two looks at whether it should go on.
const PIECE: usize = 16;

/// Two threads write records of `size` bytes to one channel with `op`.
fn side_by_side<U: Usage + Sync>(
    size: usize,
    op: impl Fn(&Writer<U>) + Copy + Send + 'static,
) -> Cell {
    let size = Size::Bytes(size);
    let channel = channel::<U>(Kind::OVERWRITING);
    if !U::SHARED {
        start(channel, 1, Kind::OVERWRITING);
    }
    // All companions that write are CPU 1; only one of them is awake at a time.
    let companion = Companion::start(move || {
        become_cpu(1);
        move || {
            (0..PIECE).for_each(|_| op(channel));
            true
        }
    });
    Cell::with_companion(size, move || {
        companion.with(half(size), || time(size.records(), |_| op(channel)))
    })
}

/// Pieces that are half as many records as a batch has.
fn half(size: Size) -> u64 {
    (size.records() / PIECE / 2) as u64
}

/// Sub-buffers that became readable so far.
fn delivered(channel: &Writer) -> u64 {
    channel.stats(0).map_or(0, |stats| stats.packets)
}
