//! Watching a guest: its console is kept and counted, and it is given up when it hangs.
//!
//! Nothing here waits for an output: what is to be shown is given to the [`View`], talk goes aside.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use relay_decode::capture::{Capture, LinePort};
use relay_decode::console::{Ledger, Line, LineSplitter};
use relay_decode::escape::printable;
use relay_machine::guest::{Event, Guest, GuestEnd};
use relay_machine::syslog::Told;

use super::args::RunArgs;
use super::end::{End, PATIENCE};
use super::error::RunError;
use super::pause::Pauses;
use super::summary::{self, CaptureFacts, RunFacts};
use super::view::View;
use crate::exit::Exit;

/// Chunks of console text that may wait to be written to the capture. When they do, QEMU waits,
/// then the guest's console, and then the guest counts what it loses.
pub(super) const QUEUE: usize = 64;

/// How long the rest of the console's text is waited for after QEMU was asked to end.
const DRAIN: Duration = Duration::from_secs(2);

/// How often QEMU is looked at when nothing happens.
const TICK: Duration = Duration::from_millis(200);

/// How often the clock is looked at, at least: in each look a chunk of the console's text is taken.
const LOOK: Duration = Duration::from_millis(500);

/// The scenario that goes on until it is stopped.
const ENDLESS: &str = "idle";

/// Watches one guest: counts its records, and gives what it says to the view.
pub(super) struct Watch {
    /// Where the console's text is shown; nowhere if quiet.
    pub(super) view: Option<View>,
    /// Cuts it into lines.
    splitter: LineSplitter,
    /// Counts the records.
    pub(super) ledger: Ledger,
    /// Whether more text may come.
    console_open: bool,
    /// When the first record came.
    pub(super) first_line: Option<Duration>,
    /// Whether the scenario goes on until it is stopped.
    pub(super) endless: bool,
    /// When the guest is given up although it makes progress.
    pub(super) limit: Option<Duration>,
    /// How long the guest may be silent.
    pub(super) patience: Option<Duration>,
    /// When nothing was read.
    pub(super) pauses: Pauses,
    /// Where packets go.
    pub(super) capture: Option<Capture>,
    /// What became of what the guest said to syslog, if that was passed on.
    pub(super) syslog: Option<Told>,
    /// Takes what comes from COM1: text, which it keeps, and frames, if the kernel sends them there.
    pub(super) console: Option<LinePort>,
}

impl Watch {
    /// Prepares to watch.
    pub(super) fn new(args: &RunArgs) -> Self {
        let endless = args.scenario() == ENDLESS;
        let limit = args
            .timeout
            .map(|seconds| Duration::from_secs(seconds.into()));
        let patient = endless || args.gdb || limit.is_some();
        Self {
            view: None,
            splitter: LineSplitter::new(),
            ledger: Ledger::new(),
            console_open: true,
            first_line: None,
            endless,
            limit,
            patience: (!patient).then_some(PATIENCE),
            pauses: Pauses::new(Instant::now()),
            capture: None,
            syslog: None,
            console: None,
        }
    }

    /// Takes the console's text until the guest ends or has to be ended, and waits for QEMU.
    pub(super) fn until_end(
        &mut self,
        guest: &mut Guest,
        events: &Receiver<Event>,
    ) -> Result<End, RunError> {
        let end = self.until_reason(guest, events)?;
        let status = match end {
            Some(_) => {
                guest.terminate();
                self.drain(guest, events);
                guest.wait().map_err(RunError::Guest)?
            }
            None => {
                let status = guest.wait().map_err(RunError::Guest)?;
                self.drain(guest, events);
                status
            }
        };
        self.pauses.look(Instant::now(), DRAIN + LOOK);
        if let Some(console) = self.console.take() {
            let (now, after) = (Instant::now(), guest.started().elapsed());
            console.finish(|text| self.take_text(text, now, after));
        }
        let Self { splitter, view, .. } = self;
        splitter.finish(|line| {
            // Cut by the end: whatever it looks like, it is not whole.
            let text = printable(line.bytes);
            if let Some(view) = view {
                view.line(&Line::Text(&text), text.to_string(), Instant::now());
            }
        });
        Ok(end.unwrap_or(End::Guest(status)))
    }

