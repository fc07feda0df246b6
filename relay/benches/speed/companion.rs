//! A second thread that does something as long as the first one is measured, and sleeps otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread::{self, Thread};

const ASLEEP: u8 = 0;
const CALLED: u8 = 1;
const AWAKE: u8 = 2;
const DISMISSED: u8 = 3;

/// What both threads know.
#[derive(Debug)]
struct Shared {
    state: AtomicU8,
    done: Done,
}

/// Pieces of work done, on a cache line of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Done(AtomicU64);

/// The second thread.
#[derive(Debug)]
pub(crate) struct Companion {
    shared: Arc<Shared>,
    thread: Thread,
}

impl Companion {
    /// Starts a thread for `work`, a short piece of work that is done over and over, and at least
    /// once more when the first thread has finished; it says whether there was something to do.
    /// `init` makes it, on that thread. It ends with the program.
    pub(crate) fn start<W: FnMut() -> bool>(init: impl FnOnce() -> W + Send + 'static) -> Self {
        let shared = Arc::new(Shared {
            state: AtomicU8::new(ASLEEP),
            done: Done(AtomicU64::new(0)),
        });
        let theirs = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let Shared { state, done } = &*theirs;
            let mut work = init();
            let mut work = || {
                let more = u64::from(work());
                done.0
                    .store(done.0.load(Ordering::Relaxed) + more, Ordering::Release);
            };
            loop {
                while state.load(Ordering::Acquire) != CALLED {
                    thread::park();
                }
                state.store(AWAKE, Ordering::Release);
                while state.load(Ordering::Acquire) == AWAKE {
                    work();
                }
                work();
                state.store(ASLEEP, Ordering::Release);
            }
        });
        Self {
            shared,
            thread: thread.thread().clone(),
        }
    }

    /// Pieces of work done so far.
    pub(crate) fn done(&self) -> u64 {
        self.shared.done.0.load(Ordering::Acquire)
    }

    /// Runs `body` while the companion works. `None` if it did less than `least` pieces of work
    /// meanwhile: on a busy machine, it may not run at all.
    pub(crate) fn with<R>(&self, least: u64, body: impl FnOnce() -> R) -> Option<R> {
        self.shared.state.store(CALLED, Ordering::Release);
        self.thread.unpark();
        self.wait_for(AWAKE);
        let before = self.done();
        let result = body();
        let did = self.done() - before;
        self.shared.state.store(DISMISSED, Ordering::Release);
        self.wait_for(ASLEEP);
        (did >= least).then_some(result)
    }

    fn wait_for(&self, state: u8) {
        while self.shared.state.load(Ordering::Acquire) != state {
            std::hint::spin_loop();
        }
    }
}
