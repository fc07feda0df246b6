//! A CPU that is stopped at every step, seen by who gets the copies: they parse, they follow one
//! another and what was taken before, and every committed record is in them exactly once.

#![expect(unsafe_code, reason = "a machine of one CPU, which the tests stop")]

extern crate std;

use super::super::packet::{CUT, FINAL, HEADER, MAGIC, Packets, SALVAGED, Uuid};
use crate::record::{Fields, STAMP, extend};
use crate::sync::step::{step, with_hook};
use crate::{Channel, Context, Geometry, Losses, Platform, Reader, Stopped, Storage, SubBuffer};
use std::boxed::Box;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::vec::Vec;

/// One CPU whose clock advances with every look at it.
#[derive(Default)]
struct OneCpu(Cell<u64>);

// SAFETY: used by one thread.
unsafe impl Sync for OneCpu {}
// SAFETY: used by one thread.
unsafe impl Send for OneCpu {}

// SAFETY: one CPU, one thread, nested calls.
unsafe impl Platform for OneCpu {
    type Pinned = ();

    fn pin(&self) -> (usize, ()) {
        (0, ())
    }

    unsafe fn unpin(&self, (): ()) {}

    fn now(&self) -> u64 {
        self.0.set(self.0.get() + 1);
        self.0.get()
    }

    fn context(&self) -> Context {
        // What runs here may have interrupted a writer.
        Context::Irq
    }
}

static UUID: Uuid = Uuid::new();
static PACKETS: Packets = Packets::new(7, &UUID);

/// Bytes of records that a packet takes.
const ROOM: usize = 256 - HEADER;

/// One thing that a context, or the reader, does.
#[derive(Clone, Copy, Debug)]
enum Op {
    Write(usize),
    Burst(usize, usize),
    Discard(usize),
    TooBig,
    Flush,
    /// A flush, and a loss that it does not tell of.
    FlushAndLose,
    Replace,
    Close,
    /// The reader takes a packet and keeps it.
    Hold,
    /// The reader takes a packet and gives it back.
    Take,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    UnderWay,
    /// Being given up: counted as lost already, and its intent is still there, or neither.
    Discarding,
    Written,
    Lost,
}

/// A stream, and what is known of it from outside.
struct Stage {
    channel: &'static Channel<OneCpu, 1>,
    reader: RefCell<Reader<'static>>,
    held: RefCell<Vec<SubBuffer<'static>>>,
    /// Packets that were taken: number, ordinal, records, end, the records' names.
    taken: RefCell<Vec<Taken>>,
    fates: RefCell<BTreeMap<u8, Fate>>,
    is_closed: Cell<bool>,
}

#[derive(Clone, Debug)]
struct Taken {
    number: u64,
    next_ordinal: u64,
    end: u64,
    lost: Losses,
    names: Vec<u8>,
    state: State,
    bytes: Vec<u8>,
}

/// Where a sub-buffer is that was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Held,
    ComingBack,
    GivenBack,
}

fn geometry() -> Geometry {
    Geometry::new(256, 2)
        .and_then(|geometry| geometry.with_reserves(HEADER, 0))
        .unwrap()
}

/// The records in some bytes: name and time.
fn records(bytes: &[u8], begin: u64) -> Vec<(u8, u64)> {
    let mut fields = Fields::new(bytes);
    let mut found = Vec::new();
    while let Some(stamp) = fields.next_stamp().expect("whole records") {
        assert_eq!(stamp.id(), 1, "an event that nobody wrote");
        assert_eq!(stamp.context(), Some(Context::Task));
        let (len, name) = (fields.u8().unwrap(), fields.u8().unwrap());
        let rest = fields.bytes(usize::from(len)).expect("a whole record");
        assert!(rest.iter().all(|byte| *byte == name), "foreign bytes");
        found.push((name, extend(stamp.time(), begin)));
    }
    found
}

impl Stage {
    fn new() -> Self {
        let channel: &'static Channel<OneCpu, 1> =
            Box::leak(Box::new(Channel::new(OneCpu::default(), &PACKETS)));
        let geometry = geometry();
        let storage = Storage::allocate(&geometry).unwrap();
        channel.start(0, storage, geometry).unwrap();
        Self {
            channel,
            reader: RefCell::new(channel.reader(0).unwrap()),
            held: RefCell::default(),
            taken: RefCell::default(),
            fates: RefCell::default(),
            is_closed: Cell::new(false),
        }
    }

    fn perform(&self, op: Op) {
        match op {
            Op::Write(len) => self.write(len, true),
            Op::Burst(count, len) => (0..count).for_each(|_| self.write(len, true)),
            Op::Discard(len) => self.write(len, false),
            Op::TooBig => self.write(ROOM + 1, true),
            Op::Flush => {
                self.channel.flush();
            }
            Op::FlushAndLose => {
                self.channel.flush();
                self.perform(Op::TooBig);
            }
            Op::Replace => {
                let geometry = geometry();
                let storage = Storage::allocate(&geometry).unwrap();
                let _ = self.channel.replace(storage, geometry);
            }
            Op::Close => {
                self.is_closed.set(self.channel.close().is_ok());
            }
            Op::Hold => self.take(true),
            Op::Take => self.take(false),
        }
    }

