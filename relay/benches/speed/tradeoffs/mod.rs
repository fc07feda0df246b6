//! What sub-buffer size and count do for loss and latency: `cargo bench -p relayfs -- tradeoffs`.
//!
//! A writer at a given rate, a reader on another thread that naps when it finds nothing, and the
//! writer's tick, which hands a partly filled sub-buffer over when the reader asks for it.

mod histogram;
mod trial;

use crate::args::Sweep;
use crate::host;
use relay::{Geometry, GeometryError};
use serde_json::json;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use trial::{Outcome, Trial};

/// Tries all combinations, and prints the table.
pub(crate) fn run(sweep: &Sweep) -> ExitCode {
    host::become_cpu(0);
    match outcomes(sweep) {
        Ok(outcomes) if sweep.json => {
            let all: Vec<_> = outcomes.iter().map(as_json).collect();
            println!(
                "{:#}",
                json!({"tick_us": sweep.tick, "nap_us": sweep.nap, "trials": all})
            );
            ExitCode::SUCCESS
        }
        Ok(outcomes) => {
            print!("{}", as_text(&outcomes, sweep));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tradeoffs: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Tries all combinations, by size, count and rate.
///
/// # Errors
/// A size or count that no ring can have, or a trial that did not come out even.
fn outcomes(sweep: &Sweep) -> Result<Vec<(Trial, Outcome)>, String> {
    let ticks_per_ns = host::ticks_per_ns();
    let mut trials = Vec::new();
    for &size in &sweep.sizes {
        for &count in &sweep.counts {
            let geometry =
                Geometry::new(size, count).map_err(|error: GeometryError| error.to_string())?;
            trials.extend(sweep.rates.iter().map(|&rate| Trial { geometry, rate }));
        }
    }
    let is_terminal = std::io::stderr().is_terminal();
    let total = trials.len();
    let mut outcomes = Vec::new();
    for (number, trial) in trials.into_iter().enumerate() {
        if is_terminal {
            eprint!("\rtrial {} of {total} ", number + 1);
            let _ = std::io::stderr().flush();
        }
        outcomes.push((trial, trial.best(sweep, ticks_per_ns)?));
    }
    if is_terminal {
        eprint!("\r\x1b[K");
    }
    Ok(outcomes)
}

fn as_text(outcomes: &[(Trial, Outcome)], sweep: &Sweep) -> String {
    let mut text = format!(
        "lost records, and microseconds from a record's reservation until its sub-buffer is in the\n\
         reader's hands: median and 99th percentile. Tick {} us, nap {} us; the best of {} tries\n\
         of {} ms.\n\n",
        sweep.tick, sweep.nap, sweep.tries, sweep.time
    );
    let rates: String = sweep
        .rates
        .iter()
        .map(|rate| format!(" | {:>26}", format!("{rate} records/s")))
        .collect();
    text += &format!("{:>20}{rates}\n", "");
    let heads = format!(" | {:>8}{:>9}{:>9}", "lost", "median", "99 %").repeat(sweep.rates.len());
    text += &format!("{:>8} {:>5} {:>5}{heads}\n", "size", "count", "KiB");
    for row in outcomes.chunks(sweep.rates.len()) {
        let geometry = row[0].0.geometry;
        let (size, count) = (geometry.subbuf_size(), geometry.subbuf_count());
        text += &format!("{size:>8} {count:>5} {:>5}", size * count / 1024);
        for (_, outcome) in row {
            text += &format!(
                " | {:>7.2}%{:>9.1}{:>9.1}",
                outcome.lost_percent(),
                outcome.median_us,
                outcome.late_us
            );
        }
        text.push('\n');
    }
    text
}

fn as_json((trial, outcome): &(Trial, Outcome)) -> serde_json::Value {
    json!({
        "subbuf_size": trial.geometry.subbuf_size(),
        "subbuf_count": trial.geometry.subbuf_count(),
        "records_per_second": trial.rate,
        "attempted": outcome.attempted,
        "lost": outcome.lost,
        "median_us": outcome.median_us,
        "p99_us": outcome.late_us,
    })
}
