//! Corners that a review found: each is a claim of the documentation, checked at every step.

extern crate std;

use super::world::{BEGIN, OneCpu};
use crate::platform::Platform;
use crate::ring::entry::State;
use crate::ring::tick::TAKEN;
use crate::platform::Pin;
use crate::ring::{
    Flushed, Geometry, Loss, Mode, NoHooks, Packet, Plain, Reader, Salvage, Stopped, Storage,
    Stream, StreamError, WriteError, Writer,
};
use crate::sync::step::with_hook;
use crate::sync::Ordering;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

/// A stream of one CPU that lives for the rest of the test.
#[derive(Clone, Copy)]
struct Stage {
    stream: &'static Stream,
    cpu: &'static OneCpu,
}

impl Stage {
    fn new(geometry: Geometry) -> Self {
        let stage = Self {
            stream: std::boxed::Box::leak(std::boxed::Box::new(Stream::new())),
            cpu: std::boxed::Box::leak(std::boxed::Box::new(OneCpu::default())),
        };
        let storage = Storage::allocate(&geometry).unwrap();
        assert_eq!(
            stage.stream.start(storage, geometry, 0, &NoHooks, &BEGIN),
            Ok(true)
        );
        stage
    }

    fn writer(self) -> Writer<'static, OneCpu> {
        Writer::new(
            self.stream,
            &self.stream.local,
            &NoHooks,
            Pin::new(self.cpu),
        )
    }

    fn write(self, len: usize) -> Result<(), WriteError> {
        self.writer().put(Plain(&vec![7; len]))
    }

    /// Writes, whatever comes of it.
    fn try_write(self, len: usize) {
        let _ = self.write(len);
    }

    fn discard(self, len: usize) {
        if let Ok(slot) = self.writer().reserve(len) {
            slot.discard();
        }
    }

    fn replace(self) -> Result<(), StreamError> {
        let geometry = small();
        let storage = Storage::allocate(&geometry).unwrap();
        self.writer().succeed(storage, geometry)
    }

    fn reader(self) -> &'static RefCell<Reader<'static>> {
        let reader = Reader::open(self.stream, 0).unwrap();
        std::boxed::Box::leak(std::boxed::Box::new(RefCell::new(reader)))
    }

    fn salvage(self) -> Salvage<'static> {
        // SAFETY: the calling thread is the CPU, and writes nothing while the result is used.
        Salvage::new(self.stream, unsafe { Stopped::new(0) })
    }
}

/// Two sub-buffers of 16 bytes.
fn small() -> Geometry {
    Geometry::new(16, 2).unwrap()
}

/// Everything that a reader finds now.
fn packets(reader: &RefCell<Reader<'_>>) -> Vec<Packet> {
    let mut reader = reader.borrow_mut();
    core::iter::from_fn(|| reader.next_subbuf().map(|taken| *taken.packet())).collect()
}

/// Runs `nested` at step `at` of `outer`; false if there is no such step.
fn at(at: usize, outer: impl FnOnce(), nested: impl Fn() + 'static) -> bool {
    let steps = Rc::new(Cell::new(0));
    let counted = Rc::clone(&steps);
    let hook = move || {
        counted.set(counted.get() + 1);
        if counted.get() == at {
            nested();
        }
    };
    with_hook(hook, outer);
    steps.get() >= at
}

/// What operations there are, to be combined.
const ACTS: [fn(Stage); 7] = [
    |stage| stage.try_write(5),
    |stage| stage.try_write(16),
    |stage| stage.discard(5),
    |stage| stage.try_write(17),
    |stage| {
        stage.writer().flush();
    },
    |stage| {
        let _ = stage.replace();
    },
    |stage| stage.writer().tick(),
];

