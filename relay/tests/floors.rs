//! A file of relay imports only what stands below it, in the order that is written here: so nothing goes round in circles, and
//! the order is the one to read them in.
#![cfg(not(any(loom, miri)))]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The files of `src/ring`, from the ground up: as the table in its `mod.rs` has them.
const RING: &str = "geometry position entry ledger error packet hooks subbuf storage words intent local stream owner \
    wake deliver switch source reserve fast slot write flush succession tick chain info reclaim reader records \
    observer puzzle salvage";

/// The modules of `src`, from the ground up: as docs/ARCHITECTURE.md has them.
const CRATE: &str = "sync platform ring channel record event fs ctf clients host";

/// What is imported by each file of a floor: files below `folder`, by the first part of their path.
fn imports(folder: &Path, of: &dyn Fn(&str) -> Vec<String>) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(&at).expect("it can be listed") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let inside = path.strip_prefix(folder).expect("it is below it");
            let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
            let is_test = parts.iter().any(|part| part.starts_with("tests"));
            if is_test || path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let floor = parts[0].trim_end_matches(".rs").to_owned();
            let source = fs::read_to_string(&path).expect("it can be read");
            // Tests may look down from anywhere.
            let (live, _) = source
                .split_once("#[cfg(test)]\nmod tests {")
                .unwrap_or((&source, ""));
            let (live, _) = live
                .split_once("#[cfg(all(test, not(loom)))]\nmod tests {")
                .unwrap_or((live, ""));
            let code: Vec<_> = live
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect();
            all.entry(floor).or_default().extend(of(&code.join("\n")));
        }
    }
    all
}

/// The names behind `prefix` in `code`, lower case: modules.
fn names_behind(code: &str, prefix: &str) -> Vec<String> {
    let name = |rest: &str| {
        let end = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '_'));
        rest[..end.unwrap_or(rest.len())].to_owned()
    };
    let behind = code.split(prefix).skip(1);
    let mut names: Vec<String> = Vec::new();
    for rest in behind {
        match rest.strip_prefix('{') {
            // One level of braces: `use super::{a, b}`.
            Some(list) => {
                let list = &list[..list.find('}').unwrap_or(list.len())];
                names.extend(list.split(',').map(|part| name(part.trim())));
            }
            None => names.push(name(rest)),
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Everything that goes up.
fn upward(order: &str, imports: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let place = |name: &str| order.split_whitespace().position(|floor| floor == name);
    let mut wrong = Vec::new();
    for (floor, imported) in imports {
        let Some(own) = place(floor) else {
            continue;
        };
        for name in imported {
            if place(name).is_some_and(|place| place > own) {
                wrong.push(format!("{floor} imports {name}"));
            }
        }
    }
    wrong
}

#[test]
fn no_file_of_the_ring_imports_what_stands_above_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ring");
    let imports = imports(&folder, &|code| names_behind(code, "super::"));
    let known: Vec<_> = RING.split_whitespace().collect();
    for file in imports.keys().filter(|file| *file != "mod") {
        assert!(known.contains(&file.as_str()), "{file} has no place");
    }
    assert_eq!(imports.len(), known.len() + 1, "a place without a file");
    assert_eq!(upward(RING, &imports), [""; 0]);
    // The table that people read says the same.
    let table = include_str!("../src/ring/mod.rs");
    let rows = table
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `"));
    let rows = rows
        .filter_map(|row| row.split_once(" | "))
        .map(|(names, _)| names);
    let names: Vec<_> = rows
        .flat_map(|names| names.split("`, `"))
        .map(|name| name.trim_matches('`'))
        .collect();
    assert_eq!(names, known);
}

#[test]
fn no_module_of_the_crate_imports_what_stands_above_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let imports = imports(&folder, &|code| names_behind(code, "crate::"));
    assert_eq!(upward(CRATE, &imports), [""; 0]);
}

#[test]
fn what_goes_up_is_noticed() {
    let code = "use super::{below, above as other};\nuse super::above::Thing;";
    let imports = BTreeMap::from([("middle".to_owned(), names_behind(code, "super::"))]);
    let wrong = upward("below middle above", &imports);
    assert_eq!(wrong, ["middle imports above"; 2]);
}
