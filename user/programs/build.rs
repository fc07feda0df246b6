//! Links the programs for the kernel with the runtime's linker script.
//!
//! The arguments are given here and not in `.cargo/config.toml`, because RUSTFLAGS of the
//! environment replaces the flags given there, and because the kernel needs others.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // A host build (tests, lints) is ordinary programs.
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let manifest = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let script = Path::new(&manifest).join("../rt/link.ld");
    let script = script
        .canonicalize()
        .unwrap_or_else(|error| panic!("no linker script at {}: {error}", script.display()));
    println!("cargo::rerun-if-changed={}", script.display());
    for argument in [
        &format!("-T{}", script.display()),
        // ET_EXEC at fixed addresses, whatever relocation model the flags ask for.
        "--no-pie",
        "-znorelro",
        "-zmax-page-size=4096",
        "--build-id=none",
        // A section the script does not name would be part of a segment by chance.
        "--orphan-handling=error",
    ] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
