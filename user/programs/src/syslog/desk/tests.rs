//! A kernel that is played: streams, marks, and a way to syslog; and programs that die in the middle
//! of any call.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::format;
use std::rc::Rc;
use std::string::{String, ToString as _};
use std::vec;

use super::*;
use crate::syslog::feed::Held;
use relay_format::Context;
use relay_format::packet::{Header, MAGIC, SIZE};
use relay_format::stamp::Stamp;

extern crate std;

/// Ticks per second, and when the tests begin.
const HZ: u64 = 1_000_000_000;
const BEGIN: u64 = 10 * HZ;

/// Records of klog: each says which it is.
fn record(ticks: u64, message: &str) -> Vec<u8> {
    let mut bytes = Stamp::new(1, Context::Task, ticks).to_bytes().to_vec();
    bytes.push(6);
    bytes.extend(1_u32.to_le_bytes());
    for length in [1, 1, message.len()] {
        bytes.extend((length as u16).to_le_bytes());
    }
    bytes.extend(b"mf");
    bytes.extend(message.as_bytes());
    bytes
}

/// A packet of records written at these times, the first with this number.
fn packet(cpu: usize, first: u64, times: &[u64]) -> Vec<u8> {
    let records: Vec<u8> = (first..)
        .zip(times)
        .flat_map(|(number, ticks)| record(*ticks, &format!("record {number} of {cpu}")))
        .collect();
    let header = Header {
        magic: MAGIC,
        stream_id: 1,
        cpu_id: cpu as u32,
        timestamp_begin: times.first().copied().unwrap_or(0),
        timestamp_end: times.last().copied().unwrap_or(0),
        content_size: (SIZE + records.len()) as u64 * 8,
        ordinal: first,
        records: times.len() as u64,
        ..Header::default()
    };
    [&header.to_bytes()[..], &records].concat()
}

/// The streams and syslog, as they are whoever dies.
#[derive(Default)]
struct Kernel {
    streams: Vec<Source>,
    /// What syslog was told.
    said: Vec<u8>,
    /// How many writes it takes before it has no room.
    room: u64,
    /// After so many calls the program dies, in the middle of one: before it has done anything, or
    /// when it has.
    fuse: Option<u64>,
    is_late: bool,
    calls: u64,
}

#[derive(Default)]
struct Source {
    /// Packets that nobody has, in order.
    waiting: VecDeque<Vec<u8>>,
    /// Packets that were handed on.
    gone: Vec<Vec<u8>>,
    mark: u64,
    quiet: u64,
    /// How many may be handed on before the outlet is full.
    outlet: u64,
    is_ended: bool,
}

type Shared = Rc<RefCell<Kernel>>;

/// A call of the kernel: does it, unless the program dies before; dies perhaps behind it.
fn call<R>(kernel: &Shared, act: impl FnOnce(&mut Kernel) -> Result<R, Error>) -> Result<R, Error> {
    let mut kernel = kernel.borrow_mut();
    kernel.calls += 1;
    let dies = match &mut kernel.fuse {
        Some(0) => true,
        Some(left) => {
            *left -= 1;
            false
        }
        None => false,
    };
    if dies && !kernel.is_late {
        return Err(Error::Killed);
    }
    let done = act(&mut kernel);
    if dies { Err(Error::Killed) } else { done }
}

struct Played {
    kernel: Shared,
    number: usize,
}

/// A packet that is held: it goes back to the front.
struct PlayedPacket {
    kernel: Shared,
    number: usize,
    bytes: Vec<u8>,
    is_held: bool,
    is_seen: bool,
}

impl Stream for Played {
    type Packet = PlayedPacket;

    fn handle(&self) -> u32 {
        self.number as u32
    }

    fn take(&self) -> Result<PlayedPacket, Error> {
        let mut packet = PlayedPacket {
            kernel: self.kernel.clone(),
            number: self.number,
            bytes: Vec::new(),
            is_held: false,
            is_seen: self.number.is_multiple_of(2),
        };
        let taken = call(&self.kernel, |kernel| {
            let stream = &mut kernel.streams[self.number];
            match stream.waiting.pop_front() {
                Some(bytes) => {
                    packet.bytes = bytes;
                    packet.is_held = true;
                    Ok(())
                }
                None if stream.is_ended => Err(Error::Ended),
                None => Err(Error::Again),
            }
        });
        taken.map(|()| packet)
    }

