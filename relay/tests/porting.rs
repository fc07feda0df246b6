//! What docs/PORTING.md shows are examples that run, and all that a kernel needs.
#![cfg(not(any(loom, miri)))]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

const PAGE: &str = include_str!("../../docs/PORTING.md");

/// Code of the page, and what it was taken from.
struct Shown {
    name: &'static str,
    /// What its blocks have behind their language.
    mark: &'static str,
    example: &'static str,
    /// What a kernel has beside it, as the page says.
    machine: &'static str,
}

const PORT: Shown = Shown {
    name: "port",
    mark: "",
    example: include_str!("../examples/port.rs"),
    machine: "
mod machine {
    pub(crate) fn cpu() -> usize { 0 }
    pub(crate) fn ticks() -> u64 { 0 }
    pub(crate) fn context() -> relay::Context { relay::Context::Task }
    pub(crate) fn send_interrupt(_cpu: usize) {}
}
fn print(_cpu: usize, _record: &Record<'_>) {}
",
};

const LINE: Shown = Shown {
    name: "line",
    mark: " line",
    example: include_str!("../examples/line.rs"),
    machine: "
mod machine {
    pub(crate) const HZ: u64 = 1;
    pub(crate) fn ticks() -> u64 { 0 }
    pub(crate) fn try_send(_bytes: &[u8]) -> usize { 0 }
}
struct Machine;
// SAFETY: nothing of this runs.
unsafe impl relay::Platform for Machine {
    type Pinned = ();
    fn pin(&self) -> (usize, ()) { (0, ()) }
    unsafe fn unpin(&self, (): ()) {}
    fn now(&self) -> u64 { 0 }
}
",
};

const EVENTS: Shown = Shown {
    name: "events",
    mark: " events",
    example: include_str!("../examples/events.rs"),
    machine: "
mod machine {
    pub(crate) const HZ: u64 = 1;
}
struct Machine;
// SAFETY: nothing of this runs.
unsafe impl relay::Platform for Machine {
    type Pinned = ();
    fn pin(&self) -> (usize, ()) { (0, ()) }
    unsafe fn unpin(&self, (): ()) {}
    fn now(&self) -> u64 { 0 }
}
",
};

const EVLOG: Shown = Shown {
    name: "evlog",
    mark: " evlog",
    example: include_str!("../examples/evlog.rs"),
    machine: "
mod machine {
    pub(crate) const HZ: u64 = 1;
    pub(crate) fn cpu() -> usize { 0 }
    pub(crate) fn ticks() -> u64 { 0 }
    pub(crate) fn context() -> relay::Context { relay::Context::Task }
    pub(crate) fn current() -> (i32, i32) { (0, 0) }
}
",
};

impl Shown {
    /// Its blocks in the page, in a language.
    fn blocks(&self, language: &str) -> impl Iterator<Item = &'static str> {
        let begin = format!("```{language}{}\n", self.mark);
        let blocks = PAGE.split(&begin).skip(1);
        let ends = |rest: &'static str| rest.split("```").next().expect("a block ends");
        blocks.map(ends).collect::<Vec<_>>().into_iter()
    }

    /// The blocks are what stands between the rules of the example, and leave nothing out.
    fn check_that_it_is_whole(&self) {
        let name = self.name;
        let (_, code) = self
            .example
            .split_once(&format!("// ---- the {name} ---"))
            .expect("it begins");
        let (code, _) = code
            .split_once(&format!("// ---- end of the {name} ---"))
            .expect("it ends");
        let (_, mut code) = code.split_once('\n').expect("the rule is a line");
        let mut left_out = String::new();
        for block in self.blocks("rust") {
            let (before, after) = code.split_once(block).unwrap_or_else(|| {
                panic!("examples/{name}.rs does not have this, or not here:\n{block}");
            });
            left_out.push_str(before);
            code = after;
        }
        left_out.push_str(code);
        assert_eq!(left_out.trim(), "");
    }

    /// With the dependencies that the page says, the blocks compile in a crate without `std`.
    fn check_that_it_compiles(&self) {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(self.name);
        fs::create_dir_all(folder.join("src")).expect("the target folder is writable");
        let relay = concat!("path = \"", env!("CARGO_MANIFEST_DIR"), "\"");
        let dependencies = self.blocks("toml").collect::<String>();
        let dependencies = dependencies.replace("path = \"../relay\"", relay);
        let manifest =
            format!("[package]\nname = \"port\"\nedition = \"2024\"\n[workspace]\n{dependencies}");
        let code = self.blocks("rust").collect::<String>();
        let machine = self.machine;
        let code = format!("#![no_std]\n#![allow(dead_code)]\n{code}{machine}");
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
}

#[test]
fn the_page_shows_the_port_of_the_example_and_leaves_nothing_out() {
    PORT.check_that_it_is_whole();
}

#[test]
fn the_page_shows_the_line_of_the_example_and_leaves_nothing_out() {
    LINE.check_that_it_is_whole();
}

#[test]
fn the_page_shows_the_events_of_the_example_and_leaves_nothing_out() {
    EVENTS.check_that_it_is_whole();
}

#[test]
fn the_page_shows_the_evlog_of_the_example_and_leaves_nothing_out() {
    EVLOG.check_that_it_is_whole();
}

#[test]
fn the_page_alone_has_an_evlog_without_std() {
    EVLOG.check_that_it_compiles();
}

#[test]
fn the_page_alone_has_events_without_std() {
    EVENTS.check_that_it_compiles();
}

#[test]
fn the_page_alone_makes_a_kernel_without_std() {
    PORT.check_that_it_compiles();
}

#[test]
fn the_page_alone_sends_over_a_line_without_std() {
    LINE.check_that_it_compiles();
}

#[test]
fn the_port_is_about_as_long_as_it_is_said_to_be() {
    let code = PORT.blocks("rust").flat_map(str::lines).map(str::trim);
    let is_code =
        |line: &&str| line.len() > 1 && !line.starts_with("//") && !line.starts_with("use ");
    let lines = code.filter(is_code).count();
    assert!((50..=70).contains(&lines), "{lines}");
}
