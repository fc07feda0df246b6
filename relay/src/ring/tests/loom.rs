//! loom: the owner against a reader, in every interleaving of their steps (three preemptions) and
//! with every value that a weak memory model lets a load return. The bytes of the blocks are
//! tracked: a read that is not ordered after the write it sees, or a write not after a read, fails.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p relay --profile loom --lib loom`

use crate::platform::Platform;
use crate::ring::writer::Pin;
use crate::ring::{
    Geometry, Mode, NoHooks, Packet, PacketStart, Plain, Reader, Storage, Stream, Writer,
};
use loom::sync::Arc;
use loom::thread;
use std::sync::atomic::{AtomicU64, Ordering};
use std::vec::Vec;

/// The owner's CPU. Its clock is no part of the model.
struct Cpu(AtomicU64);

// SAFETY: one thread uses it.
unsafe impl Platform for Cpu {
    fn pin(&self) -> usize {
        0
    }

    unsafe fn unpin(&self) {}

    fn now(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

fn geometry(mode: Mode, spares: usize) -> Geometry {
    Geometry::new(8, 2)
        .and_then(|g| g.with_mode(mode)?.with_spares(spares))
        .unwrap()
}

fn stream(geometry: Geometry) -> Arc<Stream> {
    let stream = Stream::new();
    let storage = Storage::allocate(&geometry).unwrap();
    let begin = PacketStart {
        cpu: 0,
        begin_ticks: 0,
    };
    stream
        .start(storage, geometry, u64::MAX, &NoHooks, &begin)
        .unwrap();
    Arc::new(stream)
}

fn writer<'a>(stream: &'a Stream, cpu: &'a Cpu) -> Writer<'a, Cpu> {
    Writer::new(stream, &stream.local, &NoHooks, Pin::new(cpu))
}

/// What a reader has seen: packets, and the first byte of each of their records.
#[derive(Default)]
struct Seen {
    packets: Vec<Packet>,
    records: Vec<u8>,
}

/// Takes what there is. Records are four bytes of one value.
fn read(reader: &mut Reader<'_>, seen: &mut Seen) {
    while let Some(taken) = reader.next_subbuf() {
        let packet = *taken.packet();
        if let Some(last) = seen.packets.last() {
            assert!(packet.sequence > last.sequence);
            assert!(packet.ordinal >= last.ordinal + last.records);
            assert!(packet.begin_ticks >= last.end_ticks);
        }
        for record in taken.records().chunks(4) {
            assert!(
                record.iter().all(|byte| *byte == record[0]),
                "torn: {record:?}"
            );
            seen.records.push(record[0]);
        }
        assert_eq!(taken.records().len() as u64, 4 * packet.records);
        seen.packets.push(packet);
    }
}

/// Explores `body`, with three preemptions unless LOOM_MAX_PREEMPTIONS says otherwise.
fn model(body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(body);
}

/// Runs `own` against a reader that looks twice, and then to the end; checks the sum.
fn owner_against_reader(geometry: Geometry, attempted: usize, own: fn(&Stream, &Cpu)) {
    model(move || {
        let stream = stream(geometry);
        let owner = {
            let stream = Arc::clone(&stream);
            thread::spawn(move || own(&stream, &Cpu(AtomicU64::new(0))))
        };
        let mut seen = Seen::default();
        let mut reader = Reader::open(&stream, 0).unwrap();
        read(&mut reader, &mut seen);
        owner.join().unwrap();
        read(&mut reader, &mut seen);
        drop(reader);

        let stats = stream.stats();
        let delivered = seen.records.len() as u64;
        assert!(
            seen.records.is_sorted_by(|a, b| a < b),
            "{:?}",
            seen.records
        );
        assert_eq!(
            delivered + stats.overwritten + stats.lost.total(),
            attempted as u64
        );
    });
}

fn write(stream: &Stream, cpu: &Cpu, value: u8) {
    let _ = writer(stream, cpu).put(Plain(&[value; 4]));
}

/// Three packets through a ring of two: the third needs what the reader gives back.
fn three_packets(stream: &Stream, cpu: &Cpu) {
    for value in 1..=6 {
        write(stream, cpu, value);
    }
    // Where some were lost, the last may stand in an open packet.
    writer(stream, cpu).flush();
}

#[test]
fn in_place_without_overwriting() {
    owner_against_reader(geometry(Mode::NoOverwrite, 0), 6, three_packets);
}

#[test]
fn by_exchange_without_overwriting() {
    owner_against_reader(geometry(Mode::NoOverwrite, 1), 6, three_packets);
}

#[test]
fn by_exchange_while_overwriting() {
    owner_against_reader(geometry(Mode::Continuous, 1), 6, three_packets);
}

#[test]
fn in_place_while_overwriting() {
    owner_against_reader(geometry(Mode::Continuous, 0), 6, three_packets);
}

/// Four packets through two sub-buffers and a spare: the owner writes blocks that the reader has
/// read and exchanged back.
fn four_packets(stream: &Stream, cpu: &Cpu) {
    for value in 1..=8 {
        write(stream, cpu, value);
    }
    writer(stream, cpu).flush();
}

#[test]
fn by_exchange_with_blocks_that_come_back() {
    owner_against_reader(geometry(Mode::NoOverwrite, 1), 8, four_packets);
}

#[test]
fn by_exchange_with_blocks_that_come_back_while_overwriting() {
    owner_against_reader(geometry(Mode::Continuous, 1), 8, four_packets);
}

#[test]
fn given_back_by_a_third_thread() {
    model(|| {
        let stream = stream(geometry(Mode::NoOverwrite, 1));
        let cpu = Cpu(AtomicU64::new(0));
        for value in 1..=4 {
            write(&stream, &cpu, value);
        }
        // SAFETY: the stream outlives the thread, which is joined below.
        let long: &'static Stream = unsafe { &*Arc::as_ptr(&stream) };
        let mut reader = Reader::open(long, 0).unwrap();
        let first = reader.next_subbuf().unwrap();
        let third = thread::spawn(move || {
            assert_eq!(first.records()[0], 1);
            drop(first);
        });
        // With the block of the first, if that is back already.
        drop(reader.next_subbuf());
        for value in 5..=8 {
            write(&stream, &cpu, value);
        }
        third.join().unwrap();
        drop(reader);
    });
}

#[test]
fn over_a_replacement_of_the_ring() {
    owner_against_reader(geometry(Mode::NoOverwrite, 0), 3, |stream, cpu| {
        write(stream, cpu, 1);
        let geometry = geometry(Mode::NoOverwrite, 0);
        let storage = Storage::allocate(&geometry).unwrap();
        writer(stream, cpu).succeed(storage, geometry).unwrap();
        write(stream, cpu, 2);
        write(stream, cpu, 3);
        writer(stream, cpu).flush();
    });
}

#[test]
fn the_end_is_seen_after_everything_before_it() {
    model(|| {
        let stream = stream(geometry(Mode::NoOverwrite, 0));
        let owner = {
            let stream = Arc::clone(&stream);
            thread::spawn(move || {
                let cpu = Cpu(AtomicU64::new(0));
                write(&stream, &cpu, 1);
                writer(&stream, &cpu).close().unwrap();
                write(&stream, &cpu, 2);
            })
        };
        let mut seen = Seen::default();
        let mut reader = Reader::open(&stream, 0).unwrap();
        for _ in 0..2 {
            read(&mut reader, &mut seen);
            if reader.is_at_end() {
                assert_eq!(seen.records, [1]);
                assert!(seen.packets.last().unwrap().is_final);
            }
        }
        owner.join().unwrap();
        read(&mut reader, &mut seen);
        assert!(reader.is_at_end());
        assert_eq!(seen.records, [1]);
    });
}

#[test]
fn nothing_older_comes_after_a_quiet_time() {
    model(|| {
        let stream = stream(geometry(Mode::NoOverwrite, 0));
        let owner = {
            let stream = Arc::clone(&stream);
            thread::spawn(move || {
                let cpu = Cpu(AtomicU64::new(0));
                for value in 1..=2 {
                    write(&stream, &cpu, value);
                    writer(&stream, &cpu).tick();
                }
            })
        };
        let mut seen = Seen::default();
        let mut reader = Reader::open(&stream, 0).unwrap();
        reader.request_flush();
        let quiet = reader.quiet_since();
        read(&mut reader, &mut seen);
        let before = seen.packets.len();
        owner.join().unwrap();
        read(&mut reader, &mut seen);
        for packet in &seen.packets[before..] {
            assert!(
                packet.begin_ticks > quiet,
                "{packet:?} is older than {quiet}"
            );
        }
    });
}
