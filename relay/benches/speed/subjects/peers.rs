//! What else there is to write into.

use super::{mixed, payload, some_payload};
use crate::companion::Companion;
use crate::measure::{Cell, RING, Size, Subject, time};
use bbqueue::nicknames::YakiNiku;
use bbqueue::traits::storage::BoxedSlice;
use crossbeam_queue::ArrayQueue;
use ringbuf::HeapRb;
use ringbuf::traits::{Consumer, Producer, Split};
use std::hint::black_box;
use std::sync::Arc;
use thingbuf::ThingBuf;

pub(super) fn subjects() -> Vec<Subject> {
    let row = |whose, name, note, cells| Subject {
        whose,
        name,
        note,
        cells,
    };
    vec![
        row(
            "rtrb",
            "push",
            "no clock, no nesting, no overwriting, no loss counts, one length; one producer",
            sizes!(rtrb),
        ),
        row(
            "rtrb",
            "push, popped meanwhile",
            "the same; another thread pops all the time",
            vec![rtrb_drained::<32>(), rtrb_drained::<256>()],
        ),
        row(
            "ringbuf",
            "try_push",
            "no clock, no nesting, no overwriting, no loss counts, one length; one producer",
            sizes!(ringbuf),
        ),
        row(
            "ringbuf",
            "push_overwrite",
            "the same; overwrites, but no other thread can read meanwhile",
            sizes!(ringbuf_overwrite),
        ),
        row(
            "bbqueue",
            "grant_exact, constant length",
            "no clock, no nesting, no overwriting, no loss counts, no record bounds; one producer",
            sizes!(bbqueue),
        ),
        row(
            "bbqueue",
            "framed, run-time length",
            "the same with record bounds",
            Size::ALL.map(bbqueue_framed).into(),
        ),
        row(
            "crossbeam",
            "ArrayQueue::push",
            "no clock, no overwriting, no loss counts, one length; any producers",
            sizes!(array_queue),
        ),
        row(
            "crossbeam",
            "ArrayQueue::force_push",
            "the same; overwrites",
            sizes!(array_queue_overwrite),
        ),
        row(
            "crossbeam",
            "force_push, two threads",
            "the same; the other one writes as fast",
            vec![
                array_queue_two_threads::<32>(),
                array_queue_two_threads::<256>(),
            ],
        ),
        row(
            "thingbuf",
            "push_ref",
            "no clock, no overwriting, no loss counts, one length; any producers",
            sizes!(thingbuf),
        ),
    ]
}

/// All sizes of a peer that takes one length.
macro_rules! sizes {
    ($cell:ident) => {
        vec![$cell::<8>(), $cell::<32>(), $cell::<64>(), $cell::<256>()]
    };
}
use sizes;

/// A cell that writes a batch with `push`, once to have the memory in the cache and once to be
/// measured, and makes room with `pop` after each.
fn cell<T: 'static>(
    size: Size,
    mut queue: T,
    mut push: impl FnMut(&mut T, usize) -> bool + 'static,
    mut pop: impl FnMut(&mut T) + 'static,
) -> Cell {
    Cell::new(size, move || {
        let mut all = true;
        let mut took = std::time::Duration::ZERO;
        for _ in 0..2 {
            took = time(size.records(), |i| all &= push(&mut queue, i));
            pop(&mut queue);
        }
        assert!(all, "there was no room");
        took
    })
}

/// A payload as a value of its own.
type Item<const N: usize> = [u8; N];

/// How many items fill a ring.
const fn items<const N: usize>() -> usize {
    RING / N
}

fn rtrb<const N: usize>() -> Cell {
    cell(
        Size::Bytes(N),
        rtrb::RingBuffer::<Item<N>>::new(items::<N>()),
        |(producer, _), _| producer.push(*payload::<N>()).is_ok(),
        |(_, consumer)| while consumer.pop().is_ok() {},
    )
}

fn rtrb_drained<const N: usize>() -> Cell {
    let (mut producer, mut consumer) = rtrb::RingBuffer::<Item<N>>::new(items::<N>());
    let companion = Companion::start(move || {
        move || {
            let item = consumer.pop().map(black_box);
            if item.is_err() {
                std::hint::spin_loop();
            }
            item.is_ok()
        }
    });
    let size = Size::Bytes(N);
    let least = size.records() as u64 / 2;
    Cell::with_companion(size, move || {
        companion.with(least, || {
            // A batch fits into what is free, once everything before it is read.
            while producer.slots() != items::<N>() {
                std::hint::spin_loop();
            }
            let mut all = true;
            let took = time(size.records(), |_| {
                all &= producer.push(*payload::<N>()).is_ok()
            });
            assert!(all, "there was no room");
            took
        })
    })
}

