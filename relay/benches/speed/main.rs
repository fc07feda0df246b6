//! What a write costs, beside the floor and beside its peers: `cargo bench -p relayfs`.
//!
//! `cargo bench -p relayfs -- --help` says what there is; `docs/PERFORMANCE.md` says what came out.

mod args;
mod companion;
mod host;
mod measure;
mod outside;
mod report;
mod subjects;
mod tradeoffs;

use args::{Args, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::read();
    match &args.command {
        None => speed(&args),
        Some(Command::Tradeoffs(sweep)) => tradeoffs::run(sweep),
    }
}

/// Measures all subjects that the filter lets through, and prints the table.
fn speed(args: &Args) -> ExitCode {
    host::become_cpu(0);
    let mut subjects = subjects::all();
    // The floor is always measured: the others are compared with it.
    subjects.retain(|subject| subject.is_floor() || args.wants(&subject.full_name()));
    measure::measure(&mut subjects, args.rounds());
    let results = measure::results(&subjects);
    match outside::Outside::measure(args) {
        Ok(outside) => {
            report::print(&results, &outside, args);
            ExitCode::SUCCESS
        }
        Err(error) => {
            report::print(&results, &outside::Outside::default(), args);
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