/// A tick at every step of every operation, itself interrupted at every step by every operation:
/// what it promises holds for all that comes, empty packets included.
#[test]
#[cfg_attr(miri, ignore = "the search is too long for an interpreter")]
fn nothing_older_comes_after_a_quiet_time() {
    let mut programs = 0;
    for prefix in 0..4 {
        for outer in ACTS {
            for inner in ACTS {
                for i in 1.. {
                    let mut happened = false;
                    for j in 0.. {
                        let (hit, deep) = quiet_program(prefix, outer, i, j, inner);
                        programs += 1;
                        happened |= hit;
                        if !hit || !deep {
                            break;
                        }
                    }
                    if !happened {
                        break;
                    }
                }
            }
        }
    }
    assert!(programs > 5_000, "only {programs} programs");
}

fn quiet_program(
    prefix: usize,
    outer: fn(Stage),
    i: usize,
    j: usize,
    inner: fn(Stage),
) -> (bool, bool) {
    let stage = Stage::new(small());
    let reader = stage.reader();
    let before: &[usize] = [&[][..], &[17], &[5], &[11, 17]][prefix];
    for len in before {
        stage.try_write(*len);
    }
    let quiet = Rc::new(Cell::new(0));
    let deep = Rc::new(Cell::new(j == 0));
    let hook = {
        let (quiet, deep) = (Rc::clone(&quiet), Rc::clone(&deep));
        move || {
            if j == 0 {
                stage.writer().tick();
            } else {
                deep.set(at(j, || stage.writer().tick(), move || inner(stage)));
            }
            quiet.set(reader.borrow().quiet_since());
            packets(reader);
        }
    };
    let hit = at(i, || outer(stage), hook);
    stage.writer().flush();
    for packet in packets(reader) {
        let promised = quiet.get();
        assert!(
            packet.begin_ticks >= promised,
            "{packet:?} comes after {promised} was promised"
        );
    }
    (hit, deep.get())
}

#[test]
fn a_loss_before_the_end_is_in_the_final_packet() {
    for i in 1.. {
        let stage = Stage::new(small());
        let reader = stage.reader();
        stage.write(3).unwrap();
        let heard = Rc::new(Cell::new(None));
        let hears = Rc::clone(&heard);
        let close = || stage.writer().close().unwrap();
        if !at(i, close, move || hears.set(Some(stage.write(17)))) {
            break;
        }
        let last = packets(reader).pop().unwrap();
        assert!(last.is_final);
        // Who hears that the record was too big was there before the seal: after it, the stream
        // is closed to all.
        if heard.get() == Some(Err(WriteError::Lost(Loss::TooBig))) {
            assert_eq!(last.lost.get(Loss::TooBig), 1, "step {i}: {last:?}");
        }
    }
}

#[test]
fn a_discarded_exact_fit_leaves_no_mark_that_the_post_mortem_believes() {
    for (start, end) in [(0, 0), (2, 3)] {
        let geometry = small().with_reserves(start, end).unwrap();
        for i in 1.. {
            let stage = Stage::new(geometry);
            stage.write(6).unwrap();
            stage.discard(16 - start - end - 6);
            let found = Rc::new(Cell::new(0));
            let finds = Rc::clone(&found);
            let autopsy = move || {
                let all = stage.salvage();
                finds.set(
                    all.flat_map(|packet| packet.committed().map(<[u8]>::len).collect::<Vec<_>>())
                        .sum(),
                );
            };
            if !at(i, || stage.try_write(9), autopsy) {
                break;
            }
            assert!(
                found.get() >= 6,
                "reserves {start}, {end}, step {i}: {}",
                found.get()
            );
        }
    }
}

#[test]
fn what_is_under_way_in_an_old_ring_does_not_confuse_the_post_mortem_of_the_new() {
    for first in [1, 3, 5] {
        for second in [1, 3, 5] {
            for third in [1, 3, 5] {
                let stage = Stage::new(small());
                let old = stage.writer().reserve(first).unwrap();
                stage.replace().unwrap();
                stage.write(second).unwrap();
                let new = stage.writer().reserve(third).unwrap();
                stage.write(4).unwrap();
                let mut found = 0;
                for packet in stage.salvage() {
                    assert!(!packet.is_cut());
                    found += packet.committed().map(<[u8]>::len).sum::<usize>();
                }
                assert_eq!(found, second + 4);
                new.commit();
                old.commit();
            }
        }
    }
}