    fn quiet_since(&self) -> Result<u64, Error> {
        call(&self.kernel, |kernel| Ok(kernel.streams[self.number].quiet))
    }
}

impl Held for PlayedPacket {
    fn bytes(&self) -> Option<&[u8]> {
        self.is_seen.then_some(&self.bytes)
    }

    fn copy(&self) -> Result<Vec<u8>, Error> {
        call(&self.kernel, |_| Ok(self.bytes.clone()))
    }

    fn submit(mut self) -> Result<(), (Error, Self)> {
        let bytes = self.bytes.clone();
        let submitted = call(&self.kernel, |kernel| {
            let stream = &mut kernel.streams[self.number];
            stream.outlet = stream.outlet.checked_sub(1).ok_or(Error::Again)?;
            stream.gone.push(bytes);
            self.is_held = false;
            Ok(())
        });
        submitted.map_err(|error| (error, self))
    }
}

impl Drop for PlayedPacket {
    fn drop(&mut self) {
        if self.is_held {
            let bytes = core::mem::take(&mut self.bytes);
            let mut kernel = self.kernel.borrow_mut();
            let waiting = &mut kernel.streams[self.number].waiting;
            // The kernel puts them back in their order.
            let number = header(&bytes).packet_seq_num;
            let is_behind = |other: &Vec<u8>| header(other).packet_seq_num > number;
            let place = waiting.iter().position(is_behind);
            waiting.insert(place.unwrap_or(waiting.len()), bytes);
        }
    }
}

struct PlayedWay(Shared);

impl Way for PlayedWay {
    fn write(&mut self, messages: &[u8], marks: &[Mark]) -> Result<(), Error> {
        call(&self.0, |kernel| {
            if !messages.is_empty() {
                kernel.room = kernel.room.checked_sub(1).ok_or(Error::Again)?;
            }
            for mark in marks {
                let stream = &mut kernel.streams[mark.file as usize];
                assert!(mark.told >= stream.mark, "a mark never goes back");
                stream.mark = mark.told;
            }
            kernel.said.extend(messages);
            Ok(())
        })
    }

    fn has_room(&mut self) -> bool {
        self.0.borrow().room != 0
    }

    fn handle(&self) -> u32 {
        99
    }
}

/// A kernel with streams of these packets, which will be no more, and a way that takes everything.
fn kernel(streams: &[Vec<Vec<u8>>]) -> Shared {
    let streams = streams.iter().map(|packets| Source {
        waiting: packets.iter().cloned().collect(),
        quiet: u64::MAX,
        outlet: u64::MAX,
        is_ended: true,
        ..Source::default()
    });
    let kernel = Kernel {
        streams: streams.collect(),
        room: u64::MAX,
        ..Kernel::default()
    };
    Rc::new(RefCell::new(kernel))
}

/// A program that is started: it finds the marks.
fn start(kernel: &Shared, has_way: bool) -> Desk<Played, PlayedWay> {
    let marks: Vec<_> = {
        let kernel = kernel.borrow();
        kernel.streams.iter().map(|stream| stream.mark).collect()
    };
    let feeds = marks.into_iter().enumerate().map(|(number, told)| {
        let stream = Played {
            kernel: kernel.clone(),
            number,
        };
        Feed::new(stream, "klog", number as u64, told, 4)
    });
    let classes = Classes::new(format!("\n    freq = {HZ};\n")).expect("it is metadata");
    let way = has_way.then(|| PlayedWay(kernel.clone()));
    Desk::new(feeds.collect(), way, classes, Clock::new(HZ, Some(0)))
}

/// Runs until nothing moves any more.
fn run(desk: &mut Desk<Played, PlayedWay>, now: u64) -> Result<Turn, Error> {
    loop {
        let turn = desk.turn(now)?;
        if !turn.has_moved {
            return Ok(turn);
        }
    }
}

