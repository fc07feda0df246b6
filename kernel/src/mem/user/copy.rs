//! Copying what programs may be changing at the same time.
//!
//! To the compiler these are foreign instructions: it believes nothing about the bytes, so that a
//! program that changes them meanwhile gets a mixture, and nothing else happens.

use core::arch::asm;

/// Copies `length` bytes.
///
/// # Safety
/// They are mapped at `from`, and mapped writable at `to`, and no Rust reference to those at `to`
/// is alive but the caller's own.
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, length: usize) {
    // SAFETY: the caller's promise; the direction flag is clear in all Rust code.
    unsafe {
        asm!(
            "rep movsq",
            "mov rcx, {rest}",
            "rep movsb",
            rest = in(reg) length % 8,
            inout("rcx") length / 8 => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_copied_and_nothing_behind_it() {
        let from: Vec<u8> = (1..=40).collect();
        for length in 0..=from.len() {
            let mut to = [0; 41];
            // SAFETY: both are that long.
            unsafe { copy(from.as_ptr(), to.as_mut_ptr(), length) };
            assert_eq!(to[..length], from[..length]);
            assert!(to[length..].iter().all(|&byte| byte == 0));
        }
    }
}
