//! The command line.

use clap::Parser;

/// Measures what a write costs
///
/// Every row in the same run: the rows take turns, many times, so that all meet the same noise.
#[derive(Debug, Parser)]
#[command(
    name = "cargo bench -p relayfs --",
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Args {
    /// Fewer rounds: for a look
    #[arg(long)]
    pub(crate) quick: bool,

    /// Print one JSON object instead of the table
    #[arg(long)]
    pub(crate) json: bool,

    /// How often the rows take turns [default: 1000, quick 60]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rounds: Option<u32>,

    /// Only rows whose name contains this
    filter: Option<String>,

    /// Cargo passes this.
    #[arg(long, hide = true, global = true)]
    bench: bool,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What to do instead.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Loss and hand-over latency against size, count and rate
    Tradeoffs(Sweep),
}

/// What to try out.
#[derive(Debug, clap::Args)]
pub(crate) struct Sweep {
    /// Sub-buffer sizes, in bytes
    #[arg(long, value_name = "BYTES", value_delimiter = ',', default_values_t = [4096, 16384, 65536])]
    pub(crate) sizes: Vec<usize>,

    /// Numbers of sub-buffers
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [2, 4, 16])]
    pub(crate) counts: Vec<usize>,

    /// Records of 32 bytes per second
    #[arg(long, value_name = "PER-SECOND", value_delimiter = ',', default_values_t = [10_000, 1_000_000, 10_000_000])]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) rates: Vec<u64>,

    /// The writer's tick, at which it hands a partly filled sub-buffer over, in microseconds
    #[arg(long, value_name = "US", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) tick: u64,

    /// The reader's nap after it found nothing, in microseconds
    #[arg(long, value_name = "US", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    pub(crate) nap: u64,

    /// How often each is tried; what else runs on the machine only adds, so the best counts
    #[arg(long, value_name = "N", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) tries: u32,

    /// How long one try is, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub(crate) time: u64,

    /// Print one JSON object instead of the table
    #[arg(long)]
    pub(crate) json: bool,
}

impl Args {
    /// Reads the command line; a wrong one ends the program with an explanation.
    pub(crate) fn read() -> Self {
        Self::parse()
    }

    /// Whether a row of this name is wanted.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.filter
            .as_ref()
            .is_none_or(|filter| name.to_lowercase().contains(&filter.to_lowercase()))
    }

    /// How often the rows take turns.
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 60 } else { 1000 })
    }
}