/// The CPU, number and time of each message that was told.
fn said(kernel: &Shared) -> Vec<(usize, u64, String)> {
    let bytes = kernel.borrow().said.clone();
    let mut rest = core::str::from_utf8(&bytes).expect("it is UTF-8");
    let mut all = Vec::new();
    while let Some((length, behind)) = rest.split_once(' ') {
        let (message, behind) = behind.split_at(length.parse().expect("it is a length"));
        let value = |name: &str| {
            let (_, value) = message
                .split_once(&format!("{name}=\""))
                .expect("it has one");
            value.split('"').next().expect("it ends").to_string()
        };
        let (cpu, number) = (value("cpu"), value("number"));
        assert!(
            message.ends_with(&format!("] record {number} of {cpu}")),
            "{message}"
        );
        let time = message.split(' ').nth(1).expect("it has one");
        let [cpu, number] = [cpu, number].map(|text| text.parse::<u64>().expect("a number"));
        all.push((cpu as usize, number, time.into()));
        rest = behind;
    }
    assert!(rest.is_empty());
    all
}

/// That syslog was told of each record of each stream once, in order, and that all packets are gone,
/// once, in order.
fn assert_each_once(kernel: &Shared, streams: &[Vec<Vec<u8>>]) {
    let mut numbers = BTreeMap::<usize, Vec<u64>>::new();
    for (cpu, number, _) in said(kernel) {
        numbers.entry(cpu).or_default().push(number);
    }
    for (cpu, packets) in streams.iter().enumerate() {
        let count = packets
            .iter()
            .map(|packet| header(packet).records)
            .sum::<u64>();
        let told = numbers.remove(&cpu).unwrap_or_default();
        assert_eq!(told, (0..count).collect::<Vec<_>>(), "cpu {cpu}");
        let kernel = kernel.borrow();
        let numbers = |packets: &[Vec<u8>]| -> Vec<_> {
            let number = |packet: &Vec<u8>| header(packet).packet_seq_num;
            packets.iter().map(number).collect()
        };
        assert_eq!(
            numbers(&kernel.streams[cpu].gone),
            numbers(packets),
            "cpu {cpu}"
        );
        assert!(kernel.streams[cpu].gone == *packets, "cpu {cpu}");
        assert_eq!(kernel.streams[cpu].mark, count);
    }
}

fn header(packet: &[u8]) -> Header {
    Header::from_bytes(packet.first_chunk().expect("it is one"))
}

/// Numbers that are always the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

/// Streams with packets of records at random times.
fn streams(dice: &mut Dice, cpus: usize, packets: u64) -> Vec<Vec<Vec<u8>>> {
    let mut stream = |cpu| {
        let (mut time, mut number) = (BEGIN, 0);
        let mut packets_of = Vec::new();
        for _ in 0..dice.below(packets + 1) {
            let count = dice.below(5);
            let times: Vec<u64> = (0..count)
                .map(|_| {
                    time += dice.below(3) * 1000;
                    time
                })
                .collect();
            packets_of.push(packet(cpu, number, &times));
            number += count;
        }
        packets_of
    };
    let mut all: Vec<_> = (0..cpus).map(&mut stream).collect();
    all.iter_mut().for_each(|packets| count(packets));
    all
}

/// Gives packets their numbers in the stream.
fn count(packets: &mut [Vec<u8>]) {
    for (number, packet) in packets.iter_mut().enumerate() {
        let numbered = Header {
            packet_seq_num: number as u64,
            ..header(packet)
        };
        packet[..SIZE].copy_from_slice(&numbered.to_bytes());
    }
}

#[test]
fn each_record_is_told_once_in_the_order_of_time() {
    for seed in 0..200 {
        let streams = streams(&mut Dice(seed), 4, 12);
        let kernel = kernel(&streams);
        let mut desk = start(&kernel, true);
        run(&mut desk, BEGIN).expect("nobody dies");
        assert!(desk.is_done());
        assert_each_once(&kernel, &streams);
        let times: Vec<_> = said(&kernel).into_iter().map(|(.., time)| time).collect();
        assert!(times.is_sorted(), "seed {seed}");
        assert_eq!(desk.counts(), [times.len() as u64, 0]);
    }
}

