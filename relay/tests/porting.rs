//! What docs/PORTING.md shows is the example that runs, and all that a kernel needs.
#![cfg(not(any(loom, miri)))]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

const PAGE: &str = include_str!("../../docs/PORTING.md");
const PORT: &str = include_str!("../examples/port.rs");

/// What a kernel has beside the port, as the page says.
const MACHINE: &str = "
mod machine {
    pub(crate) fn cpu() -> usize { 0 }
    pub(crate) fn ticks() -> u64 { 0 }
    pub(crate) fn context() -> relay::Context { relay::Context::Task }
    pub(crate) fn send_interrupt(_cpu: usize) {}
}
fn print(_cpu: usize, _record: &Record<'_>) {}
";

/// The blocks of a language in the page.
fn shown(language: &str) -> impl Iterator<Item = &'static str> {
    let begin = format!("```{language}\n");
    let blocks = PAGE.split(&begin).skip(1);
    let ends = |rest: &'static str| rest.split("```").next().expect("a block ends");
    blocks.map(ends).collect::<Vec<_>>().into_iter()
}

#[test]
fn the_page_shows_the_port_of_the_example_and_leaves_nothing_out() {
    let (_, port) = PORT.split_once("// ---- the port ---").expect("it begins");
    let (port, _) = port
        .split_once("// ---- end of the port ---")
        .expect("it ends");
    let (_, mut port) = port.split_once('\n').expect("the rule is a line");
    let mut left_out = String::new();
    for block in shown("rust") {
        let (before, after) = port.split_once(block).unwrap_or_else(|| {
            panic!("examples/port.rs does not have this, or not here:\n{block}");
        });
        left_out.push_str(before);
        port = after;
    }
    left_out.push_str(port);
    assert_eq!(left_out.trim(), "");
}

#[test]
fn the_page_alone_makes_a_kernel_without_std() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("port");
    fs::create_dir_all(folder.join("src")).expect("the target folder is writable");
    let relay = concat!("path = \"", env!("CARGO_MANIFEST_DIR"), "\"");
    let dependencies = shown("toml").collect::<String>();
    let dependencies = dependencies.replace("path = \"../relay\"", relay);
    let manifest =
        format!("[package]\nname = \"port\"\nedition = \"2024\"\n[workspace]\n{dependencies}");
    let code = shown("rust").collect::<String>();
    let code = format!("#![no_std]\n#![allow(dead_code)]\n{code}{MACHINE}");
    fs::write(folder.join("Cargo.toml"), manifest).expect("it is writable");
    fs::write(folder.join("src/lib.rs"), code).expect("it is writable");
    // The versions that this workspace was built with are there.
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
    fs::copy(lock, folder.join("Cargo.lock")).expect("it is writable");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["check", "--offline", "--quiet"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    let checked = cargo.output().expect("cargo runs");
    let errors = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{errors}");
}

#[test]
fn the_port_is_about_as_long_as_it_is_said_to_be() {
    let code = shown("rust").flat_map(str::lines).map(str::trim);
    let is_code =
        |line: &&str| line.len() > 1 && !line.starts_with("//") && !line.starts_with("use ");
    let lines = code.filter(is_code).count();
    assert!((50..=70).contains(&lines), "{lines}");
}
