//! Files of relay: the streams of the kernel's channels.

use core::slice;
use core::time::Duration;

use alloc::vec::Vec;

use relay_abi::{Error, FileInfo, Handle, How, Notice, PATH_BYTES, PollItem};

use crate::sys::{self, Taken};
use crate::time::nanos;

/// The handle of relay's files, which every program gets from who starts it.
pub const FILES: Handle = 0;

/// A handle that is given back when this is dropped.
#[derive(Debug, PartialEq, Eq)]
pub struct Owned(Handle);

impl Owned {
    /// Takes over a handle, which nobody else may give back.
    #[must_use]
    pub const fn new(handle: Handle) -> Self {
        Self(handle)
    }

    /// Its number.
    #[must_use]
    pub const fn handle(&self) -> Handle {
        self.0
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // What is not in the table any more needs no giving back.
        let _ = sys::close(self.0);
    }
}

/// All files, with the rights of a handle of theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Files(Handle);

/// A path, as the kernel tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    bytes: [u8; PATH_BYTES],
    length: usize,
}

impl Path {
    /// As a text.
    #[must_use]
    pub fn text(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl Files {
    /// Those that the program was given.
    #[must_use]
    pub const fn given() -> Self {
        Self(FILES)
    }

    /// Those of this handle.
    #[must_use]
    pub const fn of(handle: Handle) -> Self {
        Self(handle)
    }

    /// Their handle.
    #[must_use]
    pub const fn handle(self) -> Handle {
        self.0
    }

    /// The paths of all that there are now: `/klog/0`.
    pub fn paths(self) -> impl Iterator<Item = Path> {
        let path = move |index| {
            let mut bytes = [0; PATH_BYTES];
            let length = sys::file_name(self.0, index, &mut bytes).ok()?;
            let length = length.min(PATH_BYTES);
            Some(Path { bytes, length })
        };
        (0..).map_while(path)
    }

    /// Opens one to look at.
    ///
    /// # Errors
    /// The kernel's.
    pub fn observe(self, path: &str) -> Result<File, Error> {
        self.open(path, How::Observe)
    }

    /// Opens one to consume.
    ///
    /// # Errors
    /// The kernel's: `Busy` if somebody does already.
    pub fn consume(self, path: &str) -> Result<File, Error> {
        self.open(path, How::Consume)
    }

    /// Takes a stream over from the kernel: its packets leave the machine when they are
    /// [submitted](Packet::submit), in their order. What is not, when the file is dropped, is the
    /// kernel's, or the next one's.
    ///
    /// # Errors
    /// The kernel's: `Busy` if another program has it, `NotFound` if it does not leave the machine.
    pub fn drain(self, path: &str) -> Result<File, Error> {
        let (handle, outlets) = sys::file_drain(self.0, path)?;
        let mut file = File::of(handle);
        let cpu = file.info()?.cpu;
        file.outlet = cpu.checked_rem(outlets);
        Ok(file)
    }

    fn open(self, path: &str, how: How) -> Result<File, Error> {
        sys::file_open(self.0, path, how).map(File::of)
    }

    /// Tells the operators of a service.
    ///
    /// # Errors
    /// The kernel's.
    pub fn report(self, what: Notice, number: u64, name: &str) -> Result<(), Error> {
        sys::report(self.0, what, number, name)
    }

    /// Sets a filter: `log`, `trace`, `evlog`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn filter(self, key: &str, value: &str) -> Result<(), Error> {
        sys::filter(self.0, key, value)
    }
}

/// An open file.
#[derive(Debug)]
pub struct File {
    handle: Owned,
    /// Where its rings are mapped: address and bytes.
    mapped: Vec<(u64, u64)>,
    /// What its packets leave through, if it is drained.
    outlet: Option<u64>,
}

impl File {
    fn of(handle: Handle) -> Self {
        Self {
            handle: Owned::new(handle),
            mapped: Vec::new(),
            outlet: None,
        }
    }

    /// The outlet that its packets leave through; `None`: it is not [drained](Files::drain).
    #[must_use]
    pub fn outlet(&self) -> Option<u64> {
        self.outlet
    }

    /// Has the packet with this number leave, which was [kept](Packet::keep).
    ///
    /// # Errors
    /// The kernel's: `Again` if the outlet is full; `Busy`: an earlier one that is held goes first;
    /// `Ended`: the outlet is dead, or the kernel has taken the stream back.
    pub fn submit(&self, number: u64) -> Result<(), Error> {
        let outlet = self.outlet.ok_or(Error::WrongKind)?;
        sys::file_submit(self.handle(), number, outlet)
    }

    /// Its handle, for [`poll`].
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.handle()
    }

