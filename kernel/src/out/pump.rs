//! The pumps: what the CPUs have written goes to sinks, without being copied.
//!
//! A *pump* moves sub-buffers: it takes them from the streams of its CPUs, gives them to its sink,
//! and gives them back to their writers when the sink is done. There is one for each sink; CPU `c`
//! uses pump `c mod pumps`, so that with a sink per CPU no two CPUs share anything. If somebody is
//! at a pump already (an interrupt finds the task at it), the other goes on; nobody waits.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use relay::SubBuffer;
use spin::Mutex;

use super::sink::{Sink, Submitted};
use super::stream::Stream;
use crate::base::cpuset::MAX_CPUS;
use crate::cpu::{clock, percpu};

/// How long the end waits for a sink that moves nothing.
const PATIENCE_MS: u64 = 5_000;

/// How many pumps there are; 0 before there are any.
static COUNT: AtomicUsize = AtomicUsize::new(0);

static PUMPS: [Mutex<Option<Pump>>; MAX_CPUS] = [const { Mutex::new(None) }; MAX_CPUS];

/// Takes sub-buffers of its CPUs to its sink.
struct Pump {
    sink: Box<dyn Sink>,
    streams: Vec<Stream>,
    /// What the sink had no room for; goes first.
    refused: Option<SubBuffer<'static>>,
    /// Nothing can be sent any more.
    is_dead: bool,
}

/// Says that there will be so many pumps: those of CPUs 0 to `count - 1`. Task context on the boot
/// CPU, once.
pub(super) fn set_count(count: usize) {
    COUNT.store(count, Ordering::Release);
}

/// Whether the calling CPU is the first of those that use its pump: it [starts](start) it.
pub(super) fn is_mine() -> bool {
    percpu::cpu_index() < COUNT.load(Ordering::Acquire)
}

/// Starts the pump of the calling CPU, which [is its own](is_mine), with `sink`. Task context.
pub(super) fn start(sink: Box<dyn Sink>) {
    let cpu = percpu::cpu_index();
    let count = COUNT.load(Ordering::Acquire);
    let streams = (cpu..MAX_CPUS)
        .step_by(count.max(1))
        .flat_map(Stream::all_of)
        .collect();
    *PUMPS[cpu].lock() = Some(Pump {
        sink,
        streams,
        refused: None,
        is_dead: false,
    });
}

/// Moves what can be moved at the pump of the calling CPU, unless somebody is at it. Task and IRQ
/// context.
pub(crate) fn poll() {
    if let Some(cell) = mine()
        && let Some(mut guard) = cell.try_lock()
        && let Some(pump) = guard.as_mut()
    {
        pump.run();
    }
}

/// Whether the sink of the calling CPU is done with something. Asked before the CPU halts, with
/// interrupts off.
pub(crate) fn has_work() -> bool {
    look(|pump| pump.sink.has_reclaimable()).unwrap_or(false)
}

/// Moves the rest, after the streams of the calling CPU were closed: calls `meanwhile` until it has
/// left the machine, or the sink has stood still for too long. Task context.
pub(crate) fn finish(mut meanwhile: impl FnMut()) {
    let mut moved = progress();
    let mut patience = clock::Timeout::after_ms(PATIENCE_MS);
    while !is_done() && !patience.expired() {
        poll();
        meanwhile();
        if progress() != moved {
            moved = progress();
            patience = clock::Timeout::after_ms(PATIENCE_MS);
        }
    }
}

/// Whether there are sinks at all.
pub(crate) fn has_sinks() -> bool {
    COUNT.load(Ordering::Relaxed) != 0
}

/// Whether nothing of the calling CPU's pump is under way: what was sent has arrived.
pub(crate) fn is_drained() -> bool {
    let Some(guard) = mine().and_then(Mutex::try_lock) else {
        return false;
    };
    let idle = |pump: &Pump| pump.refused.is_none() && pump.sink.in_flight() == 0;
    guard.as_ref().is_none_or(idle)
}

/// Whether everything that the calling CPU wrote has been given to its sink, or cannot be; if the
/// pump is its own: whether everything that passes through it has left the machine.
fn is_done() -> bool {
    match mine().and_then(Mutex::try_lock) {
        Some(guard) => guard
            .as_ref()
            .is_none_or(|pump| pump.is_done(percpu::cpu_index())),
        None => mine().is_none(),
    }
}

/// What the sink of the calling CPU has moved.
fn progress() -> u64 {
    look(|pump| pump.sink.progress()).unwrap_or(0)
}

/// Asks the pump of the calling CPU; `None` if there is none, or somebody is at it.
fn look<R>(ask: impl FnOnce(&Pump) -> R) -> Option<R> {
    mine()?.try_lock()?.as_ref().map(ask)
}

fn mine() -> Option<&'static Mutex<Option<Pump>>> {
    let count = COUNT.load(Ordering::Acquire);
    PUMPS.get(percpu::cpu_index().checked_rem(count)?)
}

impl Pump {
    /// Gives back what the sink is done with, and gives it what there is.
    fn run(&mut self) {
        while let Some(done) = self.sink.reclaim() {
            drop(done);
        }
        if self.sink.is_dead() {
            // The streams read here are lost to the capture; what waits is given back, so that
            // writers and console go on.
            self.is_dead = true;
            self.refused = None;
        }
        while let Some(subbuf) = self.next() {
            if self.is_dead {
                continue;
            }
            match self.sink.submit(subbuf) {
                Submitted::Taken => continue,
                Submitted::NotNow(subbuf) => self.refused = Some(subbuf),
                Submitted::Never => self.is_dead = true,
            }
            break;
        }
        self.sink.notify();
    }

    /// What is to be sent next.
    fn next(&mut self) -> Option<SubBuffer<'static>> {
        if self.refused.is_some() {
            return self.refused.take();
        }
        self.streams.iter_mut().find_map(Stream::next)
    }

    /// Whether nothing is left to send or to wait for, for `cpu`.
    fn is_done(&self, cpu: usize) -> bool {
        let is_owner = cpu < COUNT.load(Ordering::Relaxed);
        let mut mine = self
            .streams
            .iter()
            .filter(|stream| is_owner || stream.cpu == cpu);
        let has_sent = !is_owner || self.sink.in_flight() == 0;
        self.is_dead || (self.refused.is_none() && has_sent && mine.all(|stream| stream.ended))
    }
}
