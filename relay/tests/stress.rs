//! Several CPUs as threads, each writing its stream; a reader thread for each stream, which checks
//! every byte; and the ledger of each stream, exact.
//!
//! `cargo test` runs every shape once. `RELAY_STRESS_SECONDS=60 cargo test --release -p relayfs
//! --test stress` goes on with other seeds for a minute, and says with `-- --nocapture` what it
//! did.
#![cfg(all(feature = "alloc", not(loom)))]

use relay::{Channel, Geometry, Hooks, Loss, Mode, Platform, Storage};
use std::cell::Cell;
use std::ops::AddAssign;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const CPUS: usize = if cfg!(miri) { 2 } else { 4 };
const ATTEMPTS: u64 = if cfg!(miri) { 20 } else { 10_000 };
/// Length and number: no record is shorter.
const HEAD: usize = 10;
/// The number of what is no record.
const FILLING: u64 = u64::MAX;

type Channels = Channel<Threads, CPUS>;

/// A machine whose CPUs are threads.
struct Threads;

thread_local! {
    static CPU: Cell<usize> = const { Cell::new(usize::MAX) };
}
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

// SAFETY: a thread is a CPU, and keeps the number that it was given; no two have the same. The
// number passes from one round's thread to the next one's by a join. Nothing interrupts a thread.
unsafe impl Platform for Threads {
    type Pinned = ();

    fn pin(&self) -> (usize, ()) {
        (CPU.get(), ())
    }
    unsafe fn unpin(&self, (): ()) {}
    fn now(&self) -> u64 {
        START.elapsed().as_nanos() as u64
    }
}

/// Makes what was discarded something that [`parse`] passes over.
struct Fillers;

impl Hooks for Fillers {
    fn fill(&self, bytes: &mut [u8], _timestamp: u64) {
        fill(bytes, FILLING);
    }
}

/// Makes `bytes` record `number`: its length, its number, and bytes that only it has.
fn fill(bytes: &mut [u8], number: u64) {
    let len = bytes.len() as u16;
    let (head, body) = bytes.split_at_mut(HEAD);
    head[..2].copy_from_slice(&len.to_le_bytes());
    head[2..].copy_from_slice(&number.to_le_bytes());
    for (i, byte) in body.iter_mut().enumerate() {
        *byte = (number.wrapping_mul(31) as u8).wrapping_add(i as u8);
    }
}

/// Checks every byte of the records of a packet; returns their numbers.
fn parse(mut rest: &[u8]) -> Vec<u64> {
    let mut numbers = Vec::new();
    while !rest.is_empty() {
        let len = usize::from(u16::from_le_bytes([rest[0], rest[1]]));
        assert!(len >= HEAD && len <= rest.len(), "torn: {rest:x?}");
        let (record, after) = rest.split_at(len);
        let number = u64::from_le_bytes(record[2..HEAD].try_into().unwrap());
        let mut want = vec![0; len];
        fill(&mut want, number);
        assert_eq!(record, want, "foreign bytes in record {number}");
        numbers.extend((number != FILLING).then_some(number));
        rest = after;
    }
    numbers
}

/// Random numbers that a seed gives again (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ mixed >> 31) as usize % limit
    }
}

/// What became of the attempts of one stream.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    attempted: u64,
    delivered: u64,
    overwritten: u64,
    lost: u64,
    packets: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.attempted += other.attempted;
        self.delivered += other.delivered;
        self.overwritten += other.overwritten;
        self.lost += other.lost;
        self.packets += other.packets;
    }
}

/// A record of random length, one in sixteen too long.
fn record(random: &mut Random, room: usize, number: u64) -> Vec<u8> {
    let longest = if random.below(16) == 0 {
        room + 40
    } else {
        room.min(200)
    };
    let mut bytes = vec![0; HEAD + random.below(longest - HEAD + 1)];
    fill(&mut bytes, number);
    bytes
}

/// A thread that fails says so to its partner, who would wait for it for ever.
struct Alarm<'a>(&'a AtomicBool);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

impl Alarm<'_> {
    fn check(&self) {
        assert!(!self.0.load(Ordering::Relaxed), "another thread has failed");
    }
}

/// One CPU: writes at random, in all ways, and closes its stream.
fn write(channel: &Channels, geometry: Geometry, random: &mut Random, alarm: Alarm<'_>) {
    let mut number = 0;
    while number < ATTEMPTS {
        let bytes = record(random, geometry.max_record(), number);
        number += 1;
        let how = random.below(8);
        if how < 4 {
            let _ = channel.write(&bytes);
        } else {
            // Another record comes in between, as an interrupt's would, if this one is not lost.
            let nested = (how > 5 && number < ATTEMPTS)
                .then(|| record(random, geometry.max_record(), number));
            let written = channel.reserve_with(bytes.len(), |slot| {
                if let Some(nested) = &nested {
                    let _ = channel.write(nested);
                }
                slot.bytes_mut().copy_from_slice(&bytes);
                if ![4, 6].contains(&how) {
                    slot.give_up();
                }
            });
            number += u64::from(nested.is_some() && written.is_ok());
        }
        match random.below(256) {
            0..8 => drop(channel.flush()),
            8..16 => channel.tick(),
            16..24 => thread::yield_now(),
            24 => {
                let storage = Storage::allocate(&geometry).unwrap();
                channel.replace(storage, geometry).unwrap();
            }
            _ => {}
        }
    }
    while channel.close().is_err() {
        alarm.check();
        thread::yield_now();
    }
}

