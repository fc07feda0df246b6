//! Packets by their numbers: taking, giving back, copying, mapping.

use core::mem;

use relay::fs::{Window, WindowError};
use relay::{Reader, STORAGE_ALIGN, SubBuffer};
use relay_abi::Error;

use super::COPY_MOST;
use super::open::{HELD, Mapping, OpenFile, State, Use};
use crate::out::pump::NotDone;
use crate::user::memory::Memory;

/// A packet that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Its bytes, without padding.
    pub(crate) length: u64,
    /// Its number.
    pub(crate) number: u64,
    /// Where it lies in a mapping of the program's; 0: in none.
    pub(crate) at: u64,
    /// Where its records begin in it.
    pub(crate) start: u64,
    /// How many it has.
    pub(crate) records: u64,
}

impl Taken {
    /// This one, where these mappings are.
    fn of(subbuf: &SubBuffer<'static>, mappings: &[Mapping]) -> Self {
        let (packet, start) = (subbuf.packet(), subbuf.bytes().as_ptr().addr());
        let holds = |map: &&Mapping| (map.start..map.start + map.length).contains(&start);
        let mapping = mappings.iter().find(holds);
        Self {
            length: packet.content as u64,
            number: packet.sequence,
            at: mapping.map_or(0, |map| map.at + (start - map.start) as u64),
            start: packet.start as u64,
            records: packet.records,
        }
    }
}

/// What a program is told that drains.
fn undone(why: NotDone) -> Error {
    match why {
        NotDone::Nothing | NotDone::NoRoom => Error::Again,
        NotDone::Full => Error::NoRoom,
        NotDone::NotHeld => Error::NotHeld,
        NotDone::NotFirst => Error::Busy,
        NotDone::OtherOutlet => Error::BadArgument,
        NotDone::Ended => Error::Ended,
    }
}

/// What a program is told of a wrong number.
fn missing(error: WindowError) -> Error {
    match error {
        WindowError::Full { .. } => Error::NoRoom,
        WindowError::NotYet { .. } => Error::NotYet,
        WindowError::NotMapped { .. } => Error::NotHeld,
    }
}

impl Use {
    /// The packets, of a consumer that does not read records.
    #[inline(always)]
    fn packets(&mut self) -> Result<&mut Window<'static, HELD>, Error> {
        if let Self::Fresh(_) = self {
            self.begin_packets();
        }
        match self {
            Self::Packets(window) => Ok(window),
            Self::Records(_) => Err(Error::Busy),
            Self::Fresh(_) | Self::Observe(..) | Self::Drain(_) | Self::Changing => {
                Err(Error::WrongKind)
            }
        }
    }

    /// It is used for packets from now on.
    #[cold]
    fn begin_packets(&mut self) {
        if let Self::Fresh(reader) = mem::replace(self, Self::Changing) {
            *self = Self::Packets(Window::new(reader));
        }
    }
}

impl OpenFile {
    /// The system call `file_take`: the next packet is the program's until it is given back. Needs
    /// `CONSUME`.
    ///
    /// # Errors
    /// [`Error::Again`]: there is none now; [`Error::Ended`]; [`Error::NoRoom`]: as many are held as
    /// can be; [`Error::Busy`]: the handle reads records; [`Error::WrongKind`]: it observes.
    pub(crate) fn take(&self) -> Result<Taken, Error> {
        let State { used, mappings } = &mut *self.state.lock();
        let tell = |subbuf: &SubBuffer<'static>| Taken::of(subbuf, mappings);
        if let Use::Drain(taken) = used {
            return taken.take(tell).map_err(undone);
        }
        let window = used.packets()?;
        let taken = window.map().map_err(missing)?.map(tell);
        match taken {
            Some(taken) => Ok(taken),
            None if window.reader().is_at_end() => Err(Error::Ended),
            None => Err(Error::Again),
        }
    }

