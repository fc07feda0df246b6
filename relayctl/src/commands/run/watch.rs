//! Watching a guest: its console is shown, its records are counted, and it is given up when it
//! hangs.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use relay_decode::capture::Capture;
use relay_decode::console::{Ledger, Line, LineSplitter};
use relay_decode::escape::printable;
use relay_machine::guest::{Event, Guest, GuestEnd};

use super::args::RunArgs;
use super::end::{End, PATIENCE};
use super::error::RunError;
use super::summary::{self, CaptureFacts, RunFacts};
use crate::exit::Exit;
use crate::terminal::{LazySymbols, Output, Renderer};

/// How long the rest of the console's text is waited for after QEMU was asked to end.
const DRAIN: Duration = Duration::from_secs(2);

/// How often QEMU is looked at when nothing happens.
const TICK: Duration = Duration::from_millis(200);

/// The scenario that goes on until it is stopped.
const ENDLESS: &str = "idle";

/// Watches one guest: shows its console and counts its records.
pub(super) struct Watch {
    /// Where the console's text goes; nowhere if quiet.
    output: Option<Output<Box<dyn Write>>>,
    /// How it is shown.
    renderer: Renderer,
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
    limit: Option<Duration>,
    /// How long the guest may be silent.
    pub(super) patience: Option<Duration>,
    /// Keeps the console's text, too.
    pub(super) capture: Option<Capture>,
}

impl Watch {
    /// Prepares to watch.
    pub(super) fn new(args: &RunArgs, symbols: LazySymbols) -> Self {
        let (output, colour): (Box<dyn Write>, bool) = match args.json {
            true => (Box::new(io::stderr()), args.color.for_stream(&io::stderr())),
            false => (Box::new(io::stdout()), args.color.for_stream(&io::stdout())),
        };
        let endless = args.scenario == ENDLESS;
        let limit = args
            .timeout
            .map(|seconds| Duration::from_secs(seconds.into()));
        let patient = endless || args.gdb || limit.is_some();
        Self {
            output: (!args.quiet).then(|| Output::new(output)),
            renderer: Renderer::new(colour, Some(symbols)),
            splitter: LineSplitter::new(),
            ledger: Ledger::new(),
            console_open: true,
            first_line: None,
            endless,
            limit,
            patience: (!patient).then_some(PATIENCE),
            capture: None,
        }
    }

    /// Shows the console until the guest ends or has to be ended, and waits for QEMU.
    pub(super) fn until_end(
        &mut self,
        guest: &mut Guest,
        events: &Receiver<Event>,
    ) -> Result<End, RunError> {
        let end = self.until_reason(guest, events)?;
        let status = match end {
            Some(_) => {
                guest.terminate();
                self.drain(guest, events)?;
                guest.wait().map_err(RunError::Guest)?
            }
            None => {
                let status = guest.wait().map_err(RunError::Guest)?;
                self.drain(guest, events)?;
                status
            }
        };
        let rest = &mut self.splitter;
        let mut shown = String::new();
        rest.finish(|line| {
            // Cut by the end: whatever it looks like, it is not whole.
            let text = printable(line.bytes);
            shown += &self.renderer.show(&text, &Line::Text(&text));
        });
        self.show(&shown)?;
        Ok(end.unwrap_or(End::Guest(status)))
    }

    /// Shows the console until there is a reason to stop; `None` is that QEMU
    /// has ended or has closed the console.
    fn until_reason(
        &mut self,
        guest: &mut Guest,
        events: &Receiver<Event>,
    ) -> Result<Option<End>, RunError> {
        let started = guest.started();
        let mut progress = started;
        let mut captured = 0;
        loop {
            let now = Instant::now();
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
            match events.recv_timeout(wait) {
                Ok(Event::Console(came, bytes)) => {
                    self.take(&bytes, came - started)?;
                    if self.endless && self.output.as_ref().is_some_and(Output::is_closed) {
                        return Ok(Some(End::Interrupted));
                    }
                    // After the writing: a reader that pauses is not a guest that hangs.
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
    fn drain(&mut self, guest: &Guest, events: &Receiver<Event>) -> Result<(), RunError> {
        let deadline = Instant::now() + DRAIN;
        while self.console_open {
            let wait = deadline.saturating_duration_since(Instant::now());
            match events.recv_timeout(wait) {
                Ok(Event::Console(came, bytes)) => self.take(&bytes, came - guest.started())?,
                Ok(Event::Signal) => {}
                Ok(Event::ConsoleEnd) | Err(_) => self.console_open = false,
            }
            if wait.is_zero() {
                break;
            }
        }
        Ok(())
    }

    /// Takes console text that came at a time after QEMU's start.
    fn take(&mut self, bytes: &[u8], came: Duration) -> Result<(), RunError> {
        if let Some(capture) = &self.capture {
            capture.console(bytes);
        }
        let mut shown = String::new();
        let Self {
            splitter,
            ledger,
            renderer,
            first_line,
            output,
            ..
        } = self;
        splitter.push(bytes, |raw| {
            let text = printable(raw.bytes);
            let line = Line::parse(&text);
            ledger.take(&line);
            if matches!(line, Line::Record(_)) {
                first_line.get_or_insert(came);
            }
            if output.is_some() {
                shown += renderer.show(&text, &line).trim_end_matches('\n');
                if raw.dropped > 0 {
                    shown += &format!(" [cut: {} more bytes]", raw.dropped);
                }
                shown.push('\n');
            }
        });
        self.show(&shown)
    }

    /// Writes to where the console's text goes.
    fn show(&mut self, text: &str) -> Result<(), RunError> {
        match &mut self.output {
            Some(output) => output.put(text).map_err(RunError::Output),
            None => Ok(()),
        }
    }

    /// What is wrong with the console's records.
    pub(super) fn problems(&self, end: End) -> Vec<String> {
        let mut problems = self.ledger.verdict().problems();
        if end == End::Guest(GuestEnd::Pass) && self.first_line.is_none() {
            problems.push("the guest reported success without one log record".to_owned());
        }
        problems
    }

    /// Prints the summary.
    pub(super) fn sum_up(
        &self,
        args: &RunArgs,
        end: End,
        exit: Exit,
        wall: Duration,
        problems: Vec<String>,
        capture: Option<CaptureFacts>,
    ) {
        let facts = RunFacts {
            scenario: args.scenario.clone(),
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
        };
        // There is nobody to tell about a summary that cannot be written.
        let _ = match args.json {
            true => Output::new(io::stdout()).put(&summary::json(&self.ledger, &facts)),
            false => Output::new(io::stderr()).put(&summary::table(&self.ledger, &facts)),
        };
    }
}
