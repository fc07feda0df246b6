//! What `profile` is asked for.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use relay_format::Context;

use crate::commands::filter::FilterArgs;
use crate::commands::source::ReportArgs;
use crate::terminal::ColorChoice;

/// What samples are counted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// The function
    #[default]
    Function,
    /// The function and the line in it
    Line,
    /// The source file
    File,
    /// The CPU
    Cpu,
    /// The context that was interrupted: task, irq or nmi
    Context,
    /// The thread that ran
    Thread,
    /// The program that ran, or the kernel's own threads
    Program,
}

impl By {
    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Line => "line",
            Self::File => "file",
            Self::Cpu => "cpu",
            Self::Context => "context",
            Self::Thread => "thread",
            Self::Program => "program",
        }
    }

    /// Whether a sample has it where something ran, and where that was called.
    pub(super) fn has_total(self) -> bool {
        matches!(self, Self::Function | Self::Line | Self::File)
    }
}

/// What comes first in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// What ran most itself
    #[default]
    #[value(name = "self")]
    Own,
    /// What ran most together with what it has called
    Total,
}

/// The options of `profile`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProfileArgs {
    /// What to read, and how to show it.
    #[command(flatten)]
    pub(crate) report: ReportArgs,

    /// What samples are counted by
    #[arg(long, value_enum, default_value_t)]
    pub(crate) by: By,

    /// Who has called this function: its name, or the end of it, such as sched::switch
    #[arg(long, value_name = "NAME", conflicts_with_all = ["by", "callees", "sort"])]
    pub(crate) callers: Option<String>,

    /// What this function has called
    #[arg(long, value_name = "NAME", conflicts_with_all = ["by", "sort"])]
    pub(crate) callees: Option<String>,

    /// What comes first
    #[arg(long, value_enum, default_value_t)]
    pub(crate) sort: Sort,

    /// How many lines; 0 for all [default: 25; all with --json]
    #[arg(long, value_name = "N")]
    pub(crate) top: Option<usize>,

    /// Which records; those of samples are in the channel profile.
    #[command(flatten)]
    pub(crate) wanted: FilterArgs,

    /// Only samples that interrupted this context: task, irq or nmi; may be given again
    #[arg(long = "context", value_name = "CONTEXT", value_parser = parse_context)]
    pub(crate) contexts: Vec<Context>,

    /// The kernel's ELF file [default: what the capture tells, if that is still the kernel that
    /// ran]
    #[arg(long, value_name = "PATH")]
    pub(crate) elf: Option<PathBuf>,

    /// The folder with the programs' ELF files, called as the programs are [default: the kernel's]
    #[arg(long, value_name = "DIR")]
    pub(crate) programs: Option<PathBuf>,

    /// When to use colour, and draw bars
    #[arg(long, value_enum, default_value_t)]
    pub(crate) color: ColorChoice,
}

impl ProfileArgs {
    /// How many lines are shown.
    pub(super) fn lines(&self) -> usize {
        match (self.top, self.report.json) {
            (Some(0), _) | (None, true) => usize::MAX,
            (Some(top), _) => top,
            (None, false) => 25,
        }
    }
}

/// Reads a context.
fn parse_context(text: &str) -> Result<Context, String> {
    Context::from_name(text).ok_or_else(|| "a context is task, irq or nmi".to_owned())
}
