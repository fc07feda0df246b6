//! The fast path: a record that fits behind the last one, into the packet that is open.
//!
//! ```text
//! put:       i = intents[0] is taken: slow
//!            take i, in one step
//!            D = current.open
//!            p = pos
//!            t = clock, if the record is stamped
//!            p + len >= D.bound: i = 0, slow
//!            t >= D.time_limit, if the record is stamped: i = 0, slow
//!            i = (p, len)
//!            CAS(pos, p, p + len), or i = 0, slow
//!            store the bytes at D.origin + p
//!            i |= WRITTEN
//!            add(D, len, one record)
//!            i = 0
//! ```
//!
//! Slow is the whole way, see `write`; so is what is not simple: no room, a switch, an exact fit, a
//! swap that an interrupt has spoiled, a time that is too late for the packet. A record that
//! interrupts another takes the same path with another intent.
//!
//! Why it may trust the descriptor: `open` may lag behind, so D may be that of an older packet, or
//! its words those of another lap. `D.bound` is then not behind `p`: packets are at most two laps
//! old, and within two laps of the end of the range of positions, where a larger position can be
//! older, `bound` is 0. So is it of a packet that nobody has opened, or that was emptied. A sealed
//! `p` is larger than any `bound`. And D cannot be that of a younger packet than `p` is in if the
//! swap succeeds: who opened it had moved the position on, and no position comes back from a packet
//! to the one before it, but from one that is empty, whose `bound` is 0. After the swap D is
//! stable, since the packet cannot be complete without the record. `bound` is published after
//! `origin`: who sees the new `bound` sees the new block.

use super::intent::Intent;
use super::local::Local;
use super::phase::Phase;
use super::position::Position;
use super::reserve::Reservation;
use super::source::Source;
use super::stream::Stream;
use super::subbuf::{Committed, Sub};
use super::words::Ring;
use crate::platform::{self, Platform};
use crate::sync::step::{Mistake, broken};
use crate::sync::{Ordering, Usage, is_below};
use core::mem::offset_of;
use core::ptr::{self, NonNull};

/// Writes `record` into `stream`, on the CPU with the words `local`, which the caller is pinned to,
/// with `intent`, which was taken for it and is given back. False, and nothing is written, if that
/// takes more than one swap. The record is
/// [short](super::source::is_short). `deliver` is called if the packet is complete with it.
///
/// It takes what it needs one by one: a structure would be stored for the slow path's sake.
#[inline(always)]
pub(super) fn put_at<U: Usage, S: Source>(
    stream: &Stream,
    local: &Local,
    platform: &impl Platform,
    record: S,
    intent: &Intent,
    deliver: impl FnOnce(),
) -> bool {
    // What is announced is what is committed.
    const { assert!(Intent::of(9) == Committed::step(9, 1)) };
    let len = record.len();
    let committed = in_register(Intent::of(len as u64));
    let stamped = S::IS_STAMPED;
    let reserved = reserve_at::<U>(stream, local, platform, (len, committed), stamped, intent);
    let Some(Reservation {
        sub, bytes, ticks, ..
    }) = reserved
    else {
        return false;
    };
    let phase = local.phases.enter(Phase::Reserved);
    if broken(Mistake::CommitBeforeBytes) {
        sub.commit.add_carries::<U>(committed);
    }
    // SAFETY: `len` bytes are reserved at `bytes`, and nobody else uses them until they are
    // committed below.
    unsafe { record.store(bytes, ticks) };
    intent.set_written();
    phase.end();
    if !broken(Mistake::CommitBeforeBytes) && sub.commit.add_carries::<U>(committed) {
        deliver();
    }
    local.give_back(intent);
    true
}

/// Reserves so many bytes, which are [short](super::source::is_short), behind the last record of
/// the open packet, with `intent`, which was taken for it and will have this [word](Intent::of).
/// `None`, and the intent is given back, if that takes more than one swap. The clock is read if the
/// record is `stamped`.
#[inline(always)]
pub(super) fn reserve_at<'a, U: Usage>(
    stream: &'a Stream,
    local: &'a Local,
    platform: &impl Platform,
    (len, word): (usize, u64),
    stamped: bool,
    intent: &'a Intent,
) -> Option<Reservation<'a>> {
    // SAFETY: an intent is taken of a CPU that has joined, so there is a ring; and as long as it
    // is taken, none that the CPU can find is freed.
    let ring: &Ring = unsafe { &*stream.current.load(Ordering::Acquire) };
    // SAFETY: `open` always points to one of the ring's descriptors.
    let sub: &Sub = unsafe { &*ring.open.load(Ordering::Acquire) };
    let early = if broken(Mistake::ClockOutsideLoop) {
        platform::now(platform)
    } else {
        0
    };
    let _phase = local.phases.enter(Phase::Loaded);
    let pos = ring.pos.load(Ordering::Acquire);
    // After the position: the time counts only if the swap shows that nobody reserved since.
    let ticks = match stamped {
        true if !broken(Mistake::ClockOutsideLoop) => platform::now(platform),
        _ => early,
    };
    // Where a short length wraps a position, `bound` is 0, and nothing ends before that: see
    // `is_near_the_end`.
    let end = pos.wrapping_add(len as u64);
    // SAFETY: `bound` is a word of `sub`.
    if !unsafe { is_below::<{ offset_of!(Sub, bound) }>(end, ptr::from_ref(sub).cast()) } {
        local.give_back(intent);
        return None;
    }
    // SAFETY: `time_limit` is a word of `sub`.
    let is_in_time = !stamped
        || unsafe { is_below::<{ offset_of!(Sub, time_limit) }>(ticks, ptr::from_ref(sub).cast()) };
    if !is_in_time {
        local.give_back(intent);
        return None;
    }
    intent.announce(Position(pos), word);
    let has_succeeded = ring.pos.cas::<U>(pos, end);
    local.phases.note_swap(has_succeeded);
    if !has_succeeded {
        local.give_back(intent);
        return None;
    }
    let origin = sub.origin.load(Ordering::Relaxed);
    // SAFETY: the packet is the descriptor's: `pos` was in it, and the swap shows that no packet
    // was opened since. So this lies in its block, and is not null.
    let bytes = unsafe { NonNull::new_unchecked(origin.wrapping_add(pos as usize)) };
    ring.track_write(bytes, len);
    Some(Reservation {
        ring,
        sub,
        bytes,
        begin: Position(pos),
        end: Position(end),
        ticks,
        intent,
    })
}

/// `value`, in a register: a constant that is used twice need not be made twice.
#[inline(always)]
fn in_register(value: u64) -> u64 {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        let same;
        // SAFETY: no instruction.
        unsafe {
            core::arch::asm!("/* {} */", inout(reg) value => same, options(pure, nomem, nostack, preserves_flags));
        }
        same
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    value
}
