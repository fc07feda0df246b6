//! Mistakes that others have made and shipped, each tried on this ring: a test is named after whose
//! it was and the commit or issue that tells of it, and fails when the mistake is made here.
//!
//! Most can be switched on in the shipped code ([`Mistake`]); [`tells`] then shows both: that the
//! check passes, and that it fails with the mistake. Of the others the comment says how they were
//! tried by hand, and what was seen.

extern crate std;

use super::nesting::{configs, prefixes};
use super::world::{Config, OneCpu, Op, World};
use crate::platform::Platform;
use crate::sync::step::{Mistake, with_hook, with_mistake};
use crate::{
    Channel, Flushed, Geometry, Hooks, Loss, Mode, NoHooks, Storage, StorageError, WriteError,
};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::vec;
use std::vec::Vec;

/// An interpreter has time for every third case.
const THIN: usize = if cfg!(miri) { 3 } else { 1 };

/// `check` passes, and does not with `mistake`.
fn tells(mistake: Mistake, check: fn()) {
    check();
    let broken = || with_mistake(mistake, check);
    let result = catch_unwind(AssertUnwindSafe(broken));
    assert!(result.is_err(), "{mistake:?} goes unnoticed");
}

/// Runs `nested` at every step of `outer`, in every configuration, after every prefix; checks that
/// every record is accounted for, in order, with times that do not overlap.
fn at_every_step(outer: Op, nested: &[Op]) {
    for config in configs() {
        for prefix in prefixes() {
            for at in 1.. {
                let world = Rc::new(World::new(config));
                prefix.iter().for_each(|op| world.perform(*op));
                let steps = Rc::new(Cell::new(0));
                let hook = {
                    let (world, steps, nested) =
                        (Rc::clone(&world), Rc::clone(&steps), nested.to_vec());
                    move || {
                        steps.set(steps.get() + 1);
                        if steps.get() == at {
                            // Interrupts of its own, one after the other.
                            nested.iter().for_each(|op| world.perform(*op));
                        }
                    }
                };
                with_hook(hook, || world.perform(outer));
                if steps.get() < at {
                    break;
                }
                world.check();
            }
        }
    }
}

/// A channel of one CPU, with as many sub-buffers of as many bytes.
fn channel(size: usize, count: usize, mode: Mode) -> Channel<OneCpu, 1> {
    let channel = Channel::new(OneCpu::default(), &NoHooks);
    let geometry = Geometry::new(size, count).unwrap().with_mode(mode).unwrap();
    let storage = Storage::allocate(&geometry).unwrap();
    channel.start(0, storage, geometry).unwrap();
    channel
}

/// prb (Linux printk) cc3bad11: a message that ends exactly where the ring wraps was taken for one
/// that had wrapped.
///
/// Here: records that fill the last sub-buffer of a lap to its last byte, over many laps and over
/// the end of the position range.
#[test]
fn prb_cc3bad11_exact_fit_at_the_wrap() {
    tells(Mistake::ExactFitStaysOpen, || {
        for config in configs().into_iter().step_by(THIN) {
            let room = config.geometry.max_record();
            let world = World::new(config);
            for _ in 0..9 {
                world.perform(Op::Write(room - 5));
                world.perform(Op::Write(5));
                world.perform(Op::Write(room));
                world.perform(Op::Drain);
            }
            assert_eq!(world.delivered(), 27, "without a flush");
            world.check();
        }
    });
}

/// prb 4d164e08: a record longer than half of the buffer corrupted what was there.
///
/// Here: a ring of two sub-buffers, records of exactly half of it, and records that are longer.
#[test]
fn prb_4d164e08_a_record_of_more_than_half_the_buffer() {
    tells(Mistake::TooBigAccepted, || {
        for mode in [Mode::NoOverwrite, Mode::Continuous] {
            let channel = channel(64, 2, mode);
            let mut reader = channel.reader(0).unwrap();
            for round in 0..5u8 {
                assert_eq!(channel.write(&[round; 64]), Ok(()));
                for len in [65, 100, 127, 128, 129, 4096] {
                    let too_big = Err(WriteError::Lost(Loss::TooBig));
                    assert_eq!(channel.write(&vec![0xEE; len]), too_big);
                }
                let taken = reader.next_subbuf().unwrap();
                assert_eq!(taken.records(), [round; 64]);
            }
        }
    });
}

