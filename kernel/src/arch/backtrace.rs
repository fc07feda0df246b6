//! Backtraces by frame pointers (`-Cforce-frame-pointers=yes`).
//!
//! A frame is two words: the caller's frame pointer and the return address.
//! Nothing is read that is not known to be mapped: a corrupt frame pointer ends
//! the trace, it does not fault.

use core::arch::asm;

use crate::mem::stacks;

/// The most frames a trace has.
pub(crate) const MAX_FRAMES: usize = 32;

/// The frame pointer of the function that this is inlined into. Any context.
#[inline(always)]
pub(crate) fn frame_pointer() -> u64 {
    let pointer: u64;
    // SAFETY: copies a register.
    unsafe {
        asm!("mov {}, rbp", out(reg) pointer, options(nomem, nostack, preserves_flags));
    }
    pointer
}

/// The return addresses of the frames from `pointer` on, the innermost first.
/// Any context.
pub(crate) fn frames(pointer: u64) -> impl Iterator<Item = u64> {
    walk(pointer, read_frame).take(MAX_FRAMES)
}

/// Follows frames as `read` gives them: (the caller's frame pointer, the return address).
///
/// Ends where `read` gives none, at a return address of 0 (where a stack begins),
/// and at a frame that does not lie above the last one: stacks grow down, so
/// such a frame is either corrupt or on another stack, where the trace would be
/// of other code.
fn walk(
    pointer: u64,
    mut read: impl FnMut(u64) -> Option<(u64, u64)>,
) -> impl Iterator<Item = u64> {
    let mut next = Some(pointer);
    core::iter::from_fn(move || {
        let at = next?;
        let (caller, address) = read(at)?;
        next = (caller > at).then_some(caller);
        (address != 0).then_some(address)
    })
    .fuse()
}

/// Reads a frame, if it lies in one of the kernel's stacks.
fn read_frame(pointer: u64) -> Option<(u64, u64)> {
    if !pointer.is_multiple_of(8) {
        return None;
    }
    stacks::holding(pointer, 16)?;
    let frame = pointer as *const u64;
    // SAFETY: the 16 bytes lie in a registered stack, which is mapped for ever;
    // volatile, because other code owns them and may be changing them.
    let caller = unsafe { frame.read_volatile() };
    // SAFETY: the second word of the same 16 bytes.
    let address = unsafe { frame.add(1).read_volatile() };
    Some((caller, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(start: u64, frames: &[(u64, u64, u64)]) -> Vec<u64> {
        walk(start, |at| {
            frames
                .iter()
                .find(|frame| frame.0 == at)
                .map(|frame| (frame.1, frame.2))
        })
        .collect()
    }

    #[test]
    fn frames_are_followed_to_the_end_of_the_stack() {
        let frames = [(16, 32, 100), (32, 64, 200), (64, 0, 300)];
        assert_eq!(trace(16, &frames), [100, 200, 300]);
        assert_eq!(trace(64, &frames), [300]);
    }

    #[test]
    fn a_corrupt_frame_pointer_ends_the_trace() {
        assert_eq!(trace(1, &[]), []);
        assert_eq!(trace(16, &[(16, 16, 100)]), [100]);
        assert_eq!(trace(32, &[(32, 16, 100), (16, 32, 200)]), [100]);
        assert_eq!(trace(16, &[(16, 0xdead, 100)]), [100]);
        assert_eq!(trace(16, &[(16, 32, 0), (32, 64, 200)]), []);
    }

    #[test]
    fn addresses_outside_the_stacks_are_never_read() {
        assert_eq!(frames(0).next(), None);
        assert_eq!(frames(u64::MAX - 7).next(), None);
        assert_eq!(frames(3).next(), None);
    }
}
