//! A client whose events are typed: a channel of its own, with a stream of each CPU, whose mode and
//! size the command line sets, and whose events are [switched](super::switches) by name.

use core::sync::atomic::{AtomicBool, Ordering};

use relay::ctf::Packets;
use relay::event::{Event, StreamClass};
use relay::fs::Mount;
use relay::{Geometry, GeometryError, Mode, Storage, StreamError, WriteError};

use super::attempts::Attempts;
use super::channel::{self, PerCpu};
use super::trigger;
use crate::base::cmdline::Options;
use crate::base::cpuset::MAX_CPUS;
use crate::base::settings::Setting;

/// How many sub-buffers a ring has, if they are not larger or smaller than is sensible.
const COUNT: usize = 8;
/// Bytes of a sub-buffer: the least, which is that of a slow line, and the most.
const LEAST: usize = 1024;
const MOST: usize = 64 * 1024;

/// Blocks beside those of a ring that overwrites, at most: as many packets may be on their way out.
const MOST_SPARES: usize = 32;

/// A client, declared.
pub(crate) struct Client {
    /// Its channel, described. Its events are collected by the linker.
    pub(super) stream: StreamClass,
    pub(super) channel: &'static PerCpu,
    pub(super) packets: &'static Packets,
    pub(crate) mount: &'static Mount,
    /// What was tried there.
    pub(super) attempts: &'static Attempts,
    mode: &'static Setting,
    size: &'static Setting,
    /// There are streams, or a CPU has none for good. Nothing is tried before.
    is_started: AtomicBool,
    /// One of its events was switched on, perhaps.
    is_on: AtomicBool,
}

impl Client {
    /// A client with this channel, described; and settings of what a full ring does, and how many
    /// bytes it has.
    pub(super) const fn new(
        stream: StreamClass,
        channel: &'static PerCpu,
        packets: &'static Packets,
        mount: &'static Mount,
        attempts: &'static Attempts,
        [mode, size]: [&'static Setting; 2],
    ) -> Self {
        Self {
            stream,
            channel,
            packets,
            mount,
            attempts,
            mode,
            size,
            is_started: AtomicBool::new(false),
            is_on: AtomicBool::new(false),
        }
    }

    /// So many of its events were switched on. Task and IRQ context.
    pub(super) fn know_how_many_are_on(&self, count: usize) {
        self.is_on.store(count != 0, Ordering::Relaxed);
    }

    /// Whether any of its events may be on of those that are off at first: who would look at several
    /// of these asks this before. Any context.
    #[inline(always)]
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// The channel's name.
    pub(crate) fn name(&self) -> &'static str {
        self.stream.name
    }

    /// Whether its rings overwrite what nobody has read: a flight recorder. Any context.
    pub(crate) fn is_continuous(&self) -> bool {
        let geometry = self.mount.file(0).ok().and_then(|file| file.geometry());
        geometry.is_some_and(|geometry| geometry.mode() == Mode::Continuous)
    }

    /// The channel, described as it is set.
    pub(super) fn described(&self) -> StreamClass {
        StreamClass {
            overwrites: self.is_continuous(),
            ..self.stream
        }
    }

    /// Gives CPUs 0 to `cpus - 1` their streams, in small packets if these go over a slow line. Task
    /// context, with a heap.
    pub(super) fn start(&self, cpus: usize, options: &Options<'_>, is_slow: bool) {
        let mode = self.mode(options);
        let size = options.value(self.size).unwrap_or_default() as usize;
        let geometry = match geometry(size, mode, is_slow) {
            Ok(geometry) => geometry,
            Err(error) => return relay::error!("there is no {}: {error}", self.name()),
        };
        for cpu in 0..cpus {
            match self.mount.file(cpu) {
                Ok(_) => self.grow(geometry),
                Err(_) => _ = channel::start(self.channel, self.name(), cpu, None, geometry),
            }
        }
        self.set_started();
    }

    /// What a full ring does, as the options ask for.
    pub(super) fn mode(&self, options: &Options<'_>) -> Mode {
        match options.value(self.mode) {
            Some(1) => Mode::Continuous,
            _ => Mode::NoOverwrite,
        }
    }

    /// Has the stream of the calling CPU, which was started early, go on in such a ring.
    fn grow(&self, geometry: Geometry) {
        let grown = Storage::allocate(&geometry)
            .map_err(StreamError::Storage)
            .and_then(|memory| self.channel.replace(memory, geometry));
        if let Err(error) = grown {
            let name = self.name();
            relay::error!("the ring of cpu 0 for {name} stays at its early size: {error}");
        }
    }

    /// From now on events are written: those before are neither written nor counted. Task context.
    pub(super) fn set_started(&self) {
        self.is_started.store(true, Ordering::Relaxed);
    }

    /// Events that all CPUs have tried to write, as far as can be told while they go on. Any context.
    pub(crate) fn tried(&self) -> u64 {
        let tried = (0..MAX_CPUS).map(|cpu| self.attempts.tried_by(cpu));
        tried.fold(0, u64::wrapping_add)
    }

    /// Writes an event, if it is on. Any context.
    #[inline(always)]
    pub(crate) fn emit<E: Event>(&self, event: impl FnOnce() -> E) {
        if E::is_enabled() && self.is_started.load(Ordering::Relaxed) {
            self.attempts.count();
            // It was counted: it is written although another CPU switches it off meanwhile. What is
            // lost is counted by the channel.
            let _ = self.channel.emit_always(&event());
            if trigger::is_armed() {
                trigger::event(E::id());
            }
        }
    }
}

impl Client {
    /// Writes an event as [`emit`](Self::emit) does, and says what became of it; `None`: it is off,
    /// or there are no streams yet. Any context.
    pub(super) fn try_emit<E: Event>(&self, event: &E) -> Option<Result<(), WriteError>> {
        if !E::is_enabled() || !self.is_started.load(Ordering::Relaxed) {
            return None;
        }
        self.attempts.count();
        let written = self.channel.emit_always(event);
        if trigger::is_armed() {
            trigger::event(E::id());
        }
        Some(written)
    }
}

/// Rings of `size` bytes, a power of two.
fn geometry(size: usize, mode: Mode, is_slow: bool) -> Result<Geometry, GeometryError> {
    let subbuf = if is_slow { LEAST } else { size / COUNT };
    let subbuf = subbuf.clamp(LEAST, MOST);
    let count = size / subbuf;
    let geometry = channel::geometry(subbuf, count)?.with_mode(mode)?;
    match mode {
        Mode::NoOverwrite => Ok(geometry),
        // What is on its way out stands in no writer's way.
        Mode::Continuous => geometry.with_spares(count.min(MOST_SPARES)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::settings::{Range, TRACE_SIZE, Takes};

    #[test]
    fn every_size_that_is_taken_makes_a_ring_of_so_many_bytes() {
        let Takes::PowerOfTwo(Range { least, most, .. }) = TRACE_SIZE.takes else {
            panic!("it is a power of two");
        };
        let sizes = core::iter::successors(Some(least as usize), |size| Some(size * 2));
        for size in sizes.take_while(|size| *size <= most as usize) {
            for mode in [Mode::NoOverwrite, Mode::Continuous] {
                for is_slow in [false, true] {
                    let ring = geometry(size, mode, is_slow).expect("there is such a ring");
                    assert_eq!(ring.subbuf_size() * ring.subbuf_count(), size);
                    assert_eq!(ring.mode(), mode);
                    assert!(!is_slow || ring.subbuf_size() == LEAST);
                }
            }
        }
    }
}
