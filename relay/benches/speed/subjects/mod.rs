//! What is measured.

mod events;
mod floor;
mod peers;
mod relay;
mod threads;

use crate::measure::Subject;

/// All rows, in the order of the table.
pub(crate) fn all() -> Vec<Subject> {
    let mut all = floor::subjects();
    all.extend(relay::subjects());
    all.extend(events::subjects());
    all.extend(threads::subjects());
    all.extend(peers::subjects());
    all
}

/// `value`, of which the compiler knows nothing from here on. It costs nothing but a register.
#[inline(always)]
fn hide<T>(mut value: *const T) -> *const T {
    // SAFETY: no instruction at all.
    unsafe { core::arch::asm!("/* {} */", inout(reg) value, options(nostack, preserves_flags)) };
    value
}

/// `value`, of which the compiler knows nothing from here on.
#[inline(always)]
fn hide_len(mut value: usize) -> usize {
    // SAFETY: no instruction at all.
    unsafe { core::arch::asm!("/* {} */", inout(reg) value, options(nostack, preserves_flags)) };
    value
}

/// The payload of all records: each writer copies it from here.
static PAYLOAD: [u8; 256] = {
    let mut bytes = [0; 256];
    let mut i = 0;
    while i < 256 {
        bytes[i] = i as u8;
        i += 1;
    }
    bytes
};

/// `N` bytes of payload, of which the compiler knows only how many they are.
#[inline(always)]
fn payload<const N: usize>() -> &'static [u8; N] {
    const { assert!(N <= 256) };
    let first = hide(PAYLOAD.as_ptr()).cast::<[u8; N]>();
    // SAFETY: `hide` gives back what it got: the payload, which is a static of at least N bytes.
    unsafe { &*first }
}

/// `len` bytes of payload, of which the compiler does not even know how many they are.
#[inline(always)]
fn some_payload(len: usize) -> &'static [u8] {
    let bytes: &[u8; 256] = payload();
    &bytes[..hide_len(len).min(256)]
}

/// Lengths from 8 to 256 in no order, the same in every run.
static LENGTHS: [u16; 256] = {
    let mut lengths = [0; 256];
    let mut state = 0x9E37_79B9u32;
    let mut i = 0;
    while i < 256 {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        lengths[i] = 8 + (state >> 8) as u16 % 249;
        i += 1;
    }
    lengths
};

/// The length of the `i`th record of a mixed batch.
#[inline(always)]
fn mixed(i: usize) -> usize {
    usize::from(LENGTHS[i % 256])
}
