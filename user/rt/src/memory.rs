//! Pages of the program's own.

use core::slice;

use relay_abi::Error;

use crate::sys;

/// Fresh pages, zeroed at first, and given back when this is dropped. The pages before and behind
/// them are not there: who runs over faults.
#[derive(Debug)]
pub struct Memory {
    address: u64,
    length: usize,
}

/// Bytes of a page.
pub const PAGE: usize = 4096;

impl Memory {
    /// At least so many bytes: whole pages.
    ///
    /// # Errors
    /// The kernel's: `NoRoom` if the program may not have more.
    pub fn new(bytes: usize) -> Result<Self, Error> {
        let length = bytes
            .max(1)
            .checked_next_multiple_of(PAGE)
            .ok_or(Error::NoRoom)?;
        let address = sys::memory_map(length as u64)?;
        Ok(Self { address, length })
    }

    /// Where it begins.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Its first byte behind.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.address + self.length as u64
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&mut self) -> &mut [u8] {
        let start = core::ptr::with_exposed_provenance_mut(self.address as usize);
        // SAFETY: the kernel has mapped them for this value alone, zeroed, to be read and written;
        // they stay until it is dropped, and it is borrowed for as long.
        unsafe { slice::from_raw_parts_mut(start, self.length) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: nobody has them but this value. What the kernel refuses stays mapped.
        let _ = unsafe { sys::memory_unmap(self.address, self.length as u64) };
    }
}
