//! What the handles say and keep: debug forms, plain questions, the time of quiet, spare blocks.

extern crate std;

use super::world::OneCpu;
use crate::platform::Platform;
use crate::ring::entry::{Entry, State};
use crate::sync::Global;
use crate::sync::step::with_hook;
use crate::{
    Channel, Geometry, Hooks, Loss, Mode, NoHooks, ObserveError, Packet, PacketStart, Records,
    StartError, Stopped, Storage, WriteError,
};
use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering};
use std::format;
use std::rc::Rc;
use std::vec::Vec;

/// A channel of three CPUs; the caller is the first.
fn channel() -> Channel<OneCpu, 3> {
    let channel = Channel::new(OneCpu::default(), &NoHooks);
    let geometry = Geometry::new(16, 2).unwrap();
    for cpu in 0..3 {
        let storage = Storage::allocate(&geometry).unwrap();
        channel.start(cpu, storage, geometry).unwrap();
    }
    channel
}

#[test]
fn a_channel_shows_how_many_cpus_it_has_room_for() {
    assert_eq!(channel().cpus(), 3);
    let shown = format!("{:?}", channel());
    assert!(shown.starts_with("Channel"), "{shown}");
    assert!(shown.contains('3'), "{shown}");
}

#[test]
fn a_global_channel_has_one_stream_whatever_its_cpus() {
    let channel = Channel::<OneCpu, 3, Global>::new(OneCpu::default(), &NoHooks);
    let geometry = Geometry::new(16, 2).unwrap();
    let start = |stream| {
        let storage = Storage::allocate(&geometry).unwrap();
        channel.start(stream, storage, geometry)
    };
    start(0).unwrap();
    for cpu in 1..4 {
        assert!(
            matches!(start(cpu), Err(StartError::NoSuchCpu { .. })),
            "{cpu}"
        );
        assert!(channel.reader(cpu).is_err(), "{cpu}");
    }
}

#[test]
fn a_ring_that_was_asked_for_is_due_until_the_stream_goes_on_in_it() {
    let channel = channel();
    let is_due = || channel.info(0).unwrap().is_resize_due;
    assert!(!is_due());
    let larger = Geometry::new(16, 4).unwrap();
    let storage = Storage::allocate(&larger).unwrap();
    channel.resize(0, storage, larger).unwrap();
    assert!(is_due());
    assert_ne!(channel.geometry(0), Some(larger));
    channel.tick();
    assert!(!is_due());
    assert_eq!(channel.geometry(0), Some(larger));
}

#[test]
fn an_entry_shows_its_three_parts() {
    let entry = Entry::new(5, State::Readable, 3);
    assert_eq!(format!("{entry:?}"), "packet 5 Readable block 3");
}

#[test]
fn a_reader_shows_whose_it_is_and_where_it_stands() {
    let channel = channel();
    let mut reader = channel.reader(0).unwrap();
    assert_eq!(format!("{reader:?}"), "Reader { cpu: 0, cursor: 0, .. }");
    channel.write(&[7; 16]).unwrap();
    let taken = reader.next_subbuf().unwrap();
    assert_eq!(format!("{reader:?}"), "Reader { cpu: 0, cursor: 1, .. }");
    let packet = taken.packet();
    assert_eq!(
        format!("{taken:?}"),
        format!("SubBuffer {{ packet: {packet:?}, .. }}")
    );
    for cpu in [1, 2] {
        assert_eq!(channel.reader(cpu).unwrap().cpu(), cpu);
    }
}

#[test]
fn readers_of_every_kind_show_where_they_stand() {
    let channel = channel();
    channel.write(&[7; 16]).unwrap();
    let mut observer = channel.observe(2).unwrap();
    assert_eq!(
        format!("{observer:?}"),
        "Observer { cpu: 2, cursor: 0, .. }"
    );
    observer = channel.observe(0).unwrap();
    observer.next_copy(&mut [0; 16]).unwrap().unwrap();
    assert_eq!(
        format!("{observer:?}"),
        "Observer { cpu: 0, cursor: 1, .. }"
    );
    let mut records = Records::new(channel.reader(0).unwrap());
    assert!(records.packet().is_none());
    records.next_run().unwrap();
    assert_eq!(records.packet().unwrap().records, 1);
    let shown = format!("{records:?}");
    assert!(shown.starts_with("Records { reader: Reader {"), "{shown}");
    // SAFETY: nobody uses it.
    assert_eq!(unsafe { Stopped::new(2) }.cpu(), 2);
}

