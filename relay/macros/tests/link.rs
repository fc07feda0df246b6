//! Two events of one channel with the same name, or of one facility with the same type, in different
//! modules: no macro sees both, but the linker does.

#![cfg(not(any(loom, miri)))]
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::{Command, Output};
use std::{env, fs};

/// A program with two events, which prints the names of all that it has.
fn program(second: &str) -> String {
    format!(
        r#"#![forbid(unsafe_code)]
        use relay::event::Event;

        mod first {{
            relay::event! {{
                #[event(channel = "sched")]
                pub struct Woken {{ pub task: u32 }}
            }}
        }}

        mod second {{
            relay::event! {{
                #[event(channel = "sched", name = "{second}")]
                pub struct Other;
            }}
        }}

        fn main() {{
            assert_ne!(first::Woken::id(), second::Other::id());
            let mut names: Vec<_> = relay::event::registered().map(|class| class.site.name()).collect();
            names.sort();
            println!("{{}}", names.join(" "));
        }}
        "#
    )
}

/// A program with two events of evlog, in the same facility.
fn program_of_evlog(second: u32) -> String {
    format!(
        r#"#![forbid(unsafe_code)]
        use relay::event::Event;

        mod first {{
            relay::event! {{
                #[event(channel = "evlog", facility = "disk", type = 3)]
                pub struct Full {{ pub disk: u32 }}
            }}
        }}

        mod second {{
            relay::event! {{
                #[event(channel = "evlog", facility = "DISK", type = {second})]
                pub struct Gone;
            }}
        }}

        fn main() {{
            assert_ne!(first::Full::id(), second::Gone::id());
            let codes = relay::event::registered().filter_map(|class| class.site.codes());
            let mut kinds: Vec<_> = codes.map(|codes| codes.kind.to_string()).collect();
            kinds.sort();
            println!("{{}}", kinds.join(" "));
        }}
        "#
    )
}

/// Builds and runs a program of its own, with the dependencies that the workspace has.
fn run(name: &str, source: &str) -> Output {
    let relay = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = target.join(name);
    let manifest = format!(
        "[package]\nname = {name:?}\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\nrelay = {{ package = \"relayfs\", path = {relay:?}, default-features = false }}\n"
    );
    fs::create_dir_all(folder.join("src")).expect("a folder");
    fs::write(folder.join("Cargo.toml"), manifest).expect("a manifest");
    fs::write(folder.join("src/main.rs"), source).expect("a program");
    fs::copy(relay.join("../Cargo.lock"), folder.join("Cargo.lock")).expect("versions");
    Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--offline"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", target.join("target"))
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .expect("cargo runs")
}

#[test]
fn two_events_of_one_name_do_not_link() {
    if !relay::event::HAS_REGISTRY {
        return;
    }
    let good = run("two-names", &program("slept"));
    let said = String::from_utf8_lossy(&good.stderr);
    assert!(good.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&good.stdout), "slept woken\n");
    let bad = run("one-name", &program("woken"));
    let said = String::from_utf8_lossy(&bad.stderr);
    assert!(!bad.status.success());
    assert!(said.contains("relay event sched.woken"), "{said}");
}

#[test]
fn two_events_of_one_type_do_not_link() {
    if !relay::event::HAS_REGISTRY {
        return;
    }
    let good = run("two-types", &program_of_evlog(4));
    let said = String::from_utf8_lossy(&good.stderr);
    assert!(good.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&good.stdout), "3 4\n");
    let bad = run("one-type", &program_of_evlog(3));
    let said = String::from_utf8_lossy(&bad.stderr);
    assert!(!bad.status.success());
    assert!(
        said.contains("relay event evlog facility 0xc74dd02 type 3"),
        "{said}"
    );
}
