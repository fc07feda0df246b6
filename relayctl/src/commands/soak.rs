//! `relayctl soak`: everything that proves the kernel, for hours, mixed by a seed.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use fastrand::Rng;

use super::captures;
use super::rounds::{Choice, Clock, Pause, Round, Sweep, SweepError};
use crate::exit::Exit;
use crate::terminal::say;

/// How the progress is shown.
const TEMPLATE: &str = "{bar:20} {pos} of {len} s, {msg}";

/// The longest that any run may take, in seconds.
const LIMIT: u32 = 600;

/// The options of `soak`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct SoakArgs {
    /// How many hours it lasts, such as 1 or 0.25; the run under way then goes on to its end
    #[arg(long, value_name = "H", default_value = "1", value_parser = parse_hours)]
    hours: Duration,

    /// What chooses the runs
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// CPUs of the machine
    #[arg(long, value_name = "N", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u32).range(2..=32))]
    smp: u32,

    /// Where the captures of runs that failed are kept [default: captures/soak]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,

    /// Print what was found as one JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// Reads a number of hours.
fn parse_hours(text: &str) -> Result<Duration, String> {
    let hours = text.parse::<f64>().ok();
    let hours = hours.filter(|hours| *hours > 0.0 && *hours <= 8784.0);
    hours
        .map(|hours| Duration::from_secs_f64(hours * 3600.0))
        .ok_or_else(|| format!("'{text}' is no number of hours above 0, up to a year"))
}

/// Does `relayctl soak`.
pub(crate) fn soak(args: &SoakArgs) -> Exit {
    run_all(args).unwrap_or_else(|error| {
        say(error.to_string());
        Exit::Infrastructure
    })
}

/// Makes runs until the time is over.
fn run_all(args: &SoakArgs) -> Result<Exit, SweepError> {
    let keep = args.keep.clone();
    let keep = keep.unwrap_or_else(|| captures::root().join("soak"));
    let start = Instant::now();
    let mut sweep = Sweep::begin(keep, args.hours.as_secs(), TEMPLATE)?;
    let seeds = args.seed.wrapping_mul(1_000_000)..;
    for (number, seed) in (1..).zip(seeds) {
        let passed = start.elapsed();
        if passed >= args.hours {
            break;
        }
        let kind = Kind::of(seed);
        sweep.show(passed.as_secs(), &format!("run {number}, {}", kind.name()));
        if !sweep.run(&format!("run-{number}"), &kind.round(args.smp, seed), 1)? {
            break;
        }
    }
    // Shorter ones are no proof of what comes rarely.
    sweep.conclude(args.json, args.hours >= Duration::from_secs(600))
}

/// A kind of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// All CPUs at once, over virtio ports.
    Stress,
    /// The same, while the host stands still now and then.
    Stalled,
    /// The same, over a serial line.
    Serial,
    /// A clock that counts instructions.
    Counted,
    /// The kernel as it is shipped, writing as fast as it can.
    Flood,
    /// A panic while all CPUs log.
    Panic,
    /// Snapshots of rings that overwrite.
    Recorder,
}

/// How often each kind comes.
const KINDS: [(Kind, u32); 7] = [
    (Kind::Stress, 10),
    (Kind::Stalled, 2),
    (Kind::Serial, 1),
    (Kind::Counted, 6),
    (Kind::Flood, 2),
    (Kind::Panic, 3),
    (Kind::Recorder, 1),
];

/// How CPUs fail: what ends with a panic that the log tells. (That of the kind `relay` only the
/// console does.)
const PANICS: [&str; 15] = [
    "panic", "fault", "overflow", "double", "together", "halfway", "heap", "irq", "nmi", "drain",
    "resize", "swap", "reserved", "switch", "delivery",
];

/// What full rings do meanwhile.
const MODES: [&str; 2] = ["discard", "overwrite"];

