//! The memory of a program, as system calls need it.

use core::ops::Range;

use relay_abi::Error;

use crate::mem::{SharedBlock, SpaceError, UserSpace};

/// The memory of a program. Nothing here faults, whatever the addresses are: who implements it looks
/// them up. So what lies in a ring may be copied from where it lies while it is lent.
pub(crate) trait Memory {
    /// Copies bytes of the program's.
    ///
    /// # Errors
    /// [`Error::BadAddress`]: not all of them are the program's.
    fn read(&self, from: u64, into: &mut [u8]) -> Result<(), Error>;

    /// Copies bytes to the program: all, or none.
    ///
    /// # Errors
    /// [`Error::BadAddress`]: not all of the place is the program's to write.
    fn write(&self, to: u64, bytes: &[u8]) -> Result<(), Error>;

    /// Lets the program read pages of the kernel's, which hold nothing but blocks of a ring, where
    /// they lie; returns where it finds them. The frames stay as long as they are mapped, although
    /// the ring may be gone, and are charged to the program.
    ///
    /// # Errors
    /// [`Error::NotMappable`]: they are not frames that can be held; [`Error::NoRoom`].
    fn map_blocks(&self, blocks: Range<usize>) -> Result<u64, Error>;
}

impl Memory for UserSpace {
    fn read(&self, from: u64, into: &mut [u8]) -> Result<(), Error> {
        self.read(from, into).map_err(error)
    }

    fn write(&self, to: u64, bytes: &[u8]) -> Result<(), Error> {
        self.write(to, bytes).map_err(error)
    }

    fn map_blocks(&self, blocks: Range<usize>) -> Result<u64, Error> {
        let block = SharedBlock::holding(blocks.start as u64).ok_or(Error::NotMappable)?;
        let offset = blocks.start as u64 - block.start();
        self.map_shared(&block, offset, blocks.len() as u64)
            .map_err(error)
    }
}

/// What a program is told.
pub(super) fn error(error: SpaceError) -> Error {
    match error {
        SpaceError::NoFrames | SpaceError::Quota | SpaceError::NoRoom => Error::NoRoom,
        SpaceError::BadAddress => Error::BadAddress,
        SpaceError::InUse => Error::Busy,
    }
}