    /// The system call `file_give_back`. Needs `CONSUME`.
    ///
    /// # Errors
    /// [`Error::NotHeld`]; [`Error::NotYet`]; [`Error::Busy`], [`Error::WrongKind`] as of
    /// [`take`](Self::take).
    pub(crate) fn give_back(&self, number: u64) -> Result<u64, Error> {
        let mut state = self.state.lock();
        if let Use::Drain(taken) = &state.used {
            return taken.give_back(number).map(|()| 0).map_err(undone);
        }
        state.used.packets()?.consume(number).map_err(missing)?;
        Ok(0)
    }

    /// The system call `file_copy`: bytes of a packet that is held, from `offset` on; returns how
    /// many. Needs `CONSUME`.
    ///
    /// # Errors
    /// As [`give_back`](Self::give_back); [`Error::BadArgument`]: the packet ends before `offset`;
    /// [`Error::BadAddress`].
    pub(crate) fn copy(
        &self,
        memory: &impl Memory,
        [number, offset, at, room]: [u64; 4],
    ) -> Result<u64, Error> {
        let mut state = self.state.lock();
        let copy = |subbuf: &SubBuffer<'static>| {
            let content = &subbuf.bytes()[..subbuf.packet().content];
            let offset = usize::try_from(offset).map_err(|_| Error::BadArgument)?;
            let rest = content.get(offset..).ok_or(Error::BadArgument)?;
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            let bytes = &rest[..rest.len().min(room).min(COPY_MOST)];
            memory.write(at, bytes)?;
            Ok(bytes.len() as u64)
        };
        if let Use::Drain(taken) = &state.used {
            return taken.get(number, copy).map_err(undone)?;
        }
        copy(state.used.packets()?.get(number).map_err(missing)?)
    }

    /// The system call `file_submit`: a packet that is held leaves through an outlet. Needs `DRAIN`.
    ///
    /// # Errors
    /// [`Error::Again`]: the outlet is full; [`Error::NotHeld`]; [`Error::Busy`]: an earlier one that
    /// is held goes first; [`Error::BadArgument`]: the stream leaves through another outlet;
    /// [`Error::Ended`]: the outlet is dead, or the kernel has taken the stream back;
    /// [`Error::WrongKind`]: it is not drained.
    pub(crate) fn submit(&self, [number, outlet]: [u64; 2]) -> Result<u64, Error> {
        let state = self.state.lock();
        let Use::Drain(taken) = &state.used else {
            return Err(Error::WrongKind);
        };
        let outlet = usize::try_from(outlet).map_err(|_| Error::BadArgument)?;
        taken.submit(number, outlet).map(|()| 0).map_err(undone)
    }

    /// The system call `file_map`: the program sees the blocks of the ring that the next packet is in;
    /// returns where, and how many bytes. A ring that takes its place later is to be mapped anew: its
    /// packets lie at 0. Needs `MAP`.
    ///
    /// # Errors
    /// [`Error::NotMappable`]: blocks are no whole pages, or of memory from before the heap;
    /// [`Error::NoRoom`]; [`Error::Busy`], [`Error::WrongKind`] as of [`take`](Self::take).
    pub(crate) fn map(&self, memory: &impl Memory) -> Result<[u64; 2], Error> {
        let mut state = self.state.lock();
        // The reader stands in the ring meanwhile: it is not freed.
        let map = |reader: &mut Reader<'static>| {
            if reader.geometry().subbuf_size() < STORAGE_ALIGN {
                return Err(Error::NotMappable);
            }
            // Its control words lie in front, in pages of their own.
            let blocks = reader.blocks();
            let (start, length) = (blocks.start, blocks.len());
            if !start.is_multiple_of(STORAGE_ALIGN) || !length.is_multiple_of(STORAGE_ALIGN) {
                return Err(Error::NotMappable);
            }
            Ok((start, length, memory.map_blocks(blocks)?))
        };
        let mapped = match &state.used {
            Use::Drain(taken) => taken.with_reader(map).ok_or(Error::Ended)?,
            _ => map(state.used.packets()?.reader_mut()),
        };
        let (start, length, at) = mapped?;
        let mappings = &mut state.mappings;
        mappings.retain(|map| map.start != start);
        if mappings.is_full() {
            mappings.remove(0);
        }
        mappings.push(Mapping { start, length, at });
        Ok([at, length as u64])
    }
}
