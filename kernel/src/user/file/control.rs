//! What changes a stream, or what is written; and writing.

use relay::event::Severity;
use relay::{Geometry, GeometryError, Mode, Storage, StorageError, StreamError};
use relay_abi::{Error, Notice, PATH_BYTES, WRITE_BYTES, rights};

use super::open::{OpenFile, Use};
use crate::logs::operator::{ServiceGivenUp, ServiceLost, ServiceRestarted, SwitchSet};
use crate::logs::user::Writer;
use crate::logs::{evlog, registry, switches, user};
use crate::mem;
use crate::user::memory::Memory;

/// The most bytes of a switch's name, and of its text.
const KEY: usize = 16;
const VALUE: usize = 256;

/// The most bytes of a ring that a program asks for: as much as the command line can.
const RING_MOST: usize = 32 << 20;
/// The smallest sub-buffer.
const LEAST: u64 = 1024;

/// What a program is told of a stream's refusal.
fn refusal(error: StreamError) -> Error {
    match error {
        StreamError::Busy | StreamError::NotOwner | StreamError::NoRoom => Error::Busy,
        StreamError::Storage(StorageError::OutOfMemory(_)) => Error::NoRoom,
        StreamError::NotStarted
        | StreamError::Closed
        | StreamError::OtherKind
        | StreamError::ByRecord
        | StreamError::Storage(_) => Error::Refused,
    }
}

/// Memory for a ring, if the heap stays at least half as free as it is, and a quarter of it free: what
/// programs ask for, however many they are, takes nothing from those who cannot do without.
fn allocate(geometry: &Geometry) -> Result<Storage, Error> {
    let needed = Storage::bytes_for(geometry);
    let free = mem::heap::free();
    if needed > RING_MOST + RING_MOST / 2 || needed > most(free, mem::heap::used()) {
        return Err(Error::NoRoom);
    }
    Storage::allocate(geometry).map_err(|_| Error::NoRoom)
}

/// The most bytes that a ring may have of a heap with so many free and so many used.
fn most(free: usize, used: usize) -> usize {
    let kept = free.saturating_add(used) / 4;
    (free / 2).min(free.saturating_sub(kept))
}

/// A ring of another shape, of the same kind.
fn reshaped(now: &Geometry, size: usize, count: usize) -> Result<Geometry, GeometryError> {
    let new = Geometry::new(size, count)?
        .with_reserves(now.start_reserve(), now.end_reserve())?
        .with_delivery(now.delivery())?
        .with_mode(now.mode())?;
    match now.mode() {
        Mode::Continuous => new.with_spares(now.spares().min(count)),
        Mode::NoOverwrite => new.with_spares(now.spares()),
    }
}

impl OpenFile {
    /// The system call `file_flush`: asks for what is written so far to be handed over, which the
    /// stream's CPU does at its next tick. Every reader may do that: it needs no more than the handle.
    ///
    /// # Errors
    /// None.
    pub(crate) fn flush(&self) -> Result<u64, Error> {
        match &self.state.lock().used {
            Use::Fresh(reader) => reader.request_flush(),
            Use::Packets(window) => window.reader().request_flush(),
            Use::Records(records) => records.reader().request_flush(),
            Use::Observe(observer, _) => observer.request_flush(),
            Use::Drain(taken) => {
                // Where it is not the program's any more, the kernel asks.
                let _ = taken.with_reader(|reader| reader.request_flush());
            }
            Use::Changing => {}
        }
        Ok(0)
    }

    /// The system call `file_resize`: has the stream go on in such a ring at the next tick of its CPU.
    /// A ring that was left must be read, and free, before there is another. Needs `CONTROL`.
    ///
    /// # Errors
    /// [`Error::BadArgument`]: there is no such ring, or its sub-buffers are too large for the ways
    /// out; [`Error::Busy`]: the last request is not done, or an old ring is there;
    /// [`Error::NoRoom`]; [`Error::Refused`]: the stream has ended.
    pub(crate) fn resize(&self, [size, count]: [u64; 2]) -> Result<u64, Error> {
        let most = registry::most_subbuf(self.file.mount()) as u64;
        if !(LEAST..=most).contains(&size) {
            return Err(Error::BadArgument);
        }
        let count = usize::try_from(count).map_err(|_| Error::BadArgument)?;
        self.file.reclaim();
        let info = self.file.info().ok_or(Error::NotFound)?;
        if info.rings > 1 || info.is_resize_due {
            return Err(Error::Busy);
        }
        let geometry = reshaped(&info.geometry, size as usize, count);
        let geometry = geometry.map_err(|_| Error::BadArgument)?;
        if geometry.subbuf_size() * geometry.subbuf_count() > RING_MOST {
            return Err(Error::BadArgument);
        }
        let storage = allocate(&geometry)?;
        self.file.resize(storage, geometry).map_err(refusal)?;
        Ok(0)
    }

