//! Peers that are measured in the same sitting by programs of their own:
//! `benches/lttng-ust/run.sh`, `benches/peers/run.sh`.

use crate::args::Args;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};

/// A script's exit status where what it measures is not there.
const NOT_THERE: i32 = 77;

/// A program that measures peers.
struct Program {
    /// The script, in the folder of benches.
    script: &'static str,
    /// Whom it measures.
    peers: &'static [&'static str],
    /// What to do where they are not there.
    absent: &'static str,
}

const PROGRAMS: [Program; 2] = [
    Program {
        script: "peers/run.sh",
        peers: &["ktracepoint", "defmt", "tracing"],
        absent: "cannot be built here: cargo has never fetched them, and there is no network",
    },
    Program {
        script: "lttng-ust/run.sh",
        peers: &["LTTng-UST"],
        absent: "not installed (apt-get install lttng-tools liblttng-ust-dev)",
    },
];

/// What came of all of them.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    rows: Vec<Row>,
    /// Who is not there, and why.
    absent: Vec<String>,
}

/// ns per event.
#[derive(Debug)]
struct Row {
    whose: String,
    name: String,
    min: f64,
    median: f64,
    note: String,
}

impl Outside {
    /// Runs the scripts of those peers that are wanted.
    ///
    /// # Errors
    /// One of them failed, although its peers are there; or what it said makes no sense.
    pub(crate) fn measure(args: &Args) -> Result<Self, String> {
        let mut outside = Self::default();
        for program in PROGRAMS {
            if !program.peers.iter().any(|peer| args.wants(peer)) {
                continue;
            }
            match program.run(args.quick)? {
                Some(rows) => outside.rows.extend(rows),
                None => {
                    let peers = program.peers.join(", ");
                    outside.absent.push(format!("{peers}: {}", program.absent));
                }
            }
        }
        Ok(outside)
    }

    /// Lines of the table; `floor` is ns of the floor.
    pub(crate) fn lines(&self, floor: Option<f64>) -> Vec<String> {
        let rows = self.rows.iter().map(|row| row.line(floor));
        rows.chain(self.absent.iter().cloned()).collect()
    }

    /// The rows.
    pub(crate) fn as_json(&self, floor: Option<f64>) -> Value {
        let row = |row: &Row| {
            json!({
                "whose": row.whose,
                "name": row.name,
                "note": row.note,
                "min_ns": row.min,
                "median_ns": row.median,
                "times_floor": floor.map(|floor| row.min / floor),
            })
        };
        self.rows.iter().map(row).collect()
    }
}

impl Program {
    /// What it measured; `None` if its peers are not there.
    fn run(&self, quick: bool) -> Result<Option<Vec<Row>>, String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("benches")
            .join(self.script);
        let output = Command::new(&script)
            .arg(if quick { "60" } else { "1000" })
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("cannot run {}: {error}", script.display()))?;
        match output.status.code() {
            Some(0) => {}
            Some(NOT_THERE) => return Ok(None),
            _ => return Err(format!("{} failed: {}", script.display(), output.status)),
        }
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines()
            .map(Row::parse)
            .collect::<Result<_, _>>()
            .map(Some)
    }
}

impl Row {
    /// Reads a line of a script: `WHOSE NAME MIN MEDIAN NOTE`, with tabs between.
    fn parse(line: &str) -> Result<Self, String> {
        let read = || {
            let mut words = line.split('\t');
            let mut word = || words.next();
            let (whose, name) = (word()?.to_owned(), word()?.to_owned());
            let (min, median) = (word()?.parse().ok()?, word()?.parse().ok()?);
            let note = word()?.to_owned();
            Some(Self {
                whose,
                name,
                min,
                median,
                note,
            })
        };
        read().ok_or_else(|| {
            format!("a program says '{line}', not 'WHOSE NAME MIN MEDIAN NOTE' with tabs between")
        })
    }

    fn line(&self, floor: Option<f64>) -> String {
        let ratio = floor.map_or("-".into(), |floor| format!("{:.2}", self.min / floor));
        let name = format!("{:<12}{}", self.whose, self.name);
        let Self {
            min, median, note, ..
        } = self;
        format!(
            "{name:<44}{:>7}{min:>7.1}{:>7}{:>7}{:>7}{median:>9.1}{ratio:>8}  {note}",
            "-", "-", "-", "-"
        )
    }
}
