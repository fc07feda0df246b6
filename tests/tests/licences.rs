//! Every package that is built with may be used under a licence that `deny.toml` allows: what
//! `cargo deny check licenses` checks, without the program and without a network.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use serde_json::Value;
use spdx::{Expression, ParseMode};

/// The licences that `deny.toml` allows.
fn allowed(text: &str) -> BTreeSet<String> {
    let config: toml::Table = text.parse().expect("deny.toml is TOML");
    let allowed = config["licenses"]["allow"].as_array().expect("a list");
    let names = allowed.iter().map(|name| name.as_str().expect("a name"));
    names.map(str::to_owned).collect()
}

/// Whether one of the ways to use something that has this licence is allowed.
fn is_allowed(licence: &str, allowed: &BTreeSet<String>) -> bool {
    // The slash is an old way to say OR, which crates.io still takes.
    let expression = Expression::parse_mode(licence, ParseMode::LAX);
    expression.is_ok_and(|expression| {
        expression.evaluate(|wanted| allowed.contains(&wanted.license.to_string()))
    })
}

#[test]
fn every_package_has_an_allowed_licence() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a workspace");
    let deny = fs::read_to_string(project.join("deny.toml")).expect("it can be read");
    let allowed = allowed(&deny);
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--all-features",
        ])
        .current_dir(project)
        .output()
        .expect("cargo starts");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    let packages = metadata["packages"].as_array().expect("a list");
    assert!(
        packages.len() > 100,
        "{} packages are not all",
        packages.len()
    );
    let wrong: Vec<_> = packages
        .iter()
        .filter(|package| !is_allowed(package["license"].as_str().unwrap_or_default(), &allowed))
        .map(|package| format!("{} {}", package["name"], package["license"]))
        .collect();
    assert!(
        wrong.is_empty(),
        "deny.toml allows none of these: {wrong:#?}"
    );
}

#[test]
fn what_is_not_allowed_is_noticed() {
    let allowed = allowed("[licenses]\nallow = ['MIT', 'Apache-2.0']\n");
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-2.0-only OR MIT",
        "MIT AND Apache-2.0",
        "Unlicense OR MIT",
    ] {
        assert!(is_allowed(good, &allowed), "{good}");
    }
    for bad in [
        "",
        "CDDL-1.0",
        "GPL-3.0-only",
        "MIT AND CDDL-1.0",
        "no licence",
        "Apache-2.0 WITH LLVM-exception AND GPL-2.0-only",
    ] {
        assert!(!is_allowed(bad, &allowed), "{bad}");
    }
}