/// The reader of one stream: checks everything that it gets, to the end.
fn read(channel: &Channels, cpu: usize, random: &mut Random, alarm: Alarm<'_>) -> Counts {
    let mut reader = channel.reader(cpu).unwrap();
    let mut counts = Counts::default();
    let (mut next_number, mut ordinal, mut time) = (0, 0, 0);
    let mut held = Vec::new();
    while !reader.is_at_end() {
        alarm.check();
        let Some(taken) = reader.next_subbuf() else {
            held.clear();
            reader.request_flush();
            // Not a busy loop: there may be fewer processors than threads.
            thread::sleep(Duration::from_micros(20));
            continue;
        };
        let packet = *taken.packet();
        assert!(packet.ordinal >= ordinal, "{packet:?} comes again");
        counts.overwritten += packet.ordinal - ordinal;
        ordinal = packet.ordinal + packet.records;
        assert!(time <= packet.begin_ticks && packet.begin_ticks <= packet.end_ticks);
        time = packet.end_ticks;
        let numbers = parse(taken.records());
        assert_eq!(numbers.len() as u64, packet.records);
        for number in numbers {
            assert!(number >= next_number, "record {number} is out of order");
            next_number = number + 1;
        }
        counts.delivered += packet.records;
        counts.packets += 1;
        counts.lost = packet.lost.total();
        // Some are given back late, and not in order.
        if random.below(3) == 0 {
            held.push(taken);
        }
        if held.len() > 1 {
            held.swap_remove(random.below(2));
        }
    }
    let stats = channel.stats(cpu).unwrap();
    assert_eq!(stats.overwritten, counts.overwritten, "against the gaps");
    assert_eq!(stats.lost.get(Loss::Closed), 0);
    counts.attempted = ATTEMPTS;
    assert_eq!(
        ATTEMPTS,
        counts.delivered + counts.overwritten + counts.lost,
        "attempted = delivered + overwritten + lost: {counts:?}"
    );
    counts
}

/// All CPUs and readers once, in the shape that `seed` says.
fn round(seed: u64) -> Counts {
    let mut random = Random(seed);
    let mode = [Mode::NoOverwrite, Mode::Continuous][(seed & 1) as usize];
    let spares = [0, 2][(seed >> 1 & 1) as usize];
    let geometry = Geometry::new(256 << random.below(4), 2 << random.below(3))
        .and_then(|geometry| geometry.with_mode(mode)?.with_spares(spares))
        .and_then(|geometry| geometry.with_reserves(random.below(40), random.below(9)))
        .unwrap();
    let channel = Channels::new(Threads, &Fillers);
    for cpu in 0..CPUS {
        let storage = Storage::allocate(&geometry).unwrap();
        channel.start(cpu, storage, geometry).unwrap();
    }
    let failed = AtomicBool::new(false);
    let mut total = Counts::default();
    thread::scope(|scope| {
        let (channel, failed) = (&channel, &failed);
        let readers: Vec<_> = (0..CPUS)
            .map(|cpu| {
                let (writer_seed, reader_seed) = (random.below(1 << 30), random.below(1 << 30));
                scope.spawn(move || {
                    CPU.set(cpu);
                    write(
                        channel,
                        geometry,
                        &mut Random(writer_seed as u64),
                        Alarm(failed),
                    );
                });
                scope.spawn(move || {
                    read(channel, cpu, &mut Random(reader_seed as u64), Alarm(failed))
                })
            })
            .collect();
        for reader in readers {
            total += reader
                .join()
                .unwrap_or_else(|_| panic!("seed {seed}, {geometry:?}"));
        }
    });
    total
}

#[test]
fn every_byte_of_every_stream_is_checked() {
    let seconds = std::env::var("RELAY_STRESS_SECONDS").map_or(0, |text| {
        text.parse()
            .expect("RELAY_STRESS_SECONDS is a number of seconds")
    });
    let begin = Instant::now();
    let (mut total, mut seed) = (Counts::default(), 0);
    // Each of the four shapes at least once, however slow the machine is.
    while seed < 4 || begin.elapsed() < Duration::from_secs(seconds) {
        total += round(seed);
        seed += 1;
    }
    println!("{seed} rounds of {CPUS} CPUs: {total:?}");
    assert!(total.delivered > 0 && total.lost > 0, "{total:?}");
    assert!(cfg!(miri) || total.overwritten > 0, "{total:?}");
}
