//! `cost`: what writing costs, in instructions. For a machine whose clock counts them: `--accel
//! icount`.
//!
//! CPU 0 writes to a ring of its own, which overwrites and which nobody reads, with interrupts off.
//! Then it writes to `flood`: what that costs must not depend on whether the host reads it.

use core::hint::black_box;
use core::sync::atomic::Ordering;

use relay::clients::klog::{self, Place, Severity};
use relay::clients::profile::MAX_FRAMES;
use relay::line;
use relay::record::STAMP;
use relay::{Channel, Context, Geometry, GeometryError, Mode, NoHooks, StaticMemory, Storage};
use x86_64::instructions::interrupts;

use super::definition::{Scenario, Verdict};
use super::part::Part;
use crate::base::cmdline::Options;
use crate::base::cpuset::MAX_CPUS;
use crate::base::settings::{About, COUNT};
use crate::cpu::machine::Machine;
use crate::cpu::{clock, percpu};
use crate::life::idle;
use crate::logs::{flood, profile};

pub(super) static SCENARIO: Scenario = Scenario {
    about: About {
        name: "cost",
        about: "what writing costs, in instructions (--accel icount)",
        settings: &[COUNT],
    },
    boot_cpu,
    other_cpu: |_| {},
    on_timer: |_| {},
    on_ipi: |_| {},
    on_nmi: |_| {},
};

/// Bytes of a record.
const RECORD: usize = 32;
/// The event id of all records.
const EVENT: u16 = 1;
/// How often each is tried: enough to leave a sub-buffer full of records.
const TRIES: usize = 300;
/// Bytes of a packet on a serial line.
const PACKET: usize = 1024;
/// Rounds of records that leave the machine, and how many records each has: more than the ring and
/// what lies behind it hold.
const ROUNDS: usize = 200;
const BATCH: usize = 150;
/// Bytes of data in each.
const DATA: u16 = 16;
/// How often what is logged for all to see is tried: a copy costs a little more or less with the place
/// where the record begins, and the least counts.
const LINES: usize = 8;
/// Pieces of work that samples come into, and rounds of each: some tens of thousands of instructions.
const PIECES: usize = 20_000;
const ROUNDS_OF_WORK: u64 = 1_000;
/// Ticks between two looks at a clock that counts instructions, at the most. Real ones need more.
const FEW: u64 = 16;

const GEOMETRY: Result<Geometry, GeometryError> = match Geometry::new(4096, 4) {
    Ok(geometry) => geometry.with_mode(Mode::Continuous),
    Err(error) => Err(error),
};
static MEMORY: StaticMemory<{ 32 * 1024 }> = StaticMemory::new();
static RING: Channel<Machine, MAX_CPUS> = Channel::new(Machine, &NoHooks);

relay::event! {
    /// Four numbers.
    #[event(channel = "cost")]
    struct Four {
        a: u64,
        b: u64,
        c: u64,
        d: u64,
    }

    /// The same, which nobody turns on.
    #[event(channel = "cost", enabled = false)]
    struct NoFour {
        a: u64,
        b: u64,
        c: u64,
        d: u64,
    }
}

fn boot_cpu(_options: &Options<'static>) -> Verdict {
    let Some(nothing) = cost(TRIES, |_| {}) else {
        return Verdict::Fail;
    };
    if nothing.least != nothing.most || nothing.most > FEW {
        relay::error!(
            "this clock does not count instructions: doing nothing takes {} to {} of its ticks; run \
             with --accel icount",
            nothing.least,
            nothing.most
        );
        return Verdict::Fail;
    }
    if let Err(error) = start() {
        relay::error!("there is no ring to write to: {error}");
        return Verdict::Fail;
    }
    let told = records(nothing).is_some()
        && frame(nothing).is_some()
        && lines(nothing).is_some()
        && carried(nothing).is_some()
        && samples().is_some();
    let lost = RING.stats(0).map_or(0, |stats| stats.lost.total());
    if !told || lost != 0 {
        relay::error!("{lost} records were lost, and would have been cheap");
        return Verdict::Fail;
    }
    Verdict::Pass
}

