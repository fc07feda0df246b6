//! loom: the owner against a reader, in every interleaving of their steps (three preemptions) and
//! with every value that a weak memory model lets a load return. The bytes of the blocks are
//! tracked: a read that is not ordered after the write it sees, or a write not after a read, fails.
//!
//! loom looks for other interleavings where an access conflicts with the LAST access to the same
//! word. Whoever loads a word before it stores it hides its store from who loaded the word before
//! that. So each model runs twice: once from the run in which the one thread goes first, once from
//! that in which the other does.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p relayfs --profile loom --lib loom`

mod freed;
mod global;
mod observers;

use crate::platform::Pin;
use crate::platform::{Context, Platform};
use crate::ring::{
    Any, Delivery, Geometry, Local, Loss, Mode, NoHooks, Observer, Owner, Packet, PacketStart,
    Plain, Reader, Records, Storage, Stream, SubBuffer,
};
use crate::sync::{Global, PerCpu, Usage};
use loom::sync::Arc;
use loom::thread;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::vec::Vec;

/// A CPU, or all of them. Its clock is no part of the model.
struct Cpu {
    clock: AtomicU64,
    woken: AtomicBool,
    /// It is in an NMI.
    is_in_nmi: AtomicBool,
}

impl Cpu {
    fn new() -> Self {
        Self {
            clock: AtomicU64::new(0),
            woken: AtomicBool::new(false),
            is_in_nmi: AtomicBool::new(false),
        }
    }
}

// SAFETY: one thread uses it, or the stream is one of all CPUs; the clock never goes back.
unsafe impl Platform for Cpu {
    type Pinned = ();

    fn pin(&self) -> (usize, ()) {
        (0, ())
    }

    unsafe fn unpin(&self, (): ()) {}

    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn wake(&self, _cpu: usize) {
        assert!(!self.is_in_nmi.load(Ordering::SeqCst));
        self.woken.store(true, Ordering::SeqCst);
    }

    fn context(&self) -> Context {
        match self.is_in_nmi.load(Ordering::SeqCst) {
            true => Context::Nmi,
            false => Context::Task,
        }
    }
}

fn geometry(mode: Mode, spares: usize) -> Geometry {
    Geometry::new(8, 2)
        .and_then(|g| g.with_mode(mode)?.with_spares(spares))
        .unwrap()
}

/// Its positions are far from the end of their range, where no record goes the fast way.
fn stream(geometry: Geometry) -> Arc<Stream> {
    let stream = Stream::new();
    let storage = Storage::allocate(&geometry).unwrap();
    let begin = PacketStart {
        cpu: 0,
        begin_ticks: 0,
    };
    stream
        .start(storage, geometry, 5, &NoHooks, &begin)
        .unwrap();
    Arc::new(stream)
}

fn owner<'a>(stream: &'a Stream, cpu: &'a Cpu) -> Owner<'a, Cpu> {
    Owner::new(stream, &stream.local, &NoHooks, Pin::new(cpu))
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
fn model(body: impl Fn(Order) + Copy + Sync + Send + 'static) {
    model_with(3, body);
}

/// Explores `body` with so many preemptions: two where there is much to interleave.
fn model_with(preemptions: usize, body: impl Fn(Order) + Copy + Sync + Send + 'static) {
    let mut all = 0;
    for order in [Order::HereFirst, Order::ThereFirst] {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
        builder.max_branches = builder.max_branches.max(10_000);
        let runs = std::sync::Arc::new(AtomicU64::new(0));
        let counted = std::sync::Arc::clone(&runs);
        builder.check(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            body(order);
        });
        all += runs.load(Ordering::Relaxed);
    }
    std::eprintln!("{all} interleavings");
    assert!(all > 2, "nothing was interleaved");
}

/// In which order two threads run where nothing makes loom switch between them.
#[derive(Clone, Copy)]
enum Order {
    HereFirst,
    ThereFirst,
}