#[test]
fn whoever_dies_wherever_nothing_is_told_twice_or_never() {
    let mut deaths = 0;
    for seed in 0..6 {
        let streams = streams(&mut Dice(seed), 3, 6);
        let whole = {
            let kernel = kernel(&streams);
            run(&mut start(&kernel, true), BEGIN).expect("nobody dies");
            kernel.borrow().calls
        };
        for is_late in [false, true] {
            // Dies once, in each of its calls; then again and again, after so many.
            for (fuse, again) in (0..whole)
                .map(|fuse| (fuse, None))
                .chain((3..40).map(|n| (n, Some(n))))
            {
                let kernel = kernel(&streams);
                kernel.borrow_mut().is_late = is_late;
                kernel.borrow_mut().fuse = Some(fuse);
                let mut lives = 0;
                loop {
                    let mut desk = start(&kernel, true);
                    lives += 1;
                    match run(&mut desk, BEGIN) {
                        Ok(_) => break,
                        Err(error) => assert_eq!(error, Error::Killed),
                    }
                    deaths += 1;
                    drop(desk);
                    // It gets on, however short it lives: some calls are needed for that.
                    let left = again.map(|fuse| fuse + lives);
                    kernel.borrow_mut().fuse = left;
                }
                assert_each_once(&kernel, &streams);
            }
        }
    }
    assert!(deaths > 1000, "{deaths}");
}

#[test]
fn what_may_still_come_is_waited_for_and_not_for_long() {
    let streams = vec![vec![packet(0, 0, &[BEGIN + 10, BEGIN + 30])], vec![]];
    let kernel = kernel(&streams);
    {
        let mut kernel = kernel.borrow_mut();
        for stream in &mut kernel.streams {
            (stream.is_ended, stream.quiet) = (false, BEGIN + 5);
        }
    }
    let mut desk = start(&kernel, true);
    let held = run(&mut desk, BEGIN + 50).expect("nobody dies");
    assert!(held.is_holding && said(&kernel).is_empty());
    assert!(!desk.is_caught_up(BEGIN));
    // What comes is older than the second.
    kernel.borrow_mut().streams[1].quiet = BEGIN + 20;
    assert!(run(&mut desk, BEGIN + 50).expect("nobody dies").is_holding);
    assert_eq!(said(&kernel).len(), 1);
    let late = packet(1, 0, &[BEGIN + 25]);
    kernel.borrow_mut().streams[1].waiting.push_back(late);
    run(&mut desk, BEGIN + 50).expect("nobody dies");
    assert_eq!(said(&kernel).len(), 2);
    // Nothing comes for too long.
    let turn = run(&mut desk, BEGIN + 30 + PATIENCE_NS).expect("nobody dies");
    assert!(!turn.is_holding);
    let order: Vec<_> = said(&kernel).into_iter().map(|(cpu, ..)| cpu).collect();
    assert_eq!(order, [0, 1, 0]);
    // Of both it is known what was written before.
    assert!(desk.is_caught_up(BEGIN + 5));
    assert!(!desk.is_caught_up(BEGIN + 6));
    kernel.borrow_mut().streams[1].quiet = BEGIN + 50;
    run(&mut desk, BEGIN + 50).expect("nobody dies");
    assert!(!desk.is_caught_up(BEGIN + 6));
    kernel.borrow_mut().streams[0].is_ended = true;
    run(&mut desk, BEGIN + 50).expect("nobody dies");
    assert!(desk.is_caught_up(BEGIN + 50));
}

