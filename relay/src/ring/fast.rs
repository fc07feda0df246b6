//! The fast path: a record that fits behind the last one, into the packet that is open.
//!
//! One descriptor, found through the ring, says where the packet starts and where its block lies. What
//! it says counts only if the swap of the position succeeds; `docs/ARCHITECTURE.md` says why that is
//! enough. Everything else (no room, a switch, an exact fit, a swap that an interrupt has spoiled) goes
//! the whole way, see `writer`. So does at first a record that interrupts another, to try the same with another level.

use super::Ring;
use super::local::{Level, Local};
use super::position::Position;
use super::stream::Stream;
use super::subbuf::{Committed, Sub};
use crate::platform::Platform;
use crate::record;
use crate::step::{Mistake, broken, step};
use crate::sync::{Ordering, Usage, compiler_fence};
use core::ptr::NonNull;

/// Longer records go the whole way, where their length is looked at.
const MAX_LEN: usize = 1 << 30;

/// What becomes a record.
pub(crate) trait Source: Copy {
    /// Whether the record begins with its time.
    const IS_STAMPED: bool;

    /// Bytes of the record.
    fn len(self) -> usize;

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

/// A record that begins with a [stamp](crate::record): time and event id.
#[derive(Clone, Copy)]
pub(crate) struct Stamped<S>(pub(crate) u16, pub(crate) S);

impl Source for Plain<'_> {
    const IS_STAMPED: bool = false;

    #[inline(always)]
    fn len(self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    fn any(&self) -> Any<'_> {
        Any {
            stamp: None,
            bytes: self.0,
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: NonNull<u8>, _ticks: u64) {
        // SAFETY: the caller has as many bytes there.
        unsafe { copy(self.0, to) }
    }
}

impl<const N: usize> Source for Exact<'_, N> {
    const IS_STAMPED: bool = false;

    #[inline(always)]
    fn len(self) -> usize {
        N
    }

    #[inline(always)]
    fn any(&self) -> Any<'_> {
        Any {
            stamp: None,
            bytes: self.0,
        }
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
        record::HEADER + self.1.len()
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
        let stamp = record::header(self.0, ticks);
        // SAFETY: the caller has HEADER bytes there, and as many behind them as the rest takes.
        unsafe {
            to.cast::<[u8; record::HEADER]>().write(stamp);
            self.1.store(to.add(record::HEADER), ticks);
        }
    }
}

/// A record of any form.
#[derive(Clone, Copy)]
pub(crate) struct Any<'a> {
    /// The event id of its stamp, if it has one.
    pub(crate) stamp: Option<u16>,
    /// The bytes behind the stamp.
    pub(crate) bytes: &'a [u8],
}

impl Source for Any<'_> {
    // It may be.
    const IS_STAMPED: bool = true;

    #[inline(always)]
    fn len(self) -> usize {
        self.stamp.map_or(0, |_| record::HEADER) + self.bytes.len()
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
                Some(id) => Stamped(id, plain).store(to, ticks),
                None => plain.store(to, ticks),
            }
        }
    }
}

/// Copies `from` to `to`: words, the last of which overlap others where the length is none of theirs.
///
/// A library's memcpy is made for long copies; on bare metal it is a `rep movs`, which costs more to
/// start than a record to copy.
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

/// Keeps the compiler from making a call to memcpy of the loop it is in.
#[inline(always)]
fn keep_loop() {
    #[cfg(not(miri))]
    // SAFETY: no instruction.
    unsafe {
        core::arch::asm!("", options(nostack, preserves_flags));
    }
}

/// Space for a record, whose level is taken.
pub(crate) struct Claim<'a> {
    pub(super) ring: &'a Ring,
    pub(super) sub: &'a Sub,
    pub(super) bytes: NonNull<u8>,
    pub(super) begin: Position,
    /// Where the next record begins: not at once behind this one, if it fills its packet.
    pub(super) end: Position,
    pub(super) ticks: u64,
    pub(super) level: Level,
}

/// Writes `record` into `stream`, on the CPU with the words `local`, which the caller is pinned to. False, and
/// nothing is written, if that takes more than one swap, or the first level is taken, as it is before the CPU has joined.
/// `deliver` is called if the packet is complete with it.
///
/// It takes what it needs one by one: a structure would be stored for the slow path's sake.
#[inline(always)]
pub(crate) fn put<U: Usage, S: Source>(
    stream: &Stream,
    local: &Local,
    platform: &impl Platform,
    record: S,
    deliver: impl FnOnce(),
) -> bool {
    take_first(local, record.len())
        && put_at::<U, _>(stream, local, platform, record, Level::FIRST, deliver)
}

