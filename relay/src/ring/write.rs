//! A record, whole or in place: the fast way if it can go so, the whole way if not.
//!
//! ```text
//! put, fill:  the fast way                                             (`fast`)
//!             slow, and the record interrupts another: the same with the next free intent
//!             slow still: join; take an intent, or lost(nested); reserve (`reserve`); store; commit
//! ```

use super::error::WriteError;
use super::fast;
use super::geometry::Delivery;
use super::hooks::Hooks;
use super::intent::Intent;
use super::ledger::Loss;
use super::local::Local;
use super::owner::Owner;
use super::phase::{Entered, Phase};
use super::reserve::Reservation;
use super::slot::Slot;
use super::source::{Any, Source, is_short};
use super::stream::Stream;
use crate::platform::Platform;
use crate::sync::Usage;
use crate::sync::step::{Mistake, broken};
use core::marker::PhantomData;
use core::mem::ManuallyDrop;

/// What can be done with a record that does not go the fast way, and who delivers: given as
/// functions, so that nothing is made ready for them where they are not called.
pub(crate) struct Otherwise<D, S> {
    /// Delivers what is complete.
    pub(crate) deliver: D,
    /// Goes the whole way.
    pub(crate) slowly: S,
}

/// Writes `record` into `stream`, on the CPU with the words `local`, which the caller is pinned to.
#[inline(always)]
pub(crate) fn put<U: Usage, S: Source>(
    stream: &Stream,
    local: &Local,
    platform: &impl Platform,
    record: S,
    otherwise: Otherwise<impl FnOnce(), impl FnOnce(Any<'_>) -> Result<(), WriteError>>,
) -> Result<(), WriteError> {
    let Otherwise { deliver, slowly } = otherwise;
    if record.is_short()
        && let Some(intent) = local.take_outermost()
        && fast::put_at::<U, _>(stream, local, platform, record, intent, deliver)
    {
        return Ok(());
    }
    slowly(record.any())
}

/// What makes a record in place. A type of its own can have it inlined where a closure, which the
/// slow way calls, too, is a function once it is long: then nothing is known there of the length.
pub(crate) trait Fill {
    /// What it returns.
    type Output;
    /// How long the record is, is known where it is compiled.
    const IS_FIXED: bool;

    /// Makes the record.
    fn fill(self, slot: &mut Slot<'_>) -> Self::Output;
}

impl<R, F: FnOnce(&mut Slot<'_>) -> R> Fill for F {
    type Output = R;
    const IS_FIXED: bool = false;

    #[inline(always)]
    fn fill(self, slot: &mut Slot<'_>) -> R {
        self(slot)
    }
}

/// Has `fill` make a record of `len` bytes in place, likewise.
#[inline(always)]
pub(crate) fn fill<U: Usage, F: Fill>(
    stream: &Stream,
    local: &Local,
    hooks: &dyn Hooks,
    platform: &impl Platform,
    (len, fill): (usize, F),
    otherwise: Otherwise<impl Fn(), impl FnOnce(F) -> Result<F::Output, WriteError>>,
) -> Result<F::Output, WriteError> {
    let Otherwise { deliver, slowly } = otherwise;
    if is_short(len)
        && let Some(intent) = local.take_outermost()
        && let Some(reserved) = fast::reserve_at::<U>(
            stream,
            local,
            platform,
            (len, Intent::of(len as u64)),
            true,
            intent,
        )
    {
        let settled = |is_complete| {
            if is_complete {
                deliver();
            }
        };
        let open = Open::<U, _>::new(stream, local, hooks, &reserved, len, settled);
        return Ok(open.fill(fill));
    }
    slowly(fill)
}

/// A record that is being filled in place. Dropping it settles it: where a panic unwinds, gives it
/// up.
struct Open<'a, U: Usage, D: Fn(bool)> {
    stream: &'a Stream,
    local: &'a Local,
    intent: &'a Intent,
    phase: Entered<'a>,
    slot: Slot<'a>,
    /// Called with whether its packet is complete: delivers that.
    settled: D,
    is_filled: bool,
    usage: PhantomData<U>,
}

impl<'a, U: Usage, D: Fn(bool)> Open<'a, U, D> {
    #[inline(always)]
    fn new(
        stream: &'a Stream,
        local: &'a Local,
        hooks: &'a dyn Hooks,
        reserved: &Reservation<'a>,
        len: usize,
        settled: D,
    ) -> Self {
        Self {
            stream,
            local,
            intent: reserved.intent,
            phase: local.phases.enter(Phase::Reserved),
            slot: Slot::new::<U>(reserved, len, hooks),
            settled,
            is_filled: false,
            usage: PhantomData,
        }
    }

    /// Has the record filled, and commits it.
    #[inline(always)]
    fn fill<F: Fill>(mut self, fill: F) -> F::Output {
        let result = fill.fill(&mut self.slot);
        self.is_filled = true;
        // What is dropped is dropped by a function, which finds the record in memory: where nothing
        // else needs it there, it is settled here.
        if F::IS_FIXED {
            ManuallyDrop::new(self).settle();
        }
        result
    }

    /// Commits the record, or gives it up: once.
    #[inline(always)]
    fn settle(&mut self) {
        self.phase.end();
        let is_complete = if self.is_filled && !self.slot.is_given_up() {
            self.slot.commit::<U>()
        } else {
            let stream = self.stream;
            self.slot.discard::<U>(|| stream.lost.count_given_up::<U>())
        };
        (self.settled)(is_complete);
        self.local.give_back(self.intent);
    }
}

impl<U: Usage, D: Fn(bool)> Drop for Open<'_, U, D> {
    #[inline(always)]
    fn drop(&mut self) {
        self.settle();
    }
}

