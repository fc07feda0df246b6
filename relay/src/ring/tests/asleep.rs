//! A reader that falls asleep, at every step of what gives it something to read; and what gives it
//! something between its last look and its announcement.
extern crate std;

use super::stage::{Ch, THIN, every_step, geometry, interrupt_at, memory, on_channel};
use crate::platform::{Context, Platform};
use crate::{Delivery, Observer, Reader, Records};
use std::cell::Cell;
use std::rc::Rc;
use std::vec::Vec;

/// What somebody does.
type Act = fn(&Ch);

/// What a reader can sleep for: something to read, or the end.
const ACTS: [Act; 5] = [
    |ch| ch.write(&[1; 4]).unwrap(),
    |ch| ch.write(&[2; 16]).unwrap(),
    |ch| _ = ch.flush(),
    |ch| ch.close().unwrap(),
    |ch| {
        replace(ch);
        ch.close().unwrap();
    },
];

fn replace(ch: &Ch) {
    let shape = ch.geometry(0).unwrap();
    ch.replace(memory(shape), shape).unwrap();
}

/// The ways to read that can sleep.
trait Sleepy {
    /// Reads all there is.
    fn drain(&mut self);
    /// Whether there is something to read, or the end.
    fn has_more(&mut self) -> bool;
    fn prepare_to_sleep(&mut self) -> bool;
}

impl Sleepy for Reader<'_> {
    fn drain(&mut self) {
        while self.next_subbuf().is_some() {}
    }

    fn has_more(&mut self) -> bool {
        self.is_readable() || self.is_at_end()
    }

    fn prepare_to_sleep(&mut self) -> bool {
        Reader::prepare_to_sleep(self)
    }
}

impl Sleepy for Records<'_> {
    fn drain(&mut self) {
        while self.next_run().is_some() {}
    }

    fn has_more(&mut self) -> bool {
        self.next_run().is_some() || self.is_at_end()
    }

    fn prepare_to_sleep(&mut self) -> bool {
        Records::prepare_to_sleep(self)
    }
}

impl Sleepy for Observer<'_> {
    fn drain(&mut self) {
        while self.next_copy(&mut [0; 16]).unwrap().is_some() {}
    }

    fn has_more(&mut self) -> bool {
        self.next_copy(&mut [0; 16]).unwrap().is_some() || self.is_at_end()
    }

    fn prepare_to_sleep(&mut self) -> bool {
        Observer::prepare_to_sleep(self)
    }
}

/// The reader reads all there is, and falls asleep, at step `at` of `act`: whether it has then
/// slept until it was woken; `None` if there is no such step.
fn is_woken<R: Sleepy + 'static>(
    delivery: Delivery,
    open: fn(&'static Ch) -> R,
    act: fn(&Ch),
    at: usize,
) -> Option<bool> {
    let shape = geometry(16, 4).with_delivery(delivery).unwrap();
    on_channel(shape, |ch| {
        ch.write(&[0; 4]).unwrap();
        let reader = Rc::new(Cell::new(Some(open(ch))));
        let sleeps = Rc::new(Cell::new(false));
        let fall_asleep = {
            let (reader, sleeps) = (Rc::clone(&reader), Rc::clone(&sleeps));
            move || {
                let mut awake = reader.take().unwrap();
                awake.drain();
                ch.platform().take_woken();
                sleeps.set(awake.prepare_to_sleep());
                reader.set(Some(awake));
            }
        };
        let hit = interrupt_at(at, || act(ch), fall_asleep);
        let mut reader = reader.take().unwrap();
        let is_needed = sleeps.get() && reader.has_more();
        if is_needed {
            assert_eq!(ch.platform().take_woken(), [0], "it sleeps; step {at}");
        }
        hit.then_some(is_needed)
    })
}

fn all_are_woken<R: Sleepy + 'static>(open: fn(&'static Ch) -> R) {
    let mut slept = 0;
    for delivery in [Delivery::Bulk, Delivery::Record] {
        for act in ACTS.into_iter().step_by(if cfg!(miri) { 3 } else { 1 }) {
            let steps = (1..).step_by(THIN);
            let woken = steps.map_while(|at| is_woken(delivery, open, act, at));
            let woken: Vec<_> = woken.collect();
            assert!(woken.len() * THIN >= 3);
            slept += woken.iter().filter(|is_needed| **is_needed).count();
        }
    }
    assert!(slept * THIN > 20, "it never slept");
}

#[test]
fn a_reader_of_sub_buffers_is_woken() {
    all_are_woken(|ch| ch.reader(0).unwrap());
}

#[test]
fn a_reader_of_records_is_woken() {
    all_are_woken(|ch| Records::new(ch.reader(0).unwrap()));
}

#[test]
fn an_observer_is_woken() {
    all_are_woken(|ch| ch.observe(0).unwrap());
}

/// The reader has read all there is, and something comes at each step of its falling asleep: it
/// does not sleep, or it is woken.
fn nobody_sleeps_beside_what_comes<R: Sleepy + 'static>(open: fn(&'static Ch) -> R) {
    for delivery in [Delivery::Bulk, Delivery::Record] {
        for act in ACTS {
            let shape = geometry(16, 4).with_delivery(delivery).unwrap();
            let steps = every_step(|i| {
                on_channel(shape, |ch| {
                    ch.write(&[0; 4]).unwrap();
                    let mut reader = open(ch);
                    reader.drain();
                    let mut sleeps = false;
                    let hit =
                        interrupt_at(i, || sleeps = reader.prepare_to_sleep(), move || act(ch));
                    if sleeps && reader.has_more() {
                        assert_eq!(ch.platform().take_woken(), [0], "step {i}");
                    }
                    hit
                })
            });
            assert!(steps >= 2, "{steps}");
        }
    }
}

