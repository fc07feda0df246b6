//! Reads a raw stream of packets or frames, such as a file that QEMU wrote, by way of a
//! capture that lasts as long as it is needed.

use std::fs::{self, DirBuilder};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;

use super::error::CaptureError;
use super::totals::Totals;
use super::writer::{Capture, Options};
use crate::wire::Kind;

/// A folder of this process's own, which is removed when it is dropped.
#[derive(Debug)]
pub struct Scratch {
    /// The folder.
    folder: PathBuf,
}

impl Scratch {
    /// Makes a folder that nobody else can read, in the system's folder for
    /// temporary files.
    ///
    /// # Errors
    ///
    /// When it cannot be made; the error names the folder.
    pub fn new() -> io::Result<Self> {
        Self::within(&std::env::temp_dir())
    }

    /// Makes a folder that nobody else can read, in a folder that is there.
    ///
    /// # Errors
    ///
    /// When it cannot be made; the error names the folder.
    pub fn within(root: &Path) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let process = std::process::id();
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let folder = root.join(format!("relayctl-{process}-{count}"));
            match DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => return Ok(Self { folder }),
                // Left by a process that had our number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && count < 1000 => {}
                Err(error) => {
                    let what = format!("{}: {error}", folder.display());
                    return Err(io::Error::new(error.kind(), what));
                }
            }
        }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // There is nobody to tell.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Makes a capture of everything that `input` has.
///
/// # Errors
///
/// When the input cannot be read, or the capture cannot be written.
pub fn read_raw(mut input: impl Read, folder: &Path) -> Result<Totals, CaptureError> {
    // Whoever reads it tells what is in the totals.
    let capture = Capture::create(&Options::new(folder, Kind::Stored))?;
    let mut port = capture.either(0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => port.push(&buffer[..length], |_| {}),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let path = PathBuf::from("the input");
                return Err(CaptureError::Write { path, error });
            }
        }
    }
    port.finish(|_| {});
    capture.finish(json!({ "command": "raw" }))
}
