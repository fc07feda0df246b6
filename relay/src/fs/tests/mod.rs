//! Tests of the namespace: what paths are (`paths`), mounting and finding (`names`), open files
//! (`files`), consumers that say anything (`window`), threads (`threads`), two that want the same
//! path (`loom`).

#[cfg(not(loom))]
mod files;
#[cfg(loom)]
mod loom;
#[cfg(not(loom))]
mod names;
#[cfg(not(loom))]
mod paths;
#[cfg(not(loom))]
mod threads;
#[cfg(not(loom))]
mod window;

#[cfg(not(loom))]
use super::File;
use super::{Mount, Streams};
#[cfg(not(loom))]
use crate::channel::Channel;
use crate::channel::OpenError;
#[cfg(not(loom))]
use crate::platform::Platform;
use crate::ring::{Geometry, Observer, Reader, Storage, StreamError, StreamInfo, StreamStats};
#[cfg(not(loom))]
use crate::ring::{NoHooks, Records};
#[cfg(not(loom))]
use crate::sync::{PerCpu, Usage};
use std::any::Any;
use std::boxed::Box;
use std::sync::Mutex;
#[cfg(not(loom))]
use std::sync::atomic::{AtomicUsize, Ordering};
use std::vec::Vec;

/// Keeps `value` for good, where leak checkers find it.
fn keep<T: Sync + 'static>(value: T) -> &'static T {
    static KEPT: Mutex<Vec<&'static (dyn Any + Sync)>> = Mutex::new(Vec::new());
    let kept = &*Box::leak(Box::new(value));
    KEPT.lock().unwrap().push(kept);
    kept
}

/// A channel without streams.
struct NoStreams;

impl super::mount::sealed::Sealed for NoStreams {}

impl Streams for NoStreams {
    fn streams(&self) -> usize {
        0
    }

    fn reader(&self, cpu: usize) -> Result<Reader<'_>, OpenError> {
        Err(OpenError::NotStarted(cpu))
    }

    fn observe(&self, cpu: usize) -> Result<Observer<'_>, OpenError> {
        Err(OpenError::NotStarted(cpu))
    }

    fn stats(&self, _cpu: usize) -> Option<StreamStats> {
        None
    }

    fn info(&self, _cpu: usize) -> Option<StreamInfo> {
        None
    }

    fn is_closed(&self, _cpu: usize) -> bool {
        false
    }

    fn geometry(&self, _cpu: usize) -> Option<Geometry> {
        None
    }

    fn take_peak(&self, _cpu: usize) -> u64 {
        0
    }

    fn request_close(&self, _cpu: usize) -> Result<(), StreamError> {
        Err(StreamError::NotStarted)
    }

    fn resize(&self, _cpu: usize, _: Storage, _: Geometry) -> Result<(), StreamError> {
        Err(StreamError::NotStarted)
    }

    fn reset_own(&self, _cpu: usize, _: Storage) -> Result<(), StreamError> {
        Err(StreamError::NotStarted)
    }

    fn reclaim(&self, _cpu: usize) -> usize {
        0
    }

    fn lost_no_ring(&self) -> u64 {
        0
    }
}

/// `channel` at `path`.
fn mount(path: &'static str, channel: &'static dyn Streams) -> &'static Mount {
    keep(Mount::new(path, channel).unwrap())
}

/// A machine whose only CPU has a number of choice.
#[cfg(not(loom))]
#[derive(Default)]
struct Cpu(AtomicUsize);

#[cfg(not(loom))]
impl Cpu {
    fn move_to(&self, cpu: usize) {
        self.0.store(cpu, Ordering::Relaxed);
    }
}

// SAFETY: a test uses each channel from one thread at a time.
#[cfg(not(loom))]
#[expect(unsafe_code, reason = "a platform to test on")]
unsafe impl Platform for Cpu {
    type Pinned = ();

    fn pin(&self) -> (usize, ()) {
        (self.0.load(Ordering::Relaxed), ())
    }

    unsafe fn unpin(&self, (): ()) {}

    fn now(&self) -> u64 {
        7
    }
}

/// A channel of three CPUs that is written on CPU `cpu`, whose stream has started.
#[cfg(not(loom))]
fn channel<U: Usage>(cpu: usize, geometry: Geometry) -> &'static Channel<Cpu, 3, U> {
    let channel = keep(Channel::new(Cpu(AtomicUsize::new(cpu)), &NoHooks));
    let storage = Storage::allocate(&geometry).unwrap();
    channel.start(cpu, storage, geometry).unwrap();
    channel
}

/// A channel of `count` sub-buffers of 32 bytes, at a path, written on CPU 1; and its file.
#[cfg(not(loom))]
fn small(count: usize) -> (&'static Channel<Cpu, 3, PerCpu>, File) {
    let channel = channel(1, Geometry::new(32, count).unwrap());
    (channel, mount("/small", channel).file(1).unwrap())
}

/// All that can be read.
#[cfg(not(loom))]
fn read_all(reader: Reader<'_>) -> Vec<u8> {
    let mut records = Records::new(reader);
    let mut all = Vec::new();
    while let Some(run) = records.next_run() {
        all.extend_from_slice(run.bytes);
    }
    all
}