#[test]
fn a_stream_that_holds_all_it_can_is_not_held_back() {
    let packets = (0..9).map(|number| packet(0, number, &[BEGIN + 10 + number]));
    let streams = vec![packets.collect(), vec![]];
    let kernel = kernel(&streams);
    kernel.borrow_mut().streams[1].is_ended = false;
    kernel.borrow_mut().streams[1].quiet = 0;
    let mut desk = start(&kernel, true);
    let turn = run(&mut desk, BEGIN + 50).expect("nobody dies");
    // Of what it can hold at once it has none again; the last one is held back.
    assert!(turn.is_holding);
    let gone = kernel.borrow().streams[0].gone.len();
    assert_eq!((gone, said(&kernel).len()), (8, 8));
}

#[test]
fn nobody_waits_for_syslog() {
    let twos = |number| packet(0, number * 2, &[BEGIN + number, BEGIN + number]);
    let streams = vec![(0..3).map(twos).collect()];
    let kernel = kernel(&streams);
    kernel.borrow_mut().room = 0;
    let mut desk = start(&kernel, true);
    run(&mut desk, BEGIN).expect("nobody dies");
    assert_eq!(
        kernel.borrow().streams[0].gone.len(),
        0,
        "it may take some soon"
    );
    let mut items = Vec::new();
    desk.wanted(&mut items, 64);
    assert!(items.iter().any(|item| item.handle == 99));
    run(&mut desk, BEGIN + STUCK_NS - 1).expect("nobody dies");
    assert_eq!(kernel.borrow().streams[0].gone.len(), 0);
    run(&mut desk, BEGIN + STUCK_NS).expect("nobody dies");
    assert_eq!(kernel.borrow().streams[0].gone.len(), 3);
    assert_eq!(
        (desk.counts(), kernel.borrow().streams[0].mark),
        ([0, 6], 6)
    );
    // It is there again: what comes now is told.
    kernel.borrow_mut().room = 10;
    kernel.borrow_mut().streams[0]
        .waiting
        .push_back(packet(0, 6, &[BEGIN + 9]));
    let mut desk = start(&kernel, true);
    run(&mut desk, BEGIN + STUCK_NS).expect("nobody dies");
    assert_eq!((desk.counts(), said(&kernel).len()), ([1, 0], 1));
}

#[test]
fn the_capture_waits_for_syslog_no_longer_than_a_moment() {
    let ones = |number| packet(0, number, &[BEGIN + number]);
    let kernel = kernel(&[(0..6).map(ones).collect()]);
    kernel.borrow_mut().room = 0;
    let mut desk = start(&kernel, true);
    for (after, gone) in [(0, 0), (MOMENT_NS - 1, 0), (MOMENT_NS, 6)] {
        run(&mut desk, BEGIN + after).expect("nobody dies");
        assert_eq!(kernel.borrow().streams[0].gone.len(), gone, "{after}");
    }
    assert_eq!(desk.counts(), [0, 6]);
}

#[test]
fn a_deaf_syslog_is_told_again_when_it_listens() {
    let streams = vec![vec![packet(0, 0, &[BEGIN])]];
    let kernel = kernel(&streams);
    kernel.borrow_mut().room = 0;
    kernel.borrow_mut().streams[0].is_ended = false;
    let mut desk = start(&kernel, true);
    for now in [BEGIN, BEGIN + STUCK_NS] {
        run(&mut desk, now).expect("nobody dies");
    }
    assert_eq!(desk.counts(), [0, 1]);
    kernel.borrow_mut().streams[0]
        .waiting
        .push_back(packet(0, 1, &[BEGIN + 1]));
    run(&mut desk, BEGIN + STUCK_NS).expect("nobody dies");
    assert_eq!(desk.counts(), [0, 2]);
    kernel.borrow_mut().room = 1;
    kernel.borrow_mut().streams[0]
        .waiting
        .push_back(packet(0, 2, &[BEGIN + 2]));
    run(&mut desk, BEGIN + STUCK_NS).expect("nobody dies");
    assert_eq!((desk.counts(), said(&kernel).len()), ([1, 2], 1));
    assert_eq!(kernel.borrow().streams[0].gone.len(), 3);
}

