//! Reading records.

use alloc::vec::Vec;
use core::mem;
use core::ops::ControlFlow;

use relay::{ObserveError, Observer, Records};
use relay_abi::Error;

use super::open::{Begun, OpenFile, Use};
use super::{COPY_MOST, whole};
use crate::user::memory::Memory;

/// The most bytes that a program gets of the last records.
const LAST_MOST: usize = 64 * 1024;

/// Why nothing more was copied.
enum Stop {
    /// There is nothing more, or nothing more fits.
    Here,
    Error(Error),
}

impl From<ObserveError> for Stop {
    fn from(error: ObserveError) -> Self {
        Self::Error(refusal(error))
    }
}

/// What a program is told of an observer's trouble.
fn refusal(error: ObserveError) -> Error {
    match error {
        // Who has it gives it back soon.
        ObserveError::Busy => Error::Again,
        ObserveError::NoSpares | ObserveError::TooSmall { .. } => Error::Refused,
    }
}

/// Where bytes go to.
struct Target<'m, M> {
    memory: &'m M,
    at: u64,
    room: usize,
    copied: usize,
}

impl<M: Memory> Target<'_, M> {
    /// Room that is left.
    fn left(&self) -> usize {
        self.room - self.copied
    }

    /// Copies bytes, for which there is room.
    fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let at = self.at.checked_add(self.copied as u64);
        self.memory.write(at.ok_or(Error::BadAddress)?, bytes)?;
        self.copied += bytes.len();
        Ok(())
    }
}

impl OpenFile {
    /// The system call `file_read`: copies records, whole ones, as many as there are and fit; returns
    /// how many bytes. Fillers, which are records that say nothing, go along. Needs `OBSERVE` of an
    /// observer, `CONSUME` of a consumer.
    ///
    /// # Errors
    /// [`Error::Again`]: there is nothing now; [`Error::Ended`]; [`Error::NoRoom`]: the next record
    /// is longer than `room`; [`Error::Busy`]: the handle takes packets; [`Error::BadAddress`].
    pub(crate) fn read(&self, memory: &impl Memory, [at, room]: [u64; 2]) -> Result<u64, Error> {
        let mut target = Target {
            memory,
            at,
            room: usize::try_from(room).unwrap_or(usize::MAX).min(COPY_MOST),
            copied: 0,
        };
        let mut state = self.state.lock();
        let used = &mut state.used;
        if let Use::Fresh(_) = used
            && let Use::Fresh(reader) = mem::replace(used, Use::Changing)
        {
            *used = Use::Records(Records::new(reader));
        }
        let result = match used {
            Use::Records(records) => self.consume(records, &mut target),
            Use::Observe(observer, begun) => self.observe(observer, begun, &mut target),
            Use::Fresh(_) | Use::Packets(_) | Use::Drain(_) | Use::Changing => {
                return Err(Error::Busy);
            }
        };
        match (target.copied, result) {
            (0, Err(error)) => Err(error),
            (copied, _) => Ok(copied as u64),
        }
    }

    /// Copies records that are read by that.
    fn consume(
        &self,
        records: &mut Records<'static>,
        target: &mut Target<'_, impl Memory>,
    ) -> Result<(), Error> {
        loop {
            let Some(run) = records.peek() else {
                return Err(match records.is_at_end() {
                    true => Error::Ended,
                    false => Error::Again,
                });
            };
            let length = whole::fitting(self.class.as_ref(), run.bytes, target.left());
            if length == 0 {
                return Err(Error::NoRoom);
            }
            let is_all = length == run.bytes.len();
            target.push(&run.bytes[..length])?;
            records.skip(length);
            if !is_all {
                return Ok(());
            }
        }
    }

    /// Copies records that stay.
    fn observe(
        &self,
        observer: &mut Observer<'static>,
        begun: &mut Begun,
        target: &mut Target<'_, impl Memory>,
    ) -> Result<(), Error> {
        loop {
            let seen = observer.next_with(|packet, bytes| {
                let read = match begun.packet == packet.sequence {
                    true => begun.bytes,
                    false => 0,
                };
                let from = packet.start.saturating_add(read);
                let rest = bytes.get(from..).unwrap_or_default();
                let length = whole::fitting(self.class.as_ref(), rest, target.left());
                if length == 0 && !rest.is_empty() {
                    return Err(Stop::Error(Error::NoRoom));
                }
                target.push(&rest[..length]).map_err(Stop::Error)?;
                *begun = Begun {
                    packet: packet.sequence,
                    bytes: read + length,
                };
                match length == rest.len() {
                    true => Ok(()),
                    false => Err(Stop::Here),
                }
            });
            match seen {
                Ok(Some(())) => {}
                Ok(None) if observer.is_at_end() => return Err(Error::Ended),
                Ok(None) => return Err(Error::Again),
                Err(Stop::Here) => return Ok(()),
                Err(Stop::Error(error)) => return Err(error),
            }
        }
    }

    /// The system call `file_read_last`, of an observer: the last `count` records that are complete
    /// packets', oldest first, as many as fit; returns how many bytes, and how many records. Needs
    /// `OBSERVE`.
    ///
    /// # Errors
    /// [`Error::WrongKind`]: it is no observer; [`Error::NoRoom`]: no memory;
    /// [`Error::BadAddress`]; [`Error::Again`]: the newest packet is just copied by somebody else.
    pub(crate) fn read_last(
        &self,
        memory: &impl Memory,
        [at, room, count]: [u64; 3],
    ) -> Result<[u64; 2], Error> {
        let state = self.state.lock();
        let Use::Observe(observer, _) = &state.used else {
            return Err(Error::WrongKind);
        };
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(LAST_MOST);
        // Newest first, from the end: it is not known before how much there is.
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(room).map_err(|_| Error::NoRoom)?;
        bytes.resize(room, 0);
        let mut start = room;
        let mut found = 0;
        let seen = observer.newest_with(|packet, content| {
            if found == count {
                return ControlFlow::Break(());
            }
            let records = content.get(packet.start..).unwrap_or_default();
            let class = self.class.as_ref();
            let mut wanted = packet.records.min(count - found);
            // Where these begin; fewer of them, if they do not fit.
            let begin = loop {
                let begin = whole::last(class, records, packet.records, wanted);
                match begin {
                    Some(begin) if records.len() - begin <= start => break begin,
                    Some(begin) if wanted > 0 && class.is_some() => {
                        // All that end behind what there is no room for.
                        let missing = records.len() - start;
                        let ends = whole::ends(class, &records[begin..]);
                        let dropped = ends.take_while(|end| begin + end < missing).count() + 1;
                        wanted = wanted.saturating_sub(dropped as u64);
                    }
                    _ => return ControlFlow::Break(()),
                }
            };
            let records = &records[begin..];
            bytes[start - records.len()..start].copy_from_slice(records);
            start -= records.len();
            found += wanted;
            match wanted == packet.records {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        });
        seen.map_err(refusal)?;
        memory.write(at, &bytes[start..])?;
        Ok([(room - start) as u64, found])
    }
}