/// Starts the ring.
fn start() -> Result<(), &'static str> {
    let geometry = GEOMETRY.map_err(|_| "a bad geometry")?;
    let memory = MEMORY.take().ok_or("its memory is taken")?;
    const { assert!(matches!(GEOMETRY, Ok(geometry) if Storage::bytes_for(&geometry) <= 32 * 1024)) };
    RING.start(0, memory, geometry)
        .map_err(|_| "it cannot be started")
}

/// Measures records.
fn records(nothing: Cost) -> Option<()> {
    let bytes = black_box([0x5A; RECORD]);
    let body: &[u8; RECORD - STAMP] = bytes.last_chunk()?;
    let run_time = |len: usize| &bytes[..black_box(len)];
    report(
        "a stamped record of 32 bytes, constant length",
        nothing,
        |_| {
            let _ = RING.write_event_array(EVENT, body);
        },
    )?;
    let some = run_time(RECORD - STAMP);
    report(
        "a stamped record of 32 bytes, run-time length",
        nothing,
        |_| {
            let _ = RING.write_event(EVENT, some);
        },
    )?;
    report("a stamped record of 32 bytes, in place", nothing, |_| {
        let _ = RING.reserve_with(RECORD, |slot| {
            slot.stamp(EVENT, Context::Task).copy_from_slice(body);
        });
    })?;
    let [a, b, c, d] = black_box([1, 2, 3, 4]);
    let event = black_box(Four { a, b, c, d });
    report("an event of four 64-bit numbers", nothing, |_| {
        let _ = RING.emit(&event);
    })?;
    report("a disabled event of four 64-bit numbers", nothing, |_| {
        let _ = RING.emit_with(|| NoFour { a, b, c, d });
    })?;
    report(
        "a plain record of 32 bytes, constant length",
        nothing,
        |_| {
            let _ = RING.write_array(&bytes);
        },
    )?;
    let some = run_time(RECORD);
    report(
        "a plain record of 32 bytes, run-time length",
        nothing,
        |_| {
            let _ = RING.write(some);
        },
    )
}

/// Measures what people read.
fn lines(nothing: Cost) -> Option<()> {
    let place = Place {
        module: module_path!(),
        file: file!(),
        line: line!(),
    };
    report(
        "a disabled relay::trace! with two arguments",
        nothing,
        |i| {
            relay::trace!("woke task {} on cpu {}", black_box(i), black_box(3));
        },
    )?;
    report("a klog line with two arguments", nothing, |i| {
        let message = format_args!("woke task {} on cpu {}", black_box(i), black_box(3));
        let _ = klog::write(&RING, Severity::Info, place, message);
    })?;
    // In the log itself, with all that the claims add.
    let line = cost(LINES, |i| {
        relay::info!("woke task {} on cpu {}", black_box(i), black_box(3));
    })?;
    tell("relay::info! with two arguments", line, nothing);
    // Through the facade of others.
    tell("log::info! with two arguments", facade()?, nothing);
    report("a disabled log::trace! with two arguments", nothing, |i| {
        log::trace!("woke task {} on cpu {}", black_box(i), black_box(3));
    })
}

/// What a line through the facade costs. Apart from the others, so that it changes none of them.
#[inline(never)]
fn facade() -> Option<Cost> {
    cost(LINES, |i| {
        log::info!("woke task {} on cpu {}", black_box(i), black_box(3));
    })
}

/// Measures records that leave the machine, as far as somebody reads them; those that find no room
/// since nobody does are told apart.
fn carried(nothing: Cost) -> Option<()> {
    let part = Part::of(percpu::cpu_index());
    let timer = &percpu::this().timer_irqs;
    let (mut stored, mut lost) = (None, None);
    let mut sum = 0;
    for _ in 0..ROUNDS {
        interrupts::without_interrupts(|| {
            for _ in 0..BATCH {
                let record = part.next(DATA);
                let start = clock::counter();
                let written = flood::CHANNEL.emit(&record);
                let took = clock::counter().wrapping_sub(start);
                sum += took;
                note(
                    if written.is_ok() {
                        &mut stored
                    } else {
                        &mut lost
                    },
                    took,
                );
            }
        });
        // Who takes it has time to do so.
        let tick = timer.load(Ordering::Relaxed);
        idle::until(|| timer.load(Ordering::Relaxed) != tick);
    }
    let stats = flood::CHANNEL.stats(percpu::cpu_index());
    let full = stats.map_or(0, |stats| stats.lost.total());
    relay::info!(
        "{tried} records of flood tried, {full} found no room, all took {sum} instructions",
        tried = ROUNDS * BATCH
    );
    tell("a record of flood that finds room", stored?, nothing);
    if let Some(lost) = lost {
        tell("a record of flood that finds none", lost, nothing);
    }
    Some(())
}