/// The fix of prb's fix: the header of a record was counted twice in its length.
///
/// Here: headers and trailers of every size, and as many records as fit beside them.
#[test]
fn prb_2026_header_counted_twice() {
    tells(Mistake::HeaderCountedTwice, || {
        for (start, end) in [(1, 0), (7, 1), (24, 8), (56, 0)] {
            let channel = Channel::<_, 1>::new(OneCpu::default(), &NoHooks);
            let geometry = Geometry::new(64, 2).unwrap();
            let geometry = geometry.with_reserves(start, end).unwrap();
            let storage = Storage::allocate(&geometry).unwrap();
            channel.start(0, storage, geometry).unwrap();
            let mut reader = channel.reader(0).unwrap();
            let fit = 64 - start - end;
            for _ in 0..3 {
                (0..fit).for_each(|_| channel.write(&[7]).unwrap());
                let taken = reader.next_subbuf().unwrap();
                assert_eq!(taken.packet().records, fit as u64);
                assert_eq!(taken.packet().content, start + fit);
                assert_eq!(taken.records(), vec![7; fit]);
            }
        }
    });
}

/// LTTng 0fdec686: a commit between two looks of the check made a writer believe that the
/// sub-buffer was still being written in the lap before: `records_lost_wrap`, every few minutes.
///
/// Here: whole laps at every step of a write. Nobody hears `wrapped` who interrupts nobody.
#[test]
#[cfg_attr(miri, ignore = "the search is too long for an interpreter")]
fn lttng_0fdec686_wrap_check_against_a_concurrent_commit() {
    tells(Mistake::NoMovedCheck, || {
        at_every_step(Op::Write(8), &[Op::Burst(5, 8)]);
    });
}

/// LTTng 5e391252: a flush from another CPU changed words that only their owner may change; 80 910
/// false losses.
///
/// Here: whoever flushes, ticks or closes on one CPU leaves the streams of the others as they are;
/// what a reader on another CPU wants is asked for and waits for the owner's tick.
///
/// Tried by hand: `self.streams.first()` in place of `get(pin.cpu())` in `Channel::owner`. The
/// first assertion fails: CPU 1 hands over what CPU 0 has written.
#[test]
fn lttng_5e391252_flush_from_another_cpu() {
    /// Two CPUs, of which one at a time is the caller.
    struct TwoCpus(AtomicUsize);
    // SAFETY: one thread, which says which CPU it is; nothing nests.
    unsafe impl Platform for &'static TwoCpus {
        type Pinned = ();

        fn pin(&self) -> (usize, ()) {
            (self.0.load(Ordering::Relaxed), ())
        }
        unsafe fn unpin(&self, (): ()) {}
        fn now(&self) -> u64 {
            1
        }
    }
    static CPU: TwoCpus = TwoCpus(AtomicUsize::new(0));
    let on = |cpu| CPU.0.store(cpu, Ordering::Relaxed);
    let channel = Channel::<_, 2>::new(&CPU, &NoHooks);
    let geometry = Geometry::new(64, 2).unwrap();
    for cpu in 0..2 {
        let storage = Storage::allocate(&geometry).unwrap();
        channel.start(cpu, storage, geometry).unwrap();
    }
    let mut reader = channel.reader(0).unwrap();
    channel.write(b"of CPU 0").unwrap();
    let before = channel.stats(0);

    on(1);
    assert_eq!(
        channel.flush(),
        Flushed::Nothing,
        "CPU 1 has written nothing"
    );
    reader.request_flush();
    channel.tick();
    channel.write(b"of CPU 1").unwrap();
    assert_eq!(channel.flush(), Flushed::Packet);
    channel.close().unwrap();
    assert!(reader.next_subbuf().is_none(), "only CPU 0 hands it over");
    assert_eq!(channel.stats(0), before);

    on(0);
    channel.tick();
    assert_eq!(reader.next_subbuf().unwrap().records(), b"of CPU 0");
}

/// LTTng 635e457c, 2485a430: the time span of a packet overlapped the next one's, or missed its own
/// last records.
///
/// Here: interrupts at every step of a write, above all of one that switches. [`World::check`]
/// demands `end <= begin` of each two packets, and that no record is younger than its packet's end.
#[test]
#[cfg_attr(miri, ignore = "the search is too long for an interpreter")]
fn lttng_635e457c_2485a430_packet_times_overlap() {
    tells(Mistake::ClockOutsideLoop, || {
        at_every_step(Op::Write(8), &[Op::Burst(2, 8)]);
    });
}

/// LTTng b2cf5e0b, 4ad4ea4c: the count of discarded events was read at another moment than the end
/// of the packet that tells of it.
///
/// Here: an interrupt that closes packets and loses records of its own, at every step of a write
/// that switches. A later packet never tells of less than an earlier one.
#[test]
#[cfg_attr(miri, ignore = "the search is too long for an interpreter")]
fn lttng_b2cf5e0b_4ad4ea4c_losses_sampled_at_the_wrong_moment() {
    tells(Mistake::LossesSampledLate, || {
        at_every_step(Op::Write(8), &[Op::Flush, Op::Write(40)]);
    });
}

