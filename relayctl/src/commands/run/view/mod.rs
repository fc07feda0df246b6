//! The live view: shows a run while it goes on, and never holds it up.
//!
//! It runs in a thread of its own, and reads the capture that grows on disk, as `cat --follow`
//! does: it may lag as far as it likes, and keeps one packet of each stream in memory. Where there
//! are packets of the log, they are what is shown; the console's text is what is shown before
//! them, and where there are none.
//!
//! | so much of | is shown |
//! |---|---|
//! | packets of the log | each record that was not shown yet, merged by time; losses and damage, where they are |
//! | the console, until the metadata has come on a port | every line, at once |
//! | the console, from then on | in its order: a record that packets have shown is passed over. The next one waits for its packet, and the lines behind it wait with it; if the packet does not come within [`WAIT`] after the view has caught up, or the run ends, the console's line is shown in its place |
//! | what the console lost or skipped before a record | what happens to that record: packets tell of losses themselves |
//! | other lines: notices (`-- `), the last resort (`!! `), firmware | when it is their turn |
//!
//! So each record is shown once; a panic that reaches the console only is shown, too; and of a
//! capture that does not grow any more, since it has its largest size or cannot be written, the
//! console's text goes on. Console lines wait in a queue of bounded size: if it is full, the oldest
//! go, and the view says so where they would have been.
//!
//! A record that comes when later ones were shown is shown with a note that says so.

mod lines;
mod screen;
mod seen;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use relay_decode::capture::{FollowError, Live, OpenError, Stored};
use relay_decode::console::Line;
use relay_decode::merge::{Filter, LiveMerge, Merge, Next, Note, Order, What};

use crate::commands::cat;
use crate::terminal::{Moved, Renderer, say, wait_while_moving};
use lines::{Counts, Kind, Lines, Waiting};
use screen::{Screen, Shown};
use seen::Seen;

/// The channel that is shown.
const KLOG: &str = "klog";

/// How often is looked for what comes.
const POLL: Duration = Duration::from_millis(50);

/// How long a packet is held back for older ones of other CPUs: where many share few processors, a
/// CPU may take longer to hand over its first than one that was asked for it.
const HOLD: Duration = Duration::from_millis(500);

/// How long a record of the console waits for its packet.
const WAIT: Duration = Duration::from_secs(1);

/// The view of a run.
#[derive(Debug)]
pub(super) struct View {
    /// What its thread shares.
    shared: Arc<Shared>,
    /// Its thread.
    thread: JoinHandle<io::Result<()>>,
}

/// What the thread shares.
#[derive(Debug, Default)]
struct Shared {
    /// Lines of the console.
    lines: Mutex<Lines>,
    /// Rung when lines came.
    came: Condvar,
    /// Whether the capture, and the console's text, are complete.
    is_over: AtomicBool,
    /// Whether nobody reads any more.
    is_closed: AtomicBool,
    /// What was written.
    moved: Moved,
    /// Which records were written.
    shown: Shown,
}

impl Shared {
    /// The lines; a thread that panicked leaves them usable.
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl View {
    /// Begins to show on `out` what comes to the capture in `folder`.
    ///
    /// # Errors
    ///
    /// When there can be no thread for it.
    pub(super) fn start(out: File, renderer: Renderer, folder: &Path) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (own, folder) = (Arc::clone(&shared), folder.to_owned());
        let thread = thread::Builder::new().spawn(move || {
            let mut shower = Shower {
                screen: Screen::new(out, &own.moved, &own.shown),
                shared: &own,
                renderer,
                seen: Seen::default(),
                order: Order::default(),
                is_last_shown: true,
            };
            match shower.run(folder) {
                Ok(()) => Ok(()),
                Err(ViewError::Closed) => {
                    own.is_closed.store(true, Ordering::Relaxed);
                    Ok(())
                }
                Err(ViewError::Output(error)) => Err(error),
                Err(ViewError::Follow(error)) => Err(io::Error::other(error.to_string())),
            }
        })?;
        Ok(Self { shared, thread })
    }

    /// Takes a line of the console, and its text as it may be shown.
    pub(super) fn line(&self, line: &Line<'_>, text: String, came: Instant) {
        if self.thread.is_finished() {
            return;
        }
        let kind = Kind::of(line);
        self.shared.lines().push(Waiting { came, kind, text });
        self.shared.came.notify_one();
    }

    /// Whether nobody reads what is shown.
    pub(super) fn is_closed(&self) -> bool {
        self.shared.is_closed.load(Ordering::Relaxed)
    }

