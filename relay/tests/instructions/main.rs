//! What one write takes in instructions, exactly, and that it takes no more than `bounds` says.
//!
//! The table: `cargo test -p relayfs --release --test instructions -- --nocapture`.
//! `RELAY_SEARCH=N` tries N interrupted programs, `RELAY_SEARCH=all` every one, which takes long.
#![cfg(all(target_os = "linux", target_arch = "x86_64", not(miri), not(loom)))]
#![cfg_attr(
    debug_assertions,
    expect(dead_code, reason = "the release build counts")
)]

mod bounds;
mod program;
mod search;
mod statements;
mod stepper;

/// Interrupted programs that are tried where nothing else is asked for.
const RUNS: u64 = 300;

/// Only optimised code without assertions is worth counting, so this has it made, and counted.
#[cfg(debug_assertions)]
#[test]
fn the_release_build_keeps_its_bounds() {
    let output = std::process::Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["test", "--release", "--test", "instructions"])
        .output()
        .expect("cargo can be run");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[cfg(not(debug_assertions))]
#[test]
fn no_write_takes_more_than_its_bound() {
    // First of all: are the traps there, and does each stand for one instruction?
    let (count, ()) = stepper::count(|| {
        // SAFETY: does nothing.
        unsafe { std::arch::asm!("nop", "nop", "nop", "nop", "nop") };
    });
    assert_eq!(
        count, 5,
        "five instructions were counted as {count}: single-stepping by the trap flag does not work here"
    );

    let mut exceeded = Vec::new();
    let mut row = |name: &str, instructions: u64, most: u64| {
        println!("{name:<44}{instructions:>7} of at most {most}");
        if instructions > most {
            exceeded.push(format!("{name}: {instructions}, at most {most}"));
        }
    };
    for bound in bounds::ROWS {
        // Once for libraries to find their functions.
        program::run(bound.state, bound.op, program::Interrupt::Never, 0);
        let cost = program::run(bound.state, bound.op, program::Interrupt::Never, 0);
        row(bound.name, cost.op, bound.most);
    }
    for statement in bounds::STATEMENTS {
        row(statement.name, (statement.count)(), statement.most);
    }
    let worst = search::uninterrupted();
    row(
        "worst that nothing interrupts",
        worst.instructions,
        bounds::UNINTERRUPTED,
    );
    let found = search::interrupted(runs());
    row(
        "worst that interrupts a write",
        found.interrupting.instructions,
        bounds::INTERRUPTING,
    );
    row(
        "worst that one write interrupts",
        found.interrupted.instructions,
        bounds::INTERRUPTED,
    );
    row(
        "worst that a lap interrupts",
        found.by_a_lap.instructions,
        bounds::INTERRUPTED_BY_A_LAP,
    );
    println!(
        "\n{} of {} interrupted programs were tried; where the worst came up:\n{worst}\n{}\n{}\n{}",
        found.tried, found.of, found.interrupting, found.interrupted, found.by_a_lap
    );
    assert!(
        exceeded.is_empty(),
        "too many instructions:\n{}",
        exceeded.join("\n")
    );
}

/// How many interrupted programs to try.
#[cfg(not(debug_assertions))]
fn runs() -> u64 {
    match std::env::var("RELAY_SEARCH") {
        Err(_) => RUNS,
        Ok(all) if all == "all" => u64::MAX,
        Ok(runs) => runs.parse().expect("RELAY_SEARCH is a number or 'all'"),
    }
}
