//! Random programs of a task and of what interrupts it, with slots that are kept, leaked, and given back by whoever comes: every
//! attempt is accounted for, packets tell of every gap and every loss, and the stream comes to its end.

use super::*;
use std::cell::RefCell;

/// How many programs, if `RELAY_LATE_PROGRAMS` does not say: they take a second.
const PROGRAMS: u64 = 100_000;

/// Numbers without a pattern: xorshift (Marsaglia, 2003).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// What a context does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Write(usize),
    /// Reserves a slot, and keeps it.
    Keep,
    /// Gives a slot back: the oldest, or the youngest.
    Commit(Which),
    Discard(Which),
    Shrink,
    /// Reserves as many bytes, and discards them.
    Give(usize),
    Flush,
    Tick,
    Close,
    Replace,
    Autopsy,
}
use Act::{Autopsy, Close, Commit, Discard, Flush, Give, Keep, Replace, Shrink, Tick, Write};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Which {
    Oldest,
    Youngest,
}
use Which::{Oldest, Youngest};

const BEFORE: [Act; 11] = [
    Write(8),
    Write(8),
    Write(8),
    Write(16),
    Write(16),
    Keep,
    Keep,
    Discard(Youngest),
    Commit(Youngest),
    Commit(Oldest),
    Flush,
];
const INTERRUPTED: [Act; 9] = [
    Write(8),
    Write(16),
    Write(8),
    Write(16),
    Flush,
    Keep,
    Give(16),
    Tick,
    Close,
];
const INTERRUPTING: [Act; 14] = [
    Write(8),
    Write(16),
    Keep,
    Commit(Oldest),
    Commit(Youngest),
    Discard(Oldest),
    Discard(Youngest),
    Shrink,
    Give(16),
    Flush,
    Tick,
    Close,
    Replace,
    Autopsy,
];

/// A channel, and what was done to it.
struct Bench {
    channel: &'static Ch,
    geometry: Geometry,
    kept: RefCell<Vec<crate::Slot<'static, OneCpu>>>,
    attempted: Cell<u64>,
    delivered: Cell<u64>,
    /// An interrupt has discarded something: a packet that is being given up has counted it, or is about to.
    discarded: Cell<bool>,
}

impl Bench {
    fn new(channel: &'static Ch, geometry: Geometry) -> Rc<Self> {
        let storage = Storage::allocate(&geometry).unwrap();
        channel.start(0, storage, geometry).unwrap();
        Rc::new(Self {
            channel,
            geometry,
            kept: RefCell::default(),
            attempted: Cell::new(0),
            delivered: Cell::new(0),
            discarded: Cell::new(false),
        })
    }

    fn attempt(&self) {
        self.attempted.set(self.attempted.get() + 1);
    }

    fn take(&self, which: Which) -> Option<crate::Slot<'static, OneCpu>> {
        let mut kept = self.kept.borrow_mut();
        match which {
            Oldest if kept.is_empty() => None,
            Oldest => Some(kept.remove(0)),
            Youngest => kept.pop(),
        }
    }

    fn act(&self, act: Act) {
        let ch = self.channel;
        match act {
            Write(len) => {
                let _ = ch.write(&vec![9; len]);
                self.attempt();
            }
            Keep => {
                let slot = ch.reserve(8);
                self.attempt();
                self.kept.borrow_mut().extend(slot);
            }
            Commit(which) => self.take(which).into_iter().for_each(crate::Slot::commit),
            Discard(which) => {
                self.discarded.set(true);
                drop(self.take(which));
            }
            Shrink => {
                let mut kept = self.kept.borrow_mut();
                kept.last_mut().map(|slot| slot.shrink(3));
            }
            Give(len) => {
                self.discarded.set(true);
                drop(ch.reserve(len));
                self.attempt();
            }
            Flush => _ = ch.flush(),
            Tick => ch.tick(),
            Close => _ = ch.close(),
            Replace => {
                let storage = Storage::allocate(&self.geometry).unwrap();
                let _ = ch.replace(storage, self.geometry);
            }
            Autopsy => self.autopsy(),
        }
    }

    /// The post-mortem of a CPU that stops here: what it finds and what is counted are all.
    fn autopsy(&self) {
        // SAFETY: this thread is the CPU, and writes nothing meanwhile.
        let found = self.channel.salvage(unsafe { Stopped::new(0) }).unwrap();
        let found = found.map(|packet| {
            let records = packet.packet().records + packet.uncommitted() as u64;
            (!packet.is_cut()).then_some(records)
        });
        // What is in doubt is cut off.
        let found: Option<u64> = found.sum();
        let stats = self.channel.stats(0).unwrap();
        let counted = self.delivered.get() + stats.overwritten + stats.lost.total();
        if let (Some(found), false, Mode::NoOverwrite) =
            (found, self.discarded.get(), self.geometry.mode())
        {
            assert!(found + counted >= self.attempted.get(), "missing");
        }
    }
}