/// Linux relay, 2023: a reader took the number of readable bytes, a writer moved on, and the reader
/// took the position: it copied what lay behind the buffer.
///
/// Here: whole laps between a reader's look at a sub-buffer and its taking it. It gets what it has
/// looked at, or goes on.
#[test]
#[cfg_attr(miri, ignore = "the search is too long for an interpreter")]
fn relay_2023_reader_between_length_and_position() {
    tells(Mistake::TakesWhatIsThere, || {
        at_every_step(Op::Drain, &[Op::Burst(5, 8), Op::Flush]);
    });
}

/// Linux `relay_open`: the result of an allocation was used without a look at it (four reports by
/// syzbot).
///
/// Here: the largest ring there can be, 64 TiB, is more than any machine gives.
///
/// Tried by hand: `NonNull::new_unchecked(base)` in `Storage::allocate`. The test is aborted by the
/// check of debug builds; with `unwrap_or(NonNull::dangling())` by SIGSEGV.
#[test]
#[cfg_attr(miri, ignore = "an interpreter takes the size at its word")]
fn relay_open_unchecked_allocation() {
    let geometry = Geometry::new(1 << 30, 1 << 15).unwrap();
    let needed = Storage::bytes_for(&geometry);
    let refused = Storage::allocate(&geometry).unwrap_err();
    assert_eq!(refused, StorageError::OutOfMemory(needed));
}

/// ftrace a4543a2f: an event that interrupted the writing of another had a time delta of 0, that is
/// the other's time.
///
/// Here: with a clock that advances at every look, no two records have the same time, and their
/// times rise in the order of their places.
#[test]
fn ftrace_a4543a2f_nested_records_without_a_time_of_their_own() {
    tells(Mistake::ClockOutsideLoop, || {
        let record = |channel: &Channel<OneCpu, 1>| {
            channel
                .reserve_with(8, |slot| {
                    let time = slot.timestamp().to_le_bytes();
                    slot.bytes_mut().copy_from_slice(&time);
                })
                .unwrap();
        };
        for at in 1.. {
            let channel = Rc::new(channel(64, 4, Mode::NoOverwrite));
            record(&channel);
            let steps = Rc::new(Cell::new(0));
            let hook = {
                let (channel, steps) = (Rc::clone(&channel), Rc::clone(&steps));
                move || {
                    steps.set(steps.get() + 1);
                    if steps.get() == at {
                        record(&channel);
                    }
                }
            };
            with_hook(hook, || record(&channel));
            if steps.get() < at {
                break;
            }
            channel.flush();
            let taken = channel.reader(0).unwrap().next_subbuf().map(|taken| {
                let (times, rest) = taken.records().as_chunks::<8>();
                assert!(rest.is_empty());
                times.iter().map(|time| u64::from_le_bytes(*time)).collect()
            });
            let times: Vec<u64> = taken.unwrap();
            assert_eq!(times.len(), 3);
            assert!(times.is_sorted_by(|a, b| a < b), "step {at}: {times:?}");
        }
    });
}

