//! The memory of a program, as system calls need it.

use core::ops::Range;

use relay_abi::Error;

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