#[test]
fn nobody_hears_that_a_stream_is_closed_while_it_is_not() {
    let nested: [fn(Stage) -> Result<(), StreamError>; 2] =
        [|stage| stage.replace(), |stage| stage.writer().close()];
    for act in nested {
        for i in 1.. {
            let stage = Stage::new(small());
            let reader = stage.reader();
            stage.write(16).unwrap();
            stage.write(16).unwrap();
            let heard = Rc::new(Cell::new(None));
            let hears = Rc::clone(&heard);
            let mut closed = None;
            let hit = at(
                i,
                || closed = Some(stage.writer().close()),
                move || {
                    hears.set(Some(act(stage)));
                },
            );
            if !hit {
                break;
            }
            let is_open = closed == Some(Err(StreamError::NoRoom));
            assert!(
                !is_open || heard.get() != Some(Err(StreamError::Closed)),
                "step {i}"
            );
            // It can be tried again.
            packets(reader);
            if is_open {
                let again = stage.writer().close();
                assert!(
                    matches!(again, Ok(()) | Err(StreamError::Closed)),
                    "{again:?}"
                );
            }
        }
    }
}

#[test]
fn a_close_without_room_can_be_tried_again() {
    let stage = Stage::new(small());
    let reader = stage.reader();
    stage.write(16).unwrap();
    stage.write(16).unwrap();
    assert_eq!(stage.writer().close(), Err(StreamError::NoRoom));
    packets(reader);
    assert_eq!(stage.writer().close(), Ok(()));
    assert_eq!(stage.writer().close(), Err(StreamError::Closed));
    assert_eq!(stage.replace(), Err(StreamError::Closed));
}

#[test]
fn a_request_to_close_is_not_forgotten_where_another_close_finds_no_room() {
    for i in 1.. {
        let stage = Stage::new(small());
        let reader = stage.reader();
        stage.write(16).unwrap();
        stage.write(16).unwrap();
        stage.stream.want_close();
        let close = || assert_eq!(stage.writer().close(), Err(StreamError::NoRoom));
        if !at(i, close, move || stage.writer().tick()) {
            break;
        }
        packets(reader);
        stage.writer().tick();
        assert!(stage.stream.is_closed(), "step {i}");
    }
}

#[test]
fn a_ring_that_cannot_be_taken_is_not_lost() {
    for i in 1.. {
        let stage = Stage::new(small());
        let offer = move || {
            stage
                .stream
                .offer(Storage::allocate(&small()).unwrap(), small())
        };
        offer().unwrap();
        stage.writer().close().unwrap();
        let again = move || {
            assert_eq!(offer(), Err(StreamError::Closed), "step {i}");
            stage.writer().tick();
        };
        let is_interrupted = at(i, || stage.writer().tick(), again);
        let ring = stage.stream.remote.new_ring.load(Ordering::Relaxed);
        assert!(!ring.is_null() && ring != TAKEN.as_ptr(), "step {i}");
        if !is_interrupted {
            break;
        }
    }
}

#[test]
fn no_slot_says_that_its_packet_began_a_lap_ago() {
    for i in 1.. {
        let stage = Stage::new(small());
        let reader = stage.reader();
        stage.write(16).unwrap();
        stage.write(16).unwrap();
        packets(reader);
        let before = stage.cpu.now();
        let look = move || {
            let slot = stage.writer().reserve(3).unwrap();
            assert!(before < slot.packet_begin() && slot.packet_begin() <= slot.timestamp());
            slot.commit();
        };
        if !at(i, || stage.write(5).unwrap(), look) {
            break;
        }
    }
}

#[test]
fn a_discard_gives_its_space_back() {
    let stage = Stage::new(small().with_mode(Mode::Continuous).unwrap());
    let reader = stage.reader();
    stage.write(6).unwrap();
    for len in [10, 3, 10] {
        stage.discard(len);
    }
    stage.write(10).unwrap();
    assert_eq!(packets(reader)[0].records, 2);
}

