//! The pumps: what the CPUs have written goes to sinks, without being copied.
//!
//! A *pump* moves sub-buffers: it takes them from the streams of its CPUs, gives them to its sink,
//! and gives them back to their writers when the sink is done. There is one for each sink; CPU `c`
//! uses pump `c mod pumps`, so that with a sink per CPU no two CPUs share anything. If somebody is
//! at a pump already (an interrupt finds the task at it), the other goes on; nobody waits.
//!
//! At the end of the machine CPU 0 runs all pumps as long as any of them moves something, and then
//! says what was [not sent](unsent).

use alloc::boxed::Box;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::cpu::lock::Mutex;
use relay::SubBuffer;
use relay::fs::Mount;

use super::events::{Parcel, Step};
use super::sink::{Sink, Submitted};
use super::stream::{Stream, Streams};
use super::watch::{self, Watch};
use super::{copies, description, intake};
use crate::base::cpuset::MAX_CPUS;
use crate::cpu::patience::Patience;
use crate::cpu::percpu;
use crate::logs::registry::NAMES;

/// How long the end waits while no sink moves anything.
pub(crate) const PATIENCE_MS: u64 = 5_000;

/// How many pumps there are; 0 before it is known whether there are any.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// There is a sink for each pump, or there should be.
static SINKS_FOUND: AtomicBool = AtomicBool::new(false);

/// Grows whenever any sink takes a packet or is done with one.
static MOVED: AtomicU64 = AtomicU64::new(0);

static PUMPS: [Mutex<Option<Pump>>; MAX_CPUS] = [const { Mutex::new(None) }; MAX_CPUS];

/// Takes sub-buffers of its CPUs to its sink.
struct Pump {
    sink: Box<dyn Sink>,
    streams: Streams,
    /// What the sink had no room for; goes first.
    refused: Option<SubBuffer<'static>>,
    /// The other side does not know the metadata: it has come, or has come back.
    must_describe: bool,
    /// Packets that were given up.
    given_up: u64,
    /// What the operators know of the sink.
    watch: Watch,
    /// Nothing can be sent any more.
    is_dead: bool,
}

/// Says that there will be so many pumps, those of CPUs 0 to `count - 1`, and whether sinks were
/// found for them. Task context on the boot CPU, once.
pub(super) fn set_count(count: usize, sinks_found: bool) {
    SINKS_FOUND.store(sinks_found, Ordering::Relaxed);
    intake::know_sinks();
    COUNT.store(count, Ordering::Release);
}

/// Whether the calling CPU is the first of those that use its pump: it [starts](start) it.
pub(super) fn is_mine() -> bool {
    percpu::cpu_index() < COUNT.load(Ordering::Acquire)
}

/// Whether the pump of the calling CPU has a sink already. Task context.
pub(super) fn is_started() -> bool {
    mine().is_some_and(|cell| cell.lock().is_some())
}

/// The CPUs that use a pump.
fn cpus_of(pump: usize) -> impl Iterator<Item = usize> {
    (pump..MAX_CPUS).step_by(COUNT.load(Ordering::Acquire).max(1))
}

/// Starts the pump of the calling CPU, which [is its own](is_mine), with `sink`. Task context.
pub(super) fn start(sink: Box<dyn Sink>) {
    let cpu = percpu::cpu_index();
    let streams = Streams::of(cpus_of(cpu));
    if !streams.all().any(Stream::is_klog) {
        do_without();
    }
    let pump = Pump {
        sink,
        streams,
        refused: None,
        must_describe: true,
        given_up: 0,
        watch: Watch::new(),
        is_dead: false,
    };
    *PUMPS[cpu].lock() = Some(pump);
}

/// The pump of the calling CPU, which [is its own](is_mine), has no sink, or none for klog: that of
/// its CPUs is the console's alone. Task context.
pub(super) fn do_without() {
    cpus_of(percpu::cpu_index()).for_each(intake::give_up);
}

/// Moves what can be moved at the pump of the calling CPU, unless somebody is at it. Task and IRQ
/// context.
pub(crate) fn poll() {
    poll_of(percpu::cpu_index());
}

/// The same at the pump that `cpu` uses.
pub(crate) fn poll_of(cpu: usize) {
    look(cpu, Pump::run);
}

/// Whether somebody is at the pump of the calling CPU. Any context: an NMI that finds the CPU in the
/// middle of sending finds this true.
pub(crate) fn is_attended() -> bool {
    mine().is_some_and(Mutex::is_locked)
}

/// Whether the sink of the calling CPU could move something now. Asked before the CPU halts, with
/// interrupts off.
pub(crate) fn has_work() -> bool {
    look(percpu::cpu_index(), |pump| pump.sink.has_work()).unwrap_or(false)
}

/// A number that grows whenever any sink moves something, or klog is taken. Any context.
pub(crate) fn moved() -> u64 {
    MOVED.load(Ordering::Relaxed).wrapping_add(intake::taken())
}

