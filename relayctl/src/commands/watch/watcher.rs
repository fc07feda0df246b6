//! Sees the records that match, and tells of them.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use relay_decode::escape::printable;
use relay_decode::merge::Next;

use super::args::WatchArgs;
use super::limit::{Bucket, Rate};
use super::runner::Runner;
use super::threshold::Threshold;
use crate::commands::walk::{Viewer, WalkError, Walked, push_json};
use crate::exit::Exit;
use crate::terminal::say;

/// Tells of records.
#[derive(Debug)]
pub(super) struct Watcher {
    /// The boot that is watched.
    boot: u32,
    /// Whether one is enough.
    once: bool,
    threshold: Option<Threshold>,
    bucket: Bucket,
    /// Since when time is counted.
    begun: Instant,
    /// Runs commands; without it lines are shown.
    runner: Option<Runner>,
    counts: Counts,
    /// The line that is made.
    line: Vec<u8>,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    matches: u64,
    told: u64,
    over_limit: u64,
    queue_full: u64,
}

impl Watcher {
    /// Has seen nothing yet.
    pub(super) fn new(args: &WatchArgs, stop: &Arc<AtomicBool>) -> Self {
        let exec = args.exec.as_deref();
        let default = exec.map_or(Rate::Unlimited, |_| Rate::DEFAULT);
        let threshold = args.times.zip(args.within);
        Self {
            boot: 1,
            once: args.once,
            threshold: threshold.map(|(times, within)| Threshold::new(times, within)),
            bucket: Bucket::new(args.limit.unwrap_or(default)),
            begun: Instant::now(),
            runner: exec.map(|command| Runner::new(command, args, stop)),
            counts: Counts::default(),
            line: Vec::new(),
        }
    }

    /// How many notifications did not reach anybody.
    fn not_delivered(&self) -> u64 {
        let not_started = |runner: &Runner| runner.counts.not_started;
        let Counts {
            over_limit,
            queue_full,
            ..
        } = self.counts;
        over_limit + queue_full + self.runner.as_ref().map_or(0, not_started)
    }

    /// Tells of the record whose JSON is in the line.
    fn tell(&mut self) -> Result<(), WalkError> {
        let told = match &mut self.runner {
            None => {
                let mut out = io::stdout().lock();
                let written = out.write_all(&self.line).and_then(|()| out.flush());
                written.map_err(WalkError::Output)?;
                true
            }
            Some(runner) => runner.send(&self.line),
        };
        match told {
            true => self.counts.told += 1,
            false => self.counts.queue_full += 1,
        }
        Ok(())
    }

    /// Says how it went.
    fn sum_up(&self) {
        let matches = self.counts.matches;
        let mut text = match matches {
            1 => "1 record matched".to_owned(),
            _ => format!("{matches} records matched"),
        };
        if let Some(runner) = &self.runner {
            let counts = &runner.counts;
            text += &format!("; {} commands started", counts.started);
            if counts.failed > 0 {
                text += &format!(", {} of them failed", counts.failed);
            }
            if counts.killed > 0 {
                text += &format!(", {} of them had to be ended", counts.killed);
            }
            if let (true, Some(status)) = (self.once, counts.last) {
                text += &format!("; {status}");
            }
        }
        let not_delivered = self.not_delivered();
        if not_delivered > 0 {
            let Counts {
                over_limit,
                queue_full,
                ..
            } = self.counts;
            let not_started = not_delivered - over_limit - queue_full;
            text += &format!(
                "; {not_delivered} notifications were not delivered (over the limit {over_limit}, \
                 too many waiting {queue_full}, not started {not_started})"
            );
        }
        say(text);
    }
}

impl Viewer for Watcher {
    fn begin(&mut self, boot: u32, _: Option<String>) -> Result<(), WalkError> {
        self.boot = boot;
        Ok(())
    }

    fn show(&mut self, next: Next<'_, '_>) -> Result<(), WalkError> {
        let (shown, values) = match next {
            Next::Record(shown, values) => (shown, values),
            Next::Note(note) => {
                // There is nobody to tell about a stderr that cannot be written.
                let text = note.to_string();
                let _ = writeln!(io::stderr(), "{}", printable(text.as_bytes()));
                return Ok(());
            }
        };
        self.counts.matches += 1;
        let is_enough = |threshold: &mut Threshold| threshold.reached(shown.ns);
        if !self.threshold.as_mut().is_none_or(is_enough) {
            return Ok(());
        }
        if !self.bucket.take(self.begun.elapsed()) {
            self.counts.over_limit += 1;
            return Ok(());
        }
        self.line.clear();
        push_json(&mut self.line, self.boot, &shown, values);
        self.line.pop();
        // Writing to a `Vec` cannot fail.
        let _ = writeln!(
            self.line,
            ",\"watch\":{{\"matches\":{},\"not_delivered\":{}}}}}",
            self.counts.matches,
            self.not_delivered()
        );
        self.tell()?;
        match self.once {
            true => Err(WalkError::Stopped),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), WalkError> {
        if let Some(runner) = &mut self.runner {
            runner.look();
        }
        Ok(())
    }

    fn end(mut self, walked: Result<Walked, WalkError>) -> Result<Exit, WalkError> {
        if let Some(runner) = &mut self.runner {
            runner.finish();
        }
        let walked = match walked {
            Err(WalkError::Stopped) => Walked::default(),
            walked => walked?,
        };
        self.sum_up();
        Ok(match self.once {
            true => Exit::check(self.counts.told > 0),
            false => Exit::check(!walked.is_damaged),
        })
    }
}