/// The owner looks at a victim that is lent, counts what the spare block says that stands for it, and claims it. If the
/// observer has meanwhile given it back, lent another with the same spare, and then the victim again, the
/// entry is the same as before: what was counted must not be the other's.
#[test]
fn a_victim_that_is_lent_again_and_again_is_counted_right() {
    let mut programs = 0;
    for i in 1.. {
        let steps = (i..)
            .take_while(|j| is_victim_counted(i, *j))
            .inspect(|_| programs += 1)
            .count();
        if steps == 0 {
            break;
        }
    }
    assert!(programs > 20, "only {programs} programs");
}

/// A replacement that interrupts another one goes on in its own ring, behind that of the other.
#[test]
fn a_replacement_may_interrupt_another() {
    for i in 1.. {
        let stage = Stage::new(small());
        stage.write(3).unwrap();
        let replace = || assert_eq!(stage.replace(), Ok(()));
        let nested = move || {
            assert_eq!(stage.replace(), Ok(()), "step {i}");
            stage.write(5).unwrap();
        };
        let is_interrupted = at(i, replace, nested);
        stage.write(7).unwrap();
        stage.writer().flush();
        let records: u64 = packets(stage.reader()).iter().map(|p| p.records).sum();
        assert_eq!(records, if is_interrupted { 3 } else { 2 });
        if !is_interrupted {
            break;
        }
    }
}

/// Where a ring is overwritten, what nobody has read in the one before it is, too, once this one has gone round.
#[test]
fn an_old_ring_is_overwritten_when_the_new_one_has_gone_round() {
    let geometry = small().with_mode(Mode::Continuous).unwrap();
    for laps in 0..4 {
        let stage = Stage::new(geometry);
        (0..2).for_each(|_| stage.write(16).unwrap());
        let storage = Storage::allocate(&geometry).unwrap();
        stage.writer().succeed(storage, geometry).unwrap();
        (0..laps).for_each(|_| stage.write(16).unwrap());
        stage.writer().tick();
        let is_gone = laps >= 2;
        let overwritten = if is_gone { laps } else { 0 };
        assert_eq!(stage.stream.stats().overwritten, overwritten, "{laps}");
        let first = packets(stage.reader())[0].sequence;
        assert_eq!(first, if is_gone { laps } else { 0 }, "{laps}");
        // Readers are told of the gap by one packet, once.
        let flush = || {
            stage.writer().tick();
            stage.writer().flush()
        };
        let told = [flush(), flush()].map(|flushed| flushed == Flushed::Packet);
        assert_eq!(told, [is_gone, false], "{laps}");
    }
}

/// A record that is given up is under way, or lost: the post-mortem never counts it twice.
#[test]
fn a_discard_is_counted_once_wherever_the_cpu_is_stopped() {
    let (mut under_way, mut lost) = (0, 0);
    for i in 1.. {
        let stage = Stage::new(small());
        stage.write(3).unwrap();
        let slot = stage.writer().reserve(5).unwrap();
        stage.write(2).unwrap();
        let found = Rc::new(Cell::new((0, 0)));
        let looks = Rc::clone(&found);
        let look = move || {
            assert!(stage.salvage().all(|packet| !packet.is_cut()));
            let uncommitted = stage.salvage().map(|packet| packet.uncommitted() as u64);
            let discarded = stage.stream.stats().lost.get(Loss::Discarded);
            looks.set((uncommitted.sum(), discarded));
        };
        if !at(i, || slot.discard(), look) {
            break;
        }
        let (uncommitted, discarded) = found.get();
        assert!(uncommitted + discarded <= 1, "step {i}: {found:?}");
        under_way += uncommitted;
        lost += discarded;
    }
    assert!(under_way > 0 && lost > 0);
}

/// A packet whose only record was discarded is opened anew, with a time of its own.
#[test]
fn an_emptied_packet_does_not_begin_before_a_promise() {
    let stage = Stage::new(small());
    let reader = stage.reader();
    for _ in 0..3 {
        stage.discard(5);
        stage.writer().tick();
        let promised = reader.borrow().quiet_since();
        assert!(promised != 0);
        stage.write(5).unwrap();
        stage.writer().flush();
        let packet = packets(reader).pop().unwrap();
        assert!(packet.begin_ticks >= promised, "{packet:?}, {promised}");
    }
}

