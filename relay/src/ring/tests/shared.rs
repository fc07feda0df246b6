//! Real threads on one channel through its public face: several CPUs that write one stream, or each
//! its own; a reader that consumes, one that copies, somebody who resizes and frees rings. Every
//! byte is checked, and every record is accounted for.

extern crate std;

use crate::platform::Platform;
use crate::sync::step::with_hook;
use crate::{Channel, Delivery, Geometry, Global, Mode, NoHooks, PerCpu, Records, Storage, Usage};
use std::boxed::Box;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::vec;
use std::vec::Vec;

const CPUS: usize = 3;
const RECORDS: u64 = if cfg!(miri) { 24 } else { 40_000 };

std::thread_local! {
    static CPU: Cell<usize> = const { Cell::new(0) };
}

/// Every thread has set its number. One clock for all, read in order.
struct Threads(AtomicU64);

// SAFETY: the tests give every writing thread a number of its own; what others do has number 0 of a
// stream that they only read.
unsafe impl Platform for Threads {
    type Pinned = ();

    fn pin(&self) -> (usize, ()) {
        (CPU.get(), ())
    }

    unsafe fn unpin(&self, (): ()) {}

    fn now(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// Record `number` of `cpu`: both, and some bytes that follow from them.
fn record(cpu: usize, number: u64) -> Vec<u8> {
    let fill = (number % 29) as usize;
    let mut bytes = vec![cpu as u8, fill as u8];
    bytes.extend(number.to_le_bytes());
    bytes.extend(core::iter::repeat_n(number as u8 ^ cpu as u8, fill));
    bytes
}

/// The records in `bytes`, each checked: CPU and number.
fn parse(mut bytes: &[u8]) -> Vec<(usize, u64)> {
    let mut records = Vec::new();
    while let Some((&[cpu, fill], rest)) = bytes.split_first_chunk::<2>() {
        let (number, rest) = rest.split_first_chunk().expect("torn record");
        let number = u64::from_le_bytes(*number);
        let (bytes_of, rest) = rest.split_at(usize::from(fill));
        assert_eq!(u64::from(fill), number % 29);
        assert!(bytes_of.iter().all(|byte| *byte == number as u8 ^ cpu));
        records.push((usize::from(cpu), number));
        bytes = rest;
    }
    assert!(bytes.is_empty(), "torn record");
    records
}

fn geometry(mode: Mode, delivery: Delivery, count: usize) -> Geometry {
    Geometry::new(512, count)
        .and_then(|g| g.with_mode(mode)?.with_delivery(delivery))
        .and_then(|g| g.with_spares(3))
        .unwrap()
}

/// Starts a channel, and runs all of it. Returns records read, overwritten, lost, copied, rings
/// freed.
fn run<U: Usage>(mode: Mode, delivery: Delivery) -> [u64; 5] {
    let channel: Box<Channel<Threads, CPUS, U>> =
        Box::new(Channel::new(Threads(AtomicU64::new(1)), &NoHooks));
    let streams = if U::SHARED { 1 } else { CPUS };
    for stream in 0..streams {
        let shape = geometry(mode, delivery, 4);
        let storage = Storage::allocate(&shape).unwrap();
        channel.start(stream, storage, shape).unwrap();
    }
    let writing = AtomicUsize::new(CPUS);
    let done = AtomicBool::new(false);
    let (mut read, mut copied, mut freed) = (vec![Vec::new(); streams], 0, 0);
    thread::scope(|scope| {
        for cpu in 0..CPUS {
            let (channel, writing) = (&channel, &writing);
            scope.spawn(move || {
                CPU.set(cpu);
                for number in 0..RECORDS {
                    let _ = channel.write(&record(cpu, number));
                    if number % 50 == 0 {
                        channel.tick();
                        thread::yield_now();
                    }
                }
                writing.fetch_sub(1, Ordering::AcqRel);
                // The owner goes on serving requests, until its stream has ended.
                while channel.stats(if U::SHARED { 0 } else { cpu }).is_some()
                    && !channel.is_closed(if U::SHARED { 0 } else { cpu })
                {
                    channel.tick();
                    thread::yield_now();
                }
            });
        }
        let readers: Vec<_> = read
            .iter_mut()
            .enumerate()
            .map(|(stream, read)| {
                let channel = &channel;
                scope.spawn(move || {
                    let mut records = Records::new(channel.reader(stream).unwrap());
                    loop {
                        if let Some(run) = records.next_run() {
                            read.extend(parse(run.bytes));
                        } else if records.reader().is_at_end() {
                            break;
                        } else {
                            records.reader().request_flush();
                            thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        let observer = {
            let (channel, done) = (&channel, &done);
            scope.spawn(move || {
                let mut observer = channel.observe(0).unwrap();
                let mut bytes = [0; 512];
                let mut copied = 0;
                while !done.load(Ordering::Acquire) {
                    match observer.next_copy(&mut bytes) {
                        Ok(Some(packet)) => {
                            let records = parse(&bytes[..packet.content]);
                            assert_eq!(records.len() as u64, packet.records);
                            copied += 1;
                        }
                        _ => thread::yield_now(),
                    }
                }
                copied
            })
        };
        // Somebody who resizes, larger and smaller, and frees what is left.
        let mut round = 0;
        while writing.load(Ordering::Acquire) != 0 {
            round += 1;
            let stream = round % streams;
            let shape = geometry(mode, delivery, 2 << (round % 3));
            let storage = Storage::allocate(&shape).unwrap();
            let _ = channel.resize(stream, storage, shape);
            freed += channel.reclaim(stream) as u64;
            thread::yield_now();
        }
        (0..streams).for_each(|stream| channel.request_close(stream).unwrap());
        readers
            .into_iter()
            .for_each(|reader| reader.join().unwrap());
        done.store(true, Ordering::Release);
        copied = observer.join().unwrap();
    });
    let (mut overwritten, mut lost) = (0, 0);
    for stream in 0..streams {
        let stats = channel.stats(stream).unwrap();
        overwritten += stats.overwritten;
        lost += stats.lost.total();
    }
    let read: Vec<_> = read.into_iter().flatten().collect();
    for cpu in 0..CPUS {
        let numbers = read.iter().filter(|(of, _)| *of == cpu);
        assert!(
            numbers.is_sorted_by(|a, b| a.1 < b.1),
            "records of cpu {cpu} are out of order, or doubled"
        );
    }
    let read = read.len() as u64;
    let attempted = RECORDS * CPUS as u64;
    assert_eq!(read + overwritten + lost, attempted, "unaccounted for");
    [read, overwritten, lost, copied, freed]
}

#[test]
fn all_cpus_write_one_stream() {
    let [read, ..] = run::<Global>(Mode::NoOverwrite, Delivery::Bulk);
    assert!(read > 0);
}

#[test]
fn all_cpus_write_one_stream_that_is_overwritten() {
    let [read, ..] = run::<Global>(Mode::Continuous, Delivery::Bulk);
    assert!(read > 0);
}

#[test]
fn all_cpus_write_one_stream_read_record_by_record() {
    let [read, ..] = run::<Global>(Mode::NoOverwrite, Delivery::Record);
    assert!(read > 0);
}

#[test]
fn each_cpu_writes_its_own() {
    let [read, _, _, _, freed] = run::<PerCpu>(Mode::NoOverwrite, Delivery::Bulk);
    // Under an interpreter there may be no time for all of it.
    assert!(read > 0 && (cfg!(miri) || freed > 0), "{freed}");
}

#[test]
fn each_cpu_writes_its_own_that_is_overwritten() {
    let [read, _, _, _, freed] = run::<PerCpu>(Mode::Continuous, Delivery::Bulk);
    assert!(read > 0 && (cfg!(miri) || freed > 0), "{freed}");
}

#[test]
fn each_cpu_writes_its_own_read_record_by_record() {
    let [read, ..] = run::<PerCpu>(Mode::NoOverwrite, Delivery::Record);
    assert!(read > 0);
}

/// What a CPU does that has never written to the stream.
type Act = fn(&Channel<Threads, 2, Global>);

#[test]
#[cfg_attr(miri, ignore = "channels are leaked, which Miri takes for a mistake")]
fn no_ring_is_freed_under_a_cpu_that_has_never_written() {
    let acts: [Act; 3] = [
        |channel| {
            channel.flush();
        },
        |channel| channel.tick(),
        |channel| {
            let _ = channel.close();
        },
    ];
    for act in acts {
        for at in 1.. {
            let shape = geometry(Mode::NoOverwrite, Delivery::Bulk, 2);
            let storage = move || Storage::allocate(&shape).unwrap();
            let channel = Box::leak(Box::new(Channel::new(Threads(AtomicU64::new(1)), &NoHooks)));
            let channel: &'static Channel<Threads, 2, Global> = channel;
            channel.start(0, storage(), shape).unwrap();
            CPU.set(0);
            channel.write(b"something to flush").unwrap();
            let reached = Rc::new(Cell::new(0));
            let steps = Rc::clone(&reached);
            let other = move || {
                steps.set(steps.get() + 1);
                if steps.get() != at {
                    return;
                }
                // Meanwhile CPU 0 goes on in another ring, and all is read.
                CPU.set(0);
                let _ = channel.replace(storage(), shape);
                channel.tick();
                let mut reader = channel.reader(0).unwrap();
                while reader.next_subbuf().is_some() {}
                drop(reader);
                channel.tick();
                // Before that CPU 1 does not even know which ring there is.
                let uses = channel.stream_of(1).local.has_joined();
                let freed = channel.reclaim(0);
                assert!(freed == 0 || !uses, "freed while CPU 1 uses it");
                CPU.set(1);
            };
            CPU.set(1);
            with_hook(other, || act(channel));
            if reached.get() < at {
                break;
            }
        }
    }
    CPU.set(0);
}