    fn write(&self, len: usize, commits: bool) {
        let name = self.fates.borrow().len() as u8;
        self.fates.borrow_mut().insert(name, Fate::UnderWay);
        let filled = self.channel.reserve_with(len, |slot| {
            slot.bytes_mut().fill(name);
            slot.stamp(1, Context::Task)[0] = (len - STAMP - 2) as u8;
            step();
            if !commits {
                self.fates.borrow_mut().insert(name, Fate::Discarding);
                slot.give_up();
            }
        });
        let fate = match filled {
            Ok(()) if commits => Fate::Written,
            _ => Fate::Lost,
        };
        self.fates.borrow_mut().insert(name, fate);
    }

    fn take(&self, holds: bool) {
        let Some(subbuf) = self.reader.borrow_mut().next_subbuf() else {
            return;
        };
        let packet = subbuf.packet();
        let names = records(subbuf.records(), packet.begin_ticks);
        self.taken.borrow_mut().push(Taken {
            number: packet.sequence,
            next_ordinal: packet.ordinal + packet.records,
            end: packet.end_ticks,
            lost: packet.lost,
            names: names.into_iter().map(|(name, _)| name).collect(),
            state: if holds {
                State::Held
            } else {
                State::ComingBack
            },
            bytes: super::super::packet_bytes(&subbuf)[..packet.content].to_vec(),
        });
        if holds {
            self.held.borrow_mut().push(subbuf);
            return;
        }
        let place = self.taken.borrow().len() - 1;
        drop(subbuf);
        self.taken.borrow_mut()[place].state = State::GivenBack;
    }

    /// Stops the CPU here, and checks what it left. Returns how many records are uncommitted, and
    /// whether some are in doubt.
    fn autopsy(&self) -> (u64, bool) {
        // SAFETY: the caller is the CPU, and writes nothing while the result is used.
        let stopped = unsafe { Stopped::new(0) };
        let stopped_at = self.channel.platform().now();
        let salvage = self.channel.salvage(stopped).unwrap();
        let taken = self.taken.borrow();
        let names_in = |state| {
            let all = taken.iter().filter(move |taken| taken.state == state);
            all.flat_map(|taken| taken.names.clone())
        };
        let mut known: Vec<u8> = names_in(State::GivenBack).collect();
        let (mut next, mut end, mut total, mut lost, mut uncommitted) = (0, 0, 0, 0, 0);
        let (mut in_doubt, mut is_final) = (false, false);
        // What the reader has had before the first that is left.
        let mut before = taken.iter().peekable();
        for copy in PACKETS.salvage(salvage, stopped_at) {
            let header = copy.header();
            let u32_at = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap());
            let u64_at = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap());
            let (number, flags) = (u64_at(64), u32_at(84));
            while let Some(taken) = before.next_if(|taken| taken.number < number) {
                if taken.number >= next {
                    assert_eq!(taken.number, next);
                    (next, end, total) = (next + 1, taken.end, taken.next_ordinal);
                    lost = taken.lost.total();
                }
            }
            assert!(!is_final, "a packet after the last one");
            assert_eq!((u32_at(0), u32_at(20), u32_at(80)), (MAGIC, 7, 0));
            assert_eq!(header[4..20], UUID.bytes());
            assert_eq!(flags & SALVAGED, SALVAGED);
            let (begin, finish) = (u64_at(32), u64_at(40));
            assert!(end <= begin && begin <= finish, "{end} {begin} {finish}");
            let body: Vec<u8> = copy.runs().flatten().copied().collect();
            let mut whole = [&copy.header()[..], &body].concat();
            whole.resize(whole.len() + copy.padding(), 0);
            assert_eq!(copy.pieces().collect::<Vec<_>>().concat(), whole);
            let content = HEADER + body.len();
            assert_eq!(u64_at(48), content as u64 * 8);
            assert_eq!(u64_at(56), (content + copy.padding()) as u64 * 8);
            assert!(u64_at(56).is_multiple_of(64) && copy.padding() < 8);
            assert_eq!(number, next, "numbers have no gaps");
            assert_eq!(u64_at(88), total, "ordinal of packet {number}");
            let found = records(&body, begin);
            if flags & CUT == 0 {
                assert_eq!(u64_at(96), found.len() as u64, "records of packet {number}");
            } else {
                in_doubt = true;
                assert!(
                    u64_at(96) >= found.len() as u64,
                    "records of packet {number}"
                );
            }
            let mut last = begin;
            for (name, ticks) in found {
                assert!(last <= ticks && ticks <= finish, "{last} {ticks} {finish}");
                last = ticks;
                assert!(!known.contains(&name), "record {name} twice");
                let fate = self.fates.borrow()[&name];
                assert_ne!(fate, Fate::Lost, "record {name} was lost, and is found");
                known.push(name);
            }
            if let Some(taken) = taken.iter().find(|taken| taken.number == number) {
                let mut plain = *header;
                plain[84] &= !(SALVAGED as u8);
                assert_eq!(taken.bytes, [&plain[..], &body].concat(), "a copy differs");
            }
            let discarded = u64_at(72);
            assert_eq!(discarded, (104..152).step_by(8).map(u64_at).sum::<u64>());
            assert!(
                discarded >= lost && u64_at(160) >= uncommitted,
                "a count falls"
            );
            is_final = flags & FINAL != 0;
            (next, end, total) = (next + 1, finish, total + u64_at(96));
            (lost, uncommitted) = (discarded, u64_at(160));
        }
        for taken in before.filter(|taken| taken.number >= next) {
            (total, lost) = (taken.next_ordinal, taken.lost.total());
        }
        // It may be found, or not.
        known.extend(names_in(State::ComingBack));
        let fates = self.fates.borrow();
        let count = |fate| fates.values().filter(|is| **is == fate).count() as u64;
        for (name, fate) in fates.iter().filter(|_| !in_doubt) {
            let is_found = known.contains(name);
            assert!(*fate != Fate::Written || is_found, "record {name} is gone");
        }
        let attempted = total + lost + uncommitted;
        let decided = count(Fate::Written) + count(Fate::Lost);
        let started = fates.len() as u64;
        if !self.is_closed.get() && !is_final {
            let most = started + count(Fate::Discarding);
            let is = (decided..=most).contains(&attempted);
            assert!(is || in_doubt, "{decided} <= {attempted} <= {most}");
        }
        (uncommitted, in_doubt)
    }
}

