//! Threads that sleep until something becomes readable.

use super::lock::lock;
use core::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Mutex, TryLockError};
use std::thread::{self, Thread, ThreadId};
use std::time::Duration;
use std::vec::Vec;

/// Threads that are to be woken.
pub(super) static SLEEPERS: Sleepers = Sleepers {
    threads: Mutex::new(Vec::new()),
    bell: AtomicBool::new(false),
};

pub(super) struct Sleepers {
    threads: Mutex<Vec<Thread>>,
    /// They are to be woken.
    bell: AtomicBool,
}

/// This thread can be woken. Have one before you [announce](crate::Reader::prepare_to_sleep) that
/// you will sleep; one serves any number of readers.
///
/// See the [module](crate::host) for an example.
#[derive(Debug)]
pub struct Sleeper {
    of: ThreadId,
    _of_this_thread: PhantomData<*const ()>,
}

impl Sleeper {
    /// Has this thread woken whenever something becomes readable for which somebody sleeps, until
    /// the result is dropped. Takes a lock for a moment, and may allocate: not from a signal
    /// handler.
    #[must_use = "the thread is woken until this is dropped"]
    pub fn new() -> Self {
        let this = thread::current();
        let of = this.id();
        SLEEPERS.change(|threads| threads.push(this));
        Self {
            of,
            _of_this_thread: PhantomData,
        }
    }

    /// Sleeps until it is woken; not at all if it was woken since it slept last. It may wake for
    /// nothing: look again, and announce the next sleep anew.
    pub fn sleep(&self) {
        thread::park();
    }

    /// The same, for `most` at the longest: for readers that ask for a flush now and then.
    pub fn sleep_at_most(&self, most: Duration) {
        thread::park_timeout(most);
    }
}

impl Default for Sleeper {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        SLEEPERS.change(|threads| {
            let own = threads.iter().position(|thread| thread.id() == self.of);
            own.map(|own| threads.swap_remove(own));
        });
    }
}

impl Sleepers {
    /// Changes who is to be woken.
    fn change<R>(&self, change: impl FnOnce(&mut Vec<Thread>) -> R) {
        change(&mut lock(&self.threads));
        self.answer();
    }

    /// Wakes all of them, without waiting. Any context, signal handlers included.
    pub(super) fn ring(&self) {
        // Release: what was made readable before it is seen by whoever is woken for it.
        self.bell.store(true, Ordering::Release);
        self.answer();
    }

    /// Wakes all, if the bell has rung. Who finds another at the list goes away: that one looks for
    /// the bell after it has let go of the list. One of both sees the other, because of the fence.
    fn answer(&self) {
        loop {
            fence(Ordering::SeqCst);
            if !self.bell.load(Ordering::Relaxed) {
                return;
            }
            let threads = match self.threads.try_lock() {
                Ok(threads) => threads,
                Err(TryLockError::Poisoned(threads)) => threads.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            if self.bell.swap(false, Ordering::AcqRel) {
                threads.iter().for_each(Thread::unpark);
            }
        }
    }
}
