//! `relayctl stress`: the scenario of that name by seeds, each the same every time.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::captures;
use super::rounds::{Choice, Clock, Round, Sweep, SweepError};
use crate::exit::Exit;
use crate::terminal::say;

/// Records of each CPU, unless something else is set.
const RECORDS: &str = "2000";

/// How the progress is shown.
const TEMPLATE: &str = "{bar:20} {pos} of {len}, {eta} to go, {msg}";

/// Some seeds: `7`, or `1..200`, both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seeds(RangeInclusive<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let number = |digits: &str| {
            let number = digits.parse::<u64>();
            number.map_err(|_| format!("'{text}' is not like 7 or 1..200"))
        };
        let (first, last) = (number(first)?, number(last)?);
        match first <= last {
            true => Ok(Self(first..=last)),
            false => Err(format!("{first} is behind {last}")),
        }
    }
}

/// The options of `stress`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct StressArgs {
    /// The seeds: one, or from the first to the last
    #[arg(long, value_name = "A..B", default_value = "1..20")]
    seeds: Seeds,

    /// CPUs of the machine
    #[arg(long, value_name = "N", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=32))]
    smp: u32,

    /// A setting of the scenario that no seed chooses; may be given again
    #[arg(long = "set", value_name = "K=V")]
    settings: Vec<String>,

    /// Run each seed twice, and compare the two captures, byte for byte
    #[arg(long)]
    twice: bool,

    /// End with the first seed that fails
    #[arg(long)]
    first: bool,

    /// Boot this ELF file, and build nothing; it should have the feature stress
    #[arg(long, value_name = "ELF")]
    kernel: Option<PathBuf>,

    /// Where the captures of seeds that failed are kept [default: captures/stress]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,

    /// Print what was found as one JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// Does `relayctl stress`.
pub(crate) fn stress(args: &StressArgs) -> Exit {
    run_all(args).unwrap_or_else(|error| {
        say(error.to_string());
        Exit::Infrastructure
    })
}

/// Runs all seeds.
fn run_all(args: &StressArgs) -> Result<Exit, SweepError> {
    let Seeds(seeds) = args.seeds.clone();
    let keep = args.keep.clone();
    let keep = keep.unwrap_or_else(|| captures::root().join("stress"));
    let first = *seeds.start();
    let count = (seeds.end() - first).saturating_add(1);
    let mut sweep = Sweep::begin(keep, count, TEMPLATE)?;
    let times = if args.twice { 2 } else { 1 };
    for seed in seeds {
        sweep.show(seed - first, &format!("seed {seed}"));
        if !sweep.run(&format!("seed-{seed}"), &round(args, seed), times)? {
            break;
        }
        if args.first && sweep.has_failed() {
            break;
        }
    }
    sweep.conclude(args.json, true)
}

/// The run of a seed.
fn round(args: &StressArgs, seed: u64) -> Round {
    let is_set = |key: &str| {
        let mut keys = args
            .settings
            .iter()
            .map(|setting| setting.split('=').next());
        keys.any(|set| set == Some(key))
    };
    let mut arguments = vec![
        "--accel=icount".to_owned(),
        "--transport=file".to_owned(),
        "--scenario=stress".to_owned(),
        format!("--smp={}", args.smp),
    ];
    if let Some(kernel) = &args.kernel {
        arguments.push(format!("--kernel={}", kernel.display()));
    }
    for (key, value) in [("records", RECORDS), ("extend", "0")] {
        if !is_set(key) {
            arguments.extend(["--set".to_owned(), format!("{key}={value}")]);
        }
    }
    arguments.extend(Choice::of(seed, Clock::Instructions, is_set).arguments());
    let set = args.settings.iter();
    arguments.extend(set.flat_map(|setting| ["--set".to_owned(), setting.clone()]));
    Round {
        arguments,
        pauses: Vec::new(),
        shall_fail: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_one_or_a_range_with_both_ends() {
        let seeds = |text: &str| text.parse::<Seeds>().map(|Seeds(range)| range);
        assert_eq!(seeds("7"), Ok(7..=7));
        assert_eq!(seeds("1..200"), Ok(1..=200));
        for wrong in ["", "..", "1..", "..3", "a", "3..1", "-1", "1..=3"] {
            assert!(seeds(wrong).is_err(), "{wrong}");
        }
    }
}
