//! klog's only consumer: takes the packets of each CPU, copies them for the console, and keeps them
//! for their sink.
//!
//! The console never stands between the records and the sink, nor the sink between them and the
//! console: a packet is taken as long as one of the two has room.
//!
//! | console | sink | then |
//! |---|---|---|
//! | has room | has room | it has both |
//! | is full | has room | the console skips it, and says so |
//! | has room | is full for long | the sink never gets the one that has waited longest; the end of the machine says so |
//! | has room | is gone | the sink never gets it; the end of the machine says so |
//! | is full | is full, or gone | it stays in the ring |
//!
//! *Room* for the sink is a queue of taken packets, three quarters of the ring: so many may wait
//! while it takes nothing, and before it is known whether there is one. While the sink moves, the
//! packet stays in the ring, and the console waits as well: a slow line, or a pump that was not run
//! for a moment. When it has not moved for a moment, the oldest gives way, since a ring is written
//! in order: a packet that is held stops the writer when it comes round. So do the packets that the
//! sink has taken and is not done with. The last packet of a stream is never the one that is skipped
//! or left out.
//!
//! Whoever finds the lock free may do it: the CPU that prints, for all, so that the last words of a
//! CPU that hangs are heard; each CPU for itself, when it sends. Nobody waits. The copy comes
//! before the packet is given back, so that a panic finds each packet at one of the two places.

use alloc::collections::VecDeque;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::cpu::lock::Mutex;
use relay::{Reader, SubBuffer};

use super::copies::{self, Copies};
use crate::base::cpuset::MAX_CPUS;
use crate::cpu::clock::Timeout;
use crate::logs::evlog;
use crate::logs::operator::LogLeftOut;
use crate::logs::registry::NAMES;

/// Whether the klog of a CPU has a sink, or none was looked for yet.
static HAS_SINK: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(true) }; MAX_CPUS];

/// Packets taken, of all CPUs.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// How often a CPU is asked for what it has logged and not filled a packet with, in milliseconds. A
/// person sees no difference, and each time costs a sub-buffer.
const ASK_MS: u64 = 50;

/// How long the console waits for a sink that has just moved something, in milliseconds. Emulated
/// CPUs stand still for some 100 ms when the host is busy. Less than the console waits for older
/// records.
const MOMENT_MS: u64 = 400;

/// How long it waits while it is not known yet whether there will be a sink, in milliseconds: the
/// rings of all channels are made meanwhile, and their description is written.
const BEGIN_MS: u64 = 5_000;

/// It is known which sinks there are.
static ARE_SINKS_KNOWN: AtomicBool = AtomicBool::new(false);

/// The sink of a CPU's klog has moved something since it was looked at.
static MOVES: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

static INTAKES: [Mutex<Option<Intake>>; MAX_CPUS] = [const { Mutex::new(None) }; MAX_CPUS];

/// The consumer of one CPU's klog.
pub(super) struct Intake {
    reader: Reader<'static>,
    copies: Option<&'static Copies>,
    /// There is a sink, or it was not looked for yet.
    has_sink: bool,
    waiting: VecDeque<SubBuffer<'static>>,
    /// How many may wait.
    room: usize,
    /// When the CPU may be asked again, and how long after that.
    asked: Option<Timeout>,
    ask_ms: u64,
    /// Since when the sink does not move, once the queue is full.
    moment: Option<Timeout>,
    /// Packets that the sink will not get.
    left_out: u64,
    ended: bool,
}

/// Starts the intakes of CPUs 0 to `cpus - 1`. Task context on the boot CPU, when the streams of
/// klog are there, and the copies if there is a console.
pub(crate) fn start(cpus: usize) {
    let Ok(mount) = NAMES.channel("/klog") else {
        return;
    };
    for file in mount.files().take(cpus) {
        let cpu = file.cpu();
        match file.open() {
            Ok(reader) => {
                let count = file
                    .geometry()
                    .map_or(0, |geometry| geometry.subbuf_count());
                let intake = Intake::new(reader, count, copies::of(cpu), ASK_MS);
                *INTAKES[cpu].lock() = Some(intake);
            }
            Err(error) => relay::error!("nobody reads the log of cpu {cpu}: {error}"),
        }
    }
}

/// Takes what there is of all CPUs. Task context.
pub(super) fn take_all() {
    for cpu in 0..MAX_CPUS {
        look_after(cpu, Intake::take);
    }
}

/// The next packet of `cpu` for its sink. If somebody is at it who takes it, that is waited for if
/// `waits`, with interrupts off. Task and IRQ context.
pub(super) fn next(cpu: usize, waits: bool) -> Option<SubBuffer<'static>> {
    match waits {
        true => wait_for(cpu, Intake::next)?,
        false => look_after(cpu, Intake::next)?,
    }
}

