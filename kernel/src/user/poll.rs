//! Waiting for the first of several things: the system call `poll`.

use alloc::sync::Arc;
use core::fmt;

use arrayvec::ArrayVec;
use relay_abi::{Error, PollItem, ready};
use zerocopy::{FromZeros, IntoBytes};

use super::memory::Memory;
use super::waiting::{Parking, Waiters, Wakes};
use crate::sched::Woken;

/// The most items of one call.
pub(crate) const MOST: usize = 64;

/// Something that can be waited for. All of it task context, interrupts off.
pub(crate) trait Pollable: Send + Sync {
    /// What is there of what is wanted: bits of [`ready`].
    fn look(&self, wanted: u16) -> u16;

    /// Says that somebody will sleep if it finds nothing when it looks next: what comes to be there
    /// from now on is told to the [waiters](Self::waiters).
    fn announce(&self);

    /// Who waits for it.
    fn waiters(&self) -> &Waiters;
}

/// One of the things that somebody waits for.
pub(crate) struct Item {
    /// What it is; `None`: the handle is not one, or of something that cannot be waited for.
    pub(crate) of: Option<Arc<dyn Pollable>>,
    /// What is waited for.
    pub(crate) wanted: u16,
    /// What was found.
    pub(crate) found: u16,
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Item")
            .field("is_there", &self.of.is_some())
            .field("wanted", &self.wanted)
            .field("found", &self.found)
            .finish()
    }
}

/// The system call: waits until one of the `count` items at `address` is ready, at most until a time
/// in ticks (`None`: for ever; one that is over: looks only). Writes what was found to them, and
/// returns how many are ready: none if the time is over. `find` looks a handle up. Task context,
/// interrupts off.
///
/// # Errors
/// [`Error::BadArgument`]: too many; [`Error::BadAddress`]; [`Error::NoRoom`]; [`Error::Killed`].
pub(crate) fn call(
    memory: &impl Memory,
    parking: &impl Parking,
    [address, count]: [u64; 2],
    until: Option<u64>,
    find: impl Fn(u32) -> Option<Arc<dyn Pollable>>,
) -> Result<u64, Error> {
    let count = usize::try_from(count).map_err(|_| Error::BadArgument)?;
    let mut told = [PollItem::new_zeroed(); MOST];
    let told = told.get_mut(..count).ok_or(Error::BadArgument)?;
    memory.read(address, told.as_mut_bytes())?;
    // That it can be written is not found out after a long sleep only.
    memory.write(address, told.as_bytes())?;
    let mut items: ArrayVec<Item, MOST> = told
        .iter()
        .map(|item| Item {
            of: find(item.handle),
            wanted: item.wanted,
            found: 0,
        })
        .collect();
    let ready = wait(parking, &mut items, until)?;
    for (told, item) in told.iter_mut().zip(&items) {
        told.found = item.found;
    }
    memory.write(address, told.as_bytes())?;
    Ok(ready as u64)
}

/// Waits until one of the items is ready, or a time in ticks; returns how many are. The protocol is
/// that of [`waiting`](super::waiting).
///
/// # Errors
/// [`Error::NoRoom`]: no memory to wait; [`Error::Killed`].
pub(crate) fn wait(
    parking: &impl Parking,
    items: &mut [Item],
    until: Option<u64>,
) -> Result<usize, Error> {
    let is_over = || until.is_some_and(|until| parking.now() >= until);
    let ready = look(items);
    if ready != 0 || is_over() {
        return Ok(ready);
    }
    let listed = Listed::new(parking.me(), items)?;
    loop {
        listed.each().for_each(|thing| thing.announce());
        let ready = look(items);
        if ready != 0 || is_over() {
            return Ok(ready);
        }
        match parking.park(until) {
            Woken::Ended => return Err(Error::Killed),
            Woken::Unparked | Woken::TimedOut => {}
        }
    }
}

/// Looks at each; returns how many are ready.
fn look(items: &mut [Item]) -> usize {
    for item in &mut *items {
        item.found = match &item.of {
            Some(thing) => thing.look(item.wanted),
            None => ready::BAD,
        };
    }
    items.iter().filter(|item| item.found != 0).count()
}

/// Somebody is in the lists of these things, once for each.
struct Listed {
    who: Arc<dyn Wakes>,
    things: ArrayVec<Arc<dyn Pollable>, MOST>,
}

impl Listed {
    /// Puts it there.
    fn new(who: Arc<dyn Wakes>, items: &[Item]) -> Result<Self, Error> {
        let mut listed = Self {
            who,
            things: ArrayVec::new(),
        };
        for thing in items.iter().filter_map(|item| item.of.as_ref()) {
            thing.waiters().add(&listed.who)?;
            if let Err(full) = listed.things.try_push(thing.clone()) {
                thing.waiters().remove(&listed.who);
                drop(full);
                return Err(Error::NoRoom);
            }
        }
        Ok(listed)
    }

    fn each(&self) -> impl Iterator<Item = &dyn Pollable> {
        self.things.iter().map(|thing| &**thing)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        for thing in &self.things {
            thing.waiters().remove(&self.who);
        }
    }
}
