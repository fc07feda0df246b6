//! What waits for the receiver, and what became of it.

use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::frames::Faults;

/// A message.
pub(super) type Message = Box<[u8]>;

/// The bytes that may wait. When they do, the guest's port waits, as long as the receiver moves.
pub(super) const ROOM: usize = 4 << 20;

/// What a message costs beside its bytes.
const EXTRA: usize = 32;

/// The bytes that the sender takes at once, as a rule.
const BATCH: usize = 64 * 1024;

/// How long a receiver may take nothing before messages that find no room are given up.
pub(super) const STALL: Duration = Duration::from_secs(1);

/// How long the receiver may take nothing after the end,
const GRACE: Duration = Duration::from_secs(1);

/// and how long the rest may take in all.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// Tries that fail before a receiver that never took anything is given up at the end: its name may
/// have several addresses.
const ENOUGH: u32 = 3;

/// The longest pause after the end.
const SHORT: Duration = Duration::from_millis(50);

/// What became of messages.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// Those that the guest has said,
    pub(super) came: u64,
    /// those that the receiver has,
    pub(super) passed: u64,
    /// and those that had to be [cleaned](super::clean).
    pub(super) malformed: u64,
    /// Connections that broke after messages went over them.
    pub(super) broken: u64,
    /// Why some were not passed on: the last reason.
    pub(super) why: Option<String>,
    /// What of the guest's stream was no message.
    pub(super) faults: Option<Faults>,
}

/// What is shared.
#[derive(Debug)]
struct State {
    waiting: VecDeque<Message>,
    /// What they cost.
    bytes: usize,
    /// Since when the receiver might have moved and did not.
    moved: Instant,
    /// Tries to reach it that failed, since one did not.
    failed: u32,
    /// When the guest has said everything.
    over: Option<Instant>,
    counts: Counts,
}

/// A bounded queue between who reads the guest and who sends.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    /// The bytes that may wait.
    room: usize,
    /// How long the receiver may take nothing.
    stall: Duration,
}

