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
use core::sync::atomic::{AtomicBool, Ordering};

use arrayvec::ArrayVec;
use relay_abi::{Error, Mark, SYSLOG_BYTES, SYSLOG_MARKS, ready};
use spin::Once;
use zerocopy::{FromZeros, IntoBytes};

use super::file::marks;
use super::file::open::OpenFile;
use super::memory::Memory;
use super::poll::Pollable;
use super::waiting::Waiters;

/// What carries messages out of the machine. All of it task and IRQ context, interrupts off.
pub(crate) trait Way: Sync {
    /// Has `fill` write a buffer of so many bytes, at most [`SYSLOG_BYTES`], and sends it.
    ///
    /// # Errors
    /// [`Error::Again`]: there is no room, or nobody listens; [`Error::Ended`]: it will never send
    /// anything again; those of `fill`. Nothing is sent then.
    fn send(
        &self,
        length: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<(), Error>,
    ) -> Result<(), Error>;

    /// Whether it could send something now.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    fn look(&self) -> Result<(), Error>;
}

static WAY: Once<&'static dyn Way> = Once::new();

/// A program has it open.
static IS_OPEN: AtomicBool = AtomicBool::new(false);

/// Who waits for room.
static WAITERS: Waiters = Waiters::new();

/// Gives programs the way. Once, in task context on the boot CPU.
pub(crate) fn begin(way: &'static dyn Way) {
    WAY.call_once(|| way);
}

/// Has those look again who wait for room, if there is some. In the timer interrupt of one CPU.
pub(crate) fn tick() {
    if let Some(way) = WAY.get()
        && !matches!(way.look(), Err(Error::Again))
    {
        WAITERS.wake_all();
    }
}

/// The way, in the hands of a program.
#[derive(Debug)]
pub(crate) struct Syslog(());

impl Drop for Syslog {
    fn drop(&mut self) {
        IS_OPEN.store(false, Ordering::Release);
    }
}

/// The system call `syslog_open`. Needs `SYSLOG` on files.
///
/// # Errors
/// [`Error::NotFound`]: the machine has no such way; [`Error::Busy`]: somebody has it.
pub(crate) fn open() -> Result<Arc<Syslog>, Error> {
    WAY.get().ok_or(Error::NotFound)?;
    match IS_OPEN.swap(true, Ordering::Acquire) {
        true => Err(Error::Busy),
        false => Ok(Arc::new(Syslog(()))),
    }
}

impl Syslog {
    /// The system call `syslog_write`. `find` looks up the handle of a file. Needs `SYSLOG`.
    ///
    /// # Errors
    /// [`Error::Again`]; [`Error::Ended`]; [`Error::BadArgument`]: it is too much, or a mark goes
    /// back, or is of an observer; [`Error::BadAddress`]; those of `find`.
    pub(crate) fn write(
        &self,
        memory: &impl Memory,
        [buffer, length]: [u64; 2],
        [marks, count]: [u64; 2],
        find: impl Fn(u32) -> Result<Arc<OpenFile>, Error>,
    ) -> Result<u64, Error> {
        let way = WAY.get().ok_or(Error::NotFound)?;
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
            if mark.zero != 0 || !file.takes() {
                return Err(Error::BadArgument);
            }
            wanted.push((file, mark.told));
        }
        marks::set(&wanted, || match length {
            0 => Ok(()),
            _ => way.send(length, &mut |into| memory.read(buffer, into)),
        })?;
        Ok(length as u64)
    }
}

impl Pollable for Syslog {
    fn look(&self, wanted: u16) -> u16 {
        let found = match WAY.get().map(|way| way.look()) {
            Some(Ok(())) => ready::WRITABLE,
            Some(Err(Error::Again)) => 0,
            _ => ready::WRITABLE | ready::ENDED,
        };
        found & wanted
    }

    // Who waits is told at every tick of one CPU as long as there is room.
    fn announce(&self) {}

    fn waiters(&self) -> &Waiters {
        &WAITERS
    }
}
