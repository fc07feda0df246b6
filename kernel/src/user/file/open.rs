//! The files by their names, and an open one.

use core::fmt::Write as _;

use arrayvec::{ArrayString, ArrayVec};
use relay::event::StreamClass;
use relay::fs::{File, Namespace, Window};
use relay::{Mode, Observer, OpenError, Reader, Records, STORAGE_ALIGN};
use relay_abi::{Error, FileInfo, How, PATH_BYTES, rights};
use spin::Mutex;
use zerocopy::IntoBytes;

use super::marks;
use crate::logs::registry;
use crate::out::takeover::{self, NotTaken, TakenOver};
use crate::user::memory::Memory;

/// The most packets that one file holds.
pub(super) const HELD: usize = 16;

/// The most mappings of one file that are known: a ring that is replaced needs another.
pub(super) const MAPPINGS: usize = 4;

/// A file that a program has opened. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(super) file: File,
    /// What its records are, if they are events.
    pub(super) class: Option<StreamClass>,
    pub(super) state: Mutex<State>,
}

/// What is done with it.
#[derive(Debug)]
pub(super) struct State {
    pub(super) used: Use,
    pub(super) mappings: ArrayVec<Mapping, MAPPINGS>,
}

/// A ring's blocks, which a program can see. It may have unmapped them since: then what it is told of
/// places in there is its own mistake.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mapping {
    /// Where they begin, and how many bytes they have.
    pub(super) start: usize,
    pub(super) length: usize,
    /// Where the program has them.
    pub(super) at: u64,
}

