//! Spare blocks: what readers leave in a ring for a block that they take away.
//!
//! ```text
//! take:      w = place;  w is free;  CAS(place, w -> taken or lent, the block that is to be taken)
//! give back: place = free, whichever block is not in the ring now
//! ```
//!
//! Between the two the place is the reader's alone. It says which block the reader has, or is about
//! to have, so that a post-mortem finds a packet that was taken and of which nobody knows whether it
//! was used: no entry tells of it any more.

use super::words::{Ring, free_spare};
use crate::sync::Ordering;

/// What a place says: a block, plus one, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place(u64);

/// What a reader wants a spare for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To take this block away, for good: the spare stays in the ring.
    Take(usize),
    /// To copy what is in this block: the spare stands in for it meanwhile.
    Lend(usize),
}

/// A spare block, and the place that it was taken from. It goes back by
/// [`give_back`](Self::give_back), or the other block does.
#[derive(Debug)]
pub(super) struct Spare {
    place: usize,
    pub(super) block: usize,
}

impl Place {
    const TAKEN: u64 = 1 << 32;
    const LENT: u64 = 1 << 33;

    const fn free(block: usize) -> Self {
        Self(free_spare(block))
    }

    fn of(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Take(block) => Self(Self::free(block).0 | Self::TAKEN),
            Purpose::Lend(block) => Self(Self::free(block).0 | Self::LENT),
        }
    }

    fn is_free(self) -> bool {
        self.0 & (Self::TAKEN | Self::LENT) == 0
    }

    fn is_taken(self) -> bool {
        self.0 & Self::TAKEN != 0
    }

    fn block(self) -> usize {
        (self.0 as u32 - 1) as usize
    }
}

impl Ring {
    /// Takes a spare block, if one is there.
    pub(super) fn take_spare(&self, purpose: Purpose) -> Option<Spare> {
        let ours = Place::of(purpose);
        (0..self.geometry.spares()).find_map(|place| {
            let word = self.spare(place);
            let is = Place(word.load(Ordering::Relaxed));
            let is_ours = is.is_free()
                && word
                    .compare_exchange(is.0, ours.0, Ordering::AcqRel, Ordering::Acquire)
                    .is_ok();
            is_ours.then(|| Spare {
                place,
                block: is.block(),
            })
        })
    }

    /// The blocks that readers have taken away, and not given back: each is in no entry, and holds
    /// a complete packet. Post-mortem.
    pub(super) fn taken_away(&self) -> impl Iterator<Item = usize> {
        let place = |at: usize| Place(self.spare(at).load(Ordering::Acquire));
        let places = 0..self.geometry.spares();
        places.clone().filter_map(move |at| {
            let block = Some(place(at)).filter(|place| place.is_taken())?.block();
            // Whoever was stopped before it had the block does not have it. Then it is where it
            // was, or an observer was faster, and has it, or had it.
            let is_elsewhere = places
                .clone()
                .any(|other| other != at && place(other).block() == block);
            let is_there = self.entry(self.info(block).closed().packet()).block() == block;
            (!is_elsewhere && !is_there).then_some(block)
        })
    }
}

impl Spare {
    /// Gives `block` back, this one or the one that it was taken for: who takes it next may have it
    /// written.
    pub(super) fn give_back(&self, ring: &Ring, block: usize) {
        // Release: reading it is over.
        ring.spare(self.place)
            .store(free_spare(block), Ordering::Release);
    }
}
