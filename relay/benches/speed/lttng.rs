//! LTTng-UST, measured in the same sitting by its own program: see `benches/lttng-ust/run.sh`.

use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};

/// The script's exit status where LTTng is not installed.
const NOT_INSTALLED: i32 = 77;

/// What came of it.
#[derive(Debug)]
pub(crate) enum Lttng {
    /// It is not installed.
    Absent,
    /// One row for each way it was measured.
    Rows(Vec<Row>),
}

/// ns per event of 32 bytes.
#[derive(Debug)]
pub(crate) struct Row {
    name: String,
    min: f64,
    median: f64,
}

/// Runs the script.
///
/// # Errors
/// It failed, although LTTng is installed; or what it said makes no sense.
pub(crate) fn measure(quick: bool) -> Result<Lttng, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/lttng-ust/run.sh");
    let output = Command::new(&script)
        .arg(if quick { "60" } else { "1000" })
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot run {}: {error}", script.display()))?;
    match output.status.code() {
        Some(0) => {}
        Some(NOT_INSTALLED) => return Ok(Lttng::Absent),
        _ => return Err(format!("{} failed: {}", script.display(), output.status)),
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(parse)
        .collect::<Result<_, _>>()
        .map(Lttng::Rows)
}

/// Reads a line of the script: `NAME MIN MEDIAN`.
fn parse(line: &str) -> Result<Row, String> {
    let mut words = line.rsplitn(3, ' ');
    let mut number = || words.next()?.parse().ok();
    let (median, min) = (number(), number());
    match (words.next(), min, median) {
        (Some(name), Some(min), Some(median)) => Ok(Row {
            name: name.into(),
            min,
            median,
        }),
        _ => Err(format!("its program says '{line}', not 'NAME MIN MEDIAN'")),
    }
}

impl Lttng {
    /// Lines of the table; `floor` is ns of the floor.
    pub(crate) fn lines(&self, floor: Option<f64>) -> Vec<String> {
        match self {
            Self::Absent => vec![
                "LTTng-UST: not installed (apt-get install lttng-tools liblttng-ust-dev)".into(),
            ],
            Self::Rows(rows) => rows.iter().map(|row| row.line(floor)).collect(),
        }
    }

    /// The rows; null if it is not installed.
    pub(crate) fn as_json(&self) -> Value {
        match self {
            Self::Absent => Value::Null,
            Self::Rows(rows) => rows
                .iter()
                .map(|row| json!({"name": row.name, "min_ns": row.min, "median_ns": row.median}))
                .collect(),
        }
    }
}

impl Row {
    fn line(&self, floor: Option<f64>) -> String {
        let ratio = floor.map_or("-".into(), |floor| format!("{:.2}", self.min / floor));
        let name = format!("{:<10}{}", "LTTng-UST", self.name);
        format!(
            "{name:<44}{:>7}{:>7.1}{:>7}{:>7}{:>7}{:>9.1}{ratio:>8}  {}",
            "-",
            self.min,
            "-",
            "-",
            "-",
            self.median,
            "clock; a tracepoint of 32 bytes; nests in signal handlers, counts losses"
        )
    }
}