#[test]
fn an_observer_asks_for_what_is_in_the_open_packet() {
    let channel = channel();
    channel.write(&[7; 5]).unwrap();
    let mut observer = channel.observe(0).unwrap();
    channel.tick();
    assert_eq!(observer.next_copy(&mut [0; 16]), Ok(None));
    observer.request_flush();
    channel.tick();
    assert!(observer.next_copy(&mut [0; 16]).unwrap().is_some());
    // Once.
    channel.write(&[7; 5]).unwrap();
    channel.tick();
    assert_eq!(observer.next_copy(&mut [0; 16]), Ok(None));
}

#[test]
fn what_is_overwritten_is_observed_with_a_spare_block_only() {
    let geometry = Geometry::new(16, 2).unwrap().with_mode(Mode::Continuous);
    let geometry = geometry.unwrap();
    let channel = Channel::<_, 1>::new(OneCpu::default(), &NoHooks);
    let storage = Storage::allocate(&geometry).unwrap();
    channel.start(0, storage, geometry).unwrap();
    channel.write(&[7; 16]).unwrap();
    let mut observer = channel.observe(0).unwrap();
    let (no_spares, mut into) = (Err(ObserveError::NoSpares), [0; 16]);
    assert_eq!(observer.next_copy(&mut into), no_spares);
    let last = observer.read_last(1, &mut into, |_, _| unreachable!());
    assert_eq!(last, Err(ObserveError::NoSpares));
}

#[test]
fn an_observer_may_sleep_while_there_is_nothing_to_copy() {
    let channel = channel();
    let mut observer = channel.observe(0).unwrap();
    let mut copy = [0; 16];
    for _ in 0..3 {
        assert!(observer.prepare_to_sleep());
        channel.write(&[7; 5]).unwrap();
        assert!(observer.prepare_to_sleep(), "its packet is open");
        channel.flush();
        assert!(!observer.prepare_to_sleep());
        assert_eq!(observer.next_copy(&mut copy).unwrap().unwrap().records, 1);
        while let Some(taken) = channel.reader(0).unwrap().next_subbuf() {
            drop(taken);
        }
    }
    channel.close().unwrap();
    assert!(!observer.prepare_to_sleep(), "nothing will wake it");
    assert_eq!(observer.next_copy(&mut copy).unwrap().unwrap().records, 0);
    assert!(!observer.prepare_to_sleep(), "nothing will wake it");
}

/// Counts how often a larger ring is asked for.
#[derive(Default)]
struct Asked(AtomicU64);

