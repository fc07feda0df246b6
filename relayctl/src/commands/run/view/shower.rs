//! What the view's thread does.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use relay_decode::capture::{FollowError, Live, OpenError};
use relay_decode::console::Line;
use relay_decode::merge::{Filter, LiveMerge, Next, Note, Order, What};

use super::lines::{Counts, Kind, Waiting};
use super::screen::Screen;
use super::seen::Seen;
use super::shared::Shared;
use crate::commands::cat;
use crate::terminal::{Renderer, say};

/// The channel that is shown.
const KLOG: &str = "klog";

/// How often is looked for what comes.
const POLL: Duration = Duration::from_millis(50);

/// How long a packet is held back for older ones of other CPUs: where many share few processors, a
/// CPU may take longer to hand over its first than one that was asked for it.
const HOLD: Duration = Duration::from_millis(500);

/// How long a record of the console waits for its packet.
const WAIT: Duration = Duration::from_secs(1);

/// The log, and nothing else.
pub(super) fn klog() -> Filter {
    Filter {
        channels: vec![KLOG.to_owned()],
        ..Filter::default()
    }
}

/// Why the view ends before the run.
#[derive(Debug)]
pub(super) enum ViewError {
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
pub(super) struct Shower<'a> {
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
    /// When it began: before everything that comes.
    began: Instant,
}

impl fmt::Debug for Shower<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shower").finish_non_exhaustive()
    }
}

impl<'a> Shower<'a> {
    /// Prepares to show on `out`.
    pub(super) fn new(out: File, renderer: Renderer, shared: &'a Shared) -> Self {
        Self {
            screen: Screen::new(out, &shared.moved, &shared.shown),
            shared,
            renderer,
            seen: Seen::default(),
            order: Order::default(),
            is_last_shown: true,
            began: Instant::now(),
        }
    }

    /// Shows everything, up to the end of the run.
    ///
    /// # Errors
    ///
    /// When nobody reads any more, or the output cannot be written.
    pub(super) fn run(&mut self, folder: &Path) -> Result<(), ViewError> {
        match self.packets(folder) {
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
        // What the console said before this record stands before it here, too.
        self.lines(Some(self.began))?;
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

    /// Shows the lines of the console whose turn it is, and lets the output have everything.
    fn console(&mut self, looked: Option<Instant>) -> Result<(), ViewError> {
        self.lines(looked)?;
        Ok(self.screen.flush()?)
    }

    /// Shows the lines of the console whose turn it is: up to the first record that still waits for
    /// its packet, if packets were looked for at this time; else all.
    fn lines(&mut self, looked: Option<Instant>) -> Result<(), ViewError> {
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
                (None, None) => return Ok(()),
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