/// Says that the console has moved something, too. Any context.
pub(crate) fn note_move() {
    MOVED.fetch_add(1, Ordering::Relaxed);
}

/// The CPU did not come up, and so has no pump: klog of those that would use it is the console's
/// alone. Task context on the boot CPU.
pub(crate) fn do_without_cpu(cpu: usize) {
    if cpu < COUNT.load(Ordering::Acquire) {
        cpus_of(cpu).for_each(intake::give_up);
    }
}

/// Whether there are sinks at all, or should be. Any context.
pub(crate) fn are_sinks_found() -> bool {
    SINKS_FOUND.load(Ordering::Relaxed)
}

/// Moves the rest, after the streams of the calling CPU were closed: calls `meanwhile` until it has
/// left the machine, or no sink has moved for too long. Task context.
pub(crate) fn finish(meanwhile: impl FnMut()) {
    wait_for(is_done, poll, meanwhile);
}

/// Moves the rest of all CPUs, likewise, on the only one that still runs. Task context.
pub(crate) fn finish_all(meanwhile: impl FnMut()) {
    let each = |act: &mut dyn FnMut(&mut Pump)| {
        for cell in &PUMPS {
            if let Some(pump) = cell.try_lock().as_deref_mut().and_then(Option::as_mut) {
                act(pump);
            }
        }
    };
    let run_all = || each(&mut Pump::run);
    let is_done = || {
        let mut done = true;
        each(&mut |pump| done &= pump.is_done());
        done
    };
    wait_for(is_done, run_all, meanwhile);
}

/// Calls `act` and `meanwhile` until `is_done`, or no sink has moved for too long.
fn wait_for(is_done: impl Fn() -> bool, act: impl Fn(), mut meanwhile: impl FnMut()) {
    let mut patience = Patience::after_ms(PATIENCE_MS, moved());
    while !is_done() && !patience.is_over(moved()) {
        act();
        meanwhile();
    }
}

/// Whether there is a sink for what the calling CPU writes. Task context.
pub(crate) fn has_sink() -> bool {
    let works = |pump: &Pump| !pump.is_dead;
    mine().is_some_and(|cell| {
        let guard = cell.try_lock();
        guard.is_none_or(|pump| pump.as_ref().is_some_and(works))
    })
}

/// Whether everything that the calling CPU wrote has been given to its sink, or cannot be; if the
/// pump is its own: whether everything that passes through it has left the machine.
fn is_done() -> bool {
    let cpu = percpu::cpu_index();
    let sent = match mine().map(Mutex::try_lock) {
        Some(Some(mut guard)) => guard.as_mut().is_none_or(|pump| {
            let is_owner = cpu < COUNT.load(Ordering::Relaxed);
            pump.is_done_with(|stream| is_owner || stream.cpu == cpu)
                && (!is_owner || pump.is_idle())
        }),
        Some(None) => false,
        None => true,
    };
    sent && intake::is_done(cpu)
}

/// Asks the pump that `cpu` uses; `None` if there is none, or somebody is at it.
fn look<R>(cpu: usize, ask: impl FnOnce(&mut Pump) -> R) -> Option<R> {
    pump_of(cpu)?.try_lock()?.as_mut().map(ask)
}

fn mine() -> Option<&'static Mutex<Option<Pump>>> {
    pump_of(percpu::cpu_index())
}

/// The pump that `cpu` uses.
fn pump_of(cpu: usize) -> Option<&'static Mutex<Option<Pump>>> {
    let count = COUNT.load(Ordering::Acquire);
    PUMPS.get(cpu.checked_rem(count)?)
}

impl Pump {
    /// Gives back what the sink is done with, and gives it what there is.
    fn run(&mut self) {
        let mut moved = self.sink.begin();
        if self.sink.is_dead() && !self.is_dead {
            self.die();
        }
        if let Some(under_way) = self.sink.take_return() {
            relay::warn!(
                "the other side has come back ({}); {under_way} packets came back while it was away",
                self.sink
            );
            self.must_describe = true;
        }
        if self.must_describe {
            let packets = description::get();
            self.must_describe = !packets.is_empty() && !self.sink.describe(packets);
        }
        while let Some(subbuf) = self.next() {
            let parcel = Parcel::of(&subbuf);
            match self.sink.submit(subbuf) {
                Submitted::Taken => {
                    parcel.tell(Step::Submit);
                    moved += 1;
                    continue;
                }
                Submitted::NotNow(subbuf) => self.refused = Some(subbuf),
                Submitted::Never => {
                    self.given_up += 1;
                    self.die();
                }
            }
            break;
        }
        moved += self.sink.end();
        if moved != 0 {
            MOVED.fetch_add(moved, Ordering::Relaxed);
            self.streams.note_move();
        }
        if !self.is_dead {
            let is_busy = self.refused.is_some() || self.sink.in_flight() != 0;
            self.watch.look(&*self.sink, is_busy && moved == 0);
        }
    }

