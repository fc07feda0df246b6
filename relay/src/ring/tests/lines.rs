//! No two CPUs write one cache line of a per-CPU channel, and none reads what another writes.
//! Readers write to few lines, none of which a record needs that fits into the open packet.
//!
//! One thread plays all CPUs and the reader, in turns: what they touch does not depend on when they
//! do. Each access to a word or to a ring's bytes is noted by `sync::touched`.

extern crate std;

use crate::event::{Event, EventClass, Field, FieldsMut, Kind};
use crate::platform::Platform;
use crate::sync::touched::{Part, Touch, touches_of};
use crate::{Channel, Delivery, Geometry, Global, Mode, NoHooks, PerCpu, Storage, Usage};
use std::boxed::Box;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::string::String;
use std::vec::Vec;

/// Bytes of a cache line.
const LINE: usize = 64;
const CPUS: usize = 4;

std::thread_local! {
    static CPU: Cell<usize> = const { Cell::new(0) };
    static CLOCK: Cell<u64> = const { Cell::new(0) };
}

/// The CPU that the thread plays.
struct Played;

// SAFETY: there is one thread; it changes its number between two operations.
unsafe impl Platform for Played {
    type Pinned = ();

    fn pin(&self) -> (usize, ()) {
        (CPU.get(), ())
    }

    unsafe fn unpin(&self, (): ()) {}

    fn now(&self) -> u64 {
        CLOCK.replace(CLOCK.get() + 1)
    }
}

/// Who touches something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Cpu(usize),
    Reader,
}

/// An event of a number.
struct One(u64);

impl Event for One {
    const CLASS: EventClass = EventClass {
        id: 1,
        name: "one",
        fields: &[Field::new("number", Kind::U64)],
    };

    fn size(&self) -> usize {
        8
    }

    fn store(&self, fields: &mut FieldsMut<'_>) {
        fields.u64(self.0);
    }
}

/// A channel whose streams are started, and who touched which of its lines.
struct Scene<U: Usage> {
    channel: Box<Channel<Played, CPUS, U>>,
    lines: BTreeMap<usize, BTreeMap<Who, bool>>,
}

impl<U: Usage> Scene<U> {
    fn new(geometry: Geometry) -> Self {
        let channel = Box::new(Channel::new(Played, &NoHooks));
        for cpu in 0..channel.streams() {
            let storage = Storage::allocate(&geometry).unwrap();
            channel.start(cpu, storage, geometry).unwrap();
        }
        Self {
            channel,
            lines: BTreeMap::new(),
        }
    }

    /// Has somebody do something. Returns the lines that were read, and those that were written.
    fn have(
        &mut self,
        who: Who,
        act: impl FnOnce(&Channel<Played, CPUS, U>),
    ) -> [BTreeSet<usize>; 2] {
        if let Who::Cpu(cpu) = who {
            CPU.set(cpu);
        }
        let mut lines = [BTreeSet::new(), BTreeSet::new()];
        for Touch { at, is_write } in touches_of(|| act(&self.channel)) {
            for line in at.start / LINE..at.end.div_ceil(LINE) {
                lines[usize::from(is_write)].insert(line);
                *self.lines.entry(line).or_default().entry(who).or_default() |= is_write;
            }
        }
        lines
    }

    /// What lies in these lines.
    fn names<'a>(&self, lines: impl IntoIterator<Item = &'a usize>) -> BTreeSet<String> {
        let streams = 0..self.channel.streams();
        let parts = streams.flat_map(|stream| self.channel.stream_of(stream).parts());
        let parts: Vec<Part> = parts.collect();
        let lie_in = |line: usize| {
            let (begin, end) = (line * LINE, (line + 1) * LINE);
            let there = parts
                .iter()
                .filter(move |(_, at)| at.start < end && begin < at.end);
            there.map(|(name, _)| name.clone())
        };
        lines.into_iter().flat_map(|line| lie_in(*line)).collect()
    }

    /// The lines that one CPU writes, and another one writes or reads.
    fn shared_lines(&self) -> Vec<usize> {
        let is_shared = |by: &&BTreeMap<Who, bool>| {
            let cpus = by.iter().filter(|(who, _)| **who != Who::Reader);
            let (mut count, mut is_written) = (0, false);
            for (_, writes) in cpus {
                count += 1;
                is_written |= writes;
            }
            count > 1 && is_written
        };
        let shared = self.lines.iter().filter(|(_, by)| is_shared(by));
        shared.map(|(line, _)| *line).collect()
    }

    /// Every form of a record, some inside others; a flush and a tick.
    fn write_all(&mut self, cpu: usize, rounds: usize) {
        self.have(Who::Cpu(cpu), |channel| {
            for round in 0..rounds {
                records(channel, round);
                let _ = channel.flush();
                channel.tick();
            }
        });
    }

    /// Reads, and copies, all there is, of all CPUs; asks for more, and falls asleep.
    fn read_all(&mut self) -> [BTreeSet<usize>; 2] {
        self.have(Who::Reader, |channel| {
            for cpu in 0..channel.streams() {
                let mut copy = [0; 1024];
                let mut observer = channel.observe(cpu).unwrap();
                while let Ok(Some(_)) = observer.next_copy(&mut copy) {}
                let mut reader = channel.reader(cpu).unwrap();
                while let Some(taken) = reader.next_subbuf() {
                    assert_eq!(taken.records().len(), taken.packet().content);
                }
                reader.request_flush();
                let _ = reader.prepare_to_sleep();
            }
        })
    }
}

