//! Real threads: an owner that writes, flushes and replaces its ring, and a reader on another
//! thread that checks every byte of what it takes.

extern crate std;

use super::world::{BEGIN, OneCpu};
use crate::platform::Pin;
use crate::platform::Platform;
use crate::ring::{Geometry, Mode, NoHooks, Owner, Plain, Reader, Storage, Stream};
use crate::sync::PerCpu;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::vec::Vec;

/// A record: its number, twice, and as many bytes of it as its number says.
fn record(number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(number.to_le_bytes());
    bytes.extend(core::iter::repeat_n(number as u8, (number % 23) as usize));
    bytes
}

/// Checks the records of a packet; returns the numbers.
fn parse(mut rest: &[u8]) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Some((head, tail)) = rest.split_first_chunk::<8>() {
        let number = u64::from_le_bytes(*head);
        let (fill, after) = tail.split_at((number % 23) as usize);
        assert!(
            fill.iter().all(|byte| *byte == number as u8),
            "record {number}: {fill:x?}"
        );
        numbers.push(number);
        rest = after;
    }
    assert!(rest.is_empty());
    numbers
}

fn run(mode: Mode, spares: usize, records: u64) {
    let stream = Stream::new();
    let geometry = |count| {
        Geometry::new(256, count)
            .and_then(|g| g.with_mode(mode)?.with_spares(spares))
            .unwrap()
    };
    let first = geometry(4);
    stream
        .start(
            Storage::allocate(&first).unwrap(),
            first,
            u64::MAX - 9,
            &NoHooks,
            &BEGIN,
        )
        .unwrap();
    let done = AtomicBool::new(false);
    let (mut seen, mut next_ordinal, mut missed) = (Vec::new(), 0, 0);

    thread::scope(|scope| {
        scope.spawn(|| {
            let cpu = OneCpu::default();
            let writer =
                || Owner::<_, PerCpu>::new(&stream, &stream.local, &NoHooks, Pin::new(&cpu));
            for number in 0..records {
                let _ = writer().put(Plain(&record(number)));
                if number % 97 == 0 {
                    writer().flush();
                }
                if number % 64 == 0 {
                    writer().tick();
                    thread::yield_now();
                }
                if number % 5000 == 4999 {
                    let count = 2 << (number / 5000 % 3);
                    let storage = Storage::allocate(&geometry(count)).unwrap();
                    writer().succeed(storage, geometry(count)).unwrap();
                }
            }
            while writer().close().is_err() {
                thread::yield_now();
            }
            assert_eq!(cpu.context(), crate::Context::Task);
            done.store(true, Ordering::Release);
        });

        let mut reader = Reader::open(&stream, 0).unwrap();
        let mut held = Vec::new();
        while !reader.is_at_end() {
            let Some(taken) = reader.next_subbuf() else {
                held.clear();
                reader.request_flush();
                thread::yield_now();
                continue;
            };
            let packet = *taken.packet();
            assert!(packet.ordinal >= next_ordinal);
            missed += packet.ordinal - next_ordinal;
            next_ordinal = packet.ordinal + packet.records;
            let numbers = parse(taken.records());
            assert_eq!(numbers.len() as u64, packet.records);
            seen.extend(numbers);
            // Some are given back late, and not in order.
            if packet.sequence % 3 == 0 {
                held.push(taken);
            }
            if held.len() > 1 {
                held.remove(0);
            }
        }
    });

    assert!(done.into_inner());
    assert!(seen.is_sorted_by(|a, b| a < b), "out of order");
    let stats = stream.stats();
    assert_eq!(stats.overwritten, missed);
    assert_eq!(seen.len() as u64 + missed + stats.lost.total(), records);
    assert!(!seen.is_empty());
}

const RECORDS: u64 = if cfg!(miri) { 100 } else { 200_000 };

#[test]
fn a_reader_on_another_thread_sees_whole_records_in_order() {
    run(Mode::NoOverwrite, 0, RECORDS);
}

#[test]
fn with_spare_blocks_too() {
    run(Mode::NoOverwrite, 2, RECORDS);
}

#[test]
fn while_it_is_being_overwritten() {
    run(Mode::Continuous, 2, RECORDS);
}

#[test]
fn while_it_is_being_overwritten_and_read_in_place() {
    run(Mode::Continuous, 0, RECORDS);
}
