//! What becomes a record, in all the forms that are written; and how its bytes are copied.

use super::position::MAX_RECORD;
use crate::sync::step::step;
use core::ptr::NonNull;
use relay_format::stamp::{self, Stamp};

/// Whether a record of `len` bytes may go the fast way.
#[inline(always)]
pub(super) fn is_short(len: usize) -> bool {
    len.wrapping_sub(1) < MAX_RECORD as usize
}

/// What becomes a record.
pub(crate) trait Source: Copy {
    /// Whether the record begins with its time.
    const IS_STAMPED: bool;

    /// Whether the type says how long the record is.
    const IS_EXACT: bool = false;

    /// Bytes of the record.
    fn len(self) -> usize;

    /// Whether that is 1 to [`MAX_RECORD`]: what is longer goes the whole way, where its length is
    /// looked at.
    fn is_short(self) -> bool {
        is_short(self.len())
    }

    /// The same in the form that code takes that is there once.
    fn any(&self) -> Any<'_>;

    /// Stores the record.
    ///
    /// # Safety
    /// `to` points to `len` bytes that the caller alone uses.
    unsafe fn store(self, to: NonNull<u8>, ticks: u64);
}

/// A record of these bytes.
#[derive(Clone, Copy)]
pub(crate) struct Plain<'a>(pub(crate) &'a [u8]);

/// A record of these bytes, as many as the type says.
#[derive(Clone, Copy)]
pub(crate) struct Exact<'a, const N: usize>(pub(crate) &'a [u8; N]);

/// A record that begins with its [stamp](relay_format::stamp). The number is the stamp's
/// [tail](stamp::tail): event id and context.
#[derive(Clone, Copy)]
pub(crate) struct Stamped<S>(pub(crate) u16, pub(crate) S);

impl<'a> Any<'a> {
    /// Just these bytes.
    #[inline(always)]
    pub(crate) fn plain(bytes: &'a [u8]) -> Self {
        Self { stamp: None, bytes }
    }
}

impl Source for Plain<'_> {
    const IS_STAMPED: bool = false;

    #[inline(always)]
    fn len(self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    fn any(&self) -> Any<'_> {
        Any::plain(self.0)
    }

    #[inline(always)]
    unsafe fn store(self, to: NonNull<u8>, _ticks: u64) {
        // SAFETY: the caller has as many bytes there.
        unsafe { copy(self.0, to) }
    }
}

impl<const N: usize> Source for Exact<'_, N> {
    const IS_STAMPED: bool = false;
    const IS_EXACT: bool = true;

    #[inline(always)]
    fn len(self) -> usize {
        N
    }

    #[inline(always)]
    fn any(&self) -> Any<'_> {
        Any::plain(self.0)
    }

    #[inline(always)]
    unsafe fn store(self, to: NonNull<u8>, ticks: u64) {
        if N > 64 || cfg!(all(test, not(loom))) {
            // SAFETY: the caller has N bytes there.
            return unsafe { Plain(self.0).store(to, ticks) };
        }
        // SAFETY: the caller has N bytes there; arrays of bytes have no alignment. So short a copy
        // becomes a few moves.
        unsafe { to.cast::<[u8; N]>().write(*self.0) }
    }
}

impl<S: Source> Source for Stamped<S> {
    const IS_STAMPED: bool = true;

    #[inline(always)]
    fn len(self) -> usize {
        stamp::SIZE + self.1.len()
    }

    #[inline(always)]
    fn is_short(self) -> bool {
        let len = self.1.len();
        // Nothing behind the stamp takes other code to store, which is there where the type says
        // so, and on the slow path.
        let is_plain = S::IS_EXACT || len != 0;
        is_plain && len <= MAX_RECORD as usize - stamp::SIZE
    }

    #[inline(always)]
    fn any(&self) -> Any<'_> {
        Any {
            stamp: Some(self.0),
            ..self.1.any()
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: NonNull<u8>, ticks: u64) {
        // SAFETY: the caller has a stamp's bytes there, and as many behind them as the rest takes.
        unsafe {
            if self.1.len() == 0 {
                let stamp = Stamp::with_tail(self.0, ticks);
                return to.cast().write(stamp.to_bytes());
            }
            // The tail overwrites what is above the time's lower bits, and the rest what is above
            // the tail.
            to.cast().write(ticks.to_le_bytes());
            to.add(stamp::TAIL).cast().write(self.0.to_le_bytes());
            self.1.store(to.add(stamp::SIZE), ticks);
        }
    }
}

