//! The table, for people and for programs.

use std::path::Path;

use serde_json::json;

use super::measure::{Group, Row};
use crate::report;

/// What the numbers say, and what they do not.
const FOOT: [&str; 7] = [
    "Instructions are exact: an emulator that counts them says the same each time. They say how much",
    "work a write is, not how long it takes: a LOCKed instruction, a cache miss and an add count one.",
    "All else was measured on an emulator: TCG translates, CPUs are threads that share the host's",
    "cores. So rows can be compared with one another, and with those of another run on the same",
    "machine; and that CPUs do not wait for one another shows where there are cores for them. What",
    "caches, memory order and real devices cost cannot be seen: `cargo bench -p relayfs` measures a",
    "write on this processor.",
];

/// A number as people read it.
fn shown(value: f64) -> String {
    let digits = match value {
        value if value.fract() == 0.0 || value >= 1000.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

/// The table, by groups, with what it says below.
pub(super) fn text(rows: &[Row], rounds: u32) -> String {
    let mut text = String::new();
    for group in Group::ALL {
        let (title, unit) = group.title();
        let head = ["median", "least", "most", ""].map(str::to_owned);
        let mut cells = vec![head.to_vec()];
        for row in rows.iter().filter(|row| row.group == group) {
            let numbers = [row.median, row.least, row.most].map(shown);
            cells.push([&numbers[..], std::slice::from_ref(&row.name)].concat());
        }
        text += &format!("{title}, {unit}\n{}\n", report::align(&cells));
    }
    text += &format!("Medians of {rounds} rounds; instructions are counted once.\n");
    text + &FOOT.join("\n") + "\n"
}

/// The same as one JSON object.
pub(super) fn json(rows: &[Row], rounds: u32, chart: &Path) -> String {
    report::line(&json!({
        "rounds": rounds,
        "counts": "median",
        "rows": rows,
        "chart": chart.to_string_lossy(),
        "notes": FOOT.join(" "),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::measure::tests::sample;
    use super::*;

    #[test]
    fn the_table_has_every_row_and_what_it_means() {
        let rows = sample().rows();
        let text = text(&rows, 2);
        for row in &rows {
            let line = text.lines().find(|line| line.ends_with(&row.name));
            assert!(line.is_some(), "{} is not in\n{text}", row.name);
        }
        assert!(text.contains("Medians of 2 rounds;"));
        assert!(text.lines().all(|line| line.len() <= 100), "{text}");
        let json: serde_json::Value =
            serde_json::from_str(&json(&rows, 2, "x.svg".as_ref())).unwrap();
        assert_eq!(json["rows"].as_array().unwrap().len(), rows.len());
        assert_eq!(json["rows"][0]["group"], "record");
        assert_eq!(json["chart"], "x.svg");
    }

    #[test]
    fn numbers_have_as_many_digits_as_they_are_worth() {
        let all = [34.0, 1234.56, 123.456, 1.234].map(shown);
        assert_eq!(all, ["34", "1235", "123.5", "1.23"]);
    }
}
