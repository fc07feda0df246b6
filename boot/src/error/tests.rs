//! Tests of `error`.

use super::{BootError, Report};

#[test]
fn report_keeps_the_first_errors_and_counts_the_rest() {
    let mut report = Report::new();
    assert!(report.errors().is_empty() && !report.is_fatal());
    for index in 0..Report::CAPACITY {
        report.push(BootError::MemoryMapEntry {
            index,
            start: 0,
            size: 0,
        });
    }
    assert!(!report.is_fatal());
    report.push(BootError::NoUsableMemory);
    assert_eq!(report.errors().len(), Report::CAPACITY);
    assert_eq!(report.dropped(), 1);
    assert!(report.is_fatal(), "a fatal error counts even if not kept");
}

#[test]
fn messages_say_what_is_wrong() {
    let text = BootError::StartInfoVersion { found: 0 }.to_string();
    assert_eq!(
        text,
        "PVH start info has version 0, the memory map needs version 1 or later"
    );
}
