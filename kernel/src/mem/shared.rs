//! Pieces of the heap that programs see, held.

use super::{blocks, heap};

/// A page-aligned piece of the kernel's heap that programs may see, held: its memory stays what it
/// is as long as this is there, even if the kernel has freed it.
#[derive(Debug)]
pub(crate) struct SharedBlock {
    start: u64,
    length: u64,
}

impl SharedBlock {
    /// The piece that the byte at `address` is in: one that was allocated with the alignment of a
    /// page or more, and is not freed. Task and IRQ context.
    pub(crate) fn holding(address: u64) -> Option<Self> {
        let (start, length) = blocks::hold(address)?;
        Some(Self { start, length })
    }

    /// Its first byte, in the kernel.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// Its bytes: whole pages.
    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    /// Holds it once more. `None` only after 2^32 times.
    pub(super) fn again(&self) -> Option<Self> {
        blocks::hold_again(self.start).then_some(Self { ..*self })
    }
}

impl Drop for SharedBlock {
    fn drop(&mut self) {
        if blocks::release(self.start) {
            // SAFETY: `leave` has told the heap to keep this allocation, and this was its last
            // holder.
            unsafe { heap::free_pages(self.start, self.length) };
        }
    }
}
