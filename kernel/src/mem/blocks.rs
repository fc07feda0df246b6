//! Which pieces of the heap programs may see: whole pages, that nothing else shares.
//!
//! A mapping holds the piece. If the kernel frees it meanwhile it is *left*: it is really freed
//! when the last holder goes.

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

    /// Holds the piece at `start`, which is held, once more.
    fn hold_again(&mut self, start: u64) -> bool {
        let Some(index) = self.position(|block| block.start == start) else {
            return false;
        };
        let block = &mut self.entries[index];
        match block.holders.checked_add(1) {
            Some(more) if block.holders != 0 => {
                block.holders = more;
                true
            }
            _ => false,
        }
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

/// Whether the allocation at `start`, which the kernel frees, goes back to the heap now; else it
/// does when its last holder goes. Task and IRQ context.
pub(super) fn leave(start: u64) -> bool {
    BLOCKS.with(|blocks| blocks.leave(start)) == Fate::Free
}

/// Holds the piece that the byte at `address` is in, if the kernel still has it: where it starts,
/// and its bytes. Task and IRQ context.
pub(super) fn hold(address: u64) -> Option<(u64, u64)> {
    BLOCKS.with(|blocks| blocks.hold(address))
}

/// Holds the piece at `start`, which is held, once more; whether that worked. Task and IRQ context.
pub(super) fn hold_again(start: u64) -> bool {
    BLOCKS.with(|blocks| blocks.hold_again(start))
}

/// Ends one holding of the piece at `start`; whether it goes back to the heap with it. Task and IRQ
/// context.
pub(super) fn release(start: u64) -> bool {
    BLOCKS.with(|blocks| blocks.release(start)) == Fate::Free
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
        assert!(blocks.hold_again(0x1000), "who has it can share it");
        assert_eq!(blocks.release(0x1000), Fate::Stays);
        assert_eq!(blocks.release(0x1000), Fate::Stays);
        assert_eq!(blocks.release(0x1000), Fate::Free);
        assert!(!blocks.hold_again(0x1000));
        assert!(!blocks.hold_again(0x8000), "nobody holds it");
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
