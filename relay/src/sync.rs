//! The one gateway to atomics and interior mutability.
//!
//! Everything above this module takes its atomics from here, so that the same code runs on the
//! processor, under [loom](https://docs.rs/loom) (`--cfg loom`) and under Miri.
//!
//! Two kinds of words exist:
//!
//! - plain atomics, for words that several CPUs change or that hand something over;
//! - [`OwnerWord`], a word that only one CPU ever changes, from any of its contexts (task, IRQ,
//!   NMI). A single instruction cannot be split by an interrupt, so on x86_64 these are
//!   *non-LOCKed* instructions: a third of the price, and no cache line is locked.

pub(crate) use core::sync::atomic::compiler_fence;
#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

/// Declares `fn new`, `const` except under loom, whose atomics cannot be made in a constant.
macro_rules! const_unless_loom {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) -> $ret:ty $body:block) => {
        #[cfg(not(loom))]
        $(#[$meta])* $vis const fn $name($($arg: $ty),*) -> $ret $body
        #[cfg(loom)]
        $(#[$meta])* $vis fn $name($($arg: $ty),*) -> $ret $body
    };
}
pub(crate) use const_unless_loom;

/// A 64-bit word changed only by its owning CPU, read by anybody.
///
/// The read-modify-write operations are atomic against the other contexts of the same CPU (an
/// interrupt or NMI sees them done or not done), not against other CPUs. In terms of the abstract
/// machine each is an `AcqRel` read-modify-write of an `AtomicU64`; that story holds because
///
/// 1. only the owner writes the word (the contract of [`Platform`](crate::Platform));
/// 2. the word is 8-byte aligned, being an `AtomicU64`;
/// 3. x86 is TSO: stores are seen in program order by every CPU, so a plain store releases;
/// 4. the assembly has neither `nomem` nor `readonly` nor `pure`: the compiler keeps every memory
///    access on its side of it.
///
/// Under Miri, loom and on other architectures the operations are ordinary atomics.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct OwnerWord(AtomicU64);

impl OwnerWord {
    const_unless_loom! {
        /// A word that holds `value`.
        pub(crate) fn new(value: u64) -> Self {
            Self(AtomicU64::new(value))
        }
    }

    /// Reads the word. Any CPU, any context.
    #[inline(always)]
    pub(crate) fn load(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    /// Writes the word. Owner only.
    #[inline(always)]
    pub(crate) fn store(&self, value: u64, order: Ordering) {
        self.0.store(value, order);
    }
}

#[cfg(all(target_arch = "x86_64", not(miri), not(loom)))]
impl OwnerWord {
    /// Replaces `old` by `new`; false if the word held something else. Owner only.
    #[inline(always)]
    pub(crate) fn cas(&self, old: u64, new: u64) -> bool {
        let won: u8;
        // SAFETY: the operand is a live, aligned AtomicU64 for as long as `self` is borrowed;
        // cmpxchg reads and writes only it, rax and the flags (Intel SDM 2A, CMPXCHG).
        unsafe {
            core::arch::asm!(
                "cmpxchg qword ptr [{word}], {new}",
                "sete {won}",
                word = in(reg) self.0.as_ptr(),
                new = in(reg) new,
                won = lateout(reg_byte) won,
                inout("rax") old => _,
                options(nostack),
            );
        }
        won != 0
    }

    /// Adds `value` and returns the sum, both modulo 2^64. Owner only.
    #[inline(always)]
    pub(crate) fn add(&self, value: u64) -> u64 {
        let before: u64;
        // SAFETY: as for `cas`; xadd touches the word, its register and the flags (SDM 2D, XADD).
        unsafe {
            core::arch::asm!(
                "xadd qword ptr [{word}], {value}",
                word = in(reg) self.0.as_ptr(),
                value = inout(reg) value => before,
                options(nostack),
            );
        }
        before.wrapping_add(value)
    }

    /// Sets the bits of `bits`. Owner only.
    #[inline(always)]
    pub(crate) fn set_bits(&self, bits: u64) {
        // SAFETY: as for `cas`; `or` touches the word and the flags.
        unsafe {
            core::arch::asm!(
                "or qword ptr [{word}], {bits}",
                word = in(reg) self.0.as_ptr(),
                bits = in(reg) bits,
                options(nostack),
            );
        }
    }

    /// Clears the bits of `bits`. Owner only.
    #[inline(always)]
    pub(crate) fn clear_bits(&self, bits: u64) {
        // SAFETY: as for `cas`; `and` touches the word and the flags.
        unsafe {
            core::arch::asm!(
                "and qword ptr [{word}], {mask}",
                word = in(reg) self.0.as_ptr(),
                mask = in(reg) !bits,
                options(nostack),
            );
        }
    }
}

#[cfg(not(all(target_arch = "x86_64", not(miri), not(loom))))]
impl OwnerWord {
    /// Replaces `old` by `new`; false if the word held something else. Owner only.
    #[inline]
    pub(crate) fn cas(&self, old: u64, new: u64) -> bool {
        self.0
            .compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Adds `value` and returns the sum, both modulo 2^64. Owner only.
    #[inline]
    pub(crate) fn add(&self, value: u64) -> u64 {
        self.0
            .fetch_add(value, Ordering::AcqRel)
            .wrapping_add(value)
    }

    /// Sets the bits of `bits`. Owner only.
    #[inline]
    pub(crate) fn set_bits(&self, bits: u64) {
        self.0.fetch_or(bits, Ordering::AcqRel);
    }

    /// Clears the bits of `bits`. Owner only.
    #[inline]
    pub(crate) fn clear_bits(&self, bits: u64) {
        self.0.fetch_and(!bits, Ordering::AcqRel);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn owner_word_operations_do_what_they_say() {
        let word = OwnerWord::new(5);
        assert!(!word.cas(4, 9));
        assert!(word.cas(5, u64::MAX));
        assert_eq!(word.add(3), 2);
        word.set_bits(0b1100);
        assert_eq!(word.load(Ordering::Relaxed), 0b1110);
        word.clear_bits(0b0110);
        assert_eq!(word.load(Ordering::Relaxed), 0b1000);
    }
}
