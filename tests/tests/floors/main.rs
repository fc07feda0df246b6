//! The house has floors: no file imports what stands above it, and nothing goes round in circles.
//!
//! What is declared here is also what `docs/ARCHITECTURE.md` shows, as a picture; this test says if
//! that is not current, and `RELAY_UPDATE_FLOORS=1 cargo test -p e2e --test floors` makes it so.

#![forbid(unsafe_code)]

mod circles;
mod picture;
mod source;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use source::{Crate, ModulePath};

/// A crate and its floors, from the ground up: the modules of its root.
#[derive(Debug)]
struct House {
    /// Its root file, from the project's root.
    root: &'static str,
    floors: &'static str,
}

const HOUSES: [House; 4] = [
    House {
        root: "relay/format/src/lib.rs",
        floors: "context severity loss stamp filler class packet",
    },
    House {
        root: "relay/src/lib.rs",
        floors: "sync platform ring channel record event fs ctf clients host forbidden",
    },
    House {
        root: "boot/src/lib.rs",
        floors: "span list physical what error paging layout memmap cmdline pvh rsdp config image plan state entry",
    },
    House {
        root: "kernel/src/main.rs",
        floors: "base cpu logs mem arch dev out life scenario",
    },
];

/// The project's root.
fn project() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the tests lie in it").to_path_buf()
}

impl House {
    fn read(&self) -> Crate {
        Crate::read(&project().join(self.root))
    }

    /// How high the floor is that a module is on; the root itself is above all.
    fn floor(&self, module: &ModulePath) -> Option<usize> {
        let Some(first) = module.first() else {
            return Some(usize::MAX);
        };
        self.floors
            .split_whitespace()
            .position(|floor| floor == first)
    }
}

fn text(module: &ModulePath) -> String {
    match module.is_empty() {
        true => "the root".to_owned(),
        false => module.join("::"),
    }
}

/// Everything that goes up, in sentences.
fn upward(house: &House, source: &Crate) -> Vec<String> {
    let mut wrong = Vec::new();
    for module in source.files() {
        let Some(own) = house.floor(module) else {
            wrong.push(format!("{} has no floor", text(module)));
            continue;
        };
        for imported in source.imports(module) {
            if house.floor(&imported).is_some_and(|floor| floor > own) {
                wrong.push(format!("{} imports {}", text(module), text(&imported)));
            }
        }
    }
    wrong
}

#[test]
fn no_file_imports_what_stands_above_it() {
    let mut report = String::new();
    for house in &HOUSES {
        for sentence in upward(house, &house.read()) {
            writeln!(report, "{}: {sentence}", house.root).expect("a text takes everything");
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn nothing_goes_round_in_circles() {
    let mut report = String::new();
    for house in &HOUSES {
        for circle in circles::find(&house.read()) {
            let files: Vec<_> = circle.iter().map(text).collect();
            writeln!(report, "{}: {}", house.root, files.join(", "))
                .expect("a text takes everything");
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

/// Where the picture stands, between these lines.
const PICTURE: [&str; 2] = ["<!-- floors -->", "<!-- end of floors -->"];

#[test]
fn the_picture_of_the_floors_is_current() {
    let file = project().join("docs/ARCHITECTURE.md");
    let text = fs::read_to_string(&file).expect("it can be read");
    let [begin, end] = PICTURE;
    let (before, rest) = text.split_once(begin).expect("it has a picture");
    let (_, after) = rest.split_once(end).expect("the picture ends");
    let drawn: Vec<_> = HOUSES
        .iter()
        .map(|house| picture::draw(house, &house.read()))
        .collect();
    let current = format!(
        "{before}{begin}\n\n```\n{}```\n\n{end}{after}",
        drawn.join("\n")
    );
    if env::var_os("RELAY_UPDATE_FLOORS").is_some() {
        fs::write(&file, &current).expect("it can be written");
    }
    let text = fs::read_to_string(&file).expect("it can be read");
    assert!(
        text == current,
        "docs/ARCHITECTURE.md shows other floors; RELAY_UPDATE_FLOORS=1 cargo test -p e2e --test floors writes these:\n{}",
        drawn.join("\n")
    );
}
