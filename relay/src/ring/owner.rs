//! Who acts for a stream: code that is pinned to its CPU.

use super::hooks::Hooks;
use super::local::{Held, Local};
use super::stream::Stream;
use crate::platform::{self, Pin, Platform};
use crate::sync::{PerCpu, Usage};
use core::marker::PhantomData;

/// The right to act as the owner of `stream`, for as long as the pin is held. What it does is in
/// the modules that follow: `deliver`, `switch`, `reserve`, `write`, `flush`, `succession`, `tick`.
pub(crate) struct Owner<'a, P: Platform, U: Usage = PerCpu> {
    pub(super) stream: &'a Stream,
    pub(super) local: &'a Local,
    pub(super) hooks: &'a dyn Hooks,
    pin: Pin<'a, P>,
    usage: PhantomData<U>,
}

impl<'a, P: Platform, U: Usage> Owner<'a, P, U> {
    /// The CPU that `pin` pins, whose words are in `local`, as the owner of `stream`: its own, or
    /// that of all CPUs.
    #[inline(always)]
    pub(crate) fn new(
        stream: &'a Stream,
        local: &'a Local,
        hooks: &'a dyn Hooks,
        pin: Pin<'a, P>,
    ) -> Self {
        Self {
            stream,
            local,
            hooks,
            pin,
            usage: PhantomData,
        }
    }

    /// The number of the stream: its CPU's, or 0 for that of all CPUs.
    #[inline]
    pub(super) fn number(&self) -> usize {
        if U::SHARED { 0 } else { self.pin.cpu() }
    }

    /// The platform.
    #[inline]
    pub(super) fn platform(&self) -> &'a P {
        self.pin.platform()
    }

    /// The time, in ticks.
    #[inline]
    pub(super) fn now(&self) -> u64 {
        platform::now(self.platform())
    }

    /// Lets this CPU use the stream, if that has a ring. What a CPU uses that has not joined may be
    /// freed under it.
    pub(super) fn join(&self) {
        if self.stream.is_started() {
            self.local.join();
        }
    }

    /// Counts an operation that is no record as under way, until the result is dropped; `None` if
    /// the stream has no ring.
    pub(super) fn hold(&self) -> Option<Held<'a>> {
        self.join();
        // The stream may have been started just now: then this CPU has not joined, and must not
        // look at the ring.
        self.local.has_joined().then(|| self.local.hold())
    }

    /// The longest record that fits, in bytes.
    pub(crate) fn max_record(&self) -> Option<usize> {
        let _held = self.hold()?;
        Some(self.stream.current()?.geometry.max_record())
    }
}
