//! The driver against devices that behave, and against devices that do not.

mod polling;
mod ports;
mod receiving;

use std::collections::HashSet;
use std::sync::Arc;

use super::control;
use super::driver::{Driver, OpenError, PortInfo};
use super::error::Error;
use super::fake::{Fake, pages, set_grain};
use super::polled::{Polled, Stuck};
use super::port::{Dead, InFlight, Letter, Piece, Port, Reclaimed, Refusal};
use super::protocol::event;
use super::receiver::{CHUNK, Receiver};
use crate::dev::pci::msix::Target;
use crate::dev::virtio::queue::{QueueError, QueueFault};

/// A buffer that can be recognised, and that knows when it was dropped.
#[derive(Debug)]
struct Parcel {
    bytes: Box<[u8]>,
    alive: Arc<()>,
}

// SAFETY: on the heap, and not written.
unsafe impl InFlight for Parcel {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Makes parcels and counts those that live.
#[derive(Default)]
struct Factory(Arc<()>);

impl Factory {
    fn parcel(&self, bytes: &[u8]) -> Parcel {
        Parcel {
            bytes: bytes.into(),
            alive: self.0.clone(),
        }
    }

    /// Parcels that were made and not dropped.
    fn alive(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

/// Sets a device up.
fn start(fake: &Fake) -> Result<Driver<Fake>, Error> {
    let mut now = 0;
    let hand = fake.clone();
    Driver::new(fake.clone(), &mut || {
        hand.state().converse();
        now += 1;
        now
    })
}

/// A device with two ports that the host has open, and one of them opened.
fn started() -> (Fake, Driver<Fake>, Port<Fake, Parcel>, Factory) {
    let fake = Fake::new(&[(0, "klog-0", true), (1, "klog-1", true)]);
    let mut console = start(&fake).unwrap();
    let port = console.open(1, None).unwrap();
    (fake, console, port, Factory::default())
}

/// Lets driver and device talk until neither has anything to say.
fn talk(fake: &Fake, console: &mut Driver<Fake>) -> Result<(), Error> {
    for _ in 0..4 {
        console.poll()?;
        fake.state().converse();
    }
    console.poll()
}

/// Submits a parcel that must be taken, and tells the device.
fn send(port: &mut Port<Fake, Parcel>, factory: &Factory, bytes: &[u8]) {
    port.submit(factory.parcel(bytes)).unwrap();
    port.notify();
}

/// Takes back everything that is there, and checks that it was sent.
fn reclaim_sent(port: &mut Port<Fake, Parcel>) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(reclaimed) = port.reclaim() {
        match reclaimed {
            Reclaimed::Sent(parcel) => all.push(parcel.bytes.to_vec()),
            Reclaimed::Unsent(parcel) => panic!("{parcel:?} was not sent"),
        }
    }
    all
}

/// What every port can be held to, whatever the device does.
fn check(port: &Port<Fake, Parcel>) {
    let counters = port.counters();
    assert_eq!(
        counters.submitted,
        counters.sent + counters.unsent + port.in_flight() as u64,
        "{counters}"
    );
}

#[test]
fn all_ports_of_a_full_device_are_found() {
    let names: Vec<String> = (0..31).map(|id| format!("klog-{id}")).collect();
    let ports: Vec<(u32, &'static str, bool)> = (0..31)
        .map(|id| (id as u32, &*names[id].clone().leak(), id % 2 == 0))
        .collect();
    let fake = Fake::new(&ports);
    let console = start(&fake).unwrap();
    let found: Vec<PortInfo> = console.ports().collect();
    assert_eq!(found.len(), 31);
    for (id, port) in found.iter().enumerate() {
        assert_eq!((port.id, port.name.as_str()), (id, &*names[id]));
        assert_eq!(port.is_host_open, id % 2 == 0);
    }
    let state = fake.state();
    assert_eq!(state.dropped, 0, "there is a buffer for everything it says");
    assert_eq!(state.accepted, 1 << 32 | 1 << 1);
    assert_eq!(state.heard[0].event, event::DEVICE_READY);
    assert!(
        state.heard[1..]
            .iter()
            .all(|heard| heard.event == event::PORT_READY)
    );
    assert_eq!(console.malformed_messages(), 0);
}

#[test]
fn bytes_travel_in_order_without_a_copy_and_with_one_notification() {
    let (fake, _console, mut port, factory) = started();
    assert_eq!((port.id(), port.name(), port.depth()), (1, "klog-1", 128));
    for part in [b"one".as_slice(), b"two", b"three"] {
        port.submit(factory.parcel(part)).unwrap();
    }
    assert_eq!(fake.transmit(1, |queue| queue.rung), 0);
    port.notify();
    port.notify();
    assert_eq!(fake.transmit(1, |queue| queue.rung), 1);
    assert!(port.reclaim().is_none() && !port.has_reclaimable());

    assert_eq!(fake.consume(1), b"onetwothree");
    assert!(port.has_reclaimable());
    assert_eq!(factory.alive(), 3);
    assert_eq!(reclaim_sent(&mut port).concat(), b"onetwothree");
    assert_eq!((factory.alive(), port.in_flight()), (0, 0));
    let counters = port.counters();
    assert_eq!((counters.submitted_bytes, counters.sent_bytes), (11, 11));
    assert_eq!((counters.notified, counters.not_notified), (1, 0));
    assert_eq!((counters.bad_lengths, counters.faults), (0, 0));
    check(&port);
}

#[test]
fn a_device_that_is_awake_is_not_notified() {
    let (fake, _console, mut port, factory) = started();
    fake.transmit(1, |queue| queue.want_notifications(false));
    send(&mut port, &factory, b"x");
    assert_eq!(fake.transmit(1, |queue| queue.rung), 0);
    assert_eq!(port.counters().not_notified, 1);
}

#[test]
fn buffers_come_back_in_the_order_of_the_device() {
    let (fake, _console, mut port, factory) = started();
    for byte in 0..8 {
        send(&mut port, &factory, &[byte]);
    }
    let chains = fake.pop_all(1);
    for index in [3, 0, 7, 1, 6, 2, 5, 4] {
        fake.transmit(1, |queue| queue.push(chains[index].id.into(), 0));
    }
    let expected: Vec<Vec<u8>> = [3, 0, 7, 1, 6, 2, 5, 4].map(|byte| vec![byte]).into();
    assert_eq!(reclaim_sent(&mut port), expected);
    check(&port);
    // The identifiers, now in another order, are as good as before.
    for byte in 0..128 {
        send(&mut port, &factory, &[byte]);
    }
    assert_eq!(fake.consume(1), (0..128).collect::<Vec<u8>>());
    assert_eq!(reclaim_sent(&mut port).len(), 128);
    assert_eq!(port.is_dead(), None);
}

#[test]
fn a_buffer_that_is_completed_twice_kills_its_port_only() {
    let (fake, mut console, mut port, factory) = started();
    let mut other: Port<Fake, Parcel> = console.open(0, None).unwrap();
    send(&mut port, &factory, b"first");
    send(&mut port, &factory, b"second");
    let chains = fake.pop_all(1);
    for _ in 0..2 {
        fake.transmit(1, |queue| queue.push(chains[0].id.into(), 0));
    }
    assert_eq!(reclaim_sent(&mut port), [b"first"]);
    let fault = QueueFault::NotInFlight { id: chains[0].id };
    assert_eq!(port.is_dead(), Some(Dead::Fault(fault)));
    assert_eq!((port.counters().faults, port.in_flight()), (1, 1));
    // The other buffer stays with the device, even if that is done with it now.
    fake.transmit(1, |queue| queue.push(chains[1].id.into(), 0));
    assert!(port.reclaim().is_none() && !port.has_reclaimable());
    assert_eq!(factory.alive(), 1);
    let rejected = port.submit(factory.parcel(b"third")).unwrap_err();
    assert_eq!(rejected.refusal, Refusal::Dead(Dead::Fault(fault)));
    assert_eq!(&*rejected.buffer.bytes, b"third");
    check(&port);

    send(&mut other, &factory, b"alive");
    assert_eq!(fake.consume(0), b"alive");
    assert_eq!(reclaim_sent(&mut other), [b"alive"]);

    // After a reset everything comes back, once.
    drop(rejected);
    console.reset().unwrap();
    assert!(
        matches!(port.reclaim(), Some(Reclaimed::Unsent(parcel)) if *parcel.bytes == *b"second")
    );
    assert!(port.reclaim().is_none());
    assert_eq!(factory.alive(), 0);
    assert_eq!(other.is_dead(), Some(Dead::Reset));
    check(&port);
}

#[test]
fn identifiers_that_are_not_in_flight_are_contained() {
    for id in [5, 127, 128, 0x7fff, 0xffff, 0x1_0005, u32::MAX] {
        let (fake, _console, mut port, factory) = started();
        send(&mut port, &factory, b"x");
        assert_eq!(fake.pop_all(1).len(), 1);
        fake.transmit(1, |queue| queue.push(id, 0));
        assert!(port.reclaim().is_none());
        let fault = QueueFault::NotInFlight { id: id as u16 };
        assert_eq!(port.is_dead(), Some(Dead::Fault(fault)));
        assert_eq!(factory.alive(), 1);
        check(&port);
    }
}

#[test]
fn the_middle_of_a_chain_is_no_identifier() {
    let (fake, _console, mut port, factory) = started();
    set_grain(4096);
    send(&mut port, &factory, &vec![1; 3 * 4096]);
    let chain = fake.pop_all(1).pop().unwrap();
    assert!(chain.pieces() >= 3);
    fake.transmit(1, |queue| queue.push((chain.id + 1).into(), 0));
    assert!(port.reclaim().is_none());
    assert!(port.is_dead().is_some());
}

#[test]
fn wrong_lengths_are_counted_and_do_no_harm() {
    let (fake, _console, mut port, factory) = started();
    for length in [0, 1, 4096, u32::MAX] {
        send(&mut port, &factory, b"x");
        let chains = fake.pop_all(1);
        fake.transmit(1, |queue| queue.push(chains[0].id.into(), length));
    }
    assert_eq!(reclaim_sent(&mut port).len(), 4);
    assert_eq!(port.counters().bad_lengths, 3);
    assert_eq!(port.is_dead(), None);
}

#[test]
fn a_device_that_is_late_fills_the_queue_and_no_more() {
    let (fake, _console, mut port, factory) = started();
    for _ in 0..port.depth() {
        send(&mut port, &factory, b"x");
    }
    let rejected = port.submit(factory.parcel(b"y")).unwrap_err();
    assert_eq!(rejected.refusal, Refusal::Full);
    assert_eq!(&*rejected.buffer.bytes, b"y");
    assert!(port.reclaim().is_none());
    assert_eq!((port.in_flight(), port.is_dead()), (128, None));
    // Late is not never.
    assert_eq!(fake.consume(1).len(), 128);
    assert_eq!(reclaim_sent(&mut port).len(), 128);
    port.submit(rejected.buffer).unwrap();
    check(&port);
}

#[test]
fn a_used_index_that_jumps_is_contained() {
    for jump in [2, 3, 128, 129, 0x8000, 0xffff] {
        let (fake, _console, mut port, factory) = started();
        for _ in 0..4 {
            send(&mut port, &factory, b"x");
        }
        // The ring says 0 everywhere, which is in flight once.
        let used = fake.transmit(1, |queue| queue.used());
        fake.transmit(1, |queue| queue.set_used(used.wrapping_add(jump)));
        let mut count = 0;
        while port.reclaim().is_some() {
            count += 1;
            assert!(count <= 4, "no more comes back than was in flight");
        }
        assert!(matches!(port.is_dead(), Some(Dead::Fault(_))));
        check(&port);
    }
}

#[test]
fn nothing_comes_back_before_the_device_was_reset() {
    let (fake, mut console, mut port, factory) = started();
    send(&mut port, &factory, b"done");
    send(&mut port, &factory, b"not done");
    let chains = fake.pop_all(1);
    fake.transmit(1, |queue| queue.push(chains[0].id.into(), 0));
    console.reset().unwrap();
    assert_eq!(port.is_dead(), Some(Dead::Reset));
    assert!(matches!(port.reclaim(), Some(Reclaimed::Sent(parcel)) if *parcel.bytes == *b"done"));
    assert!(port.has_reclaimable());
    assert!(matches!(port.reclaim(), Some(Reclaimed::Unsent(_))));
    assert!(port.reclaim().is_none() && !port.has_reclaimable());
    let refusal = port.submit(factory.parcel(b"x")).unwrap_err().refusal;
    assert_eq!(refusal, Refusal::Dead(Dead::Reset));
    check(&port);
    assert_eq!(
        console.open::<Parcel>(0, None).unwrap_err(),
        OpenError::Reset
    );
    drop(port);
    drop(console);
    assert_eq!((pages(), factory.alive()), (0, 0), "everything was freed");
}

#[test]
fn a_device_that_does_not_reset_keeps_what_it_has() {
    let (fake, mut console, mut port, factory) = started();
    send(&mut port, &factory, b"x");
    fake.state().resets = false;
    let before = pages();
    assert_eq!(console.reset(), Err(Error::NoReset));
    assert!(fake.state().was_cut_off);
    assert!(port.reclaim().is_none());
    assert_eq!(factory.alive(), 1);
    drop(port);
    drop(console);
    assert_eq!((pages(), factory.alive()), (before, 1), "nothing was freed");
}

#[test]
fn a_port_that_is_dropped_leaves_its_buffers_to_the_device() {
    let (_fake, mut console, mut port, factory) = started();
    send(&mut port, &factory, b"x");
    drop(port);
    assert_eq!(factory.alive(), 1);
    assert_eq!(
        console.open::<Parcel>(1, None).unwrap_err(),
        OpenError::Taken { id: 1 }
    );

    let (_fake, mut console, mut port, factory) = started();
    send(&mut port, &factory, b"x");
    console.reset().unwrap();
    drop(port);
    assert_eq!(factory.alive(), 0);
}

#[test]
fn scattered_buffers_travel_in_pieces() {
    let (fake, _console, mut port, factory) = started();
    set_grain(4096);
    let bytes: Vec<u8> = (0..7 * 4096).map(|index| (index / 7) as u8).collect();
    send(&mut port, &factory, &bytes);
    let chains = fake.pop_all(1);
    assert!(chains[0].pieces() >= 7);
    assert_eq!(chains[0].bytes(), bytes);
    fake.transmit(1, |queue| queue.push(chains[0].id.into(), 0));
    assert_eq!(reclaim_sent(&mut port), [bytes]);
    // All descriptors are free again.
    set_grain(usize::MAX);
    for _ in 0..port.depth() {
        send(&mut port, &factory, b"x");
    }

    let (_fake, _console, mut port, factory) = started();
    set_grain(4096);
    let parcel = factory.parcel(&vec![0; 9 * 4096]);
    assert_eq!(port.submit(parcel).unwrap_err().refusal, Refusal::Scattered);
    set_grain(0);
    let parcel = factory.parcel(b"x");
    assert_eq!(port.submit(parcel).unwrap_err().refusal, Refusal::Scattered);
    let parcel = factory.parcel(b"");
    assert_eq!(port.submit(parcel).unwrap_err().refusal, Refusal::Length(0));
    check(&port);
}

/// A random number generator (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[test]
fn whatever_a_device_does_nothing_breaks_and_everything_is_accounted_for() {
    let (mut sent, mut faults, mut bad_lengths) = (0, 0, 0);
    for seed in 1..=300 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let (fake, mut console, mut port, factory) = started();
        let mut held = Vec::new();
        let mut back = HashSet::new();
        let mut number = 0_u64;
        let mut keep = |reclaimed: Reclaimed<Parcel>| {
            let parcel = reclaimed.into_inner();
            assert!(back.insert(parcel.bytes.to_vec()), "came back twice");
            drop(parcel.alive);
        };
        for _ in 0..random.below(400) {
            match random.below(16) {
                0..=5 => {
                    number += 1;
                    let parcel = factory.parcel(&number.to_le_bytes());
                    let _ = port.submit(parcel);
                    port.notify();
                }
                6..=7 => held.extend(fake.pop_all(1)),
                8..=12 if !held.is_empty() => {
                    let index = random.below(held.len() as u64) as usize;
                    let id = held.swap_remove(index).id;
                    let length = if random.below(8) == 0 { 9 } else { 0 };
                    fake.transmit(1, |queue| queue.push(id.into(), length));
                }
                13..=14 => {
                    while let Some(reclaimed) = port.reclaim() {
                        keep(reclaimed);
                    }
                }
                // Now and then it lies.
                15 if random.below(20) == 0 => {
                    let id = random.below(140) as u16;
                    let jump = random.below(3) as u16;
                    fake.transmit(1, |queue| {
                        queue.push(id.into(), 0);
                        queue.set_used(queue.used().wrapping_add(jump));
                    });
                }
                _ => {}
            }
            check(&port);
        }
        console.reset().unwrap();
        while let Some(reclaimed) = port.reclaim() {
            keep(reclaimed);
        }
        check(&port);
        let counters = port.counters();
        sent += counters.sent;
        faults += counters.faults;
        bad_lengths += counters.bad_lengths;
        assert_eq!(counters.submitted, counters.sent + counters.unsent);
        assert_eq!((port.in_flight(), factory.alive()), (0, 0));
        assert_eq!(back.len() as u64, counters.submitted);
        drop(port);
        drop(console);
        assert_eq!(pages(), 0);
    }
    // The devices did what they were to do.
    assert!(
        sent > 1000 && faults > 10 && bad_lengths > 10,
        "{sent} {faults} {bad_lengths}"
    );
}
