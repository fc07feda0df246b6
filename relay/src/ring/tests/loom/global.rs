//! One stream of two CPUs.

use super::*;
use crate::ring::deliver::ToDo;

/// A CPU of a stream that all CPUs write.
fn shared<'a>(stream: &'a Stream, local: &'a Local, cpu: &'a Cpu) -> Owner<'a, Cpu, Global> {
    Owner::new(stream, local, &NoHooks, Pin::new(cpu))
}

/// What a CPU of a stream that all CPUs write does.
pub(super) fn write_shared(stream: &Stream, local: &Local, cpu: &Cpu, value: u8) {
    let _ = shared(stream, local, cpu).put(Plain(&[value; 4]));
}

#[test]
fn two_cpus_write_one_stream() {
    model_with(2, |order| {
        let stream = stream(geometry(Mode::NoOverwrite, 0));
        let cpu = Arc::new(Cpu::new());
        let (one, other) = (Arc::clone(&stream), Arc::clone(&stream));
        let (its, others) = (Arc::clone(&cpu), Arc::clone(&cpu));
        order.run(
            move || {
                let local = Local::new();
                write_shared(&one, &local, &its, 11);
                write_shared(&one, &local, &its, 12);
            },
            move || {
                let local = Local::new();
                write_shared(&other, &local, &others, 21);
                write_shared(&other, &local, &others, 22);
            },
        );
        let local = Local::new();
        let owner = shared(&stream, &local, &cpu);
        let to_do = owner.look().map(|look| look.due());
        let is_done = matches!(to_do, Some(ToDo::Nothing));
        assert!(is_done, "complete, and nobody delivers it");
        owner.flush();
        let mut seen = Seen::default();
        read(&mut Reader::open(&stream, 0).unwrap(), &mut seen);
        let of = |tens: u8| {
            seen.records
                .iter()
                .filter(move |value| **value / 10 == tens)
        };
        assert!(of(1).is_sorted() && of(2).is_sorted());
        let delivered = (of(1).count() + of(2).count()) as u64;
        assert_eq!(delivered, seen.records.len() as u64);
        assert_eq!(delivered + stream.stats().lost.total(), 4);
    });
}

#[test]
fn two_cpus_write_to_one_packet() {
    model_with(2, |order| {
        // Room for the fast path: no record but the first switches.
        let stream = stream(Geometry::new(16, 2).unwrap());
        let cpu = Arc::new(Cpu::new());
        let (one, other) = (Arc::clone(&stream), Arc::clone(&stream));
        let (its, others) = (Arc::clone(&cpu), Arc::clone(&cpu));
        order.run(
            move || write_shared(&one, &Local::new(), &its, 11),
            move || {
                let local = Local::new();
                write_shared(&other, &local, &others, 21);
                write_shared(&other, &local, &others, 22);
            },
        );
        let local = Local::new();
        shared(&stream, &local, &cpu).flush();
        let mut seen = Seen::default();
        read(&mut Reader::open(&stream, 0).unwrap(), &mut seen);
        seen.records.sort_unstable();
        assert_eq!(seen.records, [11, 21, 22]);
    });
}

/// Each fills a packet of its own: what the one delivers, the other does not deliver again.
#[test]
fn two_cpus_deliver_one_stream() {
    model_with(3, |order| {
        let stream = stream(geometry(Mode::NoOverwrite, 0));
        let cpu = Arc::new(Cpu::new());
        let (one, other) = (Arc::clone(&stream), Arc::clone(&stream));
        let (its, others) = (Arc::clone(&cpu), Arc::clone(&cpu));
        let fill = |stream: &Stream, cpu: &Cpu, value: u8| {
            let local = Local::new();
            let owner = shared(stream, &local, cpu);
            owner.put_slowly(Any::plain(&[value; 8])).unwrap();
        };
        order.run(
            move || fill(&one, &its, 1),
            move || fill(&other, &others, 2),
        );
        let mut reader = Reader::open(&stream, 0).unwrap();
        for sequence in 0..2 {
            let taken = reader.next_subbuf().unwrap();
            let packet = taken.packet();
            assert_eq!((packet.sequence, packet.ordinal), (sequence, sequence));
            assert_eq!(taken.records(), [taken.records()[0]; 8]);
        }
        assert!(reader.next_subbuf().is_none());
    });
}

#[test]
fn the_final_packet_tells_of_what_another_cpu_loses() {
    model_with(2, |order| {
        let stream = stream(geometry(Mode::NoOverwrite, 0));
        let cpu = Arc::new(Cpu::new());
        let (one, other) = (Arc::clone(&stream), Arc::clone(&stream));
        let (its, others) = (Arc::clone(&cpu), Arc::clone(&cpu));
        order.run(
            move || {
                let local = Local::new();
                let owner = shared(&one, &local, &its);
                owner.close().unwrap();
            },
            move || {
                let local = Local::new();
                let owner = shared(&other, &local, &others);
                owner.put_slowly(Any::plain(&[1; 9])).unwrap_err();
            },
        );
        let mut seen = Seen::default();
        read(&mut Reader::open(&stream, 0).unwrap(), &mut seen);
        let last = seen.packets.pop().unwrap();
        assert!(last.is_final);
        let lost = stream.stats().lost;
        assert_eq!(lost.total(), 1);
        assert_eq!(last.lost.get(Loss::TooBig), lost.get(Loss::TooBig));
    });
}