impl Queue {
    /// An empty one, for so many bytes, and a receiver that may take nothing for so long.
    pub(super) fn new(room: usize, stall: Duration) -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                bytes: 0,
                moved: Instant::now(),
                failed: 0,
                over: None,
                counts: Counts::default(),
            }),
            changed: Condvar::new(),
            room,
            stall,
        }
    }

    /// What is shared; a thread that panicked leaves it usable.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds messages that came, some of them malformed. They wait for room as long as the receiver
    /// moves; then they are given up.
    pub(super) fn push(&self, messages: Vec<Message>, malformed: u64) {
        let mut state = self.lock();
        state.counts.malformed += malformed;
        for message in messages {
            state.counts.came += 1;
            let cost = message.len() + EXTRA;
            while state.bytes + cost > self.room && !state.waiting.is_empty() {
                let left = self.stall.saturating_sub(state.moved.elapsed());
                if left.is_zero() {
                    break;
                }
                // It may not know yet what waits.
                self.changed.notify_all();
                let waited = self.changed.wait_timeout(state, left);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            if state.bytes + cost > self.room {
                if state.failed == 0 {
                    state.counts.why = Some("they are taken too slowly".to_owned());
                }
                continue;
            }
            if state.waiting.is_empty() {
                state.moved = Instant::now();
            }
            state.bytes += cost;
            state.waiting.push_back(message);
        }
        self.changed.notify_all();
    }

    /// Waits for messages, and takes some; nothing if it is over and there are no more.
    pub(super) fn take(&self) -> Option<VecDeque<Message>> {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.over.is_some() {
                return None;
            }
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        let mut taken = VecDeque::new();
        let mut bytes = 0;
        while bytes < BATCH
            && let Some(message) = state.waiting.pop_front()
        {
            bytes += message.len();
            state.bytes -= message.len() + EXTRA;
            taken.push_back(message);
        }
        state.moved = Instant::now();
        self.changed.notify_all();
        Some(taken)
    }

    /// So many messages were passed on.
    pub(super) fn note_passed(&self, count: u64) {
        let mut state = self.lock();
        state.counts.passed += count;
        if count > 0 {
            (state.moved, state.failed) = (Instant::now(), 0);
        }
    }

    /// A try to pass something on failed; `has_broken` a connection over which something had gone.
    /// `true` says that it is the first one that failed.
    pub(super) fn note_failure(&self, error: &io::Error, has_broken: bool) -> bool {
        let mut state = self.lock();
        state.counts.broken += u64::from(has_broken);
        state.counts.why = Some(error.to_string());
        state.failed = state.failed.saturating_add(1);
        state.failed == 1
    }

    /// A message was refused for what it is.
    pub(super) fn note_refused(&self, error: &io::Error) {
        self.lock().counts.why = Some(error.to_string());
    }

    /// What of the guest's stream was no message.
    pub(super) fn note_faults(&self, faults: Option<Faults>) {
        self.lock().counts.faults = faults;
    }

    /// Waits for a time; after the end at most for a moment.
    pub(super) fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut state = self.lock();
        loop {
            let most = if state.over.is_some() { SHORT } else { time };
            let left = until.saturating_duration_since(Instant::now()).min(most);
            if left.is_zero() {
                return;
            }
            let was_over = state.over.is_some();
            let waited = self.changed.wait_timeout(state, left);
            let timeout;
            (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            if was_over && timeout.timed_out() {
                return;
            }
        }
    }

    /// The guest has said everything.
    pub(super) fn end(&self) {
        self.lock().over.get_or_insert_with(Instant::now);
        self.changed.notify_all();
    }

    /// Whether it is over, and the receiver that could not be reached need not be tried again: one
    /// that never took anything, or that has taken nothing for a while.
    pub(super) fn is_hopeless(&self) -> bool {
        let state = self.lock();
        state.over.is_some_and(|over| {
            state.counts.passed == 0 && state.failed >= ENOUGH
                || state.moved.max(over).elapsed() >= GRACE
                || over.elapsed() >= LIMIT
        })
    }

    /// What became of messages so far.
    pub(super) fn counts(&self) -> Counts {
        self.lock().counts.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn messages(count: usize) -> Vec<Message> {
        vec![vec![b'x'; 100].into(); count]
    }

    #[test]
    fn what_finds_no_room_is_given_up_when_nothing_moves() {
        let queue = Queue::new(10 * (100 + EXTRA), Duration::from_millis(50));
        queue.push(messages(25), 1);
        assert_eq!(queue.counts().came, 25);
        assert_eq!(queue.counts().malformed, 1);
        assert_eq!(
            queue.counts().why.as_deref(),
            Some("they are taken too slowly")
        );
        queue.end();
        assert_eq!(queue.take().map(|taken| taken.len()), Some(10));
        assert_eq!(queue.take(), None);
        assert_eq!(queue.lock().bytes, 0);
    }

    #[test]
    fn nothing_is_given_up_while_it_moves() {
        // It would take years to give up.
        let queue = Queue::new(10 * (100 + EXTRA), Duration::from_secs(1 << 30));
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..50 {
                    queue.push(messages(13), 0);
                }
                queue.end();
            });
            let mut count = 0;
            while let Some(taken) = queue.take() {
                assert!(taken.len() <= 10, "no more fit");
                count += taken.len();
                queue.note_passed(taken.len() as u64);
            }
            assert_eq!(count, 50 * 13);
        });
        let counts = queue.counts();
        assert_eq!((counts.came, counts.passed, counts.why), (650, 650, None));
    }

    #[test]
    fn pauses_end_with_the_guest() {
        let queue = Queue::new(ROOM, STALL);
        thread::scope(|scope| {
            scope.spawn(|| queue.end());
            queue.pause(Duration::from_secs(1 << 30));
        });
        assert!(!queue.is_hopeless(), "nothing failed yet");
        assert!(queue.note_failure(&io::ErrorKind::ConnectionRefused.into(), false));
        assert!(!queue.note_failure(&io::ErrorKind::ConnectionRefused.into(), false));
        assert!(!queue.is_hopeless());
        assert!(!queue.note_failure(&io::ErrorKind::ConnectionRefused.into(), false));
        assert!(queue.is_hopeless());
    }
}
