//! The table of what records cost.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use e2e::{Session, Turn, kernel, relayctl};

#[test]
fn one_command_measures_all_and_draws_a_chart() {
    let folder = tempfile::tempdir().expect("there is room");
    let mut bench = Command::new(relayctl());
    bench.args(["bench", "--quick", "--smp", "2", "--json", "--kernel"]);
    bench.arg(kernel()).arg("--output").arg(folder.path());
    let run = Session::spawn(bench, Turn::wait()).end();
    run.assert_code(0);
    let table = run.summary();
    let rows = table["rows"].as_array().expect("a list");
    let groups: BTreeSet<_> = rows
        .iter()
        .filter_map(|row| row["group"].as_str())
        .collect();
    let wanted = [
        "record",
        "switch",
        "text",
        "frame",
        "records",
        "ports",
        "line",
        "first_line",
    ];
    assert_eq!(groups, BTreeSet::from(wanted), "{table:#}");
    let chart = fs::read_to_string(folder.path().join("bench.svg")).expect("it is there");
    for row in rows {
        assert!(row["median"].as_f64() > Some(0.0), "{row}");
        let name = row["name"].as_str().expect("it has a name");
        assert!(chart.contains(name), "{name} is not in the chart");
    }
    // One CPU writes, and two do.
    let counted = rows.iter().filter(|row| row["group"] == "records");
    assert_eq!(counted.count(), 2, "{table:#}");
}

#[test]
fn a_folder_that_is_not_there_is_told_before_anything_is_measured() {
    let mut bench = Command::new(relayctl());
    bench.args(["bench", "--output", "/no/such/folder"]);
    let run = Session::spawn(bench, Turn::wait()).end();
    run.assert_code(2);
    assert_eq!(run.talk.len(), 1, "{:?}", run.talk);
}