const OUTER: [Op; 8] = [
    Op::Write(20),
    Op::Write(ROOM),
    Op::Discard(20),
    Op::TooBig,
    Op::Flush,
    Op::Replace,
    Op::Close,
    Op::Burst(3, 40),
];

const NESTED: [Op; 10] = [
    Op::FlushAndLose,
    Op::Write(20),
    Op::Write(ROOM),
    Op::Discard(30),
    Op::TooBig,
    Op::Flush,
    Op::Replace,
    Op::Burst(3, 40),
    Op::Hold,
    Op::Take,
];

const PREFIXES: [&[Op]; 6] = [
    &[],
    &[Op::Write(30)],
    &[Op::Write(30), Op::Write(40)],
    &[Op::Burst(3, 40), Op::TooBig, Op::Flush],
    &[Op::Burst(3, 40), Op::Hold, Op::Write(20)],
    &[
        Op::Burst(4, 40),
        Op::Flush,
        Op::Take,
        Op::Hold,
        Op::Write(60),
    ],
];

/// What a search has seen: autopsies, some with uncommitted records, some in doubt.
#[derive(Default, Debug)]
struct Tally([Cell<usize>; 3]);

impl Tally {
    fn note(&self, stage: &Stage) {
        let (uncommitted, in_doubt) = stage.autopsy();
        for (count, is) in self.0.iter().zip([true, uncommitted != 0, in_doubt]) {
            count.set(count.get() + usize::from(is));
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "the search is too long for an interpreter")]
fn copies_are_sound_wherever_the_cpu_is_stopped() {
    let tally = Rc::new(Tally::default());
    for prefix in PREFIXES {
        for outer in OUTER {
            for nested in [None].into_iter().chain(NESTED.map(Some)) {
                for at in 1.. {
                    let stage = Rc::new(Stage::new());
                    prefix.iter().for_each(|op| stage.perform(*op));
                    let steps = Rc::new(Cell::new(0));
                    let hook = {
                        let (stage, steps, tally) =
                            (Rc::clone(&stage), Rc::clone(&steps), Rc::clone(&tally));
                        move || {
                            steps.set(steps.get() + 1);
                            match nested {
                                None => tally.note(&stage),
                                Some(op) if steps.get() == at => {
                                    let (inner, tally) = (Rc::clone(&stage), Rc::clone(&tally));
                                    with_hook(move || tally.note(&inner), || stage.perform(op));
                                }
                                Some(_) => {}
                            }
                        }
                    };
                    with_hook(hook, || stage.perform(outer));
                    tally.note(&stage);
                    if nested.is_none() || steps.get() < at {
                        break;
                    }
                }
            }
        }
    }
    let [autopsies, uncommitted, in_doubt] = tally.0.each_ref().map(Cell::get);
    std::eprintln!("{tally:?}");
    assert!(autopsies > 50_000 && uncommitted > 5_000, "{tally:?}");
    assert!(in_doubt * 100 < autopsies, "{tally:?}");
}
