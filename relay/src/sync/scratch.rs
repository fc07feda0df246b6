//! Bytes on the stack that need not be cleared first.

use core::mem::MaybeUninit;

/// Room for `N` bytes, which hold anything at first.
pub(crate) struct Scratch<const N: usize>(MaybeUninit<[u8; N]>);

impl<const N: usize> Scratch<N> {
    /// Some room. To clear it would cost more than most of what is put into it.
    #[inline(always)]
    pub(crate) fn new() -> Self {
        let mut room = Self(MaybeUninit::uninit());
        #[cfg(miri)]
        room.0.write([0; N]);
        #[cfg(not(miri))]
        // SAFETY: no instruction. To the compiler it is code that it does not know, given a pointer
        // to the bytes, all of which that may store to: it has to take them for stored.
        unsafe {
            core::arch::asm!("/* {} */", in(reg) room.0.as_mut_ptr(), options(nostack, preserves_flags));
        }
        room
    }

    /// The bytes.
    #[inline(always)]
    pub(crate) fn bytes(&mut self) -> &mut [u8; N] {
        // SAFETY: `new` has stored them, as far as the compiler knows; any bytes are right.
        unsafe { self.0.assume_init_mut() }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_what_is_put_there() {
        let mut room = Scratch::<7>::new();
        room.bytes()[2..].copy_from_slice(b"abcde");
        assert_eq!(room.bytes()[2..], *b"abcde");
    }
}
