//! One stream of two CPUs.

use super::*;
use crate::ring::deliver::ToDo;

/// A CPU of a stream that all CPUs write.
fn shared<'a>(stream: &'a Stream, local: &'a Local, cpu: &'a Cpu) -> Owner<'a, Cpu, Global> {
    Owner::new(stream, local, &NoHooks, Pin::new(cpu))
}

/// Bytes as the slow path takes them.
fn any(bytes: &[u8]) -> Any<'_> {
    Any { stamp: None, bytes }
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
        let to_do = owner.look().map(|look| look.to_do());
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
            owner.put_slowly(any(&[value; 8])).unwrap();
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
                owner.put_slowly(any(&[1; 9])).unwrap_err();
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
