//! Passes on what waits, and connects again and again.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use super::destination::Destination;
use super::output::{Output, Step};
use super::queue::{Message, Queue};

/// The first pause after a failure; each further one is twice as long,
const FIRST: Duration = Duration::from_millis(50);

/// up to this.
const LONGEST: Duration = Duration::from_secs(5);

/// How long a receiver that takes nothing is left alone.
const MOMENT: Duration = Duration::from_millis(10);

/// Who passes messages on.
pub(super) struct Sender<'a, T> {
    pub(super) queue: &'a Queue,
    pub(super) to: Destination,
    /// The receiver, if it is connected.
    pub(super) output: Option<Output>,
    /// Tries that failed.
    pub(super) tries: usize,
    /// Tells what changes: that the receiver cannot be reached, and that it can.
    pub(super) tell: T,
}

impl<T: Fn(&str)> Sender<'_, T> {
    /// Passes on what waits, to the end, or until there is no hope.
    pub(super) fn run(mut self) {
        let mut hand = VecDeque::new();
        let mut pause = FIRST;
        let mut is_told = false;
        loop {
            if hand.is_empty() {
                match self.queue.take() {
                    Some(taken) => hand = taken,
                    None => break,
                }
            }
            let step = self.step(&mut hand);
            self.queue.note_passed(step.passed);
            if let Some(error) = &step.refused {
                self.queue.note_refused(error);
            }
            if step.passed > 0 {
                pause = FIRST;
                if std::mem::take(&mut is_told) {
                    (self.tell)(&format!("syslog: {} takes messages again", self.to));
                }
            }
            match step.error {
                None if hand.is_empty() => continue,
                None => self.queue.pause(MOMENT),
                Some(error) => {
                    if self.fail(&error) && !is_told {
                        is_told = true;
                        (self.tell)(&format!("syslog: {}: {error}; trying again", self.to));
                    }
                    if self.queue.is_hopeless() {
                        break;
                    }
                    self.queue.pause(pause);
                    pause = LONGEST.min(2 * pause);
                }
            }
            if self.queue.is_hopeless() {
                break;
            }
        }
        if let Some(output) = self.output.take() {
            output.close();
        }
    }

    /// Passes on what it can, of what is in hand.
    fn step(&mut self, hand: &mut VecDeque<Message>) -> Step {
        let output = match self.output.take() {
            Some(output) => Ok(output),
            None => Output::open(&self.to, self.tries),
        };
        match output {
            Ok(output) => self.output.insert(output).pass(hand),
            Err(error) => Step {
                error: Some(error),
                ..Step::default()
            },
        }
    }

    /// Gives up what failed; `true` if the last try had not failed.
    fn fail(&mut self, error: &io::Error) -> bool {
        self.tries += 1;
        let lost = self.output.take_if(|output| !output.survives(error));
        let has_broken = lost.is_some_and(|output| output.is_connection());
        self.queue.note_failure(error, has_broken)
    }
}
