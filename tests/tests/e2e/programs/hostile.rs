//! Programs that misbehave: what each case gets is what docs/MISBEHAVIOUR.md says, and nobody else
//! loses anything. Counts decide, never time.

use std::fs;
use std::path::Path;
use std::process::Command;

use e2e::{relayctl, workspace};

use super::{run, said};

/// The channel that the consumers' cases have for themselves, with sub-buffers of whole pages.
const TAKEN: &[&str] = &["--set", "taken=trace", "--set", "trace-size=131072"];

/// The table: each case, and what it gets.
fn table() -> Vec<(String, String)> {
    let path = workspace().root.join("docs/MISBEHAVIOUR.md");
    let text = fs::read_to_string(path).expect("the page is there");
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix("| ")?.split('|').map(str::trim).collect();
        match cells[..] {
            [name, _, got, ""] if name != "case" => Some((name.to_owned(), got.to_owned())),
            _ => None,
        }
    });
    rows.collect()
}

/// That all streams are complete that leave the machine.
fn verify(folder: &Path) {
    let status = Command::new(relayctl()).arg("verify").arg(folder).status();
    assert!(status.expect("relayctl starts").success());
}

#[test]
fn misbehaviours_get_what_the_table_says() {
    let folder = tempfile::tempdir().expect("there is room");
    let run = run(folder.path(), 8, "hostile", TAKEN);
    let said = said(folder.path());
    let cases: Vec<_> = said
        .iter()
        .filter(|(by, _)| by == "hostile")
        .filter_map(|(_, text)| text.strip_prefix("case ")?.split_once(": "))
        .map(|(name, got)| (name.to_owned(), got.to_owned()))
        .collect();
    for (found, wanted) in cases.iter().zip(&table()) {
        assert_eq!(found, wanted);
    }
    assert_eq!(cases.len(), table().len(), "{:?}", cases.last());
    run.assert_code(0);
    verify(folder.path());
}

/// A hundred thousand calls of a seed that is always the same; what becomes of them depends on which
/// thread was faster.
#[test]
fn random_calls_harm_nobody() {
    let folder = tempfile::tempdir().expect("there is room");
    let run = run(folder.path(), 8, "random,18,100000,4,4", &[]);
    run.assert_code(0);
    let said = said(folder.path());
    let has = |begin: &str| {
        said.iter()
            .any(|(by, text)| by == "random" && text.starts_with(begin))
    };
    assert!(has("random: seed 18 calls 10"), "{said:?}");
    // Calls came far: they were done, and they failed by everything that is looked at.
    assert!(has("random: done "), "{said:?}");
    verify(folder.path());
}