/// bbqueue issue 100: the slice of a grant was still alive, as an argument of `commit`, when the
/// reader was given the bytes: undefined behaviour.
///
/// Here: a reader reads the bytes *during* the commit, in the hook that hears of the delivery. A
/// slice kept by the caller does not compile: the slot is lent to a closure. What the slot itself
/// has is a pointer, which ends where it is settled.
#[test]
fn bbqueue_100_slice_outlives_its_slot() {
    std::thread_local! {
        static CHANNEL: RefCell<Option<Rc<Channel<OneCpu, 1>>>> = const { RefCell::new(None) };
        static READ: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    struct ReadsAtOnce;
    impl Hooks for ReadsAtOnce {
        fn deliver(&self, cpu: usize) {
            let channel = CHANNEL.with_borrow(|channel| channel.clone()).unwrap();
            let mut reader = channel.reader(cpu).unwrap();
            let taken = reader.next_subbuf().unwrap();
            READ.with_borrow_mut(|read| read.extend(taken.records()));
        }
    }
    let geometry = Geometry::new(16, 2).unwrap();
    let channel = Channel::new(OneCpu::default(), &ReadsAtOnce);
    let storage = Storage::allocate(&geometry).unwrap();
    channel.start(0, storage, geometry).unwrap();
    let channel = Rc::new(channel);
    CHANNEL.with_borrow_mut(|place| *place = Some(Rc::clone(&channel)));
    channel
        .reserve_with(16, |slot| {
            slot.bytes_mut().copy_from_slice(b"sixteen bytes ..");
        })
        .unwrap();
    CHANNEL.with_borrow_mut(|place| *place = None);
    assert_eq!(READ.take(), b"sixteen bytes ..");
}

/// Zephyr issue 41240: the number of buffered bytes was negative when the read index had been
/// passed.
///
/// Here: a reader that sleeps while the writer passes it, once and many times, over the end of the
/// range of positions: it goes on with the oldest packet that is there.
///
/// Tried by hand: `limit.saturating_sub(self.cursor)` in place of `distance` in
/// `Reader::next_subbuf`. Behind the end of the range the reader finds nothing.
#[test]
fn zephyr_41240_negative_buffered_count() {
    for laps in 0..4 {
        for extra in (0..4).step_by(THIN) {
            let geometry = Geometry::new(16, 4).unwrap();
            let world = World::new(Config {
                geometry: geometry.with_mode(Mode::Continuous).unwrap(),
                first: u64::MAX - 1,
            });
            world.perform(Op::Drain);
            let written = laps * 4 + extra;
            world.perform(Op::Burst(written, 16));
            world.perform(Op::Drain);
            assert_eq!(world.delivered(), written.min(4) as u64);
            world.check();
        }
    }
}

/// probe-rs issue 3058: a frame that lay across the end of the ring was decoded as two.
///
/// Here: records of lengths that divide nothing, over many laps. Each is whole, in one sub-buffer.
///
/// Tried by hand: `offset < geometry.limit()` in place of `offset + len <= geometry.limit()` in
/// `Owner::plan`. The slot of the first record that does not fit is refused by the assertion in
/// `Ring::at`.
#[test]
fn probe_rs_3058_record_split_at_the_wrap() {
    for len in [3, 5, 7, 11, 13].into_iter().step_by(THIN) {
        let channel = channel(32, 2, Mode::NoOverwrite);
        let mut reader = channel.reader(0).unwrap();
        let mut read = 0u8;
        for written in 0..100u8 {
            channel.write(&vec![written; len]).unwrap();
            if written == 99 {
                channel.flush();
            }
            while let Some(taken) = reader.next_subbuf() {
                for record in taken.records().chunks(len) {
                    assert_eq!(record, vec![read; len]);
                    read += 1;
                }
            }
        }
        assert_eq!(read, 100);
    }
}

/// LTTng c9b3b5e2: a snapshot of a flight recorder heard "try again" though there were packets to
/// read, because the writer had come by meanwhile.
///
/// Here: whatever the owner writes at any step of an observer, up to several laps, the observer
/// with a spare block at hand copies what there is, and never hears that it is busy.
#[test]
fn lttng_c9b3b5e2_false_again_in_a_snapshot() {
    tells(Mistake::BusyInsteadOfGone, || {
        for laps in (0..3).step_by(THIN) {
            let mut at = 0;
            while copy_while_a_lap_is_written(laps, at) {
                at += if cfg!(miri) { 7 } else { 1 };
            }
            assert!(at > 4, "nothing came in between");
        }
    });
}

/// An observer copies a full ring; at its step `at`, so many laps and a packet are written. False
/// if it has no such step.
fn copy_while_a_lap_is_written(laps: usize, at: usize) -> bool {
    let geometry = Geometry::new(16, 4)
        .and_then(|geometry| geometry.with_mode(Mode::Continuous)?.with_spares(1))
        .unwrap();
    let channel = Rc::new(Channel::<OneCpu, 1>::new(OneCpu::default(), &NoHooks));
    let storage = Storage::allocate(&geometry).unwrap();
    channel.start(0, storage, geometry).unwrap();
    (0..4).for_each(|_| channel.write(&[1; 16]).unwrap());
    let mut observer = channel.observe(0).unwrap();
    let steps = Rc::new(Cell::new(0));
    let hook = {
        let (channel, steps) = (Rc::clone(&channel), Rc::clone(&steps));
        move || {
            steps.set(steps.get() + 1);
            if steps.get() == at {
                (0..=laps * 4).for_each(|_| channel.write(&[2; 16]).unwrap());
            }
        }
    };
    let (mut into, mut copied) = ([0; 16], 0);
    with_hook(hook, || {
        while observer.next_copy(&mut into).unwrap().is_some() {
            copied += 1;
        }
    });
    assert!(copied >= 4, "only {copied} of the newest");
    steps.get() >= at
}
