//! What a run was asked for, as every CPU and handler sees it.

use spin::Once;

use super::ring_plan::RingPlan;
use crate::base::choice::Choice;
use crate::base::cmdline::Options;
use crate::base::settings::{Preset, SECONDS, Setting, Takes};

/// How many records each CPU writes at least, unless it is told how long it shall write.
pub(super) const RECORDS: Setting = Setting {
    key: "records",
    about: "how many records each CPU writes at least",
    takes: Takes::number(0, u64::MAX, ""),
    default: Preset::Else("20000, or as many as it can where seconds are set"),
};
/// Its default.
const DEFAULT: u64 = 20_000;

/// What everything random depends on.
pub(super) const SEED: Setting = Setting {
    key: "seed",
    about: "chooses lengths, ways of writing, and who interrupts whom",
    takes: Takes::number(0, u64::MAX, ""),
    default: Preset::Value(1),
};

/// How much longer the run goes on for nestings that are too few.
pub(super) const EXTEND: Setting = Setting {
    key: "extend",
    about: "how much longer it lasts if NMIs came too rarely where they matter; 0: that is no failure",
    takes: Takes::number(0, 3600, "seconds"),
    default: Preset::Value(60),
};

/// Who writes, in the order of the bits of [`Plan::contexts`].
const WRITERS: [Choice; 4] = [
    Choice::new("task", "the task of each CPU"),
    Choice::new("irq", "its timer interrupt"),
    Choice::new("ipi", "interrupts that other CPUs send"),
    Choice::new("nmi", "NMIs that other CPUs send, or the timer"),
];

/// Who writes.
pub(super) const CONTEXTS: Setting = Setting {
    key: "contexts",
    about: "who writes; the others only interrupt",
    takes: Takes::SomeOf(&WRITERS),
    default: Preset::Value(0b1111),
};

/// How fast tasks write.
pub(super) const RATE: Setting = Setting {
    key: "rate",
    about: "the most records that the task of each CPU writes in a second",
    takes: Takes::number(1, 1_000_000_000, ""),
    default: Preset::Else("as many as it can"),
};

/// How often timers come.
pub(super) const TIMER: Setting = Setting {
    key: "timer",
    about: "timers come at random, so far apart on average, as interrupts and NMIs",
    takes: Takes::number(1, 1_000_000, "us"),
    default: Preset::Else("every 10 ms, as interrupts"),
};

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    /// The task.
    Task,
    /// The timer interrupt.
    Irq,
    /// An interrupt from another CPU.
    Ipi,
    /// An NMI.
    Nmi,
}

/// What a run was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// What everything random depends on.
    pub(super) seed: u64,
    /// Records that each CPU writes at least.
    pub(super) records: u64,
    /// How long it writes at least, in milliseconds.
    pub(super) millis: u64,
    /// How much longer it may write for what comes rarely, in milliseconds.
    pub(super) extension: u64,
    /// Records of a task in a second, at most.
    pub(super) rate: Option<u64>,
    /// Nanoseconds between two interrupts of a timer, on average; `None`: it is periodic.
    pub(super) timer: Option<u64>,
    /// What is done with the rings.
    pub(super) rings: RingPlan,
    /// A bit for each of [`WRITERS`].
    contexts: u64,
}

static PLAN: Once<Plan> = Once::new();

impl Plan {
    /// The plan of this run, which the options tell. Task context.
    ///
    /// # Errors
    /// Why they cannot go together.
    pub(super) fn read(options: &Options<'static>) -> Result<Self, &'static str> {
        let plan = Self::of(options)?;
        // All CPUs read the same.
        Ok(*PLAN.call_once(|| plan))
    }

    /// The plan of this run; `None` before it was read. Any context.
    pub(super) fn get() -> Option<Self> {
        PLAN.get().copied()
    }

    fn of(options: &Options<'_>) -> Result<Self, &'static str> {
        let seconds = options.value(&SECONDS);
        let millis = |seconds: Option<u64>| seconds.unwrap_or_default().saturating_mul(1000);
        Ok(Self {
            seed: options.value(&SEED).unwrap_or(1),
            records: match (options.value(&RECORDS), seconds) {
                (Some(records), _) => records,
                (None, Some(_)) => 0,
                (None, None) => DEFAULT,
            },
            millis: millis(seconds),
            extension: millis(options.value(&EXTEND)),
            rate: options.value(&RATE),
            timer: options.value(&TIMER).map(|micros| micros * 1000),
            rings: RingPlan::of(options)?,
            contexts: options.value(&CONTEXTS).unwrap_or(u64::MAX),
        })
    }

    /// Whether this one writes.
    pub(super) fn has(&self, writer: Writer) -> bool {
        self.contexts & (1 << writer as u64) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::SCENARIO;
    use super::*;
    use crate::base::cmdline;
    use crate::base::settings::About;

    fn plan(text: &str) -> Plan {
        static ABOUTS: [About; 1] = [SCENARIO.about];
        let options = cmdline::parse(text, &ABOUTS, |wrong| panic!("{wrong:?}"));
        Plan::of(&options).expect("it can be")
    }

    #[test]
    fn a_run_is_as_long_as_it_is_told() {
        let plain = plan("scenario=stress");
        assert_eq!((plain.records, plain.millis), (DEFAULT, 0));
        let timed = plan("scenario=stress seconds=3 rate=100 timer=20");
        assert_eq!((timed.records, timed.millis), (0, 3000));
        assert_eq!((timed.rate, timed.timer), (Some(100), Some(20_000)));
        let both = plan("scenario=stress seconds=3 records=7 extend=2");
        assert_eq!((both.records, both.millis, both.extension), (7, 3000, 2000));
    }

    #[test]
    fn those_write_that_were_asked_to() {
        let all = [Writer::Task, Writer::Irq, Writer::Ipi, Writer::Nmi];
        let plain = plan("scenario=stress");
        assert!(all.into_iter().all(|writer| plain.has(writer)));
        let some = plan("scenario=stress contexts=nmi,irq");
        assert_eq!(
            all.map(|writer| some.has(writer)),
            [false, true, false, true]
        );
    }
}