/// A record of any form.
#[derive(Clone, Copy)]
pub(crate) struct Any<'a> {
    /// The tail of its stamp, if it has one.
    pub(crate) stamp: Option<u16>,
    /// The bytes behind the stamp.
    pub(crate) bytes: &'a [u8],
}

impl Source for Any<'_> {
    // It may be.
    const IS_STAMPED: bool = true;

    #[inline(always)]
    fn len(self) -> usize {
        self.stamp.map_or(0, |_| stamp::SIZE) + self.bytes.len()
    }

    #[inline(always)]
    fn any(&self) -> Any<'_> {
        *self
    }

    #[inline(always)]
    unsafe fn store(self, to: NonNull<u8>, ticks: u64) {
        let plain = Plain(self.bytes);
        // SAFETY: the caller has as many bytes there as the record in this form.
        unsafe {
            match self.stamp {
                Some(tail) => Stamped(tail, plain).store(to, ticks),
                None => plain.store(to, ticks),
            }
        }
    }
}

/// Copies `from` to `to`: words, the last of which overlap others where the length is none of
/// theirs.
///
/// A library's memcpy is made for long copies; on bare metal it is a `rep movs`, which costs more
/// to start than a record to copy.
///
/// # Safety
/// `to` points to as many bytes as `from` has, which the caller alone uses.
#[inline(always)]
pub(super) unsafe fn copy(from: &[u8], to: NonNull<u8>) {
    let len = from.len();
    let from = from.as_ptr();
    let to = to.as_ptr();
    /// Moves one `T` at `offset`.
    macro_rules! word {
        ($word:ty, $offset:expr) => {{
            let offset = $offset;
            // SAFETY: offset + size_of::<$word>() <= len at each use, both pointers have len bytes,
            // and the move has no alignment.
            unsafe {
                let value = from.add(offset).cast::<$word>().read_unaligned();
                to.add(offset).cast::<$word>().write_unaligned(value);
            }
            step();
        }};
    }
    if len >= 8 {
        if len <= 16 {
            word!(u64, 0);
            word!(u64, len - 8);
        } else if len <= 32 {
            word!(u64, 0);
            word!(u64, 8);
            word!(u64, len - 16);
            word!(u64, len - 8);
        } else {
            let mut offset = 0;
            while offset < len - 16 {
                word!(u64, offset);
                word!(u64, offset + 8);
                offset += 16;
                keep_loop();
            }
            word!(u64, len - 16);
            word!(u64, len - 8);
        }
    } else if len >= 4 {
        word!(u32, 0);
        word!(u32, len - 4);
    } else if len >= 2 {
        word!(u16, 0);
        word!(u16, len - 2);
    } else if len == 1 {
        word!(u8, 0);
    }
}

/// Copies `from` to the beginning of `to`, as [`copy`] does.
///
/// # Panics
/// If `to` is shorter.
#[inline]
pub(crate) fn copy_into(to: &mut [u8], from: &[u8]) {
    let to = &mut to[..from.len()];
    // SAFETY: it has as many bytes, and is the caller's alone.
    unsafe { copy(from, NonNull::from(to).cast()) }
}

/// Keeps the compiler from making a call to memcpy of the loop it is in.
#[inline(always)]
fn keep_loop() {
    #[cfg(not(miri))]
    // SAFETY: no instruction.
    unsafe {
        core::arch::asm!("", options(nostack, preserves_flags));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn copies_of_every_length_are_exact() {
        for len in 0..200 {
            let from: Vec<u8> = (0..len).map(|i| i as u8 ^ 0x5A).collect();
            let mut to = vec![0xEE; len + 2];
            // SAFETY: `to` has len bytes behind its first.
            unsafe { copy(&from, NonNull::from(&mut to[1..]).cast()) };
            assert_eq!(to[1..=len], from);
            assert_eq!((to[0], to[len + 1]), (0xEE, 0xEE));
        }
    }
}