/// As [`put`], at a level that was taken for it, and is given back.
#[inline(always)]
pub(super) fn put_at<U: Usage, S: Source>(
    stream: &Stream,
    local: &Local,
    platform: &impl Platform,
    record: S,
    level: Level,
    deliver: impl FnOnce(),
) -> bool {
    let len = record.len();
    let Some(claim) = claim_at::<U>(stream, local, platform, len, S::IS_STAMPED, level) else {
        return false;
    };
    let sub: &Sub = claim.sub;
    if broken(Mistake::CommitBeforeBytes) {
        sub.hot.add_carries::<U>(Committed::step(len as u64, 1));
        step();
    }
    // SAFETY: `len` bytes are reserved at `bytes`, and nobody else uses them until they are
    // committed below.
    unsafe { record.store(claim.bytes, claim.ticks) };
    step();
    let intent = local.intent(claim.level);
    intent.set_written(len as u64);
    step();
    if !broken(Mistake::CommitBeforeBytes)
        && sub.hot.add_carries::<U>(Committed::step(len as u64, 1))
    {
        deliver();
    }
    step();
    local.give_back(claim.level);
    true
}

/// Reserves `len` bytes behind the last record of the open packet; `None` if that takes more than one
/// swap, or the first level is taken. Its clock is read if it is `stamped`.
#[inline(always)]
pub(crate) fn claim<'a, U: Usage>(
    stream: &'a Stream,
    local: &Local,
    platform: &impl Platform,
    len: usize,
    stamped: bool,
) -> Option<Claim<'a>> {
    if !take_first(local, len) {
        return None;
    }
    claim_at::<U>(stream, local, platform, len, stamped, Level::FIRST)
}

/// Whether `len` is not 0, and not too long for the sums of [`claim_at`].
#[inline(always)]
pub(super) fn is_short(len: usize) -> bool {
    len.wrapping_sub(1) < MAX_LEN
}

/// Takes the first level for a record of `len` bytes, if that may go the fast way.
#[inline(always)]
fn take_first(local: &Local, len: usize) -> bool {
    let is_taken = is_short(len) && local.take(Level::FIRST);
    step();
    is_taken
}

/// As [`claim`], at a level that was taken for it; given back where there is no claim. `len` is [short](is_short).
#[inline(always)]
pub(super) fn claim_at<'a, U: Usage>(
    stream: &'a Stream,
    local: &Local,
    platform: &impl Platform,
    len: usize,
    stamped: bool,
    level: Level,
) -> Option<Claim<'a>> {
    // SAFETY: a level is taken of a CPU that has joined, so there is a ring; and as long as the
    // level is taken, none that it can find is freed.
    let ring: &Ring = unsafe { &*stream.cur.load(Ordering::Acquire) };
    // SAFETY: `open` always points to one of the ring's descriptors.
    let sub: &Sub = unsafe { &*ring.open.load(Ordering::Acquire) };
    let early = if broken(Mistake::ClockOutsideLoop) {
        now(platform)
    } else {
        0
    };
    step();
    let pos = ring.pos.load(Ordering::Acquire);
    step();
    // After the position: the time counts only if the swap shows that nobody reserved since.
    let ticks = match stamped {
        true if !broken(Mistake::ClockOutsideLoop) => now(platform),
        _ => early,
    };
    step();
    let offset = pos.wrapping_sub(sub.start.load(Ordering::Acquire));
    if offset.wrapping_add(len as u64) >= ring.fast_limit {
        local.give_back(level);
        return None;
    }
    local.intent(level).announce(Position(pos), len as u64);
    step();
    // Inside a packet no position wraps.
    let end = pos.wrapping_add(len as u64);
    if !ring.pos.cas::<U>(pos, end) {
        local.give_back(level);
        return None;
    }
    step();
    let data = sub.data.load(Ordering::Relaxed);
    // SAFETY: the packet is the descriptor's: `pos` was in it, and the swap shows that no packet was
    // opened since. `data` is its block, and the record's end lies in it.
    let bytes = unsafe { NonNull::new_unchecked(data.add(offset as usize)) };
    ring.track_write(bytes, len);
    Some(Claim {
        ring,
        sub,
        bytes,
        begin: Position(pos),
        end: Position(end),
        ticks,
        level,
    })
}

/// The time, in ticks.
#[inline(always)]
pub(super) fn now(platform: &impl Platform) -> u64 {
    // An interrupt must find the clock read after what is read before it here, and before
    // what comes after; a platform's way to read it may tell the compiler nothing of memory.
    compiler_fence(Ordering::SeqCst);
    let ticks = platform.now();
    compiler_fence(Ordering::SeqCst);
    ticks
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
