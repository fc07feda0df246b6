//! What a write costs, beside the floor and beside its peers: `cargo bench -p relayfs`.
//!
//! `cargo bench -p relayfs -- --help` says what there is; `docs/PERFORMANCE.md` says what came out.

mod args;
mod companion;
mod host;
mod lttng;
mod measure;
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
    let lttng = args
        .wants("LTTng-UST")
        .then(|| lttng::measure(args.quick))
        .transpose();
    match lttng {
        Ok(lttng) => {
            report::print(&results, lttng.as_ref(), args);
            ExitCode::SUCCESS
        }
        Err(error) => {
            report::print(&results, None, args);
            eprintln!("LTTng-UST: {error}");
            ExitCode::FAILURE
        }
    }
}
