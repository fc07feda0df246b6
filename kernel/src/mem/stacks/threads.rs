//! The stacks of threads, in the kernel: as many as there are threads, used again and again.
//!
//! They lie one after the other, each above an unmapped guard page, so that an address tells the
//! stack. A stack that is given back stays mapped, and waits for the next thread: nothing is
//! unmapped, and no CPU has to forget it.

use core::sync::atomic::{AtomicU64, Ordering};

use arrayvec::ArrayVec;

use super::super::error::MemoryError;
use super::super::frames::{LARGE, SMALL};
use super::super::lock::Guarded;
use super::super::map::{THREAD_STACKS, with_space};
use super::super::pool;
use super::stack::{Stack, StackKind};

/// Bytes of a thread's stack: interrupts and most exceptions use it, too.
const LENGTH: u64 = 32 * 1024;
/// From one stack to the next: the guard comes first.
const STRIDE: u64 = SMALL + LENGTH;
/// The most stacks: the most threads at a time.
const CAPACITY: usize = 1024;

/// How many there are: those below are mapped for ever.
static MADE: AtomicU64 = AtomicU64::new(0);

static FREE: Guarded<Free> = Guarded::new(Free {
    waiting: ArrayVec::new_const(),
    is_over: false,
});

/// What is there for the next thread.
#[derive(Debug)]
struct Free {
    /// The numbers of the stacks that are nobody's.
    waiting: ArrayVec<u16, CAPACITY>,
    /// A new one could not be mapped as a whole: no other will be made.
    is_over: bool,
}

/// A thread's stack; given back when this is dropped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ThreadStack {
    number: u16,
}

impl ThreadStack {
    /// One past its highest address: a multiple of 16.
    pub(crate) fn top(&self) -> u64 {
        place(u64::from(self.number)).top
    }
}

impl Drop for ThreadStack {
    fn drop(&mut self) {
        // Cannot overflow: each number is in it once.
        FREE.with(|free| _ = free.waiting.try_push(self.number));
    }
}

/// A stack for a thread: one that was given back, or a new one. What is in it is old. Task context.
///
/// # Errors
/// When there is no memory, or there are too many threads.
pub(crate) fn thread_stack() -> Result<ThreadStack, MemoryError> {
    FREE.with(|free| {
        if let Some(number) = free.waiting.pop() {
            return Ok(ThreadStack { number });
        }
        let number = MADE.load(Ordering::Relaxed);
        if free.is_over || number >= CAPACITY as u64 || !pool::has_more_than_reserve() {
            return Err(MemoryError::OutOfFrames);
        }
        let bottom = place(number).bottom;
        with_space(|space| space.map_data(bottom, LENGTH)).inspect_err(|_| free.is_over = true)?;
        // ORDERING: pairs with the load in `find`: who sees the number finds the stack mapped.
        MADE.store(number + 1, Ordering::Release);
        Ok(ThreadStack {
            number: number as u16,
        })
    })
}

/// Frames of stacks that wait for threads, and of page tables that are there for stacks, used or not.
/// Task and IRQ context.
pub(in super::super) fn waiting_frames() -> u64 {
    let stacks = FREE.with(|free| free.waiting.len() as u64) * (LENGTH / SMALL);
    stacks + tables(MADE.load(Ordering::Relaxed))
}

/// Page tables of so many stacks: of the lowest level, which alone grow in number with them.
const fn tables(made: u64) -> u64 {
    // The first begins where a table does.
    const { assert!(THREAD_STACKS.is_multiple_of(LARGE)) };
    (made * STRIDE).div_ceil(LARGE)
}

/// The stack with this number.
fn place(number: u64) -> Stack {
    let bottom = THREAD_STACKS + number * STRIDE + SMALL;
    Stack {
        cpu: number as usize,
        kind: StackKind::Thread,
        bottom,
        top: bottom + LENGTH,
        guard: SMALL,
    }
}

/// The stack of a thread that `address` is in, or in the guard of. Any context.
pub(super) fn find(address: u64) -> Option<Stack> {
    let number = address.checked_sub(THREAD_STACKS)? / STRIDE;
    (number < MADE.load(Ordering::Acquire)).then(|| place(number))
}

/// The first `count` stacks, as if they were mapped.
#[cfg(test)]
pub(super) fn pretend(count: u64) -> Vec<Stack> {
    MADE.store(count, Ordering::Release);
    (0..count).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_tables_are_counted_with_the_stacks() {
        // A stack with its guard has 9 pages, a table 512.
        let counts = [0, 1, 56, 57, 113, 114].map(tables);
        assert_eq!(counts, [0, 1, 1, 2, 2, 3]);
    }

    #[test]
    fn stacks_lie_above_their_guards_and_do_not_touch() {
        assert_eq!(place(0).bottom - SMALL, THREAD_STACKS);
        for number in 0..CAPACITY as u64 {
            let (this, next) = (place(number), place(number + 1));
            assert_eq!(this.top - this.bottom, LENGTH);
            assert_eq!(next.bottom - next.guard, this.top);
            assert!(this.top.is_multiple_of(16));
        }
    }
}