    /// Takes the console's text until there is a reason to stop; `None` is that QEMU
    /// has ended or has closed the console.
    fn until_reason(
        &mut self,
        guest: &mut Guest,
        events: &Receiver<Event>,
    ) -> Result<Option<End>, RunError> {
        let started = guest.started();
        let mut progress = started;
        let mut captured = 0;
        self.pauses = Pauses::new(started);
        loop {
            let now = Instant::now();
            // Who was not heard was not silent.
            progress += self.pauses.look(now, LOOK);
            if self.limit.is_some_and(|limit| now >= started + limit) {
                return Ok(Some(End::Timeout));
            }
            if self
                .patience
                .is_some_and(|patience| now >= progress + patience)
            {
                return Ok(Some(End::NoProgress));
            }
            let wait = self
                .limit
                .map_or(TICK, |limit| TICK.min(started + limit - now));
            if self.endless && self.view.as_ref().is_some_and(View::is_closed) {
                return Ok(Some(End::Interrupted));
            }
            match events.recv_timeout(wait) {
                Ok(Event::Console(came, bytes)) => {
                    self.take(&bytes, came, came.saturating_duration_since(started));
                    progress = Instant::now();
                }
                Ok(Event::Signal) => return Ok(Some(End::Interrupted)),
                Ok(Event::ConsoleEnd) | Err(RecvTimeoutError::Disconnected) => {
                    self.console_open = false;
                    return Ok(None);
                }
                Err(RecvTimeoutError::Timeout) => {
                    if guest.has_ended().map_err(RunError::Guest)? {
                        return Ok(None);
                    }
                    // A guest that says nothing may still be sending packets.
                    let came = self
                        .capture
                        .as_ref()
                        .map_or(0, |capture| capture.totals().came());
                    if came != captured {
                        captured = came;
                        progress = Instant::now();
                    }
                }
            }
        }
    }

    /// Takes what is left of the console's text.
    fn drain(&mut self, guest: &Guest, events: &Receiver<Event>) {
        let deadline = Instant::now() + DRAIN;
        // What waits is taken in any case: the time may have gone by while this process was
        // stopped.
        let mut overtime = 2 * QUEUE;
        while self.console_open && overtime > 0 {
            let wait = deadline.saturating_duration_since(Instant::now());
            overtime -= usize::from(wait.is_zero());
            match events.recv_timeout(wait) {
                Ok(Event::Console(came, bytes)) => {
                    let after = came.saturating_duration_since(guest.started());
                    self.take(&bytes, came, after);
                }
                Ok(Event::Signal) => {}
                Ok(Event::ConsoleEnd) | Err(_) => self.console_open = false,
            }
        }
    }

    /// Takes console text that came at a time, so long after QEMU's start.
    fn take(&mut self, bytes: &[u8], came: Instant, after: Duration) {
        let Some(mut console) = self.console.take() else {
            return self.take_text(bytes, came, after);
        };
        console.push(bytes, |text| self.take_text(text, came, after));
        self.console = Some(console);
    }

    /// Takes text of the console.
    fn take_text(&mut self, text: &[u8], came: Instant, after: Duration) {
        let Self {
            splitter,
            ledger,
            first_line,
            view,
            ..
        } = self;
        splitter.push(text, |raw| {
            let text = printable(raw.bytes);
            let line = Line::parse(&text);
            ledger.take(&line);
            if matches!(line, Line::Record(_)) {
                first_line.get_or_insert(after);
            }
            if let Some(view) = view {
                let mut shown = text.to_string();
                if raw.dropped > 0 {
                    shown += &format!(" [cut: {} more bytes]", raw.dropped);
                }
                view.line(&line, shown, came);
            }
        });
    }

    /// What is wrong with the console's records.
    pub(super) fn problems(&self, end: End) -> Vec<String> {
        let mut problems = self.ledger.verdict().problems();
        let packets = self
            .capture
            .as_ref()
            .map(|capture| capture.totals().packets);
        let is_silent = self.first_line.is_none() && packets.is_none_or(|packets| packets == 0);
        if end == End::Guest(GuestEnd::Pass) && is_silent {
            problems.push("the guest reported success without one log record".to_owned());
        }
        problems
    }

    /// What is wrong with records that the console skipped: the capture should have them. `logged`
    /// is how many records of the log it has, by CPU.
    pub(super) fn passed_over(&self, logged: &BTreeMap<u32, u64>) -> Vec<String> {
        let skipping = self.ledger.streams();
        let skipping = skipping.filter(|(_, stream)| stream.passed_over > 0);
        let absent = skipping.filter_map(|(cpu, stream)| {
            let logged = logged.get(&cpu).copied().unwrap_or_default();
            let (printed, skipped) = (stream.delivered, stream.passed_over);
            (printed.saturating_add(skipped) > logged).then(|| {
                format!(
                    "cpu {cpu}: the console printed {printed} records and skipped {skipped}, the \
                     capture has {logged}"
                )
            })
        });
        absent.collect()
    }

    /// The summary.
    pub(super) fn sum_up(
        &self,
        args: &RunArgs,
        end: End,
        exit: Exit,
        wall: Duration,
        problems: Vec<String>,
        capture: Option<CaptureFacts>,
    ) -> String {
        let facts = RunFacts {
            scenario: args.scenario().to_owned(),
            result: end.result(self.endless),
            exit: exit.code(),
            first_line_ms: self.first_line.map(summary::milliseconds),
            wall_ms: summary::milliseconds(wall),
            smp: capture
                .as_ref()
                .and_then(|capture| capture.cpus)
                .or(args.cpus())
                .or(self.ledger.cpus()),
            problems,
            capture,
            syslog: self.syslog.clone(),
        };
        match args.json {
            true => summary::json(&self.ledger, &facts),
            false => summary::table(&self.ledger, &facts),
        }
    }
}