impl Hooks for Asked {
    fn needs_resize(&self, cpu: usize) {
        assert_eq!(cpu, 0);
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn the_peak_is_how_full_the_ring_was_in_quarters() {
    static TAKING: Asked = Asked(AtomicU64::new(0));
    static WAITING: Asked = Asked(AtomicU64::new(0));
    let geometry = Geometry::new(16, 8).unwrap();
    let [taking, waiting] = [&TAKING, &WAITING].map(|hooks| {
        let channel = Channel::<_, 1>::new(OneCpu::default(), hooks);
        let storage = Storage::allocate(&geometry).unwrap();
        channel.start(0, storage, geometry).unwrap();
        channel
    });
    for lap in 1..3 {
        for unread in 0..8 {
            taking.write(&[7; 16]).unwrap();
            waiting.write(&[7; 16]).unwrap();
            assert_eq!(taking.take_peak(0), unread / 2, "{unread} were unread");
        }
        for channel in [&taking, &waiting] {
            assert_eq!(channel.write(&[7; 16]), Err(WriteError::Lost(Loss::Full)));
        }
        assert_eq!(taking.take_peak(0), 4);
        assert_eq!(waiting.take_peak(0), 4);
        // For six, for seven, and for eight.
        assert_eq!(TAKING.0.load(Ordering::Relaxed), 3 * lap);
        assert_eq!(WAITING.0.load(Ordering::Relaxed), lap, "said once");
        for channel in [&taking, &waiting] {
            let mut reader = channel.reader(0).unwrap();
            while reader.next_subbuf().is_some() {}
        }
    }
}

#[test]
fn the_post_mortem_shows_what_it_finds() {
    let channel = channel();
    channel.write(&[7; 16]).unwrap();
    channel.write(&[8; 5]).unwrap();
    channel
        .reserve_with(6, |_| {
            channel.write(&[9; 2]).unwrap();
            look_at_complete_and_open(&channel);
        })
        .unwrap();
}

fn look_at_complete_and_open(channel: &Channel<OneCpu, 3>) {
    // SAFETY: the calling thread is the CPU, and writes nothing while the result is used.
    let stopped = unsafe { Stopped::new(0) };
    assert_eq!(format!("{stopped:?}"), "Stopped { cpu: 0 }");
    assert_eq!(stopped.cpu(), 0);
    let salvage = channel.salvage(stopped).unwrap();
    assert_eq!(
        format!("{salvage:?}"),
        "Salvage { cpu: 0, packet: 0, remaining: 2, .. }"
    );
    let packets: Vec<_> = salvage.collect();
    let [complete, open] = &packets[..] else {
        panic!("{packets:?}");
    };

    assert!(complete.is_complete() && !complete.is_cut());
    assert_eq!(
        (
            complete.packet().ordinal,
            complete.packet().records,
            complete.uncommitted()
        ),
        (0, 1, 0)
    );
    assert!(complete.committed().eq([&[7; 16][..]]));

    assert!(!open.is_complete() && !open.is_cut());
    assert_eq!(
        (
            open.packet().ordinal,
            open.packet().records,
            open.uncommitted()
        ),
        (1, 2, 1)
    );
    assert!(open.packet().begin_ticks > complete.packet().begin_ticks);
    assert!(open.committed().eq([&[8; 5][..], &[9; 2][..]]));
    let shown = format!("{open:?}");
    for part in [
        "SalvagedPacket",
        "ordinal: 1",
        "records: 2",
        "end: 13",
        "is_complete: false",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}

#[test]
fn the_post_mortem_tells_a_closed_packet_from_an_open_one() {
    let channel = channel();
    channel
        .reserve_with(6, |_| look_at_closed_and_open(&channel))
        .unwrap();
}

fn look_at_closed_and_open(channel: &Channel<OneCpu, 3>) {
    channel.write(&[8; 5]).unwrap();
    assert_eq!(channel.write(&[8; 17]), Err(WriteError::Lost(Loss::TooBig)));
    channel.flush();
    let closed_at = channel.platform().now();
    channel.write(&[9; 2]).unwrap();
    // SAFETY: as above.
    let packets: Vec<_> = channel
        .salvage(unsafe { Stopped::new(0) })
        .unwrap()
        .collect();
    let [closed, open] = &packets[..] else {
        panic!("{packets:?}");
    };
    assert!(closed.is_closed() && !closed.is_complete());
    assert!(!open.is_closed() && !open.is_complete());
    let (was, is) = (closed.packet(), open.packet());
    assert_eq!((was.records, was.content, closed.uncommitted()), (1, 5, 1));
    assert_eq!((is.records, is.content, open.uncommitted()), (1, 2, 0));
    assert!(was.begin_ticks < was.end_ticks && was.end_ticks < closed_at);
    assert_eq!(was.lost.get(Loss::TooBig), 1);
}

#[test]
fn the_newest_packets_are_copied_up_to_one_that_does_not_fit() {
    let channel = channel();
    channel.write(&[1; 9]).unwrap();
    channel.flush();
    channel.write(&[2; 3]).unwrap();
    channel.flush();
    let observer = channel.observe(0).unwrap();
    let mut seen = Vec::new();
    let mut last = |into: &mut [u8]| observer.read_last(2, into, |_, bytes| seen.push(bytes[0]));
    assert_eq!(last(&mut [0; 5]), Ok(1));
    let too_small = ObserveError::TooSmall {
        given: 2,
        needed: 3,
    };
    assert_eq!(last(&mut [0; 2]), Err(too_small));
    let said = [too_small, ObserveError::Busy, ObserveError::NoSpares].map(|e| format!("{e}"));
    assert!(said[0].contains("3 bytes") && said[0].contains("room for 2"));
    assert!(said[1].contains("try again") && said[2].contains("spare"));
    assert_eq!(last(&mut [0; 9]), Ok(2));
    assert_eq!(seen, [2, 2, 1]);
}

#[test]
fn the_time_of_quiet_is_that_of_the_last_tick_with_nothing_under_way() {
    let channel = channel();
    let reader = channel.reader(0).unwrap();
    let tick = || {
        let before = channel.platform().now();
        channel.tick();
        before..channel.platform().now()
    };
    assert_eq!(reader.quiet_since(), 0, "before any tick");
    assert!(tick().contains(&reader.quiet_since()));
    channel
        .reserve_with(5, |_| {
            let quiet = reader.quiet_since();
            tick();
            assert_eq!(reader.quiet_since(), quiet, "a record is under way");
        })
        .unwrap();
    let quiet = reader.quiet_since();
    tick();
    assert_eq!(reader.quiet_since(), quiet, "its packet is open");
    channel.flush();
    assert!(tick().contains(&reader.quiet_since()));
}

#[test]
fn a_spare_block_comes_back_with_what_it_was_exchanged_for() {
    let geometry = Geometry::new(16, 2).unwrap().with_spares(1).unwrap();
    let channel = Channel::<_, 1>::new(OneCpu::default(), &NoHooks);
    let storage = Storage::allocate(&geometry).unwrap();
    channel.start(0, storage, geometry).unwrap();
    let mut reader = channel.reader(0).unwrap();
    channel.write(&[0; 16]).unwrap();
    for number in 1..20 {
        // One is held, and two more are written, of which the second goes to the spare block.
        let held = reader.next_subbuf().unwrap();
        channel.write(&[number; 16]).unwrap();
        channel.write(&[0xEE; 16]).unwrap();
        let full = Err(WriteError::Lost(Loss::Full));
        assert_eq!(channel.write(&[0xEE; 16]), full);
        assert_eq!(held.records()[0], number - 1);
        drop(held);
        let next = reader.next_subbuf().unwrap();
        assert_eq!(next.records(), [number; 16]);
        drop(next);
        assert_eq!(reader.next_subbuf().unwrap().records(), [0xEE; 16]);
        channel.write(&[number; 16]).unwrap();
    }
}

/// Notes which CPU's number it hears, with which bit.
struct Numbers([AtomicU64; 5]);

impl Numbers {
    fn note(&self, what: usize, cpu: usize) {
        self.0[what].fetch_or(1 << cpu, Ordering::Relaxed);
    }
}

impl Hooks for Numbers {
    fn channel_start(&self, _: &mut [u8], start: &PacketStart) {
        self.note(0, start.cpu);
    }

    fn buffer_start(&self, _: &mut [u8], start: &PacketStart) {
        self.note(1, start.cpu);
    }

    fn buffer_end(&self, _: &mut [u8], _: &mut [u8], packet: &Packet) {
        self.note(2, packet.cpu);
    }

    fn deliver(&self, cpu: usize) {
        self.note(3, cpu);
    }

    fn needs_resize(&self, cpu: usize) {
        self.note(4, cpu);
    }
}

#[test]
fn a_client_hears_the_number_of_the_cpu() {
    static HEARD: Numbers = Numbers([const { AtomicU64::new(0) }; 5]);
    let geometry = Geometry::new(32, 2)
        .and_then(|geometry| geometry.with_reserves(4, 4))
        .and_then(|geometry| geometry.with_channel_start_reserve(4))
        .unwrap();
    for cpu in 0..3 {
        let channel = Channel::<_, 3>::new(OneCpu::numbered(cpu), &HEARD);
        let storage = Storage::allocate(&geometry).unwrap();
        channel.start(cpu, storage, geometry).unwrap();
        let mut reader = channel.reader(cpu).unwrap();
        assert!(reader.prepare_to_sleep());
        while channel.write(&[7]).is_ok() {}
        for heard in &HEARD.0 {
            assert_eq!(heard.swap(0, Ordering::Relaxed), 1 << cpu);
        }
        assert_eq!(channel.platform().take_woken(), [cpu]);
        assert_eq!(reader.next_subbuf().unwrap().packet().cpu, cpu);
    }
}

/// What fits behind the last record takes one swap and no search, also while another record is
/// under way: the steps are counted. (Instructions are, by a test of their own.)
#[test]
fn what_fits_goes_the_fast_way() {
    let geometry = Geometry::new(256, 2).unwrap();
    let channel = Channel::<_, 1>::new(OneCpu::default(), &NoHooks);
    let storage = Storage::allocate(&geometry).unwrap();
    channel.start(0, storage, geometry).unwrap();
    // The open packet is not the first.
    channel.write(&[0; 256]).unwrap();
    channel.write(&[0; 8]).unwrap();
    let ways: [&dyn Fn(); 5] = [
        &|| channel.write(&[1; 8]).unwrap(),
        &|| channel.write_array(&[2; 8]).unwrap(),
        &|| channel.write_event(3, &[]).unwrap(),
        &|| channel.write_event_array(4, &[]).unwrap(),
        &|| channel.reserve_with(8, |_| ()).unwrap(),
    ];
    for write in ways {
        // What is nested looks whether the CPU has joined and the outermost place is taken, and
        // tries the next ones.
        nested_in(&channel, 0, &|depth| {
            let most = [16, 20, 21][depth];
            let steps = Rc::new(Cell::new(0));
            let count = Rc::clone(&steps);
            with_hook(move || count.set(count.get() + 1), write);
            assert!(steps.get() <= most, "{depth}: {} steps", steps.get());
        });
    }
}

/// Runs `body` while 0, 1 and 2 records are under way.
fn nested_in(channel: &Channel<OneCpu, 1>, depth: usize, body: &dyn Fn(usize)) {
    body(depth);
    if depth < 2 {
        let inner = |_: &mut crate::Slot<'_>| nested_in(channel, depth + 1, body);
        channel.reserve_with(4, inner).unwrap();
    }
}
