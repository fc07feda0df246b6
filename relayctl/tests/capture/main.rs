//! Captures made of synthetic packets: written, shown, counted and judged.

mod forms;
mod judged;
mod shown;
#[path = "../synthetic/mod.rs"]
mod synthetic;

use std::fs;
use std::path::{Path, PathBuf};

use synthetic::{
    Stream, TASK, capture, folder, metadata, metadata_packets, record, recorded, relayctl, small,
};

/// Runs `verify` and returns the exit code and the judgement.
fn verify(folder: &Path) -> (Option<i32>, String) {
    let left = relayctl(&["verify".as_ref(), folder.as_os_str()]);
    let last = left.out.lines().last().unwrap_or_default().to_owned();
    (left.code, last)
}

/// What `verify` finds wrong.
fn problems(folder: &Path) -> String {
    relayctl(&["verify".as_ref(), folder.as_os_str()]).out
}