/// Does something with the reader of `cpu`, if it is there. Task context, interrupts off.
pub(super) fn with_reader<R>(cpu: usize, act: impl FnOnce(&mut Reader<'static>) -> R) -> Option<R> {
    wait_for(cpu, |intake| act(&mut intake.reader))
}

/// The klog of `cpu` has no sink any more: what waits is given back, as soon as somebody looks
/// after it. Task and IRQ context.
pub(super) fn give_up(cpu: usize) {
    if let Some(has_sink) = HAS_SINK.get(cpu) {
        has_sink.store(false, Ordering::Release);
    }
    look_after(cpu, |_| ());
}

/// It is known from now on which sinks there are: they are waited for a moment. Any context.
pub(super) fn know_sinks() {
    ARE_SINKS_KNOWN.store(true, Ordering::Relaxed);
}

/// The sink of the klog of `cpu` has moved something. Task and IRQ context.
pub(super) fn note_move(cpu: usize) {
    if let Some(moves) = MOVES.get(cpu) {
        moves.store(true, Ordering::Relaxed);
    }
}

/// How many packets of `cpu` its sink did not and will not get. Task context, at the end.
pub(super) fn left_out(cpu: usize) -> u64 {
    look_after(cpu, |intake| intake.left_out).unwrap_or(0)
}

/// Whether all that `cpu` has logged was taken, or nobody is there who could. Task context.
pub(super) fn is_done(cpu: usize) -> bool {
    let Some(guard) = INTAKES.get(cpu).and_then(Mutex::try_lock) else {
        return false;
    };
    guard
        .as_ref()
        .is_none_or(|intake| intake.ended || !intake.has_user())
}

/// Whether anybody makes room in the klog of `cpu`: the console, or a sink. Task context.
pub(crate) fn has_user(cpu: usize) -> bool {
    // Who is at it uses it.
    let guard = INTAKES.get(cpu).map(Mutex::try_lock);
    guard.is_some_and(|guard| guard.is_none_or(|it| it.as_ref().is_some_and(Intake::has_user)))
}

/// A number that grows whenever a packet of any CPU is taken. Any context.
pub(super) fn taken() -> u64 {
    TAKEN.load(Ordering::Relaxed)
}

/// Does something with the intake of `cpu`, if it is there and nobody is at it.
fn look_after<R>(cpu: usize, act: impl FnOnce(&mut Intake) -> R) -> Option<R> {
    with(cpu, INTAKES.get(cpu)?.try_lock()?.as_mut()?, act)
}

/// The same, and who is at it is waited for: he is on another CPU. Task context, interrupts off.
fn wait_for<R>(cpu: usize, act: impl FnOnce(&mut Intake) -> R) -> Option<R> {
    with(cpu, INTAKES.get(cpu)?.lock().as_mut()?, act)
}

/// Does it, when what has become of the sink is known.
fn with<R>(cpu: usize, intake: &mut Intake, act: impl FnOnce(&mut Intake) -> R) -> Option<R> {
    if MOVES.get(cpu)?.swap(false, Ordering::Relaxed) {
        intake.moment = None;
    }
    if intake.has_sink && !HAS_SINK.get(cpu)?.load(Ordering::Acquire) {
        intake.give_up();
    }
    Some(act(intake))
}

impl Intake {
    /// Takes from `reader`, whose ring has so many sub-buffers, and copies for the console, if
    /// there is one; asks for what is not handed over yet every `ask_ms`.
    pub(super) fn new(
        reader: Reader<'static>,
        count: usize,
        copies: Option<&'static Copies>,
        ask_ms: u64,
    ) -> Self {
        let room = (count * 3 / 4).max(1);
        Self {
            reader,
            copies,
            has_sink: true,
            // Never grows: interrupts use it.
            waiting: VecDeque::with_capacity(room),
            room,
            asked: None,
            ask_ms,
            moment: None,
            left_out: 0,
            ended: false,
        }
    }

    /// Takes what can be taken, and asks for the rest.
    pub(super) fn take(&mut self) {
        while !self.ended
            && (self.sink_has_room() || self.sink_is_late() && self.console_has_room())
        {
            // The time first: what was readable then is found now.
            let quiet = self.reader.quiet_since();
            let Some(packet) = self.reader.next_subbuf() else {
                self.ended = self.reader.is_at_end();
                if let Some(copies) = self.copies {
                    copies.set_quiet(quiet);
                }
                self.ask();
                return;
            };
            TAKEN.fetch_add(1, Ordering::Relaxed);
            self.ended = packet.packet().is_final;
            if let Some(copies) = self.copies {
                copies.push(packet.packet(), packet.records());
            }
            if !self.sink_has_room() {
                self.left_out += 1;
                self.waiting.pop_front();
                self.tell_left_out();
            }
            if self.has_sink {
                self.waiting.push_back(packet);
            }
        }
    }

    /// Asks the CPU for the rest, unless that was a moment ago.
    fn ask(&mut self) {
        if self.asked.is_none_or(|asked| asked.expired()) {
            self.asked = Some(Timeout::after_ms(self.ask_ms));
            self.reader.request_flush();
        }
    }

    /// Whether there is anybody for whom it is taken.
    fn has_user(&self) -> bool {
        self.has_sink || self.copies.is_some()
    }

    fn sink_has_room(&self) -> bool {
        self.has_sink && self.waiting.len() < self.room
    }

    /// Whether the sink, which has no room, is not waited for any more.
    fn sink_is_late(&mut self) -> bool {
        let wait = match ARE_SINKS_KNOWN.load(Ordering::Relaxed) {
            true => MOMENT_MS,
            false => BEGIN_MS,
        };
        let moment = self.moment.get_or_insert_with(|| Timeout::after_ms(wait));
        !self.has_sink || moment.expired()
    }

    fn console_has_room(&self) -> bool {
        self.copies.is_some_and(Copies::has_room)
    }

    /// Tells the operators, as often as what was left out has doubled.
    fn tell_left_out(&self) {
        if self.left_out.is_power_of_two() {
            evlog::emit(|| LogLeftOut {
                cpu: self.reader.cpu() as u32,
                left_out: self.left_out,
            });
        }
    }

    /// There is no sink.
    pub(super) fn give_up(&mut self) {
        self.has_sink = false;
        self.left_out += self.waiting.len() as u64;
        self.waiting.clear();
    }

    /// The next packet for the sink.
    pub(super) fn next(&mut self) -> Option<SubBuffer<'static>> {
        self.take();
        let next = self.waiting.pop_front()?;
        self.moment = None;
        Some(next)
    }
}

#[cfg(test)]
mod tests;