/// In which way it is used: a consumer decides that by what it does first.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it lies on the heap, once for each open file, and most of them take packets"
)]
pub(super) enum Use {
    /// Nothing was consumed yet.
    Fresh(Reader<'static>),
    /// Packets are taken and given back.
    Packets(Window<'static, HELD>),
    /// Records are read.
    Records(Records<'static>),
    /// It is only looked at: with the packet that was not read to its end, and how far it was.
    Observe(Observer<'static>, Begun),
    /// It is drained: packets are taken, and submitted to an outlet.
    Drain(TakenOver),
    /// Only while it changes.
    Changing,
}

/// A packet, by its number, of which so many bytes were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Begun {
    pub(super) packet: u64,
    pub(super) bytes: usize,
}

/// The system call `file_name`: the path of the `index`-th file of `names`; returns its length. Needs
/// the right `OBSERVE` or `CONSUME` on files.
///
/// # Errors
/// [`Error::NotFound`]: there are fewer; [`Error::NoRoom`]: it is longer than `room`;
/// [`Error::BadAddress`].
pub(crate) fn name<const N: usize>(
    names: &Namespace<N>,
    memory: &impl Memory,
    index: u64,
    [buffer, room]: [u64; 2],
) -> Result<u64, Error> {
    let index = usize::try_from(index).map_err(|_| Error::NotFound)?;
    let file = names.files().nth(index).ok_or(Error::NotFound)?;
    let mut path = ArrayString::<PATH_BYTES>::new();
    write!(path, "{file}").map_err(|_| Error::NoRoom)?;
    if (path.len() as u64) > room {
        return Err(Error::NoRoom);
    }
    memory.write(buffer, path.as_bytes())?;
    Ok(path.len() as u64)
}

/// The system call `file_open`. `granted` are the rights on files: `OBSERVE` is needed to observe,
/// `CONSUME` to consume.
///
/// # Errors
/// [`Error::NoRight`]; [`Error::NotFound`]: there is no such file; [`Error::Busy`]: somebody else
/// consumes it; [`Error::BadArgument`]; [`Error::BadAddress`].
pub(crate) fn open<const N: usize>(
    names: &Namespace<N>,
    memory: &impl Memory,
    granted: u32,
    [path, length, how]: [u64; 3],
) -> Result<OpenFile, Error> {
    let how = How::from_number(how).ok_or(Error::BadArgument)?;
    let needed = match how {
        How::Observe => rights::OBSERVE,
        How::Consume => rights::CONSUME,
        // It is `drain` that does it.
        How::Drain => return Err(Error::BadArgument),
    };
    if granted & needed == 0 {
        return Err(Error::NoRight);
    }
    let file = find(names, memory, [path, length])?;
    OpenFile::new(file, registry::class_of(file.mount()), how)
}

/// The system call `file_open` that takes a stream over from the kernel, for this program. Returns how
/// many outlets there are, too. `granted` are the rights on files: `DRAIN` is needed.
///
/// # Errors
/// [`Error::NoRight`]; [`Error::NotFound`]: there is no such file, or it does not leave the machine;
/// [`Error::Busy`]: another has it; [`Error::Ended`]: the kernel drains until the end;
/// [`Error::BadArgument`]; [`Error::BadAddress`].
pub(crate) fn drain<const N: usize>(
    names: &Namespace<N>,
    memory: &impl Memory,
    granted: u32,
    path: [u64; 2],
    program: &str,
) -> Result<(OpenFile, u64), Error> {
    if granted & rights::DRAIN == 0 {
        return Err(Error::NoRight);
    }
    let file = find(names, memory, path)?;
    let taken = takeover::take_over(file.mount().path(), file.cpu(), program);
    let (taken, outlets) = taken.map_err(|error| match error {
        NotTaken::NotFound => Error::NotFound,
        NotTaken::Busy => Error::Busy,
        NotTaken::Over => Error::Ended,
    })?;
    let used = Use::Drain(taken);
    let class = registry::class_of(file.mount());
    Ok((OpenFile::used(file, class, used), outlets as u64))
}

/// The file whose path is at an address.
fn find<const N: usize>(
    names: &Namespace<N>,
    memory: &impl Memory,
    [path, length]: [u64; 2],
) -> Result<File, Error> {
    let mut bytes = [0; PATH_BYTES];
    let length = usize::try_from(length).map_err(|_| Error::BadArgument)?;
    let bytes = bytes.get_mut(..length).ok_or(Error::BadArgument)?;
    memory.read(path, bytes)?;
    let path = core::str::from_utf8(bytes).map_err(|_| Error::NotFound)?;
    names.file(path).map_err(|_| Error::NotFound)
}

impl OpenFile {
    /// Opens a file, whose records are such events.
    ///
    /// # Errors
    /// [`Error::Busy`]: somebody else consumes it.
    pub(super) fn new(file: File, class: Option<StreamClass>, how: How) -> Result<Self, Error> {
        let used = match how {
            How::Observe => file
                .observe()
                .map(|observer| Use::Observe(observer, Begun::default())),
            How::Consume => file.open().map(Use::Fresh),
            How::Drain => return Err(Error::BadArgument),
        };
        let used = used.map_err(|error| match error {
            OpenError::Busy(_) => Error::Busy,
            OpenError::NotStarted(_) => Error::NotFound,
        })?;
        Ok(Self::used(file, class, used))
    }

    /// One that is used so.
    fn used(file: File, class: Option<StreamClass>, used: Use) -> Self {
        let state = Mutex::new(State {
            used,
            mappings: ArrayVec::new(),
        });
        Self { file, class, state }
    }

    /// The system call `file_info`. Needs no more than the handle.
    ///
    /// # Errors
    /// [`Error::BadAddress`].
    pub(crate) fn info(&self, memory: &impl Memory, at: u64) -> Result<u64, Error> {
        let info = self.known().ok_or(Error::NotFound)?;
        memory.write(at, info.as_bytes())?;
        Ok(0)
    }

    /// The stream's own file.
    pub(in crate::user) fn stream(&self) -> &File {
        &self.file
    }

    /// Whether it takes packets, or records: it does not only look.
    pub(in crate::user) fn takes(&self) -> bool {
        !matches!(self.state.lock().used, Use::Observe(..))
    }

    /// What is known of it; there is something, since the stream has started.
    pub(super) fn known(&self) -> Option<FileInfo> {
        let info = self.file.info()?;
        let (mut available, mut quiet_since, mut held) = (0, 0, 0);
        match &self.state.lock().used {
            Use::Fresh(reader) => {
                (available, quiet_since) = (reader.bytes_available(), reader.quiet_since());
            }
            Use::Packets(window) => {
                let reader = window.reader();
                (available, quiet_since) = (reader.bytes_available(), reader.quiet_since());
                held = window.mapped().count() as u64;
            }
            Use::Records(records) => {
                available = records.bytes_available();
                quiet_since = records.reader().quiet_since();
            }
            Use::Drain(taken) => {
                let known =
                    taken.with_reader(|reader| (reader.bytes_available(), reader.quiet_since()));
                (available, quiet_since) = known.unwrap_or_default();
                held = taken.held();
            }
            Use::Observe(..) | Use::Changing => {}
        }
        let overwrites = info.geometry.mode() == Mode::Continuous;
        let can_be_mapped = info.geometry.subbuf_size() >= STORAGE_ALIGN;
        Some(FileInfo {
            subbuf_size: info.geometry.subbuf_size() as u64,
            subbuf_count: info.geometry.subbuf_count() as u64,
            flags: u64::from(overwrites)
                | u64::from(can_be_mapped) << 1
                | u64::from(info.is_closed) << 2,
            cpu: self.file.cpu() as u64,
            committed: info.stats.records,
            lost: info.stats.lost.total(),
            overwritten: info.stats.overwritten,
            available,
            held,
            quiet_since,
            told: marks::told(&self.file),
        })
    }
}
