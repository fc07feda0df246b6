//! The pumps: what the CPUs have written goes to sinks, without being copied.
//!
//! There is one for each [outlet](super::outlet); CPU `c` uses outlet `c mod outlets`, so that with a
//! sink per CPU no two CPUs share anything. The policy, [`relay_pump`], is that of programs that
//! drain, too: this is its home in the kernel, for streams that no program has
//! [taken over](super::takeover). If somebody is at a pump already (an interrupt finds the task at it),
//! the other goes on; nobody waits but calls of programs, which do so with interrupts off: so who is
//! at it is on another CPU.
//!
//! At the end of the machine CPU 0 runs all pumps as long as any of them moves something, and then
//! says what was [not sent](super::unsent).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use relay_pump::{Refusal, Ticket, outlet_of};

use super::intake;
use super::outlet::Outlet;
use super::sink::Sink;
use super::stream::Stream;
use crate::base::cpuset::MAX_CPUS;
use crate::cpu::lock::Mutex;
use crate::cpu::patience::Patience;
use crate::cpu::percpu;

/// Why nothing was done with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotDone {
    /// There is none now.
    Nothing,
    /// As many are held as there is room for.
    Full,
    /// No packet of this number is held.
    NotHeld,
    /// An earlier one that is held goes first.
    NotFirst,
    /// The stream leaves through another outlet.
    OtherOutlet,
    /// The outlet has no room.
    NoRoom,
    /// The stream has ended, or is not the program's any more.
    Ended,
}

impl From<Refusal> for NotDone {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotYours | Refusal::Taken | Refusal::Closed => Self::Ended,
            Refusal::NotHad => Self::NotHeld,
            Refusal::NotFirst => Self::NotFirst,
            Refusal::Full => Self::Full,
        }
    }
}

/// How long the end waits while no sink moves anything.
pub(crate) const PATIENCE_MS: u64 = 5_000;

/// How many pumps there are; 0 before it is known whether there are any.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// There is a sink for each pump, or there should be.
static SINKS_FOUND: AtomicBool = AtomicBool::new(false);

/// Grows whenever any sink takes a packet or is done with one.
static MOVED: AtomicU64 = AtomicU64::new(0);

/// The device was not told of all that programs have submitted to an outlet.
static HAS_UNTOLD: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

static PUMPS: [Mutex<Option<Outlet>>; MAX_CPUS] = [const { Mutex::new(None) }; MAX_CPUS];

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
pub(super) fn cpus_of(pump: usize) -> impl Iterator<Item = usize> {
    (pump..MAX_CPUS).step_by(COUNT.load(Ordering::Acquire).max(1))
}

/// Starts the pump of the calling CPU, which [is its own](is_mine), with `sink`. Task context.
pub(super) fn start(sink: Box<dyn Sink>) {
    let cpu = percpu::cpu_index();
    let streams: Vec<_> = cpus_of(cpu).flat_map(Stream::all_of).collect();
    if !streams.iter().any(|stream| stream.is_klog) {
        do_without();
    }
    let outlets = COUNT.load(Ordering::Acquire);
    *PUMPS[cpu].lock() = Some(Outlet::new(cpu, outlets, sink, streams));
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
    look(cpu, |outlet| note_moves(outlet.run()));
}

/// Whether somebody is at the pump of the calling CPU. Any context: an NMI that finds the CPU in the
/// middle of sending finds this true.
pub(crate) fn is_attended() -> bool {
    mine().is_some_and(Mutex::is_locked)
}

/// Whether the sink of the calling CPU could move something now. Asked before the CPU halts, with
/// interrupts off.
pub(crate) fn has_work() -> bool {
    look(percpu::cpu_index(), |outlet| outlet.way.sink.has_work()).unwrap_or(false)
}

/// A number that grows whenever any sink moves something, or klog is taken. Any context.
pub(crate) fn moved() -> u64 {
    MOVED.load(Ordering::Relaxed).wrapping_add(intake::taken())
}

/// Says that the console has moved something, too. Any context.
pub(crate) fn note_move() {
    note_moves(1);
}