fn ringbuf<const N: usize>() -> Cell {
    cell(
        Size::Bytes(N),
        HeapRb::<Item<N>>::new(items::<N>()).split(),
        |(producer, _), _| producer.try_push(*payload::<N>()).is_ok(),
        |(_, consumer)| while consumer.try_pop().is_some() {},
    )
}

fn ringbuf_overwrite<const N: usize>() -> Cell {
    let mut ring = HeapRb::<Item<N>>::new(items::<N>());
    while ring.try_push(*payload::<N>()).is_ok() {}
    cell(
        Size::Bytes(N),
        ring,
        |ring, _| ring.push_overwrite(*payload::<N>()).is_some(),
        |_| {},
    )
}

fn bytes_queue() -> YakiNiku {
    YakiNiku::new_with_storage(BoxedSlice::new(RING))
}

fn bbqueue<const N: usize>() -> Cell {
    let queue: &'static YakiNiku = Box::leak(Box::new(bytes_queue()));
    cell(
        Size::Bytes(N),
        (queue.stream_producer(), queue.stream_consumer()),
        |(producer, _), _| match producer.grant_exact(N) {
            Ok(mut grant) => {
                grant.copy_from_slice(payload::<N>());
                grant.commit(N);
                true
            }
            Err(_) => false,
        },
        |(_, consumer)| {
            while let Ok(grant) = consumer.read() {
                black_box(&grant[..]);
                let len = grant.len();
                grant.release(len);
            }
        },
    )
}

fn bbqueue_framed(size: Size) -> Cell {
    let queue: &'static YakiNiku = Box::leak(Box::new(bytes_queue()));
    cell(
        size,
        (queue.framed_producer(), queue.framed_consumer()),
        move |(producer, _): &mut (bbqueue::prod_cons::framed::FramedProducer<_>, _), i| {
            let bytes = some_payload(match size {
                Size::Bytes(bytes) => bytes,
                Size::Mixed => mixed(i),
            });
            match producer.grant(bytes.len() as u16) {
                Ok(mut grant) => {
                    grant.copy_from_slice(bytes);
                    grant.commit(bytes.len() as u16);
                    true
                }
                Err(_) => false,
            }
        },
        |(_, consumer): &mut (_, bbqueue::prod_cons::framed::FramedConsumer<_>)| {
            while let Ok(grant) = consumer.read() {
                black_box(&grant[..]);
                grant.release();
            }
        },
    )
}

fn array_queue<const N: usize>() -> Cell {
    cell(
        Size::Bytes(N),
        ArrayQueue::<Item<N>>::new(items::<N>()),
        |queue, _| queue.push(*payload::<N>()).is_ok(),
        |queue| while queue.pop().is_some() {},
    )
}

fn full_queue<const N: usize>() -> ArrayQueue<Item<N>> {
    let queue = ArrayQueue::new(items::<N>());
    while queue.push(*payload::<N>()).is_ok() {}
    queue
}

fn array_queue_overwrite<const N: usize>() -> Cell {
    cell(
        Size::Bytes(N),
        full_queue::<N>(),
        |queue, _| queue.force_push(*payload::<N>()).is_some(),
        |_| {},
    )
}

fn array_queue_two_threads<const N: usize>() -> Cell {
    let queue = Arc::new(full_queue::<N>());
    let companion = Companion::start({
        let queue = Arc::clone(&queue);
        move || {
            move || {
                queue.force_push(*payload::<N>());
                true
            }
        }
    });
    let size = Size::Bytes(N);
    let least = size.records() as u64 / 2;
    Cell::with_companion(size, move || {
        companion.with(least, || {
            time(size.records(), |_| {
                queue.force_push(*payload::<N>());
            })
        })
    })
}

fn thingbuf<const N: usize>() -> Cell {
    // Its items need a default value, which arrays have up to 32 elements only.
    #[derive(Clone)]
    struct Thing<const N: usize>(Item<N>);
    impl<const N: usize> Default for Thing<N> {
        fn default() -> Self {
            Self([0; N])
        }
    }
    cell(
        Size::Bytes(N),
        ThingBuf::<Thing<N>>::new(items::<N>()),
        |queue, _| match queue.push_ref() {
            Ok(mut thing) => {
                thing.0 = *payload::<N>();
                true
            }
            Err(_) => false,
        },
        |queue| while queue.pop_ref().is_some() {},
    )
}