    /// What is known of it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn info(&self) -> Result<FileInfo, Error> {
        sys::file_info(self.handle())
    }

    /// Reads whole records into `into`. Returns how many bytes.
    ///
    /// # Errors
    /// The kernel's: `Again` if there is nothing now, `Ended` if nothing will come.
    pub fn read(&self, into: &mut [u8]) -> Result<usize, Error> {
        sys::file_read(self.handle(), into)
    }

    /// Reads the last `count` records. Returns how many bytes, and how many records.
    ///
    /// # Errors
    /// The kernel's.
    pub fn read_last(&self, into: &mut [u8], count: u64) -> Result<(usize, u64), Error> {
        sys::file_read_last(self.handle(), into, count)
    }

    /// Maps the ring that the stream has now: packets in it can be [looked at](Packet::bytes) where
    /// they lie. It stays mapped until the file is dropped.
    ///
    /// # Errors
    /// The kernel's: `NotMappable`.
    pub fn map(&mut self) -> Result<(), Error> {
        let at = sys::file_map(self.handle())?;
        self.mapped.push(at);
        Ok(())
    }

    /// Takes the next packet. It is given back when it is dropped.
    ///
    /// # Errors
    /// The kernel's: `Again` if there is none now, `Ended` if none will come.
    pub fn take(&self) -> Result<Packet<'_>, Error> {
        let taken = sys::file_take(self.handle())?;
        let bytes = match self.is_mapped(&taken) {
            true => {
                let start = core::ptr::with_exposed_provenance(taken.address as usize);
                // SAFETY: the kernel has mapped these bytes to be read, and they stay mapped as long
                // as the file, which is borrowed. The packet is taken, so nobody writes it, and
                // given back when this value is dropped.
                Some(unsafe { slice::from_raw_parts(start, taken.length) })
            }
            false => None,
        };
        Ok(Packet {
            file: self,
            taken,
            bytes,
        })
    }

    /// Whether a packet lies in what is mapped.
    fn is_mapped(&self, taken: &Taken) -> bool {
        let end = taken.address.checked_add(taken.length as u64);
        let is_in = |&(at, length): &(u64, u64)| {
            taken.address >= at && end.is_some_and(|end| end <= at.saturating_add(length))
        };
        taken.address != 0 && self.mapped.iter().any(is_in)
    }

    /// Asks for what is written so far to be handed over.
    ///
    /// # Errors
    /// The kernel's.
    pub fn flush(&self) -> Result<(), Error> {
        sys::file_flush(self.handle())
    }

    /// Has the stream go on in a ring of this shape.
    ///
    /// # Errors
    /// The kernel's.
    pub fn resize(&self, subbuf_size: u64, subbuf_count: u64) -> Result<(), Error> {
        sys::file_resize(self.handle(), subbuf_size, subbuf_count)
    }

    /// Drops what nobody has read.
    ///
    /// # Errors
    /// The kernel's.
    pub fn reset(&self) -> Result<(), Error> {
        sys::file_reset(self.handle())
    }

    /// Waits until some of [`ready`](relay_abi::ready) is there. Returns what: nothing if the time is
    /// over.
    ///
    /// # Errors
    /// The kernel's.
    pub fn wait(&self, wanted: u16, timeout: Option<Duration>) -> Result<u16, Error> {
        let mut items = [PollItem {
            handle: self.handle(),
            wanted,
            found: 0,
        }];
        poll(&mut items, timeout)?;
        Ok(items[0].found)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        for (at, length) in self.mapped.drain(..) {
            // SAFETY: packets that lie there borrow the file. What the kernel refuses stays mapped.
            let _ = unsafe { sys::memory_unmap(at, length) };
        }
    }
}

/// A packet that was taken.
#[derive(Debug)]
pub struct Packet<'f> {
    file: &'f File,
    taken: Taken,
    bytes: Option<&'f [u8]>,
}

impl Packet<'_> {
    /// What the kernel says of it.
    #[must_use]
    pub fn taken(&self) -> Taken {
        self.taken
    }

    /// Its bytes, where they lie; `None`: it is not mapped, and [copied](Self::copy).
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        self.bytes
    }

    /// Copies its bytes from `offset` on. Returns how many.
    ///
    /// # Errors
    /// The kernel's.
    pub fn copy(&self, offset: u64, into: &mut [u8]) -> Result<usize, Error> {
        sys::file_copy(self.file.handle(), self.taken.number, offset, into)
    }

    /// Has it leave the machine, if its file is drained.
    ///
    /// # Errors
    /// As [`File::submit`]; with the packet, which is held still.
    pub fn submit(self) -> Result<(), (Error, Self)> {
        match self.file.submit(self.taken.number) {
            Ok(()) => {
                self.keep();
                Ok(())
            }
            Err(error) => Err((error, self)),
        }
    }

    /// Leaves it held, without this value: by its number it can be [submitted](File::submit) later.
    pub fn keep(self) -> u64 {
        core::mem::ManuallyDrop::new(self).taken.number
    }

    /// Gives it back, and tells whether that worked.
    ///
    /// # Errors
    /// The kernel's.
    pub fn give_back(self) -> Result<(), Error> {
        let packet = core::mem::ManuallyDrop::new(self);
        sys::file_give_back(packet.file.handle(), packet.taken.number)
    }
}

impl Drop for Packet<'_> {
    fn drop(&mut self) {
        // What is not held any more needs no giving back.
        let _ = sys::file_give_back(self.file.handle(), self.taken.number);
    }
}

/// Waits until one of up to 64 handles is ready; without a time-out, for ever. Returns how many are:
/// none if the time is over.
///
/// # Errors
/// The kernel's.
pub fn poll(items: &mut [PollItem], timeout: Option<Duration>) -> Result<usize, Error> {
    sys::poll(items, timeout.map_or(u64::MAX, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn only_what_lies_in_the_mapping_is_looked_at_there() {
        let file = File {
            handle: Owned::new(7),
            mapped: vec![(0x1000, 0x2000), (u64::MAX - 0xfff, 0x1000)],
            outlet: None,
        };
        let taken = |address, length| Taken {
            number: 0,
            length,
            address,
            records_at: 0,
            records: 0,
        };
        for (address, length) in [(0x1000, 0x2000), (0x2fff, 1), (0x1800, 0)] {
            assert!(file.is_mapped(&taken(address, length)), "{address:#x}");
        }
        for (address, length) in [(0, 0), (0xfff, 2), (0x2fff, 2), (0x3000, 1), (u64::MAX, 2)] {
            assert!(!file.is_mapped(&taken(address, length)), "{address:#x}");
        }
        // There are no mappings to give back on a host: it refuses.
    }
}