/// A block is exchanged for a spare one in the last lap, and is still being read: of two CPUs that
/// write, one opens the packet that comes into the spare, and the other writes to it, the fast way.
/// Neither writes to what is read.
#[test]
fn two_cpus_write_while_a_block_is_exchanged() {
    let shape = Geometry::new(16, 2).unwrap().with_spares(1).unwrap();
    model_with(2, move |order| {
        let stream = stream(shape);
        let cpu = Arc::new(Cpu::new());
        let locals = Arc::new([Local::new(), Local::new()]);
        // A lap: both descriptors have had a block. Of the first packet the reader takes the block
        // away.
        for value in 1..=8 {
            write_shared(&stream, &locals[0], &cpu, value);
        }
        // SAFETY: the stream outlives both threads, which `run` joins.
        let long: &'static Stream = unsafe { &*Arc::as_ptr(&stream) };
        let mut reader = Reader::open(long, 0).unwrap();
        let held = reader.next_subbuf().unwrap();
        let (its, others) = (Arc::clone(&cpu), Arc::clone(&cpu));
        let (ours, theirs) = (Arc::clone(&locals), Arc::clone(&locals));
        let (held, ()) = order.run(
            move || {
                write_shared(long, &ours[0], &its, 21);
                assert!(held.records().chunks(4).map(|record| record[0]).eq(1..=4));
                held
            },
            move || {
                write_shared(long, &theirs[1], &others, 22);
                write_shared(long, &theirs[1], &others, 23);
            },
        );
        assert!(held.records().chunks(4).map(|record| record[0]).eq(1..=4));
        drop(held);
        shared(&stream, &locals[0], &cpu).flush();
        let mut seen = Seen::default();
        read(&mut reader, &mut seen);
        seen.records.sort_unstable();
        assert_eq!(seen.records, [5, 6, 7, 8, 21, 22, 23]);
    });
}

/// One CPU writes a lap, while the block of the first packet is exchanged and read; the other has
/// looked before that at which packet is open, and writes to the one that has come into its place.
/// It writes to the new block.
#[test]
fn a_cpu_that_is_a_lap_behind_finds_the_block_that_came() {
    let shape = Geometry::new(16, 2).unwrap().with_spares(1).unwrap();
    model_with(2, move |order| {
        let stream = stream(shape);
        let cpu = Arc::new(Cpu::new());
        let locals = Arc::new([Local::new(), Local::new()]);
        for value in 1..=3 {
            write_shared(&stream, &locals[0], &cpu, value);
        }
        // SAFETY: the stream outlives both threads, which `run` joins.
        let long: &'static Stream = unsafe { &*Arc::as_ptr(&stream) };
        let (its, others) = (Arc::clone(&cpu), Arc::clone(&cpu));
        let (ours, theirs) = (Arc::clone(&locals), Arc::clone(&locals));
        let (held, ()) = order.run(
            move || {
                let owner = shared(long, &ours[0], &its);
                write_shared(long, &ours[0], &its, 4);
                let held = Reader::open(long, 0).unwrap().next_subbuf();
                let _ = owner.put(Plain(&[5; 16]));
                let _ = owner.put(Plain(&[6; 4]));
                held
            },
            move || write_shared(long, &theirs[1], &others, 7),
        );
        let mut delivered = 0;
        let mut count = |taken: SubBuffer<'_>| {
            let records = taken.records().chunks(4);
            assert!(records.into_iter().all(|bytes| bytes == [bytes[0]; 4]));
            delivered += taken.packet().records;
        };
        held.into_iter().for_each(&mut count);
        shared(&stream, &locals[0], &cpu).flush();
        let mut reader = Reader::open(&stream, 0).unwrap();
        while let Some(taken) = reader.next_subbuf() {
            count(taken);
        }
        assert_eq!(delivered + stream.stats().lost.total(), 7);
    });
}

/// The same with one CPU that writes, and the other one that only reads: it takes and gives back
/// while the writer opens a packet and then goes the fast way.
#[test]
fn a_block_is_exchanged_while_a_packet_is_opened() {
    for mode in [Mode::NoOverwrite, Mode::Continuous] {
        let shape = Geometry::new(16, 2)
            .and_then(|shape| shape.with_mode(mode)?.with_spares(1))
            .unwrap();
        model_with(2, move |order| {
            let stream = stream(shape);
            let cpu = Cpu::new();
            for value in 1..=8 {
                write(&stream, &cpu, value);
            }
            let (read_from, owned) = (Arc::clone(&stream), Arc::clone(&stream));
            let (mut seen, ()) = order.run(
                move || {
                    let mut seen = Seen::default();
                    read(&mut Reader::open(&read_from, 0).unwrap(), &mut seen);
                    seen
                },
                move || {
                    write(&owned, &cpu, 9);
                    write(&owned, &cpu, 10);
                    owner(&owned, &cpu).flush();
                },
            );
            read(&mut Reader::open(&stream, 0).unwrap(), &mut seen);
            assert!(seen.records.is_sorted_by(|a, b| a < b));
            let stats = stream.stats();
            let delivered = seen.records.len() as u64;
            assert_eq!(delivered + stats.overwritten + stats.lost.total(), 10);
        });
    }
}