#[test]
fn no_reader_of_sub_buffers_sleeps_beside_what_comes() {
    nobody_sleeps_beside_what_comes(|ch| ch.reader(0).unwrap());
}

#[test]
fn no_reader_of_records_sleeps_beside_what_comes() {
    nobody_sleeps_beside_what_comes(|ch| Records::new(ch.reader(0).unwrap()));
}

#[test]
fn no_observer_sleeps_beside_what_comes() {
    nobody_sleeps_beside_what_comes(|ch| ch.observe(0).unwrap());
}

/// The reader has read everything; then something happens; then it announces that it will sleep.
/// Where there is something to read, or the end, it must not.
fn nobody_sleeps_beside_what_came_before<R: Sleepy + 'static>(open: fn(&'static Ch) -> R) {
    // Whether it brings something.
    let happenings: [(Act, bool); 8] = [
        (|_| (), false),
        (|ch| ch.write(&[1; 4]).unwrap(), false),
        (|ch| ch.write(&[2; 16]).unwrap(), true),
        (replace, false),
        (
            |ch| {
                replace(ch);
                ch.write(&[1; 4]).unwrap();
                ch.flush();
            },
            true,
        ),
        (
            |ch| {
                replace(ch);
                replace(ch);
                ch.write(&[2; 16]).unwrap();
            },
            true,
        ),
        (|ch| ch.close().unwrap(), true),
        (
            |ch| {
                replace(ch);
                ch.close().unwrap();
            },
            true,
        ),
    ];
    for delivery in [Delivery::Bulk, Delivery::Record] {
        for (number, (happens, brings)) in happenings.iter().enumerate() {
            let shape = geometry(16, 4).with_delivery(delivery).unwrap();
            on_channel(shape, |ch| {
                ch.write(&[0; 4]).unwrap();
                ch.flush();
                let mut reader = open(ch);
                reader.drain();
                happens(ch);
                ch.platform().take_woken();
                let sleeps = reader.prepare_to_sleep();
                assert!(!(sleeps && *brings), "happening {number}, {delivery:?}");
                assert!(!(sleeps && reader.has_more()), "{number}, {delivery:?}");
                // Who sleeps is woken by what comes next, wherever it comes.
                reader.drain();
                if reader.prepare_to_sleep() {
                    ch.platform().take_woken();
                    ch.write(&[2; 16]).unwrap();
                    assert_eq!(ch.platform().take_woken(), [0], "{number}, {delivery:?}");
                    assert!(reader.has_more());
                }
            });
        }
    }
}

#[test]
fn no_reader_of_sub_buffers_sleeps_beside_what_came_before() {
    nobody_sleeps_beside_what_came_before(|ch| ch.reader(0).unwrap());
}

#[test]
fn no_reader_of_records_sleeps_beside_what_came_before() {
    nobody_sleeps_beside_what_came_before(|ch| Records::new(ch.reader(0).unwrap()));
}

#[test]
fn no_observer_sleeps_beside_what_came_before() {
    nobody_sleeps_beside_what_came_before(|ch| ch.observe(0).unwrap());
}

/// What becomes readable in an NMI wakes nobody there, but at the tick, or the next delivery:
/// wherever the NMI comes, in a write, a flush or the tick itself.
#[test]
fn who_sleeps_is_woken_outside_of_nmis() {
    let outers: [fn(&Ch); 3] = [
        |ch| ch.write(&[1; 4]).unwrap(),
        |ch| _ = ch.flush(),
        |ch| ch.tick(),
    ];
    for outer in outers {
        for wakes_by_tick in [false, true] {
            let steps = every_step(|i| {
                on_channel(geometry(16, 8), |ch| {
                    ch.write(&[0; 4]).unwrap();
                    let mut reader = ch.reader(0).unwrap();
                    assert!(reader.prepare_to_sleep());
                    let nmi = move || {
                        let woken = ch.platform().take_woken();
                        ch.platform().enter(Context::Nmi);
                        ch.write(&[2; 16]).unwrap();
                        ch.write(&[3; 16]).unwrap();
                        assert!(ch.platform().take_woken().is_empty(), "in an NMI");
                        ch.platform().enter(Context::Task);
                        woken.iter().for_each(|cpu| ch.platform().wake(*cpu));
                    };
                    let hit = interrupt_at(i, || outer(ch), nmi);
                    if wakes_by_tick {
                        ch.tick();
                    } else {
                        ch.write(&[4; 16]).unwrap();
                    }
                    if hit {
                        assert!(reader.is_readable());
                        assert_eq!(ch.platform().take_woken(), [0], "step {i}");
                    }
                    hit
                })
            });
            assert!(steps >= 6, "only {steps} steps");
        }
    }
}

/// Nobody is woken who has not announced anew that it sleeps, and a note is for one tick.
#[test]
fn a_note_of_an_nmi_wakes_once() {
    on_channel(geometry(16, 8), |ch| {
        let mut reader = ch.reader(0).unwrap();
        for _ in 0..3 {
            assert!(reader.prepare_to_sleep());
            ch.platform().enter(Context::Nmi);
            ch.write(&[2; 16]).unwrap();
            ch.platform().enter(Context::Irq);
            for woken in [&[0][..], &[], &[]] {
                ch.tick();
                assert_eq!(ch.platform().take_woken(), woken);
            }
            ch.platform().enter(Context::Task);
            while reader.next_subbuf().is_some() {}
        }
    });
}
