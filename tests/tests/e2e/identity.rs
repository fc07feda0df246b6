//! A capture tells which kernel ran, so that no other one gives names to its addresses.

use std::fs;

use e2e::boot;
use serde_json::Value;

/// The segments that an ELF file of 64 bits loads: address and bytes.
fn segments(elf: &[u8]) -> Vec<(u64, &[u8])> {
    let number = |at: usize, length: usize| {
        let bytes = elf[at..at + length].iter().rev();
        bytes.fold(0u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    let headers = (0..count).map(|n| (table + n * size) as usize);
    let loaded = headers.filter(|at| number(*at, 4) == 1 && number(at + 32, 8) > 0);
    let segments = loaded.map(|at| {
        let (from, length) = (number(at + 8, 8) as usize, number(at + 32, 8) as usize);
        (number(at + 16, 8), &elf[from..from + length])
    });
    segments.collect()
}

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg())
        })
    })
}

#[test]
fn a_capture_tells_which_kernel_ran() {
    let folder = tempfile::tempdir().expect("there is room");
    let out = folder.path().to_str().expect("it is UTF-8");
    let run = boot(&["--smp", "1", "--quiet", "--out", out, "--force"]);
    run.assert_code(0);
    let text = fs::read_to_string(folder.path().join("run.json")).expect("it is kept");
    let told: Value = serde_json::from_str(&text).expect("it is JSON");
    let kernel = told["kernel"].as_str().expect("it is named");
    let elf = fs::read(kernel).expect("it is still there");
    let segments = segments(&elf);
    let mut all = Vec::new();
    for (address, bytes) in &segments {
        all.extend(address.to_le_bytes());
        all.extend((bytes.len() as u64).to_le_bytes());
        all.extend(*bytes);
    }
    let bytes: usize = segments.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(bytes > 100_000, "{bytes} bytes are no kernel");
    assert_eq!(told["kernel_image"]["bytes"], bytes);
    assert_eq!(
        told["kernel_image"]["crc32c"],
        format!("{:08x}", crc32c(&all))
    );
}