/// What the packets have told.
#[derive(Default)]
struct Told {
    /// The number of the next record.
    next: u64,
    /// Records that are missing between packets.
    gaps: u64,
    /// Losses, once the final packet was read.
    lost: Option<u64>,
}

impl Told {
    fn read(&mut self, bench: &Bench, reader: &mut Reader<'_>) {
        while let Some(taken) = reader.next_subbuf() {
            let packet = *taken.packet();
            assert!(packet.ordinal >= self.next, "numbered twice");
            self.gaps += packet.ordinal - self.next;
            self.next = packet.ordinal + packet.records;
            self.lost = packet.is_final.then_some(packet.lost.total());
            bench.delivered.set(bench.delivered.get() + packet.records);
        }
    }
}

/// Runs `outer`, interrupted by random acts at up to three random steps.
fn interrupted(bench: &Rc<Bench>, random: &mut Random, outer: Act) {
    let mut plan: Vec<(usize, Vec<Act>)> = Vec::new();
    for _ in 0..=random.below(3) {
        let acts = (0..=random.below(3)).map(|_| random.pick(&INTERRUPTING));
        let acts = acts.collect();
        plan.push((1 + random.below(70), acts));
    }
    let at_work = Rc::clone(bench);
    let mut step = 0;
    let hook = move || {
        step += 1;
        assert!(step < 100_000, "it never ends");
        for (_, acts) in plan.iter().filter(|(at, _)| *at == step) {
            at_work.channel.platform().interrupt(true);
            acts.iter().for_each(|act| at_work.act(*act));
            at_work.channel.platform().interrupt(false);
        }
    };
    with_hook(hook, || bench.act(outer));
}

/// Runs program `seed`, and gives the memory back.
fn run(seed: u64) {
    let channel = Box::into_raw(Box::new(Ch::new(OneCpu::default(), &NoHooks)));
    // SAFETY: nothing that knows the channel outlives this, but slots that are leaked: nobody uses those.
    run_on(unsafe { &*channel }, seed);
    // SAFETY: as above.
    drop(unsafe { Box::from_raw(channel) });
}

fn run_on(channel: &'static Ch, seed: u64) {
    let mut random = Random::new(seed);
    let mode = random.pick(&[Mode::NoOverwrite, Mode::Continuous]);
    let geometry = g(random.pick(&[16, 32, 64]), random.pick(&[2, 4]));
    let bench = Bench::new(channel, geometry.with_mode(mode).unwrap());
    let mut reader = bench.channel.reader(0).unwrap();
    let mut told = Told::default();
    for _ in 0..random.below(30) {
        match random.pick(&BEFORE) {
            Keep if bench.kept.borrow().len() >= 4 => told.read(&bench, &mut reader),
            act => bench.act(act),
        }
    }
    bench.discarded.set(false);
    for _ in 0..=random.below(3) {
        let outer = random.pick(&INTERRUPTED);
        interrupted(&bench, &mut random, outer);
        if random.below(2) == 0 {
            told.read(&bench, &mut reader);
        }
    }
    let leaks = random.below(3) == 0;
    for slot in bench.kept.take() {
        if leaks && random.below(2) == 0 {
            mem::forget(slot);
        } else {
            slot.commit();
        }
    }
    for _ in 0..random.below(40) {
        told.read(&bench, &mut reader);
        bench.act(random.pick(&[Write(8), Write(16)]));
    }
    for _ in 0..10 {
        let _ = bench.channel.close();
        bench.channel.tick();
        told.read(&bench, &mut reader);
    }
    let stats = bench.channel.stats(0).unwrap();
    check_sum(bench.channel, bench.attempted.get(), bench.delivered.get());
    assert!(leaks || reader.is_at_end(), "no end: {stats:?}");
    let gaps = told.gaps + (stats.records - told.next);
    assert_eq!(gaps, stats.overwritten, "{stats:?}");
    if let Some(lost) = told.lost {
        let later = stats.lost.get(Loss::Closed);
        assert!(lost + later >= stats.lost.total(), "{lost} told: {stats:?}");
    }
}

#[test]
fn whatever_comes_back_whenever_everything_is_accounted_for() {
    let said = std::env::var("RELAY_LATE_PROGRAMS").ok();
    let programs = said.and_then(|said| said.parse().ok()).unwrap_or(PROGRAMS);
    for seed in 1..=programs {
        let result = std::panic::catch_unwind(|| run(seed));
        assert!(result.is_ok(), "program {seed}");
    }
}