    /// Says that all has come, since the capture is finished, and waits until it is shown: as long
    /// as the output moves, and only a moment once `is_hurried`. What is not shown of the capture in `folder` is said. False if the output was given
    /// up.
    ///
    /// # Errors
    ///
    /// When the output could not be written.
    pub(super) fn end(self, folder: &Path, is_hurried: impl FnMut() -> bool) -> io::Result<bool> {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.shared.came.notify_one();
        let is_done = || self.thread.is_finished();
        let is_done = wait_while_moving(&self.shared.moved, is_done, is_hurried);
        let is_closed = self.is_closed();
        let shown = self.shared.shown.lock();
        let shown = shown.unwrap_or_else(PoisonError::into_inner).clone();
        // Another thread cannot be ended: if it is stuck, it ends with the process.
        let result = match is_done {
            true => {
                let joined = self.thread.join();
                joined.unwrap_or_else(|_| Err(io::Error::other("the view has failed")))
            }
            false => Ok(()),
        };
        if !is_closed {
            let left_out = left_out(folder, &shown);
            if !left_out.is_empty() {
                let why = match is_done {
                    true => "",
                    false => ", because the output did not move",
                };
                let counts = Counts(&left_out);
                say(format!(
                    "{counts} were not shown{why}: 'relayctl cat' shows the capture"
                ));
            } else if !is_done {
                say("the end of the console's text was not shown: the output did not move");
            }
        }
        result.map(|()| is_done)
    }
}

/// How many records of the log a capture has, by CPU. What cannot be read does not count.
pub(super) fn logged(folder: &Path) -> BTreeMap<u32, u64> {
    let mut there = BTreeMap::<u32, u64>::new();
    let filter = klog();
    if let Ok(stored) = Stored::open(folder)
        && let Ok(mut merge) = Merge::of(&stored, &filter)
    {
        let _ = merge.each(|next| {
            if let Next::Record(record, _) = next {
                *there.entry(record.cpu).or_default() += 1;
            }
            Ok::<_, OpenError>(())
        });
    }
    there
}

/// How many records of the log a capture has that were not shown, by CPU.
fn left_out(folder: &Path, shown: &BTreeMap<u32, u64>) -> BTreeMap<u32, u64> {
    let missing = logged(folder).into_iter().map(|(cpu, count)| {
        let shown = shown.get(&cpu).copied().unwrap_or_default();
        (cpu, count.saturating_sub(shown))
    });
    missing.filter(|(_, count)| *count > 0).collect()
}

/// The log, and nothing else.
fn klog() -> Filter {
    Filter {
        channels: vec![KLOG.to_owned()],
        ..Filter::default()
    }
}

/// Why the view ends before the run.
#[derive(Debug)]
enum ViewError {
    /// Nobody reads any more.
    Closed,
    /// The output cannot be written.
    Output(io::Error),
    /// The capture cannot be read.
    Follow(FollowError),
}

impl From<io::Error> for ViewError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Output(error),
        }
    }
}

impl From<FollowError> for ViewError {
    fn from(error: FollowError) -> Self {
        Self::Follow(error)
    }
}

impl From<OpenError> for ViewError {
    fn from(error: OpenError) -> Self {
        Self::Follow(error.into())
    }
}

/// What the view's thread works with.
struct Shower<'a> {
    /// Where to.
    screen: Screen<'a>,
    /// What is shared.
    shared: &'a Shared,
    /// How.
    renderer: Renderer,
    /// What was shown.
    seen: Seen,
    /// In which order.
    order: Order,
    /// Whether the record above was shown, and what belongs to it is to be.
    is_last_shown: bool,
}

impl fmt::Debug for Shower<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shower").finish_non_exhaustive()
    }
}

