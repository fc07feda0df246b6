//! What the device says of its ports, and of itself.

use super::*;
use crate::arch::handlers::Device as _;

#[test]
fn nothing_is_sent_while_the_host_has_the_port_closed() {
    let fake = Fake::new(&[(1, "klog-1", false)]);
    let mut console = start(&fake).unwrap();
    let mut port: Port<Fake, Parcel> = console.open(1, None).unwrap();
    let factory = Factory::default();
    talk(&fake, &mut console).unwrap();
    assert!(
        fake.state()
            .heard
            .iter()
            .any(|heard| heard.event == event::PORT_OPEN)
    );
    let rejected = port.submit(factory.parcel(b"x")).unwrap_err();
    assert_eq!(rejected.refusal, Refusal::HostClosed);

    fake.state().say(1, event::PORT_OPEN, 1, b"");
    talk(&fake, &mut console).unwrap();
    assert!(port.is_host_open());
    port.submit(rejected.buffer).unwrap();
    fake.state().say(1, event::PORT_OPEN, 0, b"");
    talk(&fake, &mut console).unwrap();
    let refusal = port.submit(factory.parcel(b"x")).unwrap_err().refusal;
    assert_eq!(refusal, Refusal::HostClosed);
    assert_eq!(port.is_dead(), None);
}

#[test]
fn a_host_that_comes_back_is_told_from_one_that_comes() {
    let fake = Fake::new(&[(1, "klog-1", false)]);
    let mut console = start(&fake).unwrap();
    let mut port: Port<Fake, Parcel> = console.open(1, None).unwrap();
    let factory = Factory::default();
    talk(&fake, &mut console).unwrap();
    let mut open = |open: u16| {
        fake.state().say(1, event::PORT_OPEN, open, b"");
        talk(&fake, &mut console).unwrap();
    };
    assert_eq!(port.take_return(), None);
    open(1);
    assert_eq!(port.take_return(), None, "it comes");
    send(&mut port, &factory, b"x");
    send(&mut port, &factory, b"y");
    open(0);
    // The device gives back what nobody will read.
    fake.consume(1);
    assert_eq!(reclaim_sent(&mut port).len(), 2);
    assert_eq!(port.take_return(), None, "it is away");
    open(1);
    assert_eq!(port.take_return(), Some(2), "it comes back");
    assert_eq!(port.take_return(), None, "once");
    open(1);
    assert_eq!(port.take_return(), None, "it was there");
    open(0);
    open(1);
    assert_eq!(
        port.take_return(),
        Some(0),
        "also where nobody looked meanwhile"
    );
}

#[test]
fn ports_come_and_go() {
    let (fake, mut console, mut port, factory) = started();
    send(&mut port, &factory, b"x");
    fake.state().ports.push((7, "trace-7", true));
    fake.state().say(7, event::DEVICE_ADD, 1, b"");
    fake.state().say(1, event::DEVICE_REMOVE, 1, b"");
    talk(&fake, &mut console).unwrap();
    let ids: Vec<usize> = console.ports().map(|port| port.id).collect();
    assert_eq!(ids, [0, 7]);
    assert!(console.open::<Parcel>(7, None).is_ok());

    assert_eq!(port.is_dead(), Some(Dead::Removed));
    let refusal = port.submit(factory.parcel(b"y")).unwrap_err().refusal;
    assert_eq!(refusal, Refusal::Dead(Dead::Removed));
    // What the device gives back on the way is taken.
    fake.consume(1);
    assert_eq!(reclaim_sent(&mut port), [b"x"]);
    assert_eq!(
        console.open::<Parcel>(1, None).unwrap_err(),
        OpenError::NoSuchPort { id: 1 }
    );
}

