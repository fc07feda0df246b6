//! Bytes on the stack that need not be cleared first.

use core::mem::MaybeUninit;

/// Room for `N` bytes.
pub(crate) struct Scratch<const N: usize>(MaybeUninit<[u8; N]>);

impl<const N: usize> Scratch<N> {
    /// Some room.
    #[inline(always)]
    pub(crate) const fn new() -> Self {
        Self(MaybeUninit::uninit())
    }

    /// The bytes, where they are: they hold anything. To clear them would cost more than most of
    /// what is put there.
    #[inline(always)]
    pub(crate) fn bytes(&mut self) -> &mut [u8; N] {
        #[cfg(miri)]
        self.0.write([0; N]);
        #[cfg(not(miri))]
        // SAFETY: no instruction. To the compiler it is code that it does not know, given a pointer
        // to the bytes, all of which that may store to: it has to take them for stored.
        unsafe {
            core::arch::asm!("/* {} */", in(reg) self.0.as_mut_ptr(), options(nostack, preserves_flags));
        }
        // SAFETY: they are stored, as far as the compiler knows; any bytes are right.
        unsafe { self.0.assume_init_mut() }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_what_is_put_there() {
        let mut room = Scratch::<7>::new();
        let bytes = room.bytes();
        bytes[2..].copy_from_slice(b"abcde");
        assert_eq!(bytes[2..], *b"abcde");
    }
}
