//! What is measured: numbers read from what runs left, and what becomes of several.

use serde::Serialize;

use super::plan::{Planned, Reads, cpus};
use super::run::{Left, RunFailed};

/// What rows have in common: a panel of the chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Group {
    /// Guest instructions of a record.
    Record,
    /// The same, where it is the one that costs most: with a switch.
    Switch,
    /// Guest instructions of a line for people.
    Text,
    /// The same of a frame for a serial line.
    Frame,
    /// Records that CPUs write.
    Records,
    /// Bytes that leave over ports.
    Ports,
    /// Bytes that leave over a line.
    Line,
    /// From QEMU's start to the first line.
    FirstLine,
}

impl Group {
    /// All, in the order of the table.
    pub(super) const ALL: [Self; 8] = [
        Self::Record,
        Self::Switch,
        Self::Text,
        Self::Frame,
        Self::Records,
        Self::Ports,
        Self::Line,
        Self::FirstLine,
    ];

    /// What is measured, and in what unit.
    pub(super) fn title(self) -> (&'static str, &'static str) {
        match self {
            Self::Record => ("a record that fits", "guest instructions"),
            Self::Switch => (
                "a record that closes a packet and opens the next",
                "guest instructions",
            ),
            Self::Text => ("a line for people", "guest instructions"),
            Self::Frame => ("a frame for a serial line", "guest instructions"),
            Self::Records => ("written to rings that hold all", "records/s"),
            Self::Ports => ("drained over virtio ports", "MB/s"),
            Self::Line => ("drained over a serial line", "kB/s"),
            Self::FirstLine => ("from QEMU's start to the first log line", "ms"),
        }
    }
}

