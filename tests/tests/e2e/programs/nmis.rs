//! NMIs in the way into the kernel and out of it: there the stack or the base of GS is ring 3's.

use std::process::Command;

use e2e::kernel;
use object::{Object, ObjectSymbol};

use super::{records, run, said};

/// Where the kernel's way in begins, and where its way out ends.
fn way() -> (u64, u64) {
    let bytes = std::fs::read(kernel()).expect("it is there");
    let elf = object::File::parse(&*bytes).expect("it is an ELF file");
    // `kernel::arch::user::entry`, mangled.
    let is_it = |name: &str| name.contains("6kernel4arch4user5entry");
    let mut symbols = elf.symbols();
    let symbol = symbols.find(|symbol| symbol.name().is_ok_and(is_it));
    let symbol = symbol.expect("the way in has a name");
    (symbol.address(), symbol.address() + symbol.size())
}

/// Whether this QEMU can be told to look for interrupts behind each instruction, not each block.
fn has_single_step() -> bool {
    let help = Command::new("qemu-system-x86_64").arg("--help").output();
    let help = help.expect("QEMU is there").stdout;
    String::from_utf8_lossy(&help).contains("-singlestep")
}

#[test]
fn nmis_hit_the_way_in_and_the_way_out_and_nothing_breaks() {
    let folder = tempfile::tempdir().expect("there is room");
    let single = has_single_step();
    let mut others = vec!["--set", "profile=10000", "--set", "profile-source=ipi"];
    others.extend(["--set", "profile-size=1048576"]);
    others.extend(
        single
            .then_some(["--", "-singlestep"])
            .into_iter()
            .flatten(),
    );
    let run = run(folder.path(), 3, "nulls,8000;nulls,8000", &others);
    run.assert_code(0);
    run.assert_complete(3);
    let said = said(folder.path());
    let calls = said
        .iter()
        .filter(|(by, text)| by == "nulls" && text.ends_with(" calls"));
    assert_eq!(calls.count(), 2, "{said:?}");

    let (begin, end) = way();
    // `swapgs` and `sysretq` have three bytes each.
    let last = end - 3;
    let [mut ring_3, mut inside, mut first, mut behind] = [0; 4];
    for record in records(folder.path(), "profile") {
        let ip = record["fields"]["ip"].as_u64().unwrap_or_default();
        if record["context"] != "nmi" || record["fields"]["comm"] != "nulls" {
            continue;
        }
        ring_3 += u32::from(ip < 1 << 47);
        inside += u32::from((begin..end).contains(&ip));
        first += u32::from(ip == begin);
        behind += u32::from(ip == last);
    }
    println!(
        "NMIs: {ring_3} in ring 3, {inside} on the way, {first} before its first swapgs, {behind} behind its last"
    );
    assert!(
        ring_3 > 100 && inside > 100,
        "{ring_3} in ring 3, {inside} on the way"
    );
    assert!(first > 0, "none before the first instruction");
    assert!(behind > 0 || !single, "none before the last instruction");
}
