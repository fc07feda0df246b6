//! A second thread that does something as long as the first one is measured, and sleeps otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, Thread};

const ASLEEP: u8 = 0;
const CALLED: u8 = 1;
const AWAKE: u8 = 2;
const DISMISSED: u8 = 3;

/// The second thread.
#[derive(Debug)]
pub(crate) struct Companion {
    state: Arc<AtomicU8>,
    thread: Thread,
}

impl Companion {
    /// Starts a thread for `work`, a short piece of work that is done over and over, and at least
    /// once more when the first thread has finished. `init` makes it, on that thread. It ends with
    /// the program.
    pub(crate) fn start<W: FnMut()>(init: impl FnOnce() -> W + Send + 'static) -> Self {
        let state = Arc::new(AtomicU8::new(ASLEEP));
        let theirs = Arc::clone(&state);
        let thread = thread::spawn(move || {
            let mut work = init();
            loop {
                while theirs.load(Ordering::Acquire) != CALLED {
                    thread::park();
                }
                theirs.store(AWAKE, Ordering::Release);
                while theirs.load(Ordering::Acquire) == AWAKE {
                    work();
                }
                work();
                theirs.store(ASLEEP, Ordering::Release);
            }
        });
        Self {
            state,
            thread: thread.thread().clone(),
        }
    }

    /// Runs `body` while the companion works.
    pub(crate) fn with<R>(&self, body: impl FnOnce() -> R) -> R {
        self.state.store(CALLED, Ordering::Release);
        self.thread.unpark();
        self.wait_for(AWAKE);
        let result = body();
        self.state.store(DISMISSED, Ordering::Release);
        self.wait_for(ASLEEP);
        result
    }

    fn wait_for(&self, state: u8) {
        while self.state.load(Ordering::Acquire) != state {
            std::hint::spin_loop();
        }
    }
}