    /// The system call `file_reset`: what nobody has read is dropped, and counted as overwritten. By a
    /// thread that runs on the stream's CPU, which alone can do that. Needs `CONTROL`.
    ///
    /// # Errors
    /// [`Error::Busy`]: the thread runs on another CPU, or an old ring is still there;
    /// [`Error::NoRoom`]; [`Error::Refused`]: the stream has ended, or is delivered by record.
    pub(crate) fn reset(&self) -> Result<u64, Error> {
        self.file.reclaim();
        let info = self.file.info().ok_or(Error::NotFound)?;
        if info.rings > 2 {
            return Err(Error::Busy);
        }
        let storage = allocate(&info.geometry)?;
        self.file.reset(storage).map_err(refusal)?;
        Ok(0)
    }
}

/// The system call `filter`: sets a switch, as the control port does. Needs `CONTROL` on files.
///
/// # Errors
/// [`Error::NotFound`]: there is no such switch; [`Error::BadArgument`]: it does not take the text;
/// [`Error::Busy`]: somebody else sets one; [`Error::BadAddress`].
pub(crate) fn filter(memory: &impl Memory, key: [u64; 2], value: [u64; 2]) -> Result<u64, Error> {
    let (mut name, mut text) = ([0; KEY], [0; VALUE]);
    let name = read_text(memory, key, &mut name)?;
    let text = read_text(memory, value, &mut text)?;
    switches::set(name, text).map_err(|error| match error {
        switches::SwitchError::Unknown => Error::NotFound,
        switches::SwitchError::Busy => Error::Busy,
        _ => Error::BadArgument,
    })?;
    evlog::emit(|| SwitchSet { name, value: text });
    Ok(0)
}

/// The text at an address.
fn read_text<'a>(
    memory: &impl Memory,
    [at, length]: [u64; 2],
    into: &'a mut [u8],
) -> Result<&'a str, Error> {
    let length = usize::try_from(length).map_err(|_| Error::BadArgument)?;
    let into = into.get_mut(..length).ok_or(Error::BadArgument)?;
    memory.read(at, into)?;
    core::str::from_utf8(into).map_err(|_| Error::BadArgument)
}

/// The system call `write`: writes to the channel `user` for a thread. Needs `WRITE` on files.
///
/// # Errors
/// [`Error::BadArgument`]: there is no such severity, or the text is too long;
/// [`Error::BadAddress`]; [`Error::Refused`]: it was lost, which is counted.
pub(crate) fn write(
    memory: &impl Memory,
    writer: Writer<'_>,
    [severity, at, length]: [u64; 3],
) -> Result<u64, Error> {
    let severity = u8::try_from(severity).ok().and_then(Severity::from_number);
    let severity = severity.ok_or(Error::BadArgument)?;
    let mut text = [0; WRITE_BYTES];
    let length = usize::try_from(length).map_err(|_| Error::BadArgument)?;
    let text = text.get_mut(..length).ok_or(Error::BadArgument)?;
    memory.read(at, text)?;
    user::write(writer, severity, text).map_err(|_| Error::Refused)?;
    Ok(text.len() as u64)
}

/// The system call `report`: tells the operators of a service, for the program of this name, whose
/// rights on files are `granted`: `SPAWN` is needed, or `WRITE` to tell of what it has lost itself.
///
/// # Errors
/// [`Error::BadArgument`]: there is no such notice, or the name is too long; [`Error::NoRight`];
/// [`Error::BadAddress`].
pub(crate) fn report(
    memory: &impl Memory,
    program: &str,
    granted: u32,
    [what, number]: [u64; 2],
    name: [u64; 2],
) -> Result<u64, Error> {
    // Who may tell nothing is told so, whatever it says.
    if granted & (rights::SPAWN | rights::WRITE) == 0 {
        return Err(Error::NoRight);
    }
    let what = Notice::from_number(what).ok_or(Error::BadArgument)?;
    let needed = match what {
        Notice::Restarted | Notice::GivenUp => rights::SPAWN,
        Notice::Lost => rights::WRITE,
    };
    if granted & needed == 0 {
        return Err(Error::NoRight);
    }
    let mut room = [0; PATH_BYTES];
    let service = read_text(memory, name, &mut room)?;
    let times = number;
    match what {
        Notice::Restarted => evlog::emit(|| ServiceRestarted { service, times }),
        Notice::GivenUp => evlog::emit(|| ServiceGivenUp { service, times }),
        Notice::Lost => evlog::emit(|| ServiceLost {
            service: program,
            records: number,
        }),
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::most;

    #[test]
    fn rings_leave_a_quarter_of_the_heap_to_others() {
        assert_eq!(most(100, 0), 50);
        assert_eq!(most(40, 60), 15);
        assert_eq!(most(25, 75), 0);
        assert_eq!(most(0, 100), 0);
        // However often they ask.
        let (mut free, mut used) = (1000, 24);
        while most(free, used) > 0 {
            let ring = most(free, used);
            (free, used) = (free - ring, used + ring);
        }
        assert_eq!(free, 256);
    }
}
