//! Virtio devices that are not QEMU's usual ones.

use std::path::Path;
use std::process::Command;

use e2e::{Run, boot, relayctl};
use relay_format::Severity;

/// CPUs of these machines, each with a port.
const SMP: &str = "2";

/// Boots a machine whose console device has these properties, with a capture in `folder`.
fn with_device(properties: &[&str], folder: &Path) -> Run {
    let out = folder.to_str().expect("a temporary folder's name is UTF-8");
    let properties = properties
        .iter()
        .map(|property| ["-global", property].map(str::to_owned));
    let properties: Vec<_> = properties.flatten().collect();
    let mut args = vec!["--smp", SMP, "--out", out, "--force", "--"];
    args.extend(properties.iter().map(String::as_str));
    boot(&args)
}

/// Checks that a device with these properties carries everything.
#[track_caller]
fn carries_everything(properties: &[&str]) {
    let folder = tempfile::tempdir().expect("there is room");
    let run = with_device(properties, folder.path());
    run.assert_code(0);
    let verify = Command::new(relayctl())
        .arg("verify")
        .arg(folder.path())
        .output();
    let verify = verify.expect("relayctl starts");
    let text = String::from_utf8_lossy(&verify.stdout);
    assert!(text.ends_with("complete\n"), "{properties:?}: {text}");
    assert!(
        run.has(Severity::Info, "2 of 2 ports carry what 2 CPUs write"),
        "{properties:?}"
    );
}

#[test]
fn a_device_with_a_page_for_each_queues_notifications_is_used() {
    carries_everything(&["virtio-serial-pci.page-per-vq=on"]);
}

#[test]
fn a_device_that_prefers_ports_for_notifications_is_used() {
    carries_everything(&["virtio-serial-pci.modern-pio-notify=on"]);
}

#[test]
fn a_device_that_asks_for_the_platforms_memory_access_is_used() {
    carries_everything(&[
        "virtio-serial-pci.iommu_platform=on",
        "virtio-serial-pci.disable-legacy=on",
    ]);
}

#[test]
fn a_device_that_cannot_be_used_is_a_failure() {
    let folder = tempfile::tempdir().expect("there is room");
    let run = with_device(&["virtio-serial-pci.disable-modern=on"], folder.path());
    run.assert_code(1);
    assert!(run.has(Severity::Error, "older than virtio 1.0"));
    assert_eq!(run.summary()["run"]["result"], "fail");
}
