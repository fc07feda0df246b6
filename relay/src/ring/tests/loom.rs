//! loom: the owner against a reader, in every interleaving of their steps (three preemptions) and
//! with every value that a weak memory model lets a load return. The bytes of the blocks are
//! tracked: a read that is not ordered after the write it sees, or a write not after a read, fails.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p relay --profile loom --lib loom`

use crate::platform::Platform;
use crate::ring::writer::Pin;
use crate::ring::{
    Delivery, Geometry, Local, Mode, NoHooks, Observer, Packet, PacketStart, Plain, Reader,
    Records, Storage, Stream, Writer, put,
};
use crate::sync::Global;
use loom::sync::Arc;
use loom::thread;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::vec::Vec;

/// A CPU, or all of them. Its clock is no part of the model.
struct Cpu {
    clock: AtomicU64,
    woken: AtomicBool,
}

impl Cpu {
    fn new() -> Self {
        Self {
            clock: AtomicU64::new(0),
            woken: AtomicBool::new(false),
        }
    }
}

// SAFETY: one thread uses it, or the stream is one of all CPUs; the clock never goes back.
unsafe impl Platform for Cpu {
    fn pin(&self) -> usize {
        0
    }

    unsafe fn unpin(&self) {}

    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn wake(&self, _cpu: usize) {
        self.woken.store(true, Ordering::SeqCst);
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
    model_with(3, body);
}

/// Explores `body` with so many preemptions: two where there is much to interleave.
fn model_with(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.check(body);
}

/// Runs `own` against a reader that looks twice, and then to the end; checks the sum.
fn owner_against_reader(geometry: Geometry, attempted: usize, own: fn(&Stream, &Cpu)) {
    model(move || {
        let stream = stream(geometry);
        let owner = {
            let stream = Arc::clone(&stream);
            thread::spawn(move || own(&stream, &Cpu::new()))
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
        let cpu = Cpu::new();
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
                let cpu = Cpu::new();
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
                let cpu = Cpu::new();
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

/// Copies what it can, and checks it.
fn observe(observer: &mut Observer<'_>) -> usize {
    let mut bytes = [0; 16];
    let mut copied = 0;
    while let Ok(Some(packet)) = observer.next_copy(&mut bytes) {
        assert_eq!(packet.content as u64, 4 * packet.records);
        for record in bytes[..packet.content].chunks(4) {
            assert!(
                record.iter().all(|byte| *byte == record[0]),
                "torn: {record:?}"
            );
        }
        copied += 1;
    }
    copied
}

/// An observer copies while the owner, whose ring is full, writes one more record.
fn owner_against_observer(mode: Mode, spares: usize) {
    model_with(2, move || {
        let stream = stream(geometry(mode, spares));
        let cpu = Cpu::new();
        for value in 1..=4 {
            write(&stream, &cpu, value);
        }
        let owner = {
            let stream = Arc::clone(&stream);
            thread::spawn(move || {
                write(&stream, &cpu, 5);
                cpu
            })
        };
        let mut observer = Observer::open(&stream, 0).unwrap();
        let mut bytes = [0; 8];
        if let Ok(Some(_)) = observer.next_copy(&mut bytes) {
            assert!(bytes[..4] == [bytes[0]; 4] && bytes[4..] == [bytes[4]; 4]);
        }
        let cpu = owner.join().unwrap();
        observe(&mut observer);
        writer(&stream, &cpu).flush();
        drop(observer);

        let mut seen = Seen::default();
        let mut reader = Reader::open(&stream, 0).unwrap();
        read(&mut reader, &mut seen);
        let stats = stream.stats();
        let delivered = seen.records.len() as u64;
        assert_eq!(delivered + stats.overwritten + stats.lost.total(), 5);
        let is_overwritten = mode == Mode::Continuous;
        assert_eq!(is_overwritten, stats.overwritten != 0);
    });
}

#[test]
fn an_observer_while_overwriting() {
    owner_against_observer(Mode::Continuous, 1);
}

#[test]
fn an_observer_without_overwriting() {
    owner_against_observer(Mode::NoOverwrite, 0);
}

#[test]
fn an_observer_beside_the_reader() {
    for mode in [Mode::NoOverwrite, Mode::Continuous] {
        model_with(2, move || {
            let stream = stream(geometry(mode, 1));
            let cpu = Cpu::new();
            for value in 1..=4 {
                write(&stream, &cpu, value);
            }
            let observer = {
                let stream = Arc::clone(&stream);
                thread::spawn(move || observe(&mut Observer::open(&stream, 0).unwrap()))
            };
            let mut seen = Seen::default();
            let mut reader = Reader::open(&stream, 0).unwrap();
            read(&mut reader, &mut seen);
            observer.join().unwrap();
            // What was being copied when the reader came by was not passed over.
            read(&mut reader, &mut seen);
            assert_eq!(seen.records, [1, 2, 3, 4]);
        });
    }
}

#[test]
fn records_one_by_one() {
    model_with(2, || {
        let geometry = Geometry::new(16, 2)
            .and_then(|g| g.with_delivery(Delivery::Packet))
            .unwrap();
        let stream = stream(geometry);
        let owner = {
            let stream = Arc::clone(&stream);
            thread::spawn(move || {
                let cpu = Cpu::new();
                for value in 1..=5 {
                    write(&stream, &cpu, value);
                }
            })
        };
        let mut seen = Vec::new();
        let mut records = Records::new(Reader::open(&stream, 0).unwrap());
        let mut look = |seen: &mut Vec<u8>| {
            while let Some(bytes) = records.next_records() {
                for record in bytes.chunks(4) {
                    assert!(record.iter().all(|byte| *byte == record[0]));
                    seen.push(record[0]);
                }
            }
        };
        look(&mut seen);
        owner.join().unwrap();
        look(&mut seen);
        assert_eq!(seen, [1, 2, 3, 4, 5]);
    });
}

#[test]
fn who_sleeps_is_woken() {
    model(|| {
        let stream = stream(geometry(Mode::NoOverwrite, 0));
        let cpu = Arc::new(Cpu::new());
        let owner = {
            let (stream, cpu) = (Arc::clone(&stream), Arc::clone(&cpu));
            thread::spawn(move || {
                write(&stream, &cpu, 1);
                write(&stream, &cpu, 2);
            })
        };
        let mut reader = Reader::open(&stream, 0).unwrap();
        let sleeps = reader.prepare_to_sleep();
        owner.join().unwrap();
        assert!(
            !sleeps || cpu.woken.load(Ordering::SeqCst),
            "something is readable, and the reader sleeps"
        );
        assert!(reader.next_subbuf().is_some());
    });
}

/// What a CPU of a stream that all CPUs write does.
fn write_shared(stream: &Stream, local: &Local, cpu: &Cpu, value: u8) {
    let writer = || Writer::<_, Global>::new(stream, local, &NoHooks, Pin::new(cpu));
    if !put::<Global, _>(stream, local, cpu, Plain(&[value; 4]), || {
        writer().deliver()
    }) {
        let _ = writer().put_slowly(None, &[value; 4]);
    }
}

#[test]
fn two_cpus_write_one_stream() {
    model_with(2, || {
        let stream = stream(geometry(Mode::NoOverwrite, 0));
        let cpu = Arc::new(Cpu::new());
        let other = {
            let (stream, cpu) = (Arc::clone(&stream), Arc::clone(&cpu));
            thread::spawn(move || {
                let local = Local::new();
                write_shared(&stream, &local, &cpu, 11);
                write_shared(&stream, &local, &cpu, 12);
            })
        };
        let local = Local::new();
        write_shared(&stream, &local, &cpu, 21);
        other.join().unwrap();
        let writer = Writer::<_, Global>::new(&stream, &local, &NoHooks, Pin::new(&*cpu));
        assert!(!writer.is_deliverable(), "complete, and nobody delivers it");
        writer.flush();
        let mut seen = Seen::default();
        read(&mut Reader::open(&stream, 0).unwrap(), &mut seen);
        let of = |tens: u8| {
            seen.records
                .iter()
                .filter(move |value| **value / 10 == tens)
        };
        assert!(of(1).is_sorted());
        let delivered = (of(1).count() + of(2).count()) as u64;
        assert_eq!(delivered, seen.records.len() as u64);
        assert_eq!(delivered + stream.stats().lost.total(), 3);
    });
}

#[test]
fn an_old_ring_is_freed_when_nobody_uses_it() {
    model_with(2, || {
        let stream = stream(geometry(Mode::NoOverwrite, 0));
        let owner = {
            let stream = Arc::clone(&stream);
            thread::spawn(move || {
                let cpu = Cpu::new();
                write(&stream, &cpu, 1);
                writer(&stream, &cpu).tick();
                write(&stream, &cpu, 2);
                writer(&stream, &cpu).tick();
                writer(&stream, &cpu).flush();
            })
        };
        let other = geometry(Mode::NoOverwrite, 0);
        let storage = Storage::allocate(&other).unwrap();
        stream.offer(storage, other).unwrap();
        let mut seen = Seen::default();
        {
            let mut reader = Reader::open(&stream, 0).unwrap();
            read(&mut reader, &mut seen);
        }
        stream.reclaim(|serial| stream.local.has_left(serial));
        owner.join().unwrap();
        writer(&stream, &Cpu::new()).tick();
        let mut reader = Reader::open(&stream, 0).unwrap();
        read(&mut reader, &mut seen);
        assert_eq!(seen.records, [1, 2]);
        stream.reclaim(|serial| stream.local.has_left(serial));
        assert!(
            stream.oldest().unwrap().successor().is_none(),
            "left behind"
        );
    });
}
