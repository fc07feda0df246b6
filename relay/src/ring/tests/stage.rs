//! A channel of one CPU, and one thing in the middle of another.

extern crate std;

use super::world::OneCpu;
use crate::sync::step::with_hook;
use crate::{Channel, Geometry, NoHooks, Packet, Reader, Salvage, Slot, Stopped, Storage};
use std::boxed::Box;
use std::cell::Cell;
use std::rc::Rc;
use std::vec::Vec;

pub(super) type Ch = Channel<OneCpu, 1>;

/// Runs `body` on a channel of `geometry` that has started, and frees it. Nothing that knows the
/// channel outlives `body`.
pub(super) fn on_channel<R>(geometry: Geometry, body: impl FnOnce(&'static Ch) -> R) -> R {
    struct Free(*mut Ch);
    impl Drop for Free {
        fn drop(&mut self) {
            // SAFETY: made by `into_raw` below; `body` is over, and has kept nothing of it.
            drop(unsafe { Box::from_raw(self.0) });
        }
    }
    let free = Free(Box::into_raw(Box::new(Channel::new(
        OneCpu::default(),
        &NoHooks,
    ))));
    // SAFETY: alive until `free` is dropped.
    let channel: &'static Ch = unsafe { &*free.0 };
    channel.start(0, memory(geometry), geometry).unwrap();
    body(channel)
}

/// Memory for a ring of `geometry`.
pub(super) fn memory(geometry: Geometry) -> Storage {
    Storage::allocate(&geometry).unwrap()
}

/// `count` sub-buffers of `size` bytes.
pub(super) fn geometry(size: usize, count: usize) -> Geometry {
    Geometry::new(size, count).unwrap()
}

/// Two sub-buffers of 16 bytes.
pub(super) fn small() -> Geometry {
    geometry(16, 2)
}

/// Runs `nested` at step `at` of `outer`, from 1; false if there is no such step.
pub(super) fn interrupt_at(
    at: usize,
    outer: impl FnOnce(),
    nested: impl FnOnce() + 'static,
) -> bool {
    let steps = Rc::new(Cell::new(0));
    let counted = Rc::clone(&steps);
    let mut nested = Some(nested);
    let hook = move || {
        counted.set(counted.get() + 1);
        if counted.get() == at
            && let Some(nested) = nested.take()
        {
            nested();
        }
    };
    with_hook(hook, outer);
    steps.get() >= at
}

/// From one step to the next that is tried: an interpreter has time for some of them.
pub(super) const THIN: usize = if cfg!(miri) { 29 } else { 1 };

/// Tries `program` with 1, 2, ... until it says that there was no such step; returns how many there
/// were.
pub(super) fn every_step(program: impl Fn(usize) -> bool) -> usize {
    (1..).step_by(THIN).take_while(|at| program(*at)).count() * THIN
}

/// Everything that `reader` finds now.
pub(super) fn packets(reader: &mut Reader<'_>) -> Vec<Packet> {
    core::iter::from_fn(|| reader.next_subbuf().map(|taken| *taken.packet())).collect()
}

/// Reads all that is readable; returns how many records that were.
pub(super) fn drain(reader: &mut Reader<'_>) -> u64 {
    packets(reader).iter().map(|packet| packet.records).sum()
}

/// A record of `len` bytes of `value`, in place.
pub(super) fn filled(value: u8) -> impl FnOnce(&mut Slot<'_>) {
    move |slot| slot.bytes_mut().fill(value)
}

/// What the post-mortem finds, if the CPU stops here.
pub(super) fn salvage(channel: &Ch) -> Salvage<'_> {
    // SAFETY: the calling thread is the CPU, and writes nothing while the result is used.
    channel.salvage(unsafe { Stopped::new(0) }).unwrap()
}

/// Every attempt is accounted for.
pub(super) fn check_sum(channel: &Ch, attempted: u64, delivered: u64) {
    let stats = channel.stats(0).unwrap();
    let accounted = delivered + stats.overwritten + stats.lost.total();
    assert_eq!(attempted, accounted, "{delivered} delivered, {stats:?}");
}
