//! Threads that wait, and how they are told.
//!
//! ```text
//! waits:   Waiters += me;  announce at each thing;  look;  nothing: park;  again from "announce"
//!          at the end: Waiters -= me
//! tells:   make it so;  was it announced?  Waiters: unpark each
//! ```
//!
//! No wake-up is lost: between two looks
//!
//! 1. who waits is in the list (under its lock) before it announces, and announces before it looks:
//!    for streams relay has a fence of order SeqCst between the two, and another between what a
//!    writer makes readable and its look at the announcement. So the writer sees the announcement, or
//!    the waiter sees what it wrote;
//! 2. a writer that sees the announcement tells, by an interrupt that comes later than that. The list
//!    that the interrupt locks then has the waiter, unless it has gone on by itself;
//! 3. who is unparked before it parks does not park: the thread keeps a token, as that of
//!    `std::thread::park`.
//!
//! There are wake-ups for nothing: who is woken looks again.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::{fmt, mem};

use relay_abi::Error;

use crate::cpu::lock::IrqMutex;
use crate::sched::{self, Thread, Woken};

/// Somebody who can be told to look again.
pub(crate) trait Wakes: Send + Sync {
    /// Has it look again. Task and IRQ context, interrupts off.
    fn unpark(&self);
}

impl Wakes for Thread {
    fn unpark(&self) {
        Self::unpark(*self);
    }
}

/// The way to wait of a thread: that of the kernel, or of a test.
pub(crate) trait Parking {
    /// The thread that calls.
    fn me(&self) -> Arc<dyn Wakes>;

    /// Blocks until the thread is unparked, or until a time in ticks.
    fn park(&self, until_ticks: Option<u64>) -> Woken;

    /// The time, in ticks.
    fn now(&self) -> u64;
}

/// The kernel's threads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Threads;

impl Parking for Threads {
    fn me(&self) -> Arc<dyn Wakes> {
        Arc::new(sched::current())
    }

    fn park(&self, until_ticks: Option<u64>) -> Woken {
        sched::park(until_ticks)
    }

    fn now(&self) -> u64 {
        crate::cpu::clock::ticks()
    }
}

/// Who waits for something. Its lock is held with interrupts off, for a moment, and nothing but the
/// scheduler's is taken inside.
pub(crate) struct Waiters {
    list: IrqMutex<Vec<Arc<dyn Wakes>>>,
    /// How many there are, changed under the lock: most have none, and need no lock to know it.
    count: AtomicUsize,
}

impl Waiters {
    /// Nobody.
    pub(crate) const fn new() -> Self {
        Self {
            list: IrqMutex::new(Vec::new()),
            count: AtomicUsize::new(0),
        }
    }

    /// Puts somebody on the list, once more if it is there. Task context, interrupts off.
    ///
    /// # Errors
    /// [`Error::NoRoom`]: there is no memory for it.
    pub(crate) fn add(&self, who: &Arc<dyn Wakes>) -> Result<(), Error> {
        let mut list = self.list.lock();
        list.try_reserve(1).map_err(|_| Error::NoRoom)?;
        list.push(who.clone());
        self.count.store(list.len(), Ordering::Relaxed);
        Ok(())
    }

    /// Takes somebody off the list, once. Task context, interrupts off.
    pub(crate) fn remove(&self, who: &Arc<dyn Wakes>) {
        let mut list = self.list.lock();
        let place = list.iter().position(|other| Arc::ptr_eq(other, who));
        // The last reference may be the list's: it is dropped behind the lock.
        let gone = place.map(|place| list.swap_remove(place));
        self.count.store(list.len(), Ordering::Relaxed);
        // Lists of streams are there for good: what waits there is to leave nothing behind.
        let room = list.is_empty().then(|| mem::take(&mut *list));
        drop(list);
        drop((gone, room));
    }

    /// Has all of them look again. Task and IRQ context, interrupts off.
    #[inline(always)]
    pub(crate) fn wake_all(&self) {
        // What was made so is seen by who comes later, and who has looked before was counted before:
        // under the lock of what was looked at, or by fences and the announcement.
        if self.count.load(Ordering::Relaxed) != 0 {
            for waiter in self.list.lock().iter() {
                waiter.unpark();
            }
        }
    }

    /// How many there is room for.
    #[cfg(test)]
    pub(crate) fn room(&self) -> usize {
        self.list.lock().capacity()
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.list.lock().len()
    }
}

impl fmt::Debug for Waiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiters").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sleeper;

    impl Wakes for Sleeper {
        fn unpark(&self) {}
    }

    #[test]
    fn a_list_keeps_no_memory_for_those_who_have_gone() {
        let waiters = Waiters::new();
        let all: Vec<Arc<dyn Wakes>> = (0..20).map(|_| Arc::new(Sleeper) as _).collect();
        for who in &all {
            assert_eq!(waiters.add(who), Ok(()));
        }
        assert_eq!(waiters.count(), all.len());
        for who in &all {
            waiters.remove(who);
        }
        assert_eq!((waiters.count(), waiters.room()), (0, 0));
    }
}
