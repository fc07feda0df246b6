//! Each CPU's own counter of cycles, which sends an NMI when it overflows: architectural performance
//! monitoring, version 2 and up (Intel SDM Vol. 3B, 20.2). Counter 0 counts the cycles in which the
//! core is not halted.
//!
//! QEMU's translator has none of it. So this was never seen at work: only what is written to which
//! register is tested.

use core::arch::x86_64::__cpuid;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use x86_64::registers::model_specific::Msr;

use crate::arch::apic;
use crate::base::cpuset::MAX_CPUS;
use crate::cpu::{clock, percpu};

/// Where CPUID tells of it.
const LEAF: u32 = 0xa;

/// Counter 0, and what it counts.
const COUNTER: u32 = 0xc1;
const EVENT: u32 = 0x186;
/// Which counters have overflowed, count, and are to forget that they have overflowed.
const STATUS: u32 = 0x38e;
const CONTROL: u32 = 0x38f;
const OVERFLOW_CONTROL: u32 = 0x390;

/// Cycles of the core while it is not halted (table 20-1), in all rings, with an interrupt, now.
const CORE_CYCLES: u64 = 0x3c | 1 << 16 | 1 << 17 | 1 << 20 | 1 << 22;
/// Counter 0, in `STATUS`, `CONTROL` and `OVERFLOW_CONTROL`.
const FIRST: u64 = 1;

/// The most cycles between two: a counter takes 32 bits, and extends their sign.
const MOST: u32 = i32::MAX as u32;

/// Cycles between two; 0 before it is wanted.
static PERIOD: AtomicU32 = AtomicU32::new(0);
/// The CPUs whose counters count.
static COUNTING: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

/// Whether the processor has what it takes, as it answers for a leaf: [eax, ebx, ecx, edx].
fn is_there(cpuid: impl Fn(u32) -> [u32; 4]) -> bool {
    if cpuid(0)[0] < LEAF {
        return false;
    }
    let [a, b, ..] = cpuid(LEAF);
    let (version, counters, width, events) = (a & 0xff, a >> 8 & 0xff, a >> 16 & 0xff, a >> 24);
    // A set bit says that the event is missing.
    version >= 2 && counters >= 1 && width >= 32 && events >= 1 && b & 1 == 0
}

/// What is written, in this order, so that the counter overflows after `period` cycles.
const fn start(period: u32) -> [(u32, u64); 6] {
    [
        (CONTROL, 0),
        (EVENT, 0),
        (COUNTER, from(period)),
        (OVERFLOW_CONTROL, FIRST),
        (EVENT, CORE_CYCLES),
        (CONTROL, FIRST),
    ]
}

/// What is written when it has overflowed.
const fn again(period: u32) -> [(u32, u64); 2] {
    [(COUNTER, from(period)), (OVERFLOW_CONTROL, FIRST)]
}

/// What is written at the end.
const END: [(u32, u64); 2] = [(CONTROL, 0), (EVENT, 0)];

/// What the counter begins with to overflow after `period` cycles.
const fn from(period: u32) -> u64 {
    period.wrapping_neg() as u64
}

/// Cycles between two, if there are so many a second, and how often that is.
fn period(cycles: u64, hertz: u32) -> (u32, u32) {
    let period = (cycles / u64::from(hertz.max(1))).clamp(1, MOST.into());
    let hertz = (cycles / period).clamp(1, u32::MAX.into());
    (period as u32, hertz as u32)
}

/// Looks whether the processor has it, and whether it counts; returns the rate. A core that runs at
/// another rate than the time stamp counter is looked at more or less often by the same factor.
pub(super) fn prepare(hertz: u32) -> Option<u32> {
    let answer = |leaf| {
        let answer = __cpuid(leaf);
        [answer.eax, answer.ebx, answer.ecx, answer.edx]
    };
    if !is_there(answer) {
        return None;
    }
    write(&start(MOST));
    let before = read(COUNTER);
    let time = clock::counter();
    while clock::counter().wrapping_sub(time) < 100_000 {
        core::hint::spin_loop();
    }
    let counts = read(COUNTER) != before;
    write(&END);
    if !counts {
        return None;
    }
    let (period, hertz) = period(clock::frequency_hz()?, hertz);
    PERIOD.store(period, Ordering::Relaxed);
    Some(hertz)
}