#[test]
fn senseless_messages_are_counted() {
    let (fake, mut console, mut port, factory) = started();
    let mut long = vec![b'n'; 200];
    long[..8].copy_from_slice(&[1, 0, 0, 0, 7, 0, 1, 0]);
    let messages: [(&[u8], u32); 6] = [
        (&[], 0),
        (&[0xff; 7], 7),
        (&[0xff; 8], 8),
        (&[0xff; 8], u32::MAX),
        (&long, 200),
        // It claims to have written what it has not.
        (&[1, 0, 0, 0, 8, 0, 1, 0], 100),
    ];
    for (message, claimed) in messages {
        fake.state().say_bytes(message, claimed);
    }
    talk(&fake, &mut console).unwrap();
    assert_eq!(console.malformed_messages(), messages.len() as u64);
    assert_eq!(port.name(), "klog-1");
    send(&mut port, &factory, b"x");
    assert_eq!(fake.consume(1), b"x");
    // There are as many buffers for messages as before.
    for _ in 0..32 {
        fake.state().say(1, event::RESIZE, 1, b"");
    }
    talk(&fake, &mut console).unwrap();
    assert_eq!(fake.state().dropped, 0);
}

#[test]
fn a_broken_control_queue_leaves_open_ports_alone() {
    for queue in [control::RECEIVE, control::TRANSMIT] {
        let (fake, mut console, mut port, factory) = started();
        talk(&fake, &mut console).unwrap();
        fake.state().queues[usize::from(queue)].push(77, 8);
        let fault = QueueFault::NotInFlight { id: 77 };
        assert_eq!(console.poll(), Err(Error::Control(fault)));
        assert_eq!(console.poll(), Err(Error::Control(fault)));
        send(&mut port, &factory, b"x");
        assert_eq!(fake.consume(1), b"x");
        assert_eq!(reclaim_sent(&mut port), [b"x"]);
    }
}

#[test]
fn a_device_that_wants_a_reset_gets_one() {
    let (fake, mut console, mut port, factory) = started();
    send(&mut port, &factory, b"x");
    fake.state().status |= 64;
    assert_eq!(console.poll(), Err(Error::NeedsReset));
    assert_eq!(fake.state().status, 0);
    assert!(matches!(port.reclaim(), Some(Reclaimed::Unsent(_))));
    assert_eq!(console.poll(), Ok(()));
    assert_eq!(console.ports().count(), 2);
}

#[test]
fn a_device_whose_memory_is_the_platforms_is_accepted_as_that() {
    let fake = Fake::new(&[(0, "klog-0", true)]);
    // QEMU's `iommu_platform=on`: it insists that drivers know.
    fake.state().features |= 1 << 33;
    fake.state().insists = 1 << 33;
    let console = start(&fake).unwrap();
    assert_eq!(console.ports().count(), 1);
    assert_eq!(fake.state().accepted, 1 << 33 | 1 << 32 | 1 << 1);
}

#[test]
fn devices_that_cannot_be_used_are_refused() {
    let refuse = |change: &dyn Fn(&Fake)| {
        let fake = Fake::new(&[(0, "klog-0", true)]);
        change(&fake);
        let before = pages();
        let error = start(&fake).map(drop).unwrap_err();
        (error, fake.state().status, pages() - before)
    };
    assert_eq!(
        refuse(&|fake| fake.state().resets = false),
        (Error::NoReset, 0xf, 0)
    );
    assert_eq!(
        refuse(&|fake| fake.state().features = 2),
        (Error::Legacy, 0, 0)
    );
    assert_eq!(
        refuse(&|fake| fake.state().accepts = false),
        (Error::Features, 0, 0)
    );
    assert_eq!(
        refuse(&|fake| fake.state().listens = false),
        (Error::Silent, 0, 0)
    );
    let missing = QueueError::Missing { index: 2 };
    let (error, status, _) = refuse(&|fake| fake.state().sizes[2] = 0);
    assert_eq!((error, status), (Error::Queue(missing), 0));
    let small = QueueError::Small {
        index: 3,
        offered: 7,
    };
    let (error, status, _) = refuse(&|fake| fake.state().sizes[3] = 7);
    assert_eq!((error, status), (Error::Queue(small), 0));
    let no_doorbell = QueueError::NoDoorbell { index: 2 };
    let (error, status, _) = refuse(&|fake| fake.state().doorbells = 2);
    assert_eq!((error, status), (Error::Queue(no_doorbell), 0));
}

