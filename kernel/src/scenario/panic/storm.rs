//! What the other CPUs do meanwhile: records of all lengths, in all contexts, as fast as they can,
//! and interrupts and NMIs from all to all.

use super::ambush;
use crate::arch::{smp, stop};
use crate::base::cpuset::CpuSet;
use crate::cpu::percpu;
use crate::out::{console, pump};
use crate::scenario::part::Part;
use crate::scenario::stress::random::Random;
use crate::scenario::stress::writer;

/// Records that a CPU writes before it interrupts another one.
const BETWEEN: u32 = 16;
/// Such turns before it looks around.
const TURNS: u32 = 4;

/// Writes, interrupts others, and has taken away what was written, until `is_over`; does `besides`
/// in between.
pub(super) fn until(random: &mut Random, is_over: impl Fn() -> bool, besides: impl Fn()) {
    let me = percpu::cpu_index();
    let others = percpu::online().without(CpuSet::only(me));
    let part = Part::of(me);
    part.begin();
    while !is_over() {
        for _ in 0..TURNS {
            for _ in 0..BETWEEN {
                writer::write(part, random);
            }
            match (ambush::victim(), random.one_of(others)) {
                // All aim at the CPU that waits for its moment.
                (Some(victim), _) if victim != me => stop::send_nmi(victim),
                (_, Some(other)) if random.below(2) == 0 => smp::wake(CpuSet::only(other)),
                // Alone, a CPU interrupts itself.
                (_, other) => stop::send_nmi(other.unwrap_or(me)),
            }
        }
        besides();
        console::poll();
        pump::poll();
    }
}

/// The share of interrupts: into the middle of whatever the CPU does.
pub(super) fn write_nested() {
    let cpu = percpu::cpu_index();
    let part = Part::of(cpu);
    if part.is_writing() {
        // It has no random numbers that go on from the last one: how many came chooses.
        writer::write(part, &mut Random::new(part.tried_here(), cpu));
    }
}