impl Order {
    /// Runs both at the same time.
    fn run<A: 'static, B: 'static>(
        self,
        here: impl FnOnce() -> A + 'static,
        there: impl FnOnce() -> B + 'static,
    ) -> (A, B) {
        match self {
            Self::HereFirst => {
                let there = thread::spawn(there);
                let here = here();
                (here, there.join().unwrap())
            }
            Self::ThereFirst => {
                let here = thread::spawn(here);
                let there = there();
                (here.join().unwrap(), there)
            }
        }
    }
}

/// Runs `own` against a reader that looks once, and then to the end; checks the sum.
fn owner_against_reader(geometry: Geometry, attempted: usize, own: fn(&Stream, &Cpu)) {
    model(move |order| {
        let stream = stream(geometry);
        let (read_from, own_of) = (Arc::clone(&stream), Arc::clone(&stream));
        let (mut seen, ()) = order.run(
            move || {
                let mut seen = Seen::default();
                read(&mut Reader::open(&read_from, 0).unwrap(), &mut seen);
                seen
            },
            move || own(&own_of, &Cpu::new()),
        );
        read(&mut Reader::open(&stream, 0).unwrap(), &mut seen);

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
    let _ = owner(stream, cpu).put(Plain(&[value; 4]));
}

/// Three packets through a ring of two: the third needs what the reader gives back.
fn three_packets(stream: &Stream, cpu: &Cpu) {
    for value in 1..=6 {
        write(stream, cpu, value);
    }
    // Where some were lost, the last may stand in an open packet.
    owner(stream, cpu).flush();
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
    owner(stream, cpu).flush();
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
    model(|order| {
        let stream = stream(geometry(Mode::NoOverwrite, 1));
        let cpu = Cpu::new();
        for value in 1..=4 {
            write(&stream, &cpu, value);
        }
        // SAFETY: the stream outlives both threads, which `run` joins.
        let long: &'static Stream = unsafe { &*Arc::as_ptr(&stream) };
        let mut reader = Reader::open(long, 0).unwrap();
        let first = reader.next_subbuf().unwrap();
        order.run(
            move || {
                // With the block of the first, if that is back already.
                drop(reader.next_subbuf());
                for value in 5..=8 {
                    write(long, &cpu, value);
                }
            },
            move || {
                assert_eq!(first.records()[0], 1);
                drop(first);
            },
        );
    });
}

#[test]
fn over_a_replacement_of_the_ring() {
    owner_against_reader(geometry(Mode::NoOverwrite, 0), 3, |stream, cpu| {
        write(stream, cpu, 1);
        let geometry = geometry(Mode::NoOverwrite, 0);
        let storage = Storage::allocate(&geometry).unwrap();
        owner(stream, cpu).succeed(storage, geometry).unwrap();
        write(stream, cpu, 2);
        write(stream, cpu, 3);
        owner(stream, cpu).flush();
    });
}

#[test]
fn the_end_is_seen_after_everything_before_it() {
    model(|order| {
        let stream = stream(geometry(Mode::NoOverwrite, 0));
        let (read_from, owned) = (Arc::clone(&stream), Arc::clone(&stream));
        order.run(
            move || {
                let mut seen = Seen::default();
                let mut reader = Reader::open(&read_from, 0).unwrap();
                for _ in 0..2 {
                    read(&mut reader, &mut seen);
                    if reader.is_at_end() {
                        assert_eq!(seen.records, [1]);
                        assert!(seen.packets.last().unwrap().is_final);
                    }
                }
            },
            move || {
                let cpu = Cpu::new();
                write(&owned, &cpu, 1);
                owner(&owned, &cpu).close().unwrap();
                write(&owned, &cpu, 2);
            },
        );
        let mut reader = Reader::open(&stream, 0).unwrap();
        while reader.next_subbuf().is_some() {}
        assert!(reader.is_at_end());
        assert_eq!(stream.stats().records, 1);
    });
}

#[test]
fn nothing_older_comes_after_a_quiet_time() {
    model(|order| {
        let stream = stream(geometry(Mode::NoOverwrite, 0));
        let (read_from, owned) = (Arc::clone(&stream), Arc::clone(&stream));
        let (quiet, ()) = order.run(
            move || {
                let mut reader = Reader::open(&read_from, 0).unwrap();
                reader.request_flush();
                let quiet = reader.quiet_since();
                while reader.next_subbuf().is_some() {}
                quiet
            },
            move || {
                let cpu = Cpu::new();
                for value in 1..=2 {
                    write(&owned, &cpu, value);
                    owner(&owned, &cpu).tick();
                }
            },
        );
        let mut seen = Seen::default();
        read(&mut Reader::open(&stream, 0).unwrap(), &mut seen);
        for packet in &seen.packets {
            assert!(
                packet.begin_ticks > quiet,
                "{packet:?} is older than {quiet}"
            );
        }
    });
}

#[test]
fn records_one_by_one() {
    model_with(2, |order| {
        let geometry = Geometry::new(16, 2)
            .and_then(|g| g.with_delivery(Delivery::Record))
            .unwrap();
        let stream = stream(geometry);
        // SAFETY: the stream outlives both threads, which `run` joins.
        let long: &'static Stream = unsafe { &*Arc::as_ptr(&stream) };
        let look = |records: &mut Records<'_>, seen: &mut Vec<u8>| {
            while let Some(run) = records.next_run() {
                assert_ne!(run.begin_ticks, 0);
                for record in run.bytes.chunks(4) {
                    assert!(record.iter().all(|byte| *byte == record[0]));
                    seen.push(record[0]);
                }
            }
        };
        let ((mut records, mut seen), ()) = order.run(
            move || {
                let (mut records, mut seen) =
                    (Records::new(Reader::open(long, 0).unwrap()), Vec::new());
                look(&mut records, &mut seen);
                (records, seen)
            },
            move || {
                let cpu = Cpu::new();
                for value in 1..=5 {
                    write(long, &cpu, value);
                }
            },
        );
        look(&mut records, &mut seen);
        assert_eq!(seen, [1, 2, 3, 4, 5]);
    });
}

/// A reader falls asleep while a CPU does `act`, which makes something readable: it does not sleep,
/// or it is woken.
fn who_sleeps_is_woken(act: fn(&Stream, &Cpu)) {
    model(move |order| {
        let stream = stream(geometry(Mode::NoOverwrite, 0));
        let cpu = Arc::new(Cpu::new());
        let (read_from, owned) = (Arc::clone(&stream), Arc::clone(&stream));
        let its = Arc::clone(&cpu);
        let (sleeps, ()) = order.run(
            move || Reader::open(&read_from, 0).unwrap().prepare_to_sleep(),
            move || act(&owned, &its),
        );
        assert!(
            !sleeps || cpu.woken.load(Ordering::SeqCst),
            "something is readable, and the reader sleeps"
        );
        assert!(Reader::open(&stream, 0).unwrap().next_subbuf().is_some());
    });
}

/// libbpf: with RELEASE where SEQ_CST was needed, a producer could miss that its consumer had gone
/// to sleep.
///
/// Tried: a Release fence in `wake_readers`, or in `announce_sleep`, and the reader sleeps beside
/// what it could read.
#[test]
fn libbpf_lost_wake_up_who_sleeps_is_woken() {
    who_sleeps_is_woken(|stream, cpu| {
        write(stream, cpu, 1);
        write(stream, cpu, 2);
    });
}

/// What becomes readable in an NMI wakes at the tick: the note of the NMI, the tick's look and the
/// announcement of the reader, in every order.
#[test]
fn who_sleeps_is_woken_for_an_nmi() {
    who_sleeps_is_woken(|stream, cpu| {
        cpu.is_in_nmi.store(true, Ordering::SeqCst);
        write(stream, cpu, 1);
        write(stream, cpu, 2);
        cpu.is_in_nmi.store(false, Ordering::SeqCst);
        owner(stream, cpu).tick();
    });
}