/// Measures what a sample of the profile costs, where `profile=` is set, from the NMI to its return:
/// with few callers, and with more than a sample takes.
fn samples() -> Option<()> {
    if profile::CLIENT.tried() == 0 {
        return Some(());
    }
    sampled("a sample of the profile", 1)?;
    sampled("a sample of the profile with all its callers", MAX_FRAMES)
}

/// Measures samples that come into work which is called so deep.
fn sampled(name: &str, depth: usize) -> Option<()> {
    let before = profile::CLIENT.tried();
    let (sum, most, least) = deep(depth)?;
    let count = profile::CLIENT.tried() - before;
    let interrupted = sum.checked_sub(least * PIECES as u64)?;
    relay::info!(
        "{name}: {mean} instructions, {most} at the most, of {count}",
        mean = interrupted.checked_div(count)?,
        most = most - least,
    );
    Some(())
}

/// Does work with interrupts off, called so deep: how long all pieces took, the one that took most,
/// and the one that took least, which nothing came into.
#[inline(never)]
fn deep(depth: usize) -> Option<(u64, u64, u64)> {
    if depth > 1 {
        return black_box(deep(black_box(depth - 1)));
    }
    interrupts::without_interrupts(|| {
        let (mut sum, mut seen) = (0, None);
        for _ in 0..PIECES {
            let start = clock::counter();
            let mut state = black_box(1_u64);
            for _ in 0..ROUNDS_OF_WORK {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
            }
            black_box(state);
            let took = clock::counter().wrapping_sub(start);
            sum += took;
            note(&mut seen, took);
        }
        seen.map(|seen| (sum, seen.most, seen.least))
    })
}

/// Measures a frame for a serial line.
fn frame(nothing: Cost) -> Option<()> {
    // A zero every here and there, as numbers have them.
    let packet: [u8; PACKET] = black_box(core::array::from_fn(|at| (at % 37) as u8));
    let mut buffer = [0; line::buffer_size(PACKET)];
    report("a frame of a packet of 1024 bytes", nothing, |_| {
        let _ = black_box(line::frame([&packet[..]], black_box(&mut buffer)));
    })
}

/// Measures `op`, and says what came out.
fn report(name: &str, nothing: Cost, op: impl FnMut(usize)) -> Option<()> {
    let cost = cost(TRIES, op)?;
    tell(name, cost, nothing);
    Some(())
}

fn tell(name: &str, cost: Cost, nothing: Cost) {
    relay::info!(
        "{name}: {least} instructions, {most} at the most",
        least = cost.least - nothing.least,
        most = cost.most - nothing.least
    );
}

/// Instructions, looking at the clock included.
#[derive(Clone, Copy, Debug)]
struct Cost {
    least: u64,
    most: u64,
}

/// What `op` costs; it is tried `tries` times, and told how often it was before. `None` without
/// tries.
#[inline(always)]
fn cost(tries: usize, mut op: impl FnMut(usize)) -> Option<Cost> {
    let mut seen: Option<Cost> = None;
    // Around all of them, so that `op` is there once, and measured where it stands.
    let were_on = interrupts::are_enabled();
    interrupts::disable();
    for i in 0..tries {
        let start = clock::counter();
        op(i);
        note(&mut seen, clock::counter().wrapping_sub(start));
    }
    if were_on {
        interrupts::enable();
    }
    seen
}

/// Notes what one try took.
#[inline(always)]
fn note(seen: &mut Option<Cost>, took: u64) {
    let Cost { least, most } = seen.unwrap_or(Cost {
        least: took,
        most: took,
    });
    *seen = Some(Cost {
        least: least.min(took),
        most: most.max(took),
    });
}