impl<'a, P: Platform, U: Usage> Owner<'a, P, U> {
    /// Writes `record`, which has not gone the fast way.
    #[inline(always)]
    pub(crate) fn put_slowly(&self, record: Any<'_>) -> Result<(), WriteError> {
        let len = record.len();
        if is_short(len)
            && let Some(intent) = self.local.take_inner()
            && {
                let (stream, local, platform) = (self.stream, self.local, self.platform());
                let deliver = || self.deliver();
                fast::put_at::<U, _>(stream, local, platform, record, intent, deliver)
            }
        {
            return Ok(());
        }
        let reserved = self.reserve_anywhere(len)?;
        let phase = self.local.phases.enter(Phase::Reserved);
        let store = || {
            // SAFETY: as many bytes are reserved as the record has, and this is all that uses them.
            unsafe { record.store(reserved.bytes, reserved.ticks) };
        };
        if !broken(Mistake::CommitBeforeBytes) {
            store();
        }
        phase.end();
        if reserved.commit::<U>() {
            self.deliver();
        }
        if broken(Mistake::CommitBeforeBytes) {
            store();
        }
        self.local.give_back(reserved.intent);
        Ok(())
    }

    /// Has `fill` make a record of `len` bytes in place, which has not gone the fast way.
    pub(crate) fn fill_slowly<F: Fill>(
        &self,
        len: usize,
        fill: F,
    ) -> Result<F::Output, WriteError> {
        let reserved = match self.reserve_inner(len) {
            Some(reserved) => reserved,
            None => self.reserve_for_slot(len)?,
        };
        // In record delivery each commit shows something, and so does a record that is given up:
        // what comes after it.
        let is_shown = reserved.ring.geometry.delivery() == Delivery::Record;
        let settled = |is_complete| {
            if is_complete || is_shown {
                self.deliver();
            }
        };
        let (stream, local, hooks) = (self.stream, self.local, self.hooks);
        let open = Open::<U, _>::new(stream, local, hooks, &reserved, len, settled);
        Ok(open.fill(fill))
    }

    /// Reserves `len` bytes the fast way for a record that is filled in place and interrupts
    /// another.
    #[inline(never)]
    fn reserve_inner(&self, len: usize) -> Option<Reservation<'a>> {
        let intent = is_short(len).then(|| self.local.take_inner())??;
        let (stream, local, platform) = (self.stream, self.local, self.platform());
        let asked = (len, Intent::of(len as u64));
        fast::reserve_at::<U>(stream, local, platform, asked, true, intent)
    }

    /// As [`reserve_anywhere`](Self::reserve_anywhere), once for all closures.
    #[inline(never)]
    fn reserve_for_slot(&self, len: usize) -> Result<Reservation<'a>, WriteError> {
        self.reserve_anywhere(len)
    }

    /// Reserves `len` bytes: the whole way, wherever they go. Counts the record as lost if it
    /// cannot.
    #[inline(always)]
    fn reserve_anywhere(&self, len: usize) -> Result<Reservation<'a>, WriteError> {
        if len == 0 {
            return Err(WriteError::Empty);
        }
        if !self.local.is_joined() {
            if !self.stream.is_started() {
                return Err(WriteError::NoRing);
            }
            self.local.join();
        }
        let Some(intent) = self.local.take_any() else {
            let loss = self.stream.lost.count::<U>(Loss::Nested);
            return Err(WriteError::Lost(loss));
        };
        match self.reserve(intent, len) {
            Ok(reserved) => Ok(reserved),
            Err(loss) => Err(self.refuse(intent, loss)),
        }
    }

    /// Counts the record whose place is `intent` as lost.
    #[cold]
    #[inline(never)]
    fn refuse(&self, intent: &Intent, loss: Loss) -> WriteError {
        let loss = self.stream.lost.count::<U>(loss);
        if loss == Loss::Full {
            self.note_full();
        }
        self.local.give_back(intent);
        WriteError::Lost(loss)
    }
}
