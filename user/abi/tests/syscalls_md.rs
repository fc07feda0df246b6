//! `docs/SYSCALLS.md` says what this crate says.

use relay_abi::{Call, Error, rights};

const PAGE: &str = include_str!("../../../docs/SYSCALLS.md");
const SOURCE: &str = include_str!("../src/call.rs");

/// The rows of the table below a heading: what is between the bars, without blanks.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, section) = PAGE.split_once(heading).expect("the heading is there");
    let lines = section.lines().skip_while(|line| !line.starts_with('|'));
    let table = lines.take_while(|line| line.starts_with('|'));
    table
        .skip(2)
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

/// What stands between backquotes.
fn quoted(text: &str) -> &str {
    text.trim_matches('`')
}

/// Every call's arguments, as the sources have them: `handle, rights` for `(handle, rights)`.
fn arguments() -> Vec<&'static str> {
    let first = |line: &'static str| line.trim().strip_prefix("/// `(")?.split_once(")`: ");
    SOURCE
        .lines()
        .filter_map(first)
        .map(|(arguments, _)| arguments)
        .collect()
}

#[test]
fn every_call_has_its_row() {
    let rows = rows("\n## Calls\n");
    let arguments = arguments();
    assert_eq!(rows.len(), Call::ALL.len());
    assert_eq!(arguments.len(), Call::ALL.len());
    for ((row, call), arguments) in rows.iter().zip(Call::ALL).zip(arguments) {
        assert_eq!(row.len(), 6, "{row:?}");
        assert_eq!(row[0], (*call as u64).to_string());
        assert_eq!(quoted(row[1]), call.name());
        assert_eq!(quoted(row[2]), arguments, "of {}", call.name());
    }
}

#[test]
fn every_error_has_its_row() {
    let rows = rows("\n## Errors\n");
    assert_eq!(rows.len(), Error::ALL.len());
    for (row, error) in rows.iter().zip(Error::ALL) {
        let number = (*error as u32).to_string();
        assert_eq!(row, &[&number, &format!("`{error:?}`"), error.text()]);
    }
}

#[test]
fn what_calls_say_are_errors_and_rights_that_there_are() {
    let errors: Vec<_> = Error::ALL
        .iter()
        .map(|error| format!("{error:?}"))
        .collect();
    let rights = rows("\n## Rights\n");
    let rights: Vec<_> = rights.iter().map(|row| quoted(row[1])).collect();
    for row in rows("\n## Calls\n") {
        let words = |text: &'static str| text.split('`').skip(1).step_by(2);
        for right in words(row[4]) {
            assert!(rights.contains(&right), "{right} in {row:?}");
        }
        for error in words(row[5]) {
            assert!(
                errors.iter().any(|known| known == error),
                "{error} in {row:?}"
            );
        }
    }
}

#[test]
fn every_right_has_its_row() {
    let all = [
        ("OBSERVE", rights::OBSERVE),
        ("CONSUME", rights::CONSUME),
        ("MAP", rights::MAP),
        ("CONTROL", rights::CONTROL),
        ("WRITE", rights::WRITE),
        ("SEND", rights::SEND),
        ("RECEIVE", rights::RECEIVE),
        ("END", rights::END),
        ("SPAWN", rights::SPAWN),
        ("PASS", rights::PASS),
        ("DRAIN", rights::DRAIN),
        ("SYSLOG", rights::SYSLOG),
    ];
    let rows = rows("\n## Rights\n");
    assert_eq!(rows.len(), all.len());
    for (row, (name, bit)) in rows.iter().zip(all) {
        assert_eq!(
            (quoted(row[1]), 1 << row[0].parse::<u32>().expect("a bit")),
            (name, bit)
        );
    }
    assert_eq!(all.iter().fold(0, |sum, (_, bit)| sum | bit), rights::ALL);
}
