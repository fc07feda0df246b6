//! What the sources must not do.

use std::fs;
use std::path::{Path, PathBuf};

use relay_machine::workspace::Workspace;

/// The only module that may touch the UART.
const UART: &str = "kernel/src/dev/serial.rs";

/// The only ones that may open a port with it: the console, the line for packets, and what takes
/// that line over in a panic.
const OWNERS: [&str; 3] = ["out/console/output.rs", "out/last_line.rs", "out/line.rs"];

/// The 32-bit stub, which may print one character when there is no kernel yet.
const STUB: &str = "boot/src/stub.s";

/// Marks of somebody who uses the UART: the driver crate, its type, and COM1's
/// and COM2's ports.
const MARKS: [&str; 6] = [
    "uart_16550",
    "Uart16550",
    "0x3f8",
    "0x3F8",
    "0x2f8",
    "0x2F8",
];

/// All source files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let path = entry.expect("the folder is readable").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path
            .extension()
            .is_some_and(|e| matches!(e.to_str(), Some("rs" | "s" | "S")))
        {
            found.push(path);
        }
    }
    found
}

/// The lines of a file that are code, with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text
        .lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line.trim_start()));
    lines.filter(|(_, line)| !line.starts_with("//") && !line.starts_with('#'))
}

/// The UART is reachable from one module only, so everything that is printed goes
/// through relay, or through that module's last resort.
#[test]
fn the_uart_is_reachable_from_one_module_only() {
    let root = Workspace::find()
        .expect("the tests lie in the workspace")
        .root;
    let mut users = Vec::new();
    for folder in ["relay/src", "boot/src", "kernel/src"] {
        for path in sources(&root.join(folder)) {
            let name = path
                .strip_prefix(&root)
                .expect("it lies there")
                .display()
                .to_string();
            let text = fs::read_to_string(&path).expect("sources are text");
            for (number, line) in code(&text) {
                if MARKS.iter().any(|mark| line.contains(mark)) && name != STUB {
                    users.push((name.clone(), number, line.to_owned()));
                }
            }
        }
    }
    let strangers: Vec<_> = users.iter().filter(|(name, ..)| name != UART).collect();
    assert!(
        strangers.is_empty(),
        "the UART is touched outside {UART}: {strangers:#?}"
    );
    // If the marks were wrong, nothing would be found at all.
    assert!(!users.is_empty(), "{UART} does not touch the UART");
}

/// Nobody but the ways out opens a port with that module. Others may name ports.
#[test]
fn the_uart_belongs_to_the_console_and_the_line() {
    let root = Workspace::find()
        .expect("the tests lie in the workspace")
        .root;
    let folder = root.join("kernel/src");
    let mut users = Vec::new();
    for path in sources(&folder) {
        let name = path
            .strip_prefix(&folder)
            .expect("it lies there")
            .display()
            .to_string();
        let text = fs::read_to_string(&path).expect("sources are text");
        let takes_it = |line: &str| line.contains("serial::") && line.contains("Uart");
        if code(&text).any(|(_, line)| takes_it(line)) {
            users.push(name);
        }
    }
    users.sort_unstable();
    assert_eq!(users, OWNERS);
}