impl Kind {
    /// The kind that a seed chooses.
    fn of(seed: u64) -> Self {
        let all: u32 = KINDS.iter().map(|(_, often)| often).sum();
        let mut at = Rng::with_seed(seed).u32(0..all);
        for (kind, often) in KINDS {
            match at.checked_sub(often) {
                None => return kind,
                Some(left) => at = left,
            }
        }
        Self::Stress
    }

    fn name(self) -> &'static str {
        match self {
            Self::Stress => "stress",
            Self::Stalled => "stress with a host that stands still",
            Self::Serial => "stress over a serial line",
            Self::Counted => "stress by instructions",
            Self::Flood => "flood",
            Self::Panic => "panic",
            Self::Recorder => "recorder",
        }
    }

    /// The run of this kind that a seed chooses, on so many CPUs.
    fn round(self, smp: u32, seed: u64) -> Round {
        // Another one than that which has chosen the kind.
        let mut random = Rng::with_seed(!seed);
        let mut arguments = vec![format!("--smp={smp}"), format!("--timeout={LIMIT}")];
        let set = |key: &str, value: &dyn ToString| {
            ["--set".to_owned(), format!("{key}={}", value.to_string())]
        };
        let mut pauses = Vec::new();
        match self {
            Self::Stress | Self::Stalled => {
                arguments.push("--scenario=stress".to_owned());
                arguments.extend(set("extend", &0));
                arguments.extend(set("seconds", &random.u32(5..15)));
                arguments.extend(Choice::of(seed, Clock::Host, |_| false).arguments());
                if self == Self::Stalled {
                    pauses.extend((0..random.u32(1..4)).map(|_| Pause::draw(&mut random)));
                }
            }
            Self::Serial => {
                arguments.extend(["--scenario=stress", "--transport=serial"].map(str::to_owned));
                arguments.extend(set("extend", &0));
                arguments.extend(set("records", &random.u32(100..2000)));
                arguments.extend(set("subbuf", &1024));
                let is_set = |key: &str| key == "subbuf";
                arguments.extend(Choice::of(seed, Clock::Host, is_set).arguments());
            }
            Self::Counted => {
                let how = ["--scenario=stress", "--accel=icount", "--transport=file"];
                arguments.extend(how.map(str::to_owned));
                arguments.extend(set("extend", &0));
                arguments.extend(set("records", &random.u32(500..5000)));
                arguments.extend(Choice::of(seed, Clock::Instructions, |_| false).arguments());
            }
            Self::Flood => {
                arguments.push("--scenario=flood".to_owned());
                arguments.extend(set("seconds", &random.u32(3..10)));
                arguments.extend(set("subbuf", &(256 << random.u32(0..8))));
                arguments.extend(set("count", &(2 << random.u32(0..6))));
            }
            Self::Panic => {
                arguments.push("--scenario=panic".to_owned());
                arguments.extend(set("kind", &PANICS[random.usize(0..PANICS.len())]));
                arguments.extend(set("cpu", &random.u32(0..smp)));
                arguments.extend(set("mode", &MODES[random.usize(0..MODES.len())]));
            }
            Self::Recorder => {
                arguments.push("--scenario=recorder".to_owned());
                arguments.extend(set("snapshots", &random.u32(1..6)));
                arguments.extend(set("laps", &random.u32(2..12)));
            }
        }
        Round {
            arguments,
            pauses,
            shall_fail: self == Self::Panic,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_may_be_parts_of_hours() {
        assert_eq!(parse_hours("0.5"), Ok(Duration::from_secs(1800)));
        for wrong in ["", "0", "-1", "x", "NaN", "inf", "9000"] {
            assert!(parse_hours(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_kind_comes_and_is_the_same_each_time() {
        for (kind, _) in KINDS {
            let seed = (0..1000).find(|seed| Kind::of(*seed) == kind);
            let seed = seed.expect("it comes");
            let (one, other) = (kind.round(8, seed), kind.round(8, seed));
            assert_eq!((one.arguments, one.pauses), (other.arguments, other.pauses));
        }
    }
}
