//! A reader that falls asleep, at every step of what gives it something to read.
extern crate std;

use super::world::OneCpu;
use crate::step::with_hook;
use crate::{Channel, Delivery, Geometry, NoHooks, Observer, Reader, Records, Storage};
use std::boxed::Box;
use std::cell::Cell;
use std::rc::Rc;
use std::vec::Vec;

type Ch = Channel<OneCpu, 1>;

/// What a reader can sleep for: something to read, or the end.
const ACTS: [fn(&Ch); 5] = [
    |ch| ch.write(&[1; 4]).unwrap(),
    |ch| ch.write(&[2; 16]).unwrap(),
    |ch| _ = ch.flush(),
    |ch| ch.close().unwrap(),
    |ch| {
        let geometry = ch.geometry(0).unwrap();
        ch.replace(Storage::allocate(&geometry).unwrap(), geometry)
            .unwrap();
        ch.close().unwrap();
    },
];

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

/// The reader reads all there is, and falls asleep, at step `at` of `act`: whether it has then slept until it was woken;
/// `None` if there is no such step.
fn is_woken<R: Sleepy + 'static>(
    delivery: Delivery,
    open: fn(&'static Ch) -> R,
    act: fn(&Ch),
    at: usize,
) -> Option<bool> {
    let ch: &'static Ch = Box::leak(Box::new(Channel::new(OneCpu::default(), &NoHooks)));
    let geometry = Geometry::new(16, 4).unwrap();
    let geometry = geometry.with_delivery(delivery).unwrap();
    ch.start(0, Storage::allocate(&geometry).unwrap(), geometry)
        .unwrap();
    ch.write(&[0; 4]).unwrap();
    let reader = Rc::new(Cell::new(Some(open(ch))));
    let steps = Rc::new(Cell::new(0));
    let sleeps = Rc::new(Cell::new(false));
    let hook = {
        let (reader, steps, sleeps) = (Rc::clone(&reader), Rc::clone(&steps), Rc::clone(&sleeps));
        move || {
            steps.set(steps.get() + 1);
            if steps.get() == at {
                let mut awake = reader.take().unwrap();
                awake.drain();
                ch.platform().take_woken();
                sleeps.set(awake.prepare_to_sleep());
                reader.set(Some(awake));
            }
        }
    };
    with_hook(hook, || act(ch));
    let mut reader = reader.take().unwrap();
    let is_needed = sleeps.get() && reader.has_more();
    if is_needed {
        assert_eq!(ch.platform().take_woken(), [0], "it sleeps; step {at}");
    }
    (steps.get() >= at).then_some(is_needed)
}

fn all_are_woken<R: Sleepy + 'static>(open: fn(&'static Ch) -> R) {
    let mut slept = 0;
    for delivery in [Delivery::Bulk, Delivery::Packet] {
        for act in ACTS {
            let steps = (1..).map_while(|at| is_woken(delivery, open, act, at));
            let woken: Vec<_> = steps.collect();
            assert!(woken.len() >= 3);
            slept += woken.iter().filter(|is_needed| **is_needed).count();
        }
    }
    assert!(slept > 20, "it never slept");
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