/// One thing that was measured, in all rounds.
#[derive(Clone, Debug)]
struct Measure {
    group: Group,
    name: String,
    values: Vec<f64>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Measures {
    /// How often what is not exact was measured.
    pub(super) rounds: u32,
    all: Vec<Measure>,
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Row {
    /// The panel it belongs to.
    pub(super) group: Group,
    /// Of what.
    pub(super) name: String,
    /// The unit.
    pub(super) unit: &'static str,
    /// The median.
    pub(super) median: f64,
    /// The least of all rounds.
    pub(super) least: f64,
    /// The most.
    pub(super) most: f64,
    /// In how many rounds it was measured.
    pub(super) rounds: usize,
}

impl Measures {
    /// Nothing measured yet.
    pub(super) fn new(rounds: u32) -> Self {
        let all = Vec::new();
        Self { rounds, all }
    }

    /// Takes what a run left.
    pub(super) fn add(&mut self, run: &Planned, left: &Left) -> Result<(), RunFailed> {
        let read = read(run, left);
        if read.is_empty() {
            return Err(RunFailed::new(
                run,
                "it passed, and did not say what was measured",
            ));
        }
        for (group, name, value) in read {
            let same = |it: &&mut Measure| it.group == group && it.name == name;
            match self.all.iter_mut().find(same) {
                Some(measure) => measure.values.push(value),
                None => self.all.push(Measure {
                    group,
                    name,
                    values: vec![value],
                }),
            }
        }
        Ok(())
    }

    /// The rows, by group.
    pub(super) fn rows(&self) -> Vec<Row> {
        let of = |group| self.all.iter().filter(move |it| it.group == group);
        Group::ALL
            .into_iter()
            .flat_map(of)
            .map(Measure::row)
            .collect()
    }
}

impl Measure {
    fn row(&self) -> Row {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        };
        Row {
            group: self.group,
            name: self.name.clone(),
            unit: self.group.title().1,
            median,
            least: sorted[0],
            most: sorted[sorted.len() - 1],
            rounds: sorted.len(),
        }
    }
}

/// What a run has measured.
fn read(run: &Planned, left: &Left) -> Vec<(Group, String, f64)> {
    let lines = left.messages.iter().map(String::as_str);
    match run.reads {
        Reads::Instructions => lines
            .filter_map(cost)
            .flat_map(|(name, least, most)| {
                let row = |group, value| (group, name.to_owned(), value);
                let group = instructions_of(name);
                let with_switch = (group == Group::Record).then(|| row(Group::Switch, most));
                [Some(row(group, least)), with_switch]
            })
            .flatten()
            .collect(),
        Reads::Records => {
            let rates = lines.filter_map(flood);
            rates
                .map(|rate| (Group::Records, cpus(run.smp), rate))
                .collect()
        }
        Reads::Ports | Reads::Line => {
            let (group, unit) = match run.reads {
                Reads::Line => (Group::Line, 1e3),
                _ => (Group::Ports, 1e6),
            };
            let rates = lines.filter_map(drain);
            rates
                .map(|(writers, rate)| (group, format!("from {}", cpus(writers)), rate / unit))
                .collect()
        }
        Reads::FirstLine => {
            let first = left.summary["run"]["first_line_ms"].as_f64();
            let row = |ms| (Group::FirstLine, cpus(run.smp), ms);
            first.map(row).into_iter().collect()
        }
    }
}

/// The group of what `cost` has measured.
fn instructions_of(name: &str) -> Group {
    match name {
        _ if name.contains("log") || name.contains("relay::") => Group::Text,
        _ if name.contains("frame") => Group::Frame,
        _ => Group::Record,
    }
}

/// Reads `a klog line: 967 instructions, 1693 at the most`.
fn cost(line: &str) -> Option<(&str, f64, f64)> {
    let (name, rest) = line.rsplit_once(": ")?;
    let (least, rest) = rest.split_once(" instructions, ")?;
    let most = rest.strip_suffix(" at the most")?;
    Some((name, whole(least)?, whole(most)?))
}

/// Reads `160000 records tried in 80000 us, 0 lost`: records per second. Where some were lost,
/// something else was measured.
fn flood(line: &str) -> Option<f64> {
    let (records, rest) = line.split_once(" records tried in ")?;
    let us = rest.strip_suffix(" us, 0 lost")?;
    rate(whole(records)?, whole(us)?)
}

/// Reads `drain: 8 cpus, 4000 bytes in 20 us = ...`: writers, bytes per second.
fn drain(line: &str) -> Option<(u32, f64)> {
    let (writers, rest) = line.strip_prefix("drain: ")?.split_once(" cpus, ")?;
    let (bytes, rest) = rest.split_once(" bytes in ")?;
    let (us, _) = rest.split_once(" us = ")?;
    Some((writers.parse().ok()?, rate(whole(bytes)?, whole(us)?)?))
}

/// A whole number.
fn whole(digits: &str) -> Option<f64> {
    let number: u32 = digits.parse().ok()?;
    Some(number.into())
}

/// So many in so many microseconds, per second.
fn rate(count: f64, us: f64) -> Option<f64> {
    (us > 0.0).then_some(count * 1e6 / us)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::commands::bench::plan;

    /// What runs leave of which each has one thing to tell, or two.
    pub(crate) fn sample() -> Measures {
        let mut measures = Measures::new(2);
        for (us, ms) in [("100", 80.0), ("300", 90.5)] {
            for run in plan::runs(2, true) {
                let messages = match run.reads {
                    Reads::Instructions => vec![
                        "a plain record: of 1 & <2>: 34 instructions, 760 at the most".into(),
                        "an event: 48 instructions, 928 at the most".into(),
                        "log::info! with two: 1044 instructions, 1048 at the most".into(),
                        "a frame: 25323 instructions, 25323 at the most".into(),
                    ],
                    Reads::Records => vec![format!("2000 records tried in {us} us, 0 lost")],
                    Reads::Ports | Reads::Line => vec![
                        format!("drain: 1 cpus, 4000 bytes in {us} us = 40.00 MB/s; a record"),
                        format!("drain: 2 cpus, 9000 bytes in {us} us = 90.00 MB/s; a record"),
                        "drain: 0 records lost while they were written".into(),
                    ],
                    Reads::FirstLine => vec![],
                };
                let summary = serde_json::json!({ "run": { "first_line_ms": ms } });
                measures
                    .add(&run, &Left { messages, summary })
                    .expect("it is read");
            }
        }
        measures
    }

    #[test]
    fn what_the_kernel_says_becomes_rows() {
        let rows = sample().rows();
        let told: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    row.group,
                    row.name.as_str(),
                    row.median,
                    row.least,
                    row.most,
                )
            })
            .collect();
        let (first, second) = ("a plain record: of 1 & <2>", "an event");
        let mega = 1e6;
        assert_eq!(
            told,
            [
                (Group::Record, first, 34.0, 34.0, 34.0),
                (Group::Record, second, 48.0, 48.0, 48.0),
                (Group::Switch, first, 760.0, 760.0, 760.0),
                (Group::Switch, second, 928.0, 928.0, 928.0),
                (Group::Text, "log::info! with two", 1044.0, 1044.0, 1044.0),
                (Group::Frame, "a frame", 25323.0, 25323.0, 25323.0),
                (
                    Group::Records,
                    "1 CPU",
                    (20.0 * mega + 2e9 / 300.0) / 2.0,
                    2e9 / 300.0,
                    20.0 * mega
                ),
                (
                    Group::Records,
                    "2 CPUs",
                    (20.0 * mega + 2e9 / 300.0) / 2.0,
                    2e9 / 300.0,
                    20.0 * mega
                ),
                (
                    Group::Ports,
                    "from 1 CPU",
                    f64::midpoint(40.0, 4e9 / 300.0 / mega),
                    4e9 / 300.0 / mega,
                    40.0
                ),
                (Group::Ports, "from 2 CPUs", 60.0, 30.0, 90.0),
                (
                    Group::Line,
                    "from 1 CPU",
                    f64::midpoint(40_000.0, 4e9 / 300.0 / 1e3),
                    4e9 / 300.0 / 1e3,
                    40_000.0
                ),
                (Group::Line, "from 2 CPUs", 60_000.0, 30_000.0, 90_000.0),
                (Group::FirstLine, "2 CPUs", 85.25, 80.0, 90.5),
            ]
        );
    }

    #[test]
    fn a_run_that_says_nothing_of_use_is_an_error() {
        let run = &plan::runs(1, true)[1];
        for message in [
            "",
            "2000 records tried in 100 us, 7 lost",
            "2000 records tried in 0 us, 0 lost",
            "x records tried in 100 us, 0 lost",
            "2000 records",
        ] {
            let left = Left {
                messages: vec![message.to_owned()],
                summary: serde_json::Value::Null,
            };
            let error = Measures::new(1).add(run, &left).expect_err(message);
            assert!(
                error.to_string().starts_with("flood, 1 CPU: it passed"),
                "{error}"
            );
        }
    }
}
