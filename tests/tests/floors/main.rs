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
    /// The module whose files these are; empty for the crate's root.
    within: &'static str,
    floors: &'static str,
}

const HOUSES: [House; 13] = [
    House {
        root: "relay/format/src/lib.rs",
        within: "",
        floors: "context severity loss stamp filler class facility packet frame frames control",
    },
    House {
        root: "relay/text/src/lib.rs",
        within: "",
        floors: "parse argument value template",
    },
    House {
        root: "relay/pump/src/lib.rs",
        within: "",
        floors: "queue pump",
    },
    House {
        root: "relay/macros/src/lib.rs",
        within: "",
        floors: "names template statement event enumeration",
    },
    House {
        root: "relay/src/lib.rs",
        within: "",
        floors: "sync platform ring channel record event __private macros fs ctf line clients host forbidden",
    },
    House {
        root: "relay/src/lib.rs",
        within: "ring",
        floors: "geometry position entry ledger error packet hooks subbuf storage words intent phase local \
                 stream owner wake deliver switch source reserve fast slot write flush succession tick \
                 chain info reclaim spares reader records observer puzzle salvage",
    },
    House {
        root: "boot/src/lib.rs",
        within: "",
        floors: "span list physical what error paging layout memmap cmdline pvh rsdp config image plan state entry",
    },
    House {
        root: "kernel/src/main.rs",
        within: "",
        floors: "base cpu logs mem arch dev sched out user life scenario",
    },
    House {
        root: "relayctl/decode/src/lib.rs",
        within: "",
        floors: "escape balance wire tsdl console records query profile capture pairs merge audit",
    },
    House {
        root: "relayctl/machine/src/lib.rs",
        within: "",
        floors: "archive install workspace settings guest control syslog port_files ports",
    },
    House {
        root: "user/rt/src/lib.rs",
        within: "",
        floors: "sys time memory heap files say port names process thread provoke entry",
    },
    House {
        root: "user/programs/src/lib.rs",
        within: "",
        floors: "plan table lines check raw wild syslog",
    },
    House {
        root: "relayctl/src/main.rs",
        within: "",
        floors: "exit help signals symbols terminal report profile commands cli",
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

    /// How high the floor is that a module is on; what surrounds the floors is above all. `None`
    /// for a module elsewhere, an error for one without a floor.
    fn floor(&self, module: &ModulePath) -> Option<Result<usize, ()>> {
        let mut parts = module.iter();
        for part in self.within.split_terminator("::") {
            if parts.next().is_none_or(|own| own != part) {
                return None;
            }
        }
        let Some(first) = parts.next() else {
            return Some(Ok(usize::MAX));
        };
        let mut floors = self.floors.split_whitespace();
        Some(floors.position(|floor| floor == first).ok_or(()))
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
        let own = match house.floor(module) {
            None => continue,
            Some(Ok(own)) => own,
            Some(Err(())) => {
                wrong.push(format!("{} has no floor", text(module)));
                continue;
            }
        };
        for imported in source.imports(module) {
            if matches!(house.floor(&imported), Some(Ok(floor)) if floor > own) {
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

/// The circles that there are, and no others: a handle is of a port or a process, a process has
/// handles, and a message passes one.
const CIRCLES: &str = "kernel/src/main.rs: user::handles, user::port, user::process\n";

#[test]
fn nothing_else_goes_round_in_circles() {
    let mut report = String::new();
    for house in &HOUSES {
        for circle in circles::find(&house.read()) {
            let files: Vec<_> = circle.iter().map(text).collect();
            writeln!(report, "{}: {}", house.root, files.join(", "))
                .expect("a text takes everything");
        }
    }
    assert_eq!(report, CIRCLES);
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
        .filter(|house| house.within.is_empty())
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

#[test]
fn the_table_of_the_ring_has_its_floors() {
    let table =
        fs::read_to_string(project().join("relay/src/ring/mod.rs")).expect("it can be read");
    let rows = table
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `"));
    let names: Vec<_> = rows
        .filter_map(|row| row.split_once(" | "))
        .flat_map(|(names, _)| names.split("`, `"))
        .map(|name| name.trim_matches('`'))
        .collect();
    let ring = HOUSES.iter().find(|house| house.within == "ring");
    let floors: Vec<_> = ring
        .into_iter()
        .flat_map(|house| house.floors.split_whitespace())
        .collect();
    assert_eq!(names, floors);
}

#[test]
fn what_goes_up_or_round_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("it can be written");
    };
    write("lib.rs", "mod below;\nmod above;\npub use above::Thing;\n");
    write(
        "below.rs",
        "pub fn f() { let _ = format!(\"{}\", crate::above::g()); }\n",
    );
    write(
        "above.rs",
        "use super::below;\npub struct Thing;\npub fn g() { below::f() }\n#[cfg(test)]\nmod tests { use crate::Thing; }\n",
    );
    let house = House {
        root: "",
        within: "",
        floors: "below above",
    };
    let source = Crate::read(&folder.path().join("lib.rs"));
    assert_eq!(upward(&house, &source), ["below imports above"]);
    let circles = circles::find(&source);
    assert_eq!(
        circles,
        [[vec!["above".to_owned()], vec!["below".to_owned()]]]
    );
    // Through another name, and without a place.
    write("below.rs", "use crate::Thing as Other;\n");
    write(
        "lib.rs",
        "mod below;\nmod above;\nmod nowhere;\nuse above::*;\npub use above::Thing;\n",
    );
    write("nowhere.rs", "");
    let source = Crate::read(&folder.path().join("lib.rs"));
    let wrong = upward(&house, &source);
    assert_eq!(wrong, ["below imports above", "nowhere has no floor"]);
}
