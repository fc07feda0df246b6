//! The way to syslog, as programs have it.
//!
//! Who tells syslog what the kernel logs is a program, and may die at any instruction. So that each
//! record is told once all the same, the kernel keeps two things: the messages, once it has taken
//! them, and for each stream a [mark](super::file::marks), the number of the first record that was
//! not told. A call takes messages and sets marks in one step, under one lock, or does neither.
//! Whoever opens a stream finds its mark there, and goes on with that record.
//!
//! What the messages are the kernel does not know. One program has the way at a time: two would tell
//! the same records.

use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use arrayvec::ArrayVec;
use relay::fs::Mount;
use relay_abi::{Error, Mark, SYSLOG_BYTES, SYSLOG_MARKS, ready};
use zerocopy::{FromZeros, IntoBytes};

use super::file::marks;
use super::file::open::OpenFile;
use super::memory::Memory;
use super::poll::Pollable;
use super::waiting::Waiters;
use crate::logs::registry::NAMES;
use crate::out::syslog_port::{self, Way};

/// A program has it open.
static IS_OPEN: AtomicBool = AtomicBool::new(false);

/// Who waits for room.
static WAITERS: Waiters = Waiters::new();

/// Has those look again who wait for room, if there is some. In the timer interrupt of one CPU.
pub(crate) fn tick() {
    if let Some(way) = syslog_port::way()
        && !matches!(way.look(), Err(Error::Again))
    {
        WAITERS.wake_all();
    }
}

/// How many records syslog was not told of by now, nor passed over by who tells it; `None`: there is no
/// way to it. Task context.
pub(crate) fn untold() -> Option<u64> {
    syslog_port::way()?;
    let told = |mount: &&Mount| syslog_port::TOLD.contains(&mount.path());
    let files = NAMES.channels().filter(told).flat_map(Mount::files);
    let untold = files.filter_map(|file| {
        let written = file.stats()?.records;
        Some(written.saturating_sub(marks::told(&file)))
    });
    Some(untold.sum())
}

/// The way, in the hands of a program.
pub(crate) struct Syslog(&'static dyn Way);

impl fmt::Debug for Syslog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Syslog").finish_non_exhaustive()
    }
}

impl Drop for Syslog {
    fn drop(&mut self) {
        IS_OPEN.store(false, Ordering::Release);
    }
}

/// The system call `syslog_open`, of the way that the machine has. Needs `SYSLOG` on files.
///
/// # Errors
/// [`Error::NotFound`]: the machine has no such way; [`Error::Busy`]: somebody has it.
pub(crate) fn open(way: Option<&'static dyn Way>) -> Result<Arc<Syslog>, Error> {
    let way = way.ok_or(Error::NotFound)?;
    match IS_OPEN.swap(true, Ordering::Acquire) {
        true => Err(Error::Busy),
        false => Ok(Arc::new(Syslog(way))),
    }
}

impl Syslog {
    /// The system call `syslog_write`. `find` looks up the handle of a file. Needs `SYSLOG`.
    ///
    /// # Errors
    /// [`Error::Again`]; [`Error::Ended`]; [`Error::BadArgument`]: it is too much, or a mark goes
    /// back, or behind what was written, or is of an observer; [`Error::BadAddress`]; those of `find`.
    pub(crate) fn write(
        &self,
        memory: &impl Memory,
        [buffer, length]: [u64; 2],
        [marks, count]: [u64; 2],
        find: impl Fn(u32) -> Result<Arc<OpenFile>, Error>,
    ) -> Result<u64, Error> {
        let is_good = |length: &usize| *length <= SYSLOG_BYTES;
        let length = usize::try_from(length).ok().filter(is_good);
        let length = length.ok_or(Error::BadArgument)?;
        let mut read = [Mark::new_zeroed(); SYSLOG_MARKS];
        let count = usize::try_from(count).map_err(|_| Error::BadArgument)?;
        let read = read.get_mut(..count).ok_or(Error::BadArgument)?;
        memory.read(marks, read.as_mut_bytes())?;
        let mut wanted = ArrayVec::<_, SYSLOG_MARKS>::new();
        for mark in read {
            let file = find(mark.file)?;
            // Behind what there is a mark would have what comes passed over, and nobody would know.
            let written = file.stream().stats().map_or(0, |stats| stats.records);
            if mark.zero != 0 || !file.takes() || mark.told > written {
                return Err(Error::BadArgument);
            }
            wanted.push((*file.stream(), mark.told));
        }
        marks::set(&wanted, || match length {
            0 => Ok(()),
            _ => self.0.send(length, &mut |into| memory.read(buffer, into)),
        })?;
        Ok(length as u64)
    }
}

impl Pollable for Syslog {
    fn look(&self, wanted: u16) -> u16 {
        let found = match self.0.look() {
            Ok(()) => ready::WRITABLE,
            Err(Error::Again) => 0,
            Err(_) => ready::WRITABLE | ready::ENDED,
        };
        found & wanted
    }

    // Who waits is told at every tick of one CPU as long as there is room.
    fn announce(&self) {}

    fn waiters(&self) -> &Waiters {
        &WAITERS
    }
}