/// While a packet is lent, its sub-buffer is overwritten: the next packet comes into the block that stood in. The
/// post-mortem finds it there.
#[test]
fn a_packet_that_comes_into_a_stand_in_is_found_there() {
    let geometry = Geometry::new(16, 2)
        .and_then(|geometry| geometry.with_mode(Mode::Continuous)?.with_spares(1))
        .unwrap();
    let stage = Stage::new(geometry);
    let put = |byte| stage.writer().put(Plain(&[byte; 16])).unwrap();
    (0..2).for_each(put);
    let ring = stage.stream.current().unwrap();
    let entry = ring.entry(0);
    let loan = ring.lend(0, entry, 0).unwrap().unwrap();
    (2..4).for_each(put);
    drop(loan);
    let found: Vec<u8> = stage
        .salvage()
        .flat_map(|packet| packet.committed().flatten().copied().collect::<Vec<_>>())
        .collect();
    assert_eq!(found, [[2; 16], [3; 16]].concat());
}

/// Between the last byte of a record and its commit, the post-mortem finds it, whole.
#[test]
fn a_record_is_found_from_its_last_byte_on() {
    let mut seen = Vec::new();
    for i in 1.. {
        let stage = Stage::new(small());
        stage.write(3).unwrap();
        let found = Rc::new(Cell::new(None));
        let looks = Rc::clone(&found);
        let look = move || {
            let ring = stage.stream.current().unwrap();
            let committed = ring.sub(0).committed().records();
            let packets = stage.salvage();
            let (records, uncommitted) = packets.fold((0, 0), |(records, uncommitted), packet| {
                (
                    records + packet.packet().records,
                    uncommitted + packet.uncommitted(),
                )
            });
            looks.set(Some((committed, records, uncommitted)));
        };
        if !at(i, || stage.write(5).unwrap(), look) {
            break;
        }
        seen.extend(found.take());
    }
    // Nothing yet; under way; written; counted.
    let stages = [(1, 1, 0), (1, 1, 1), (1, 2, 0), (2, 2, 0)];
    let mut order = seen
        .iter()
        .map(|now| stages.iter().position(|stage| stage == now).unwrap());
    assert!(order.clone().is_sorted(), "{seen:?}");
    assert!(
        (0..stages.len()).all(|stage| order.any(|now| now == stage)),
        "{seen:?}"
    );
}

/// The spare stands for packet 0, from step `i` of a write that overwrites that for packet 1, from step `j` for packet 0
/// again. False if there is no step `j`.
fn is_victim_counted(i: usize, j: usize) -> bool {
    let geometry = Geometry::new(16, 4)
        .and_then(|geometry| geometry.with_mode(Mode::Continuous)?.with_spares(1))
        .unwrap();
    let stage = Stage::new(geometry);
    for len in [5, 5, 5, 16, 16, 16] {
        stage.write(len).unwrap();
    }
    let ring = stage.stream.current().unwrap();
    let lend = |packet| {
        let entry = ring.entry(packet);
        let is_readable = entry.is_packet(packet) && entry.state() == State::Readable;
        is_readable.then(|| ring.lend(packet, entry, 0).unwrap())?
    };
    let loan = Rc::new(Cell::new(lend(0)));
    let steps = Rc::new(Cell::new(0));
    let hook = {
        let (loan, steps) = (Rc::clone(&loan), Rc::clone(&steps));
        move || {
            steps.set(steps.get() + 1);
            for (step, packet) in [(i, 1), (j, 0)] {
                if step == steps.get() {
                    drop(loan.take());
                    loan.set(lend(packet));
                }
            }
        }
    };
    with_hook(hook, || stage.write(16).unwrap());
    drop(loan.take());
    assert_eq!(stage.stream.stats().overwritten, 3, "({i}, {j})");
    assert!(ring.take_spare().is_some(), "({i}, {j})");
    steps.get() >= j
}