/// Writes a record in each way. What finds no room is lost, and counted.
fn records<U: Usage>(channel: &Channel<Played, CPUS, U>, round: usize) {
    let bytes = [7; 40];
    let _ = channel.write(&bytes[..1 + round % 40]);
    let _ = channel.write_array(&[8; 16]);
    let _ = channel.write_event(1, &bytes[..round % 20]);
    let _ = channel.write_event_array(1, &[9; 12]);
    let _ = channel.emit(&One(round as u64));
    let _ = channel.reserve_with(24, |slot| {
        let _ = channel.write(b"inside");
        slot.bytes_mut().fill(1);
    });
    let _ = channel.reserve_with(24, |slot| slot.give_up());
}

fn geometry(size: usize, mode: Mode, delivery: Delivery) -> Geometry {
    Geometry::new(size, 4)
        .and_then(|geometry| geometry.with_mode(mode)?.with_delivery(delivery))
        .and_then(|geometry| geometry.with_spares(2))
        .unwrap()
}

/// All shapes that have other words in use.
fn shapes() -> impl Iterator<Item = Geometry> {
    let kinds = [
        (Mode::NoOverwrite, Delivery::Bulk),
        (Mode::NoOverwrite, Delivery::Record),
        (Mode::Continuous, Delivery::Bulk),
    ];
    [64, 512, 4096]
        .into_iter()
        .flat_map(move |size| kinds.map(|(mode, delivery)| geometry(size, mode, delivery)))
}

/// How often each CPU writes all forms, between two looks of the reader.
const ROUNDS: usize = if cfg!(miri) { 3 } else { 40 };

#[test]
fn no_cpu_touches_a_line_that_another_writes() {
    for shape in shapes() {
        let mut scene: Scene<PerCpu> = Scene::new(shape);
        for _ in 0..3 {
            (0..CPUS).for_each(|cpu| scene.write_all(cpu, ROUNDS));
            scene.read_all();
        }
        let shared = scene.shared_lines();
        assert!(
            shared.is_empty(),
            "cpus share lines, with {shape:?}: {:?}",
            scene.names(&shared)
        );
        for cpu in 0..CPUS {
            let is_written = |by: &BTreeMap<Who, bool>| by.get(&Who::Cpu(cpu)) == Some(&true);
            let own = scene.lines.iter().filter(|(_, by)| is_written(by));
            let names = scene.names(own.map(|(line, _)| line));
            for name in [
                "stream.local",
                "ring.pos",
                "sub.commit",
                "sub.entry",
                "bytes",
            ] {
                assert!(
                    names.contains(name),
                    "cpu {cpu} writes no {name}: {names:?}"
                );
            }
            assert!(!names.contains("ring, what is fixed"), "{names:?}");
        }
    }
}

#[test]
fn lines_that_cpus_share_are_found_and_named() {
    let mut scene: Scene<Global> = Scene::new(geometry(512, Mode::NoOverwrite, Delivery::Bulk));
    (0..CPUS).for_each(|cpu| scene.write_all(cpu, 1));
    let names = scene.names(&scene.shared_lines());
    for name in ["ring.pos", "stream.ordinal", "sub.commit"] {
        assert!(names.contains(name), "{name} is shared: {names:?}");
    }
}

/// What lies in lines that readers write, and nothing else.
const READERS: [&str; 11] = [
    "info",
    "remote.built",
    "remote.close_wanted",
    "remote.first",
    "remote.flush_wanted",
    "remote.new_ring",
    "remote.reading",
    "remote.reclaiming",
    "remote.waiting",
    "remote.walkers",
    "ring.holders",
];

#[test]
fn readers_write_lines_that_a_record_does_not_need() {
    for shape in shapes() {
        let mut scene: Scene<PerCpu> = Scene::new(shape);
        // Warm: it has joined, its packet is open, and what the reader asked for is done.
        scene.write_all(0, ROUNDS);
        let [_, written] = scene.read_all();
        scene.have(Who::Cpu(0), |channel| {
            channel.tick();
            channel.write(b"opens a packet").unwrap();
        });
        let [_, more] = scene.read_all();
        let written = &written | &more;
        let names = scene.names(&written);
        let also = ["spares", "sub.entry", "sub.lost"];
        for name in &names {
            let is_known = READERS.iter().chain(&also).any(|known| known == name);
            assert!(is_known, "a reader writes to the line of {name}: {names:?}");
        }
        for name in ["remote.flush_wanted", "sub.entry", "spares"] {
            assert!(names.contains(name), "no reader writes {name}: {names:?}");
        }

        let [read, own] = scene.have(Who::Cpu(0), |channel| {
            channel.write(b"short").unwrap();
            channel.write_event_array(1, b"short").unwrap();
            channel.emit(&One(1)).unwrap();
            channel
                .reserve_with(3, |slot| slot.bytes_mut().fill(1))
                .unwrap();
        });
        let met = scene.names((&read | &own).intersection(&written));
        match shape.delivery() {
            Delivery::Bulk => assert!(
                met.is_empty(),
                "a record meets a reader at {met:?}, with {shape:?}"
            ),
            // Each goes the whole way, and may have to wake a reader.
            Delivery::Record => assert!(
                met.iter()
                    .all(|name| name.starts_with("remote.") || also.contains(&name.as_str())),
                "a record meets a reader at {met:?}, with {shape:?}"
            ),
        }
    }
}