#[test]
fn a_device_that_never_stops_talking_is_refused() {
    let fake = Fake::new(&[(0, "klog-0", true)]);
    let hand = fake.clone();
    let mut now = 0;
    let mut chatter = || {
        let mut state = hand.state();
        state.converse();
        state.say(0, event::PORT_OPEN, 1, b"");
        now += 1;
        now
    };
    let refused = Driver::new(fake.clone(), &mut chatter).map(drop);
    assert_eq!(refused, Err(Error::Endless));
    assert_eq!(fake.state().status, 0, "it was reset");
}

#[test]
fn ports_without_a_usable_queue_are_refused() {
    let fake = Fake::new(&[(0, "a", true), (1, "b", true), (2, "c", true)]);
    fake.state().sizes[5] = 4;
    fake.state().sizes[7] = 100;
    fake.state().max_ports = u32::MAX;
    let mut console = start(&fake).unwrap();
    let error = console.open::<Parcel>(1, None).unwrap_err();
    let small = QueueError::Small {
        index: 5,
        offered: 4,
    };
    assert_eq!(error, OpenError::Queue(small));
    // Not a power of two: the greatest that is smaller.
    assert_eq!(console.open::<Parcel>(2, None).unwrap().depth(), 64);
    assert_eq!(
        console.open::<Parcel>(32, None).unwrap_err(),
        OpenError::NoSuchPort { id: 32 }
    );
}

#[test]
fn a_device_without_multiport_has_one_port() {
    let fake = Fake::new(&[]);
    fake.state().features = 1 << 32;
    let mut console = start(&fake).unwrap();
    assert_eq!(console.ports().count(), 1);
    let mut port: Port<Fake, Parcel> = console.open(0, None).unwrap();
    let factory = Factory::default();
    send(&mut port, &factory, b"x");
    assert_eq!(fake.consume(0), b"x");
    assert_eq!(reclaim_sent(&mut port), [b"x"]);
    talk(&fake, &mut console).unwrap();
}

#[test]
fn every_port_has_an_interrupt_of_its_own_as_far_as_they_reach() {
    let fake = Fake::new(&[(0, "a", true), (1, "b", true), (2, "c", true)]);
    fake.state().interrupts = 3;
    let mut console = start(&fake).unwrap();
    let interrupt = |port| fake.transmit(port, |queue| queue.interrupt);
    assert_eq!([0, 1, 2].map(interrupt), [Some(1), Some(2), None]);
    assert_eq!(fake.state().queues[2].interrupt, Some(0));
    let target = Target {
        apic_id: 3,
        vector: 0x61,
    };
    let mut port: Port<Fake, Parcel> = console.open(1, Some(target)).unwrap();
    assert!(port.has_interrupt());
    assert_eq!(fake.state().routes, [(2, target)]);
    console.port_line(1).unwrap().on_interrupt();
    assert!(port.take_signal() && !port.take_signal());
    assert_eq!(port.counters().interrupts, 1);
    assert!(port.reclaim().is_none());

    assert!(console.port_line(2).is_none());
    assert!(
        !console
            .open::<Parcel>(2, Some(target))
            .unwrap()
            .has_interrupt()
    );
}

#[test]
fn a_device_that_will_not_interrupt_is_polled() {
    let fake = Fake::new(&[(0, "a", true)]);
    fake.state().raises = false;
    let mut console = start(&fake).unwrap();
    assert!(console.control_line().is_none() && console.port_line(0).is_none());
    let target = Target {
        apic_id: 0,
        vector: 0x60,
    };
    let mut port: Port<Fake, Parcel> = console.open(0, Some(target)).unwrap();
    assert!(!port.has_interrupt() && fake.state().routes.is_empty());
    let factory = Factory::default();
    send(&mut port, &factory, b"x");
    assert_eq!(fake.consume(0), b"x");
    assert_eq!(reclaim_sent(&mut port), [b"x"]);
}