#[test]
fn a_deaf_syslog_is_not_told_of_gaps_and_they_are_counted() {
    let streams = vec![vec![packet(0, 0, &[BEGIN])]];
    let kernel = kernel(&streams);
    kernel.borrow_mut().room = 0;
    kernel.borrow_mut().streams[0].is_ended = false;
    let mut desk = start(&kernel, true);
    for now in [BEGIN, BEGIN + STUCK_NS] {
        run(&mut desk, now).expect("nobody dies");
    }
    // Records 1 to 6 are not there.
    kernel.borrow_mut().streams[0]
        .waiting
        .push_back(packet(0, 7, &[BEGIN + 1]));
    run(&mut desk, BEGIN + STUCK_NS).expect("nobody dies");
    assert_eq!(desk.counts(), [0, 8]);
}

#[test]
fn without_a_way_packets_are_handed_on_and_nothing_is_counted() {
    let streams = streams(&mut Dice(7), 3, 10);
    let kernel = kernel(&streams);
    let mut desk = start(&kernel, false);
    run(&mut desk, BEGIN).expect("nobody dies");
    assert!(desk.is_done());
    assert_eq!(desk.counts(), [0, 0]);
    for (stream, packets) in kernel.borrow().streams.iter().zip(&streams) {
        assert!(stream.gone == *packets && stream.mark == 0);
    }
}

#[test]
fn a_full_outlet_is_waited_for_and_keeps_the_order() {
    let streams = vec![
        (0..9)
            .map(|number| packet(0, number, &[BEGIN + number]))
            .collect::<Vec<_>>(),
    ];
    let kernel = kernel(&streams);
    kernel.borrow_mut().streams[0].outlet = 2;
    let mut desk = start(&kernel, true);
    run(&mut desk, BEGIN + 100).expect("nobody dies");
    assert_eq!(kernel.borrow().streams[0].gone.len(), 2);
    let mut items = Vec::new();
    desk.wanted(&mut items, 64);
    assert_eq!(items.len(), 1);
    assert_ne!(items[0].wanted & ready::WRITABLE, 0);
    assert_eq!(items[0].wanted & ready::READABLE, 0, "it holds all it can");
    kernel.borrow_mut().streams[0].outlet = 100;
    run(&mut desk, BEGIN + 100).expect("nobody dies");
    assert_each_once(&kernel, &streams);
}

#[test]
fn what_is_not_there_is_said_where_it_was() {
    let streams = vec![vec![
        packet(0, 0, &[BEGIN]),
        packet(0, 4, &[]),
        packet(0, 7, &[BEGIN + 1]),
    ]];
    let kernel = kernel(&streams);
    let mut desk = start(&kernel, true);
    run(&mut desk, BEGIN + 10).expect("nobody dies");
    assert!(desk.is_done());
    assert_eq!(desk.counts(), [2, 6]);
    let said = kernel.borrow().said.clone();
    let said = core::str::from_utf8(&said).expect("it is UTF-8");
    let gap = "relay logd - missing [relay@32473 cpu=\"0\" channel=\"klog\" number=\"1\" count=\"6\"] 6 records";
    let places = ["record 0 of 0", gap, "record 7 of 0"].map(|text| said.find(text));
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{said}"
    );
    assert_eq!(kernel.borrow().streams[0].mark, 8);
}

#[test]
fn what_is_damaged_is_counted_and_the_next_packet_is_read() {
    let mut damaged = packet(0, 0, &[BEGIN, BEGIN + 1, BEGIN + 2]);
    let behind_first = SIZE + record(BEGIN, "record 0 of 0").len();
    damaged[behind_first + 7] = 99;
    let streams = vec![vec![damaged, packet(0, 3, &[BEGIN + 3])]];
    let kernel = kernel(&streams);
    let mut desk = start(&kernel, true);
    run(&mut desk, BEGIN + 10).expect("nobody dies");
    let numbers: Vec<_> = said(&kernel)
        .into_iter()
        .map(|(_, number, _)| number)
        .collect();
    assert_eq!((numbers, desk.counts()), (vec![0, 3], [2, 2]));
    assert_eq!(kernel.borrow().streams[0].gone.len(), 2);
    assert_eq!(kernel.borrow().streams[0].mark, 4);
}