fn note_moves(moved: u64) {
    if moved != 0 {
        MOVED.fetch_add(moved, Ordering::Relaxed);
    }
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
    let each = |act: &mut dyn FnMut(&mut Outlet)| {
        for cell in &PUMPS {
            if let Some(pump) = cell.try_lock().as_deref_mut().and_then(Option::as_mut) {
                act(pump);
            }
        }
    };
    let run_all = || each(&mut |outlet| note_moves(outlet.run()));
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
    let works = |outlet: &Outlet| !outlet.way.is_dead;
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
fn look<R>(cpu: usize, ask: impl FnOnce(&mut Outlet) -> R) -> Option<R> {
    pump_of(cpu)?.try_lock()?.as_mut().map(ask)
}

fn mine() -> Option<&'static Mutex<Option<Outlet>>> {
    pump_of(percpu::cpu_index())
}

/// The pump that `cpu` uses.
fn pump_of(cpu: usize) -> Option<&'static Mutex<Option<Outlet>>> {
    PUMPS.get(outlet_of(cpu, COUNT.load(Ordering::Acquire))?)
}

/// The stream of a channel that `cpu` writes, if programs can drain it, and how many outlets there
/// are. Task context, interrupts off.
pub(super) fn find(path: &str, cpu: usize) -> Option<(&'static Stream, usize)> {
    let mut guard = pump_of(cpu)?.lock();
    let way = &mut guard.as_mut()?.way;
    if way.is_dead || !way.sink.is_for_programs() {
        return None;
    }
    let mut streams = way.streams.iter();
    let stream = streams.find(|stream| stream.path == path && stream.cpu == cpu)?;
    Some((stream, COUNT.load(Ordering::Acquire)))
}

/// All streams that leave the machine. Task context.
pub(super) fn streams() -> Vec<&'static Stream> {
    let of = |cell: &Mutex<Option<Outlet>>| {
        let guard = cell.lock();
        guard
            .as_ref()
            .map_or_else(Vec::new, |outlet| outlet.way.streams.clone())
    };
    PUMPS.iter().flat_map(of).collect()
}

/// A packet of a stream that a program drains leaves through an outlet. Task context, interrupts off.
///
/// # Errors
/// [`NotDone`].
pub(super) fn submit(
    stream: &'static Stream,
    ticket: Ticket,
    number: u64,
    outlet: usize,
) -> Result<(), NotDone> {
    let outlets = COUNT.load(Ordering::Acquire);
    if outlet_of(stream.cpu, outlets) != Some(outlet) {
        return Err(NotDone::OtherOutlet);
    }
    let mut guard = PUMPS.get(outlet).ok_or(NotDone::OtherOutlet)?.lock();
    let way = &mut guard.as_mut().ok_or(NotDone::Ended)?.way;
    let moved = way.submit_for(stream, ticket, number);
    HAS_UNTOLD[outlet].store(way.has_untold(), Ordering::Relaxed);
    match moved {
        Ok(moved) => {
            note_moves(moved);
            Ok(())
        }
        Err(refusal) => Err(refusal.map_or(NotDone::NoRoom, NotDone::from)),
    }
}

/// Has the device know of all that programs have submitted to the outlet that `cpu` uses. Task
/// context, interrupts off.
pub(super) fn tell(cpu: usize) {
    let outlet = outlet_of(cpu, COUNT.load(Ordering::Acquire));
    if let Some(outlet) = outlet
        && HAS_UNTOLD[outlet].swap(false, Ordering::Relaxed)
        && let Some(outlet) = PUMPS[outlet].lock().as_mut()
    {
        note_moves(outlet.way.tell());
    }
}

/// Whether the outlet that `cpu` uses has room for a packet; if not, programs are told when it has.
/// Task context, interrupts off.
pub(super) fn has_room(cpu: usize) -> bool {
    let mut guard = pump_of(cpu).map(Mutex::lock);
    let outlet = guard.as_mut().and_then(|guard| guard.as_mut());
    outlet.is_none_or(|outlet| outlet.way.has_room())
}

/// Each pump, with its number, and its outlet if there is one; `None` if somebody is at it. Task
/// context, at the end.
pub(super) fn each(mut look: impl FnMut(usize, Option<Option<&mut Outlet>>)) {
    let count = COUNT.load(Ordering::Acquire);
    for (number, cell) in PUMPS.iter().enumerate().take(count) {
        let mut guard = cell.try_lock();
        look(number, guard.as_deref_mut().map(Option::as_mut));
    }
}
