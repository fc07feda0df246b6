//! A time in which a run's process stands still, and with it all that reads the guest.

use std::time::Duration;

use fastrand::Rng;
use nix::sys::signal::Signal;

/// When it begins, after the process was started, and how long it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    begin: Duration,
    length: Duration,
}

impl Pause {
    /// One of up to two seconds: shorter than what makes the guest give its ports up.
    pub(crate) fn draw(random: &mut Rng) -> Self {
        Self {
            begin: Duration::from_millis(random.u64(500..12_000)),
            length: Duration::from_millis(random.u64(10..2_000)),
        }
    }

    fn end(&self) -> Duration {
        self.begin + self.length
    }
}

/// The pauses of one process.
#[derive(Debug)]
pub(super) struct Pauses<'a> {
    all: &'a [Pause],
    is_paused: bool,
}

impl<'a> Pauses<'a> {
    pub(super) fn new(all: &'a [Pause]) -> Self {
        Self {
            all,
            is_paused: false,
        }
    }

    /// What the process has to be sent so long after its start, if anything.
    pub(super) fn signal(&mut self, now: Duration) -> Option<Signal> {
        let mut all = self.all.iter();
        let is_due = all.any(|pause| (pause.begin..pause.end()).contains(&now));
        if is_due == self.is_paused {
            return None;
        }
        self.is_paused = is_due;
        Some(match is_due {
            true => Signal::SIGSTOP,
            false => Signal::SIGCONT,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_stopped_and_continued_as_pauses_say() {
        let ms = Duration::from_millis;
        let pause = |begin, length| Pause {
            begin: ms(begin),
            length: ms(length),
        };
        // Two of them overlap.
        let all = [pause(10, 10), pause(15, 10), pause(40, 1)];
        let mut pauses = Pauses::new(&all);
        let seen: Vec<_> = (0..50)
            .filter_map(|now| Some((now, pauses.signal(ms(now))?)))
            .collect();
        let (stop, go) = (Signal::SIGSTOP, Signal::SIGCONT);
        assert_eq!(seen, [(10, stop), (25, go), (40, stop), (41, go)]);
    }
}