    /// The sink is dead: what waits is given back. klog is the console's alone from now on; the
    /// other streams wait for nobody, and lose what their rings do not hold.
    fn die(&mut self) {
        self.is_dead = true;
        watch::tell_the_end(&*self.sink);
        self.given_up += u64::from(self.refused.take().is_some());
        self.streams.all().for_each(Stream::give_up);
    }

    /// What is to be sent next.
    fn next(&mut self) -> Option<SubBuffer<'static>> {
        if self.is_dead || self.must_describe {
            return None;
        }
        if self.refused.is_some() {
            return self.refused.take();
        }
        self.streams.next()
    }

    /// Whether nothing is under way.
    fn is_idle(&mut self) -> bool {
        self.is_dead || (self.refused.is_none() && self.sink.in_flight() == 0)
    }

    /// Whether the streams that are asked for were given to the sink, or cannot be.
    fn is_done_with(&self, asked: impl Fn(&Stream) -> bool) -> bool {
        let mut streams = self.streams.all().filter(|stream| asked(stream));
        self.is_dead || (self.refused.is_none() && streams.all(|stream| stream.ended))
    }

    /// Whether everything has left the machine, or cannot.
    fn is_done(&mut self) -> bool {
        self.is_idle() && self.is_done_with(|_| true)
    }
}

/// Something that was not sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unsent<'a> {
    /// Nothing of this CPU was sent.
    All {
        /// The CPU.
        cpu: usize,
    },
    /// The stream was not sent to its end.
    Open {
        /// Its CPU.
        cpu: usize,
        /// Its channel.
        path: &'a str,
    },
    /// Packets of the stream were left out: the sink stood still while the console went on.
    LeftOut {
        /// Its CPU.
        cpu: usize,
        /// Its channel.
        path: &'a str,
        /// How many.
        packets: u64,
    },
    /// Nobody knows whether these packets were sent.
    UnderWay {
        /// How many.
        packets: u64,
    },
    /// Nobody knows what was sent: a CPU that did not park is at this pump.
    Unknown {
        /// The pump's number.
        pump: usize,
    },
}

impl fmt::Display for Unsent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All { cpu } => write!(f, "cpu {cpu}: nothing was sent"),
            Self::Open { cpu, path } => write!(f, "cpu {cpu}: {path} was not sent to its end"),
            Self::LeftOut { cpu, path, packets } => {
                write!(f, "cpu {cpu}: {packets} packets of {path} were not sent")
            }
            Self::UnderWay { packets } => write!(f, "{packets} packets may not have arrived"),
            Self::Unknown { pump } => {
                write!(
                    f,
                    "what pump {pump} has sent is not known: a CPU hangs at it"
                )
            }
        }
    }
}

/// Tells of what was not sent, of all CPUs, and why: to `tell` goes what, and the sink. Task
/// context, at the end, on the only CPU that still runs.
pub(crate) fn unsent(mut tell: impl FnMut(Unsent<'_>, &dyn fmt::Display)) {
    let count = COUNT.load(Ordering::Acquire);
    for (number, cell) in PUMPS.iter().enumerate().take(count) {
        let Some(mut guard) = cell.try_lock() else {
            tell(Unsent::Unknown { pump: number }, &"its lock is taken");
            continue;
        };
        let Some(pump) = guard.as_mut() else {
            for cpu in cpus_of(number).filter(|cpu| has_written(*cpu)) {
                if SINKS_FOUND.load(Ordering::Relaxed) {
                    tell(Unsent::All { cpu }, &"it has no port");
                } else if copies::of(cpu).is_none() {
                    tell(
                        Unsent::All { cpu },
                        &"there are neither ports nor a console",
                    );
                }
            }
            continue;
        };
        for stream in pump.streams.all() {
            let Stream { cpu, path, .. } = *stream;
            if !stream.ended {
                tell(Unsent::Open { cpu, path }, &pump.sink);
            }
            let packets = stream.left_out();
            if packets != 0 {
                tell(Unsent::LeftOut { cpu, path, packets }, &pump.sink);
            }
        }
        let packets = pump.sink.in_flight() as u64
            + pump.sink.lost()
            + pump.given_up
            + u64::from(pump.refused.is_some());
        if packets != 0 {
            tell(Unsent::UnderWay { packets }, &pump.sink);
        }
    }
}

/// Whether `cpu` has written anything, or tried to.
fn has_written(cpu: usize) -> bool {
    let stats = |mount: &'static Mount| mount.file(cpu).ok()?.stats();
    let mut all = NAMES.channels().filter_map(stats);
    all.any(|stats| stats.records != 0 || stats.lost.total() != 0)
}