/// Has the counter of the calling CPU count, or not. IRQ context.
pub(super) fn follow(is_wanted: bool) {
    let counting = &COUNTING[percpu::cpu_index()];
    if counting.load(Ordering::Relaxed) == is_wanted {
        return;
    }
    counting.store(is_wanted, Ordering::Relaxed);
    match is_wanted {
        true => {
            apic::take_overflows();
            write(&start(PERIOD.load(Ordering::Relaxed)));
        }
        false => {
            write(&END);
            apic::ignore_overflows();
        }
    }
}

/// Called in an NMI: whether the counter has overflowed; it goes on then.
pub(super) fn on_nmi() -> bool {
    let counting = COUNTING[percpu::cpu_index()].load(Ordering::Relaxed);
    if !counting || read(STATUS) & FIRST == 0 {
        return false;
    }
    write(&again(PERIOD.load(Ordering::Relaxed)));
    apic::take_overflows();
    true
}

fn write(registers: &[(u32, u64)]) {
    for (register, value) in registers {
        // SAFETY: CPUID says that these registers are there, and the values set none of the bits
        // that are reserved. Counting changes nothing but them.
        unsafe { Msr::new(*register).write(*value) };
    }
}

fn read(register: u32) -> u64 {
    // SAFETY: as in `write`.
    unsafe { Msr::new(register).read() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A processor whose highest leaf is this, and whose leaf 0xa has these words.
    fn has(highest: u32, a: u32, b: u32) -> bool {
        is_there(|leaf| match leaf {
            0 => [highest, 0, 0, 0],
            LEAF => [a, b, 0, 0],
            _ => panic!("nobody asks for {leaf:#x}"),
        })
    }

    #[test]
    fn it_is_there_as_the_processor_says() {
        // Version 4, 4 counters of 48 bits, 7 events, none missing.
        assert!(has(0x16, 0x0730_0404, 0));
        assert!(has(0xa, 0x0130_0102, 0x7e));
        // QEMU's translator; an older version; no counter; too narrow; no events told; no cycles.
        for (a, b) in [
            (0, 0),
            (0x0730_0401, 0),
            (0x0730_0004, 0),
            (0x0710_0404, 0),
            (0x0030_0404, 0),
            (0x0730_0404, 1),
        ] {
            assert!(!has(0x16, a, b), "{a:#x} {b:#x}");
        }
        // A leaf that there is not answers with another one's data.
        assert!(!has(9, 0x0730_0404, 0));
    }

    #[test]
    fn the_counter_is_stopped_set_and_started_in_this_order() {
        assert_eq!(
            start(1_000_000),
            [
                (0x38f, 0),
                (0x186, 0),
                (0xc1, 0xfff0_bdc0),
                (0x390, 1),
                (0x186, 0x53_003c),
                (0x38f, 1),
            ]
        );
        assert_eq!(again(1), [(0xc1, 0xffff_ffff), (0x390, 1)]);
        assert_eq!(END, [(0x38f, 0), (0x186, 0)]);
        // Extended by its sign, it is so far below an overflow.
        for period in [1, 1_000, MOST] {
            assert_eq!(from(period) as u32 as i32, -(period as i32));
        }
    }

    #[test]
    fn periods_fit_the_counter() {
        assert_eq!(period(3_000_000_000, 1000), (3_000_000, 1000));
        // Not as seldom as is wanted.
        assert_eq!(period(3_000_000_000, 1), (MOST, 1));
        assert_eq!(period(10_000_000_000, 1), (MOST, 4));
        assert_eq!(period(100, 10_000), (1, 100));
    }
}
