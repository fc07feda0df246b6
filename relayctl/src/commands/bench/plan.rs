//! Which runs there are, and what is read from each.

use std::fmt;

/// A run of a machine.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    /// What it does: the scenario.
    pub(super) scenario: &'static str,
    /// CPUs of the machine.
    pub(super) smp: u32,
    /// More options of `run`.
    pub(super) options: Vec<String>,
    /// What is read of it.
    pub(super) reads: Reads,
    /// It tells the same each time: once is enough.
    pub(super) is_exact: bool,
}

/// What is read of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    /// Instructions, from the lines of `cost`.
    Instructions,
    /// Records per second, from the line of `flood`.
    Records,
    /// Bytes per second that ports take, from the lines of `drain`.
    Ports,
    /// Bytes per second that a serial line takes, likewise.
    Line,
    /// The time of the first line, from the summary.
    FirstLine,
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, smp, .. } = self;
        write!(f, "{scenario}, {}", cpus(*smp))?;
        match self.reads {
            Reads::Line => f.write_str(", over a serial line"),
            Reads::Instructions => f.write_str(", counting instructions"),
            _ => Ok(()),
        }
    }
}

/// So many CPUs.
pub(super) fn cpus(count: u32) -> String {
    match count {
        1 => "1 CPU".to_owned(),
        count => format!("{count} CPUs"),
    }
}

/// All runs, on machines of up to `most` CPUs.
pub(super) fn runs(most: u32, is_quick: bool) -> Vec<Planned> {
    let planned = |scenario, smp, reads, options: &[&str]| Planned {
        scenario,
        smp,
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        reads,
        is_exact: reads == Reads::Instructions,
    };
    let set = |words: &[String]| -> Vec<String> {
        let options = words
            .iter()
            .flat_map(|word| ["--set".to_owned(), word.clone()]);
        options.collect()
    };
    // Rings that hold all that is written: no record is lost, which would cost something else.
    let records = if is_quick { 5_000 } else { 60_000 };
    let flood = set(&[
        format!("records={records}"),
        "subbuf=65536".into(),
        "count=64".into(),
    ]);
    let drain = if is_quick {
        set(&["subbuf=16384".into(), "count=16".into()])
    } else {
        Vec::new()
    };
    let cpus = [1, 2, 4, 8, 16, 32].into_iter().filter(|cpus| *cpus < most);
    let mut runs = vec![planned(
        "cost",
        1,
        Reads::Instructions,
        &["--accel", "icount"],
    )];
    runs.extend(cpus.chain([most]).map(|cpus| Planned {
        options: [vec!["--memory".into(), "1024".into()], flood.clone()].concat(),
        ..planned("flood", cpus, Reads::Records, &[])
    }));
    runs.push(Planned {
        options: [vec!["--memory".into(), "1024".into()], drain].concat(),
        ..planned("drain", most, Reads::Ports, &[])
    });
    runs.push(planned(
        "drain",
        most,
        Reads::Line,
        &["--transport", "serial"],
    ));
    runs.push(planned("smoke", most, Reads::FirstLine, &[]));
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_have_up_to_so_many_cpus() {
        for (most, wanted) in [
            (1, &[1][..]),
            (2, &[1, 2]),
            (6, &[1, 2, 4, 6]),
            (8, &[1, 2, 4, 8]),
        ] {
            let runs = runs(most, true);
            let floods = runs.iter().filter(|run| run.reads == Reads::Records);
            assert_eq!(floods.map(|run| run.smp).collect::<Vec<_>>(), wanted);
        }
    }
}
