//! A line with two integers, by defmt.
//!
//! Its linker script is left out: the names of lines are then not numbered from 1, but any number
//! of 16 bits takes the same code. The level is that of `println!`, which nothing turns off.

use crate::Peer;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

pub(crate) fn peers() -> Vec<Peer> {
    vec![crate::peer(
        (
            "defmt",
            "two integers, dropped",
            "clock; bytes are ignored: no buffer, no encoding; not in interrupts",
        ),
        || {},
        |numbers| {
            defmt::println!(
                "woke task {=u64} on cpu {=u32}",
                numbers[0],
                numbers[1] as u32
            );
        },
    )]
}

defmt::timestamp!("{=u64}", ticks());

fn ticks() -> u64 {
    // SAFETY: every x86_64 processor has the instruction.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// A logger that ignores what it is given.
#[defmt::global_logger]
struct Dropping;

/// Somebody is writing a line. (On a microcontroller, interrupts would be off.)
static TAKEN: AtomicBool = AtomicBool::new(false);

// SAFETY: this program has one thread, and logs nowhere else.
unsafe impl defmt::Logger for Dropping {
    #[inline]
    fn acquire() {
        assert!(!TAKEN.load(Relaxed), "a line within a line");
        TAKEN.store(true, Relaxed);
    }

    unsafe fn flush() {}

    #[inline]
    unsafe fn release() {
        TAKEN.store(false, Relaxed);
    }

    #[inline]
    unsafe fn write(bytes: &[u8]) {
        black_box(bytes);
    }
}
