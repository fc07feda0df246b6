//! The threads of one CPU that could run, by priority.

/// How many priorities there are: 0 goes first.
pub(super) const LEVELS: usize = 41;
/// In the place of a slot: none.
pub(super) const NONE: u16 = u16::MAX;

/// Lists of slots, a list for each priority. The links lie in the table: a slot is in one list at
/// most.
#[derive(Debug)]
pub(super) struct Queue {
    /// A bit for each list that is not empty.
    filled: u64,
    first: [u16; LEVELS],
    last: [u16; LEVELS],
    len: usize,
}

/// The links of the slots: which comes behind each.
pub(super) trait Links {
    /// The link of a slot.
    fn next(&mut self, slot: u16) -> &mut u16;
}

impl Queue {
    /// An empty one.
    pub(super) const fn new() -> Self {
        Self {
            filled: 0,
            first: [NONE; LEVELS],
            last: [NONE; LEVELS],
            len: 0,
        }
    }

    /// How many slots are in it.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The priority of the first one.
    pub(super) fn best(&self) -> Option<usize> {
        (self.filled != 0).then(|| self.filled.trailing_zeros() as usize)
    }

    /// Puts a slot behind all others of its priority.
    pub(super) fn push_back(&mut self, links: &mut impl Links, slot: u16, level: usize) {
        *links.next(slot) = NONE;
        match self.last[level] {
            NONE => self.first[level] = slot,
            last => *links.next(last) = slot,
        }
        self.last[level] = slot;
        self.filled |= 1 << level;
        self.len += 1;
    }

    /// Puts a slot before all others of its priority.
    pub(super) fn push_front(&mut self, links: &mut impl Links, slot: u16, level: usize) {
        *links.next(slot) = self.first[level];
        if self.first[level] == NONE {
            self.last[level] = slot;
        }
        self.first[level] = slot;
        self.filled |= 1 << level;
        self.len += 1;
    }

    /// Takes the first of the most important ones.
    pub(super) fn pop(&mut self, links: &mut impl Links) -> Option<u16> {
        let level = self.best()?;
        let slot = self.first[level];
        let next = *links.next(slot);
        self.first[level] = next;
        if next == NONE {
            self.last[level] = NONE;
            self.filled &= !(1 << level);
        }
        self.len -= 1;
        Some(slot)
    }

    /// Takes a slot out of the middle. One that is not in this list stays where it is.
    pub(super) fn remove(&mut self, links: &mut impl Links, slot: u16, level: usize) {
        let mut before = NONE;
        let mut at = self.first[level];
        while at != NONE && at != slot {
            before = at;
            at = *links.next(at);
        }
        if at == NONE {
            return;
        }
        let next = *links.next(slot);
        match before {
            NONE => self.first[level] = next,
            before => *links.next(before) = next,
        }
        if next == NONE {
            self.last[level] = before;
        }
        if self.first[level] == NONE {
            self.filled &= !(1 << level);
        }
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Array([u16; 16]);

    impl Links for Array {
        fn next(&mut self, slot: u16) -> &mut u16 {
            &mut self.0[usize::from(slot)]
        }
    }

    #[test]
    fn the_most_important_come_first_and_those_alike_in_their_order() {
        let mut links = Array([7; 16]);
        let mut queue = Queue::new();
        assert_eq!(queue.pop(&mut links), None);
        for (slot, level) in [(1, 20), (2, 40), (3, 20), (4, 0), (5, 20)] {
            queue.push_back(&mut links, slot, level);
        }
        queue.push_front(&mut links, 6, 20);
        assert_eq!((queue.len(), queue.best()), (6, Some(0)));
        let order: Vec<_> = core::iter::from_fn(|| queue.pop(&mut links)).collect();
        assert_eq!(order, [4, 6, 1, 3, 5, 2]);
        assert_eq!((queue.len(), queue.best()), (0, None));
        queue.push_front(&mut links, 9, 3);
        queue.push_back(&mut links, 8, 3);
        assert_eq!(queue.pop(&mut links), Some(9));
        assert_eq!(queue.pop(&mut links), Some(8));
    }

    #[test]
    fn what_is_taken_out_of_the_middle_leaves_the_others_in_their_order() {
        for gone in 0..5 {
            let mut links = Array([7; 16]);
            let mut queue = Queue::new();
            (1..4).for_each(|slot| queue.push_back(&mut links, slot, 20));
            // 0 and 4 are in no list.
            queue.remove(&mut links, gone, 20);
            queue.push_back(&mut links, 9, 20);
            let order: Vec<_> = core::iter::from_fn(|| queue.pop(&mut links)).collect();
            let wanted: Vec<_> = (1..4).filter(|&slot| slot != gone).chain([9]).collect();
            assert_eq!(order, wanted, "without {gone}");
            assert_eq!((queue.len(), queue.best()), (0, None));
        }
    }
}
