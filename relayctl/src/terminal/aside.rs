//! Ways out that may be stuck: a pipe that nobody reads, a terminal that was stopped.
//!
//! Whoever may not wait for them lets a thread of its own write: to [`Aside`] text is given, and
//! the giver goes on at once. At the end [`wait_while_moving`] waits, but not for ever.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How much text may wait, in bytes.
const MAX_WAITING: usize = 1 << 20;

/// How long an output may stand still before it is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long an output may take in all when there is a hurry.
const HURRY: Duration = Duration::from_secs(1);

/// How often an output is looked at.
const POLL: Duration = Duration::from_millis(5);

/// The same file as one of the standard streams, without the lock that the standard library has
/// around those: a thread that is stuck holds up nobody else.
pub(crate) fn unlocked(stream: &impl AsFd) -> io::Result<File> {
    stream.as_fd().try_clone_to_owned().map(File::from)
}

/// How many bytes an output has taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moved(Arc<AtomicU64>);

impl Moved {
    /// Writes a text, and counts every part of it that was taken.
    pub(crate) fn write_all(&self, out: &mut impl Write, mut text: &[u8]) -> io::Result<()> {
        while !text.is_empty() {
            match out.write(text) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => {
                    self.0.fetch_add(length as u64, Ordering::Relaxed);
                    text = text.get(length..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Waits until `is_done`, as long as the output moves, and only a moment once `is_hurried`; false
/// if it is given up. Time is counted by looks, so that it stands still with this process.
pub(crate) fn wait_while_moving(
    moved: &Moved,
    is_done: impl Fn() -> bool,
    is_hurried: impl FnMut() -> bool,
) -> bool {
    wait(moved, is_done, is_hurried, (PATIENCE, HURRY))
}

/// The same, with the times that an output may stand still, and may take in a hurry.
fn wait(
    moved: &Moved,
    is_done: impl Fn() -> bool,
    mut is_hurried: impl FnMut() -> bool,
    (patience, hurry): (Duration, Duration),
) -> bool {
    let looks = |time: Duration| time.as_millis() / POLL.as_millis();
    let (mut still, mut hurried) = (0, 0);
    let mut last = moved.0.load(Ordering::Relaxed);
    while !is_done() {
        let now = moved.0.load(Ordering::Relaxed);
        still = if now == last { still + 1 } else { 0 };
        last = now;
        hurried += u128::from(is_hurried());
        if still > looks(patience) || hurried > looks(hurry) {
            return false;
        }
        thread::sleep(POLL);
    }
    true
}

/// Writes in a thread of its own.
#[derive(Clone, Debug)]
pub(crate) struct Aside {
    /// What the thread shares.
    shared: Arc<Shared>,
}

/// What the thread shares.
#[derive(Debug, Default)]
struct Shared {
    /// What is to be written.
    queue: Mutex<Queue>,
    /// Rung when something came.
    came: Condvar,
    /// What was written.
    moved: Moved,
    /// Whether nobody waits for it any more.
    is_given_up: AtomicBool,
}

/// What is to be written.
#[derive(Debug, Default)]
struct Queue {
    /// The texts.
    texts: VecDeque<String>,
    /// Their length in bytes.
    bytes: usize,
    /// Lines that found no room.
    left_out: usize,
    /// Whether a text is being written.
    is_busy: bool,
}

impl Shared {
    /// The queue; a thread that panicked leaves it usable.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what comes, for ever, or until the output is gone.
    fn write(&self, mut out: impl Write) {
        loop {
            let mut queue = self.lock();
            queue.is_busy = false;
            let text = loop {
                if let Some(text) = queue.texts.pop_front() {
                    queue.bytes -= text.len();
                    break text;
                }
                let left_out = std::mem::take(&mut queue.left_out);
                if left_out > 0 {
                    break format!("{left_out} lines were not shown here: nobody read them\n");
                }
                let waited = self.came.wait(queue);
                queue = waited.unwrap_or_else(PoisonError::into_inner);
            };
            queue.is_busy = true;
            drop(queue);
            // An output that is gone takes everything: there is nobody to tell.
            let _ = self.moved.write_all(&mut out, text.as_bytes());
        }
    }
}

impl Aside {
    /// Begins to write to `out`.
    ///
    /// # Errors
    ///
    /// When there can be no thread for it.
    pub(crate) fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        thread::Builder::new().spawn(move || own.write(out))?;
        Ok(Self { shared })
    }

    /// Gives it a text, which is left out if too much waits already.
    pub(crate) fn put(&self, text: String) {
        let mut queue = self.shared.lock();
        let is_full = !queue.texts.is_empty() && queue.bytes + text.len() > MAX_WAITING;
        if is_full {
            queue.left_out += text.lines().count();
            return;
        }
        queue.bytes += text.len();
        queue.texts.push_back(text);
        self.shared.came.notify_one();
    }

    /// Waits until all is written, as [`wait_while_moving`] does; not again once it was given up.
    pub(crate) fn settle(&self, is_hurried: impl FnMut() -> bool) -> bool {
        if self.shared.is_given_up.load(Ordering::Relaxed) {
            return false;
        }
        let is_done = || {
            let queue = self.shared.lock();
            queue.texts.is_empty() && queue.left_out == 0 && !queue.is_busy
        };
        let is_settled = wait_while_moving(&self.shared.moved, is_done, is_hurried);
        let is_given_up = &self.shared.is_given_up;
        is_given_up.store(!is_settled, Ordering::Relaxed);
        is_settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::io::Read;

    #[test]
    fn an_output_is_waited_for_as_long_as_it_moves() {
        let long = Duration::from_secs(3600);
        let moved = Moved::default();
        let looks = Cell::new(0);
        // It moves with every look but the last hundred.
        let is_done = || {
            looks.set(looks.get() + 1);
            if looks.get() < 200 {
                let written = moved.write_all(&mut io::sink(), b"x");
                written.expect("a sink takes everything");
            }
            false
        };
        assert!(!wait(&moved, is_done, || false, (POLL * 100, long)));
        assert!((300..303).contains(&looks.get()), "{}", looks.get());
        // In a hurry it makes no difference whether it moves.
        looks.set(0);
        assert!(!wait(&moved, is_done, || true, (long, POLL * 100)));
        assert!((100..103).contains(&looks.get()), "{}", looks.get());
        assert!(wait(&moved, || true, || true, (POLL, POLL)));
    }

    #[test]
    fn a_stuck_output_holds_up_nobody_and_loses_nothing_silently() {
        let (mut reader, writer) = io::pipe().expect("there are pipes");
        let aside = Aside::start(writer).expect("there are threads");
        let line = "x".repeat(1023) + "\n";
        // More than a pipe and the queue have room for.
        let lines = 2 * (MAX_WAITING + (1 << 16)) / line.len();
        for _ in 0..lines {
            aside.put(line.clone());
        }
        let is_given_up = !wait_while_moving(&aside.shared.moved, || false, || true);
        assert!(is_given_up);
        let reading = thread::spawn(move || {
            let mut text = Vec::new();
            let mut buffer = [0; 4096];
            while !text.ends_with(b"nobody read them\n") {
                let length = reader.read(&mut buffer).expect("it is readable");
                text.extend_from_slice(&buffer[..length]);
            }
            String::from_utf8(text).expect("it is text")
        });
        assert!(aside.settle(|| false));
        let text = reading.join().expect("it only reads");
        let whole = text.lines().filter(|read| **read == line[..1023]).count();
        let last = text.lines().last().expect("there are lines");
        let left_out: usize = last.split(' ').next().unwrap().parse().expect("a number");
        assert_eq!(whole + left_out, lines);
        assert!(whole >= MAX_WAITING / line.len());
    }
}
