//! `relayctl bench`: what records cost, and how fast they leave, in one table and one chart.
//!
//! Everything is measured by the kernel itself, in its scenarios, or told by the summary of a run;
//! here it is only collected. Each run is another process of this program, as a user would start
//! it.

mod chart;
mod measure;
mod plan;
mod run;
mod table;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use relay_machine::workspace::Workspace;

use super::run::{RunError, kernel};
use crate::exit::Exit;
use crate::terminal::{Output, near, say};
use measure::Measures;
use run::RunFailed;

/// The chart's file.
const CHART: &str = "bench.svg";

/// The options of `bench`.
#[derive(Args, Clone, Debug)]
pub(crate) struct BenchArgs {
    /// How often each run is repeated; the median counts
    #[arg(long, value_name = "N", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,

    /// Once, and little of each: to see that it works, not to measure
    #[arg(long, conflicts_with = "rounds")]
    quick: bool,

    /// The most CPUs of a machine
    #[arg(long, value_name = "N", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=32))]
    smp: u32,

    /// Measure this ELF file, and build nothing
    #[arg(long, value_name = "ELF")]
    kernel: Option<PathBuf>,

    /// The folder that the chart is written to
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    output: PathBuf,

    /// Print the table as one JSON object
    #[arg(long)]
    json: bool,
}

/// Why there is no table.
#[derive(Debug)]
enum BenchError {
    /// The kernel could not be had.
    Kernel(RunError),
    /// A run failed.
    Run(RunFailed),
    /// The chart could not be written.
    Chart(PathBuf, io::Error),
    /// The table could not be.
    Table(io::Error),
}

impl std::fmt::Display for BenchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kernel(error) => error.fmt(f),
            Self::Run(error) => error.fmt(f),
            Self::Chart(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Table(error) => write!(f, "cannot write the table: {error}"),
        }
    }
}

impl BenchError {
    fn exit(&self) -> Exit {
        match self {
            Self::Kernel(error) => error.exit(),
            Self::Run(error) => error.exit,
            Self::Chart(..) => Exit::Usage,
            Self::Table(_) => Exit::Infrastructure,
        }
    }
}

/// Does `relayctl bench`.
pub(crate) fn bench(args: &BenchArgs) -> Exit {
    match try_bench(args) {
        Ok(()) => Exit::Good,
        Err(error) => {
            say(error.to_string());
            error.exit()
        }
    }
}

fn try_bench(args: &BenchArgs) -> Result<(), BenchError> {
    // Before the work: a folder that is not there is a matter of usage.
    let chart = args.output.join(CHART);
    let write = |text: &str| {
        fs::write(&chart, text).map_err(|error| BenchError::Chart(chart.clone(), error))
    };
    write("")?;
    let workspace =
        Workspace::find().map_err(|error| BenchError::Kernel(RunError::Build(error)))?;
    let built = kernel(args.kernel.as_deref(), (true, &[]), args.json, &workspace);
    let (elf, _) = built.map_err(BenchError::Kernel)?;
    let measures = collect(args, &elf).map_err(BenchError::Run)?;
    let rows = measures.rows();
    write(&chart::draw(&rows))?;
    let text = match args.json {
        true => table::json(&rows, measures.rounds, &chart),
        false => table::text(&rows, measures.rounds),
    };
    let shown = Output::new(io::stdout()).put(&text);
    shown.map_err(BenchError::Table)?;
    say(format!("the chart is in {}", near(&chart).display()));
    Ok(())
}

/// Does all runs, in turns, so that all meet the same noise.
fn collect(args: &BenchArgs, kernel: &Path) -> Result<Measures, RunFailed> {
    let rounds = if args.quick { 1 } else { args.rounds };
    let runs = plan::runs(args.smp, args.quick);
    let mut measures = Measures::new(rounds);
    for round in 1..=rounds {
        for run in runs.iter().filter(|run| round == 1 || !run.is_exact) {
            say(format!("round {round} of {rounds}: {run}"));
            measures.add(run, &run::run(run, kernel)?)?;
        }
    }
    Ok(measures)
}
