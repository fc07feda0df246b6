//! A vector of fixed capacity: there is no heap before the kernel runs.

use core::ops::{Deref, DerefMut};

/// A list of at most `N` values, stored in place.
#[derive(Clone, Copy)]
pub(crate) struct List<T: Copy, const N: usize> {
    items: [T; N],
    len: usize,
}

impl<T: Copy, const N: usize> List<T, N> {
    /// An empty list; `filler` occupies the unused places and is never seen.
    pub(crate) const fn new(filler: T) -> Self {
        Self {
            items: [filler; N],
            len: 0,
        }
    }

    /// Appends `value`, or gives it back if the list is full.
    pub(crate) fn push(&mut self, value: T) -> Result<(), T> {
        let Some(place) = self.items.get_mut(self.len) else {
            return Err(value);
        };
        *place = value;
        self.len += 1;
        Ok(())
    }

    /// Removes all values.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }
}

impl<T: Copy, const N: usize> Deref for List<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items[..self.len]
    }
}

impl<T: Copy, const N: usize> DerefMut for List<T, N> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.items[..self.len]
    }
}

impl<T: Copy + core::fmt::Debug, const N: usize> core::fmt::Debug for List<T, N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::List;

    #[test]
    fn holds_what_was_pushed_and_refuses_more() {
        let mut list = List::<u32, 2>::new(0);
        assert!(list.is_empty());
        assert_eq!(list.push(7), Ok(()));
        assert_eq!(list.push(8), Ok(()));
        assert_eq!(list.push(9), Err(9));
        assert_eq!(list[..], [7, 8]);
        list.clear();
        assert!(list.is_empty());
    }
}