impl Shower<'_> {
    /// Shows everything.
    fn run(&mut self, folder: PathBuf) -> Result<(), ViewError> {
        match self.packets(&folder) {
            // The capture has become unreadable: the console is all there is.
            Err(ViewError::Follow(error)) => {
                say(format!("the log is shown as the console has it: {error}"));
                self.console_only()
            }
            result => result,
        }
    }

    /// Shows what packets say.
    fn packets(&mut self, folder: &Path) -> Result<(), ViewError> {
        let mut live = Live::open(folder)?;
        let (schema, streams) = loop {
            // Before looking.
            let is_over = self.is_over();
            live.poll()?;
            if let Some(found) = live.metadata(false)? {
                break found;
            }
            self.console(None)?;
            if is_over {
                return Ok(());
            }
            self.pause()?;
        };
        if !schema.channels.iter().any(|channel| channel.name == KLOG) {
            return self.console_only();
        }
        let (folder, filter) = (live.folder().to_owned(), klog());
        let found = (&schema, streams.as_slice());
        let mut merge = LiveMerge::new(&folder, found, &filter, false, HOLD)?;
        loop {
            let is_last = self.is_over();
            let looked = Instant::now();
            if merge.has_room() || is_last {
                live.poll()?;
            }
            // What is wrong with the list is said when the capture is judged.
            live.problems().for_each(drop);
            merge.show(live.take(), looked, is_last, |next| self.packet(next))?;
            self.console((!is_last).then_some(looked))?;
            if is_last {
                return Ok(());
            }
            self.pause()?;
        }
    }

    /// Shows the console's text, and nothing else.
    fn console_only(&mut self) -> Result<(), ViewError> {
        loop {
            let is_over = self.is_over();
            self.console(None)?;
            if is_over {
                return Ok(());
            }
            self.pause()?;
        }
    }

    /// Whether all has come.
    fn is_over(&self) -> bool {
        self.shared.is_over.load(Ordering::Relaxed)
    }

    /// Waits until it is time to look again.
    fn pause(&self) -> Result<(), ViewError> {
        if !self.screen.has_reader() {
            return Err(ViewError::Closed);
        }
        let lines = self.shared.lines();
        // Only what was not waiting before wakes it.
        drop(self.shared.came.wait_timeout(lines, POLL));
        Ok(())
    }

    /// Shows a record or a note of packets.
    fn packet(&mut self, next: Next<'_, '_>) -> Result<(), ViewError> {
        let (shown, values) = match next {
            // What is late is late behind console lines, too.
            Next::Note(Note {
                what: What::Late(_),
                ..
            }) => return Ok(()),
            Next::Note(note) => return self.note(&note),
            Next::Record(shown, values) => (shown, values),
        };
        if !self.seen.add(shown.cpu, shown.record.number) {
            return Ok(());
        }
        self.in_order(shown.cpu, shown.ns / 1000)?;
        let mut record_of = Some(shown.cpu);
        for line in cat::console_text(&shown, values).lines() {
            let text = self.renderer.show(line, &Line::parse(line));
            self.screen.put(&text, record_of.take())?;
        }
        Ok(())
    }

    /// Shows a note.
    fn note(&mut self, note: &Note) -> Result<(), ViewError> {
        let text = self.renderer.note(note);
        Ok(self.screen.put(&text, None)?)
    }

    /// Says so if the next record is too late for its place.
    fn in_order(&mut self, cpu: u32, time_us: u64) -> Result<(), ViewError> {
        match self.order.take(cpu.into(), time_us) {
            Some(before_us) => self.note(&Note {
                channel: KLOG.to_owned(),
                cpu,
                what: What::Late(before_us.saturating_mul(1000)),
            }),
            None => Ok(()),
        }
    }

    /// Shows the lines of the console whose turn it is: up to the first record that still waits for
    /// its packet, if packets were looked for at this time; else all.
    fn console(&mut self, looked: Option<Instant>) -> Result<(), ViewError> {
        loop {
            let mut lines = self.shared.lines();
            let gap = lines.gap();
            let line = match (&gap, lines.front()) {
                (None, Some(line)) => {
                    let waits = match line.kind {
                        Kind::Record(cpu, number, _) | Kind::Before(cpu, number) => {
                            !self.seen.has(cpu, number)
                                && looked.is_some_and(|looked| looked < line.came + WAIT)
                        }
                        Kind::More | Kind::Other => false,
                    };
                    if waits { None } else { lines.pop() }
                }
                _ => None,
            };
            drop(lines);
            match (gap, line) {
                (Some(gap), _) => {
                    // Packets bring the records.
                    let records = gap.records.iter().filter(|_| looked.is_none());
                    let records: BTreeMap<_, _> = records.map(|(cpu, n)| (*cpu, *n)).collect();
                    if !records.is_empty() || gap.others > 0 {
                        let (counts, others) = (Counts(&records), gap.others);
                        let text = format!(
                            "-- not shown, because the output did not move: {counts}, {others} \
                             other lines of the console: console.log has them, as far as it goes"
                        );
                        let text = self.renderer.show(&text, &Line::parse(&text));
                        self.screen.put(&text, None)?;
                    }
                }
                (None, Some(line)) => self.line(&line)?,
                (None, None) => return Ok(self.screen.flush()?),
            }
        }
    }

    /// Shows a line of the console whose turn it is.
    fn line(&mut self, line: &Waiting) -> Result<(), ViewError> {
        let mut record_of = None;
        let is_shown = match line.kind {
            Kind::Record(cpu, number, time_us) => {
                self.is_last_shown = self.seen.add(cpu, number);
                if self.is_last_shown {
                    self.in_order(cpu, time_us)?;
                    record_of = Some(cpu);
                }
                self.is_last_shown
            }
            Kind::Before(cpu, number) => !self.seen.has(cpu, number),
            Kind::More => self.is_last_shown,
            Kind::Other => {
                self.is_last_shown = true;
                true
            }
        };
        match is_shown {
            true => {
                let text = self.renderer.show(&line.text, &Line::parse(&line.text));
                Ok(self.screen.put(&text, record_of)?)
            }
            false => Ok(()),
        }
    }
}
