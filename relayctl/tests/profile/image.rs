//! Names come from the ELF file that ran, and from no other.

use super::*;

#[test]
fn a_wrong_elf_is_not_believed() {
    let out = known("elf");
    let path = out.to_str().expect("it is text");
    // Nobody says which it is.
    let left = relayctl(&["profile", path]);
    assert_eq!(left.code, Some(0));
    assert!(
        left.err
            .contains("the capture does not tell which kernel ran; --elf PATH")
    );
    let hot = format!("{:#x}", address(hot));
    assert!(
        left.out.contains(&hot) && !left.out.contains("hot"),
        "{}",
        left.out
    );

    // What the capture says of it.
    let tell = |told: Value| {
        let file = out.join("run.json");
        let text = fs::read(&file).expect("it is kept");
        let mut run: Value = serde_json::from_slice(&text).expect("it is JSON");
        let all = run.as_object_mut().expect("it is an object");
        all.extend(told.as_object().expect("an object").clone());
        run["capture"]["files"] = json!([]);
        fs::write(file, run.to_string()).expect("it is writable");
    };
    let packets = fs::read_to_string(out.join("packets")).expect("it is kept");
    let lines = packets
        .lines()
        .filter(|line| !line.starts_with("run.json "));
    let lines: String = lines.map(|line| format!("{line}\n")).collect();
    fs::write(out.join("packets"), lines).expect("it is writable");
    tell(json!({ "kernel": elf() }));
    let left = relayctl(&["profile", path]);
    assert_eq!(left.code, Some(0), "{}", left.err);
    assert!(left.err.contains("does not tell what"), "{}", left.err);
    assert!(!left.out.contains("hot"), "{}", left.out);

    let (bytes, crc) = image(&fs::read(elf()).expect("it is readable"));
    let right = json!({ "bytes": bytes, "crc32c": format!("{crc:08x}") });
    tell(json!({ "kernel_image": right }));
    let left = relayctl(&["profile", path]);
    assert_eq!((left.code, left.err.as_str()), (Some(0), ""));
    assert!(left.out.contains("profile::hot"), "{}", left.out);
    assert_eq!(with_elf("profile", &out, &[]).err, "");

    let wrong = json!({ "bytes": bytes, "crc32c": format!("{:08x}", crc ^ 1) });
    tell(json!({ "kernel_image": wrong }));
    let left = relayctl(&["profile", path]);
    assert_eq!(left.code, Some(0), "{}", left.err);
    let other = "is not the kernel that ran";
    assert!(
        left.err.contains(other) && left.err.contains("--elf PATH"),
        "{}",
        left.err
    );
    assert!(!left.out.contains("hot"), "{}", left.out);
    let left = with_elf("profile", &out, &[]);
    assert_eq!((left.code, left.out.as_str()), (Some(2), ""));
    assert!(left.err.contains(other), "{}", left.err);
    for name in ["/dev/zero", "/nonexistent", path, file!()] {
        let left = relayctl(&["profile", path, "--elf", name]);
        assert_eq!((left.code, left.out.as_str()), (Some(2), ""), "{name}");
    }
    tell(json!({ "kernel": "/dev/zero" }));
    let left = relayctl(&["profile", path]);
    assert_eq!(left.code, Some(0));
    assert!(left.err.contains("not a plain file"), "{}", left.err);
}

/// The bytes that an ELF file of 64 bits loads, and the checksum over its segments.
fn image(elf: &[u8]) -> (u64, u32) {
    let number = |at: usize, length: usize| {
        let bytes = elf[at..at + length].iter().rev();
        bytes.fold(0u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    let (mut bytes, mut all) = (0, Vec::new());
    for at in (0..count).map(|n| (table + n * size) as usize) {
        let (offset, length) = (number(at + 8, 8) as usize, number(at + 32, 8));
        if number(at, 4) == 1 && length > 0 {
            all.extend(number(at + 16, 8).to_le_bytes());
            all.extend(length.to_le_bytes());
            all.extend(&elf[offset..offset + length as usize]);
            bytes += length;
        }
    }
    (bytes, synthetic::crc32c(&all))
}
