//! Which pieces of the heap programs may see: whole pages, that nothing else shares.
//!
//! A mapping holds the piece. If the kernel frees it meanwhile it is *left*: it is really freed when
//! the last holder goes.

use super::heap;
use super::lock::Guarded;

/// The most pieces of whole pages that are known; more are allocated, and cannot be mapped.
const CAPACITY: usize = 512;

static BLOCKS: Guarded<Blocks<CAPACITY>> = Guarded::new(Blocks::new());

/// An allocation of whole pages.
#[derive(Debug, Clone, Copy)]
struct Block {
    start: u64,
    length: u64,
    holders: u32,
    /// The kernel has freed it.
    is_left: bool,
}

/// What happens to a piece that somebody lets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is nobody's: its memory goes back to the heap.
    Free,
    /// It stays for those who still have it.
    Stays,
}

/// All allocations of whole pages, in no order.
#[derive(Debug)]
struct Blocks<const N: usize> {
    entries: [Block; N],
    count: usize,
}

impl<const N: usize> Blocks<N> {
    const fn new() -> Self {
        const NONE: Block = Block {
            start: 0,
            length: 0,
            holders: 0,
            is_left: false,
        };
        Self {
            entries: [NONE; N],
            count: 0,
        }
    }

    fn position(&self, is_it: impl Fn(&Block) -> bool) -> Option<usize> {
        self.entries[..self.count].iter().position(is_it)
    }

    /// Makes an allocation known, if there is room.
    fn add(&mut self, start: u64, length: u64) {
        if let Some(entry) = self.entries.get_mut(self.count) {
            *entry = Block {
                start,
                length,
                holders: 0,
                is_left: false,
            };
            self.count += 1;
        }
    }

    fn remove(&mut self, index: usize) {
        self.count -= 1;
        self.entries[index] = self.entries[self.count];
    }

    /// Holds the piece with the byte at `address`, if the kernel still has it.
    fn hold(&mut self, address: u64) -> Option<(u64, u64)> {
        let index = self.position(|block| {
            !block.is_left && address >= block.start && address - block.start < block.length
        })?;
        let block = &mut self.entries[index];
        block.holders = block.holders.checked_add(1)?;
        Some((block.start, block.length))
    }

    /// Ends one holding of the piece at `start`.
    fn release(&mut self, start: u64) -> Fate {
        let Some(index) = self.position(|block| block.start == start) else {
            return Fate::Stays;
        };
        let block = &mut self.entries[index];
        block.holders = block.holders.saturating_sub(1);
        if block.holders != 0 || !block.is_left {
            return Fate::Stays;
        }
        self.remove(index);
        Fate::Free
    }

    /// The kernel frees the piece at `start`.
    fn leave(&mut self, start: u64) -> Fate {
        // What had no room in the table has no holders.
        let Some(index) = self.position(|block| block.start == start && !block.is_left) else {
            return Fate::Free;
        };
        if self.entries[index].holders != 0 {
            self.entries[index].is_left = true;
            return Fate::Stays;
        }
        self.remove(index);
        Fate::Free
    }
}

/// Makes an allocation of whole pages known. Task and IRQ context.
pub(super) fn add(start: u64, length: u64) {
    BLOCKS.with(|blocks| blocks.add(start, length));
}

/// Whether the allocation at `start`, which the kernel frees, goes back to the heap now; else it does
/// when its last holder goes. Task and IRQ context.
pub(super) fn leave(start: u64) -> bool {
    BLOCKS.with(|blocks| blocks.leave(start)) == Fate::Free
}

/// A page-aligned piece of the kernel's heap that programs may see, held: its memory stays what it is
/// as long as this is there, even if the kernel has freed it.
#[derive(Debug)]
pub(crate) struct SharedBlock {
    start: u64,
    length: u64,
}

impl SharedBlock {
    /// The piece that the byte at `address` is in: one that was allocated with the alignment of a page
    /// or more, and is not freed. Task and IRQ context.
    pub(crate) fn holding(address: u64) -> Option<Self> {
        let (start, length) = BLOCKS.with(|blocks| blocks.hold(address))?;
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
        BLOCKS.with(|blocks| {
            let index = blocks.position(|block| block.start == self.start)?;
            let block = &mut blocks.entries[index];
            block.holders = block.holders.checked_add(1)?;
            Some(())
        })?;
        Some(Self { ..*self })
    }
}

impl Drop for SharedBlock {
    fn drop(&mut self) {
        if BLOCKS.with(|blocks| blocks.release(self.start)) == Fate::Free {
            // SAFETY: `leave` has told the heap to keep this allocation, and this was its last holder.
            unsafe { heap::free_pages(self.start, self.length) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_stays_until_the_last_holder_goes() {
        let mut blocks = Blocks::<4>::new();
        blocks.add(0x1000, 0x2000);
        blocks.add(0x8000, 0x1000);
        assert_eq!(blocks.hold(0x2fff), Some((0x1000, 0x2000)));
        assert_eq!(blocks.hold(0x1000), Some((0x1000, 0x2000)));
        assert_eq!(blocks.hold(0x3000), None);
        assert_eq!(blocks.hold(0xfff), None);
        assert_eq!(blocks.leave(0x1000), Fate::Stays);
        assert_eq!(blocks.hold(0x1000), None, "nobody new gets what is left");
        assert_eq!(blocks.release(0x1000), Fate::Stays);
        assert_eq!(blocks.release(0x1000), Fate::Free);
        assert_eq!(blocks.leave(0x8000), Fate::Free);
        assert_eq!(blocks.count, 0);
    }

    #[test]
    fn what_is_held_and_let_go_is_still_the_kernels() {
        let mut blocks = Blocks::<4>::new();
        blocks.add(0x1000, 0x1000);
        assert!(blocks.hold(0x1000).is_some());
        assert_eq!(blocks.release(0x1000), Fate::Stays);
        assert!(blocks.hold(0x1000).is_some(), "it can be held again");
        assert_eq!(blocks.release(0x1000), Fate::Stays);
        assert_eq!(blocks.leave(0x1000), Fate::Free);
    }

    #[test]
    fn a_full_table_forgets_and_frees() {
        let mut blocks = Blocks::<1>::new();
        blocks.add(0x1000, 0x1000);
        blocks.add(0x5000, 0x1000);
        assert_eq!(blocks.hold(0x5000), None);
        assert_eq!(blocks.leave(0x5000), Fate::Free);
        assert!(blocks.hold(0x1000).is_some());
    }
}
