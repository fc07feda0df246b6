//! CPUs that have no ring: what they lose is known, to the record.

use std::process::Command;

use e2e::{boot, relayctl};
use relay_format::Severity;
use serde_json::Value;

/// CPUs of the standard machine.
const SMP: u64 = 8;

#[test]
fn what_cpus_without_a_ring_lose_is_counted_everywhere() {
    let folder = tempfile::tempdir().expect("there is room");
    let out = folder.path().to_str().expect("its name is UTF-8");
    // Rings of 64 MiB in 256 MiB: not for all.
    let flood = [
        "--scenario",
        "flood",
        "--memory",
        "256",
        "--out",
        out,
        "--force",
    ];
    let set = ["subbuf=1048576", "count=64", "records=5000"];
    let set = set.map(|word| ["--set", word]);
    let run = boot(&[&flood[..], set.as_flattened()].concat());
    run.assert_code(0);

    let json = |command: &str| -> Value {
        let output = Command::new(relayctl())
            .args([command, "--json", out])
            .output();
        let output = output.expect("relayctl starts");
        assert_eq!(output.status.code(), Some(0), "{command}");
        serde_json::from_slice(&output.stdout).expect("it is JSON")
    };
    let verified = json("verify");
    assert_eq!(verified["verdict"], "complete", "{verified:#}");

    let stat = json("stat");
    let channels = stat["channels"].as_array().expect("channels are a list");
    let flood = channels.iter().find(|channel| channel["name"] == "flood");
    let cpus = flood.expect("there is a flood")["cpus"].as_array();
    let cpus = cpus.expect("CPUs are a list");
    let number = |of: &Value| of.as_u64().expect("it is a number");
    let (mut ringless, mut lost) = (0, 0);
    for cpu in cpus {
        assert!(number(&cpu["attempted"]) >= 5000, "{cpu}");
        if number(&cpu["packets"]) == 0 {
            assert_eq!(cpu["lost"]["no_ring"], cpu["attempted"], "{cpu}");
            ringless += 1;
            lost += number(&cpu["attempted"]);
        } else {
            assert_eq!(cpu["lost"]["no_ring"], 0, "{cpu}");
        }
    }
    assert!(
        0 < ringless && ringless < SMP,
        "{ringless} CPUs without a ring"
    );
    assert!(number(&stat["total"]["lost"]) >= lost, "{stat}");
    assert_eq!(stat["total"]["unaccounted"], 0);
    assert_eq!(run.summary()["run"]["capture"]["no_ring"], lost);
    // The kernel says the same.
    let told = format!("{lost} of them were lost on CPUs that have no ring for them");
    assert!(run.has(Severity::Warn, &told), "{told}");
}
