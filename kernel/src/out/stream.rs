//! A stream on its way to an outlet.
//!
//! Whoever drains it, its packets come from the same [`Source`], and wait in the same
//! [queue](relay_pump::Queue) until the outlet has them: that of the kernel's pump, or of a program
//! that has [taken it over](super::takeover). One lock guards both. The kernel's pump, which interrupts
//! use, only tries it; who calls for a program waits for it, with interrupts off: it is held for a
//! moment, and never by what this CPU was interrupted in.

use alloc::boxed::Box;
use core::mem;
use core::sync::atomic::{AtomicBool, Ordering};

use relay::fs::File;
use relay::{Delivery, Reader, SubBuffer};
use relay_pump::{Queue, Refusal, Ticket, Took};

use super::events::{Asking, Parcel, Step};
use super::intake;
use super::recorder::Recorder;
use super::shown::Shown;
use super::{syslog_port, waker};
use crate::cpu::clock::{self, Timeout};
use crate::cpu::lock::Mutex;
use crate::logs::registry::{self, NAMES};
use crate::logs::trace;

/// Nothing but klog is sent for now: see [`pause`].
static PAUSED: AtomicBool = AtomicBool::new(false);

/// The most packets of a stream that were taken from its ring and are not in the outlet yet. The
/// kernel's pump has one at a time; more are for programs.
pub(crate) const HELD: usize = 8;

/// How long the kernel's pump leaves these streams to who tells syslog, in milliseconds: at first, so
/// that syslog has all from the first record on, and when that program has died, until it is started
/// again, and lives long enough. What has left the machine it cannot tell any more.
const REST_MS: u64 = 3_000;

/// How long a packet may wait for its program while its outlet has room, in milliseconds: then the
/// stream is the kernel's again. Much longer than a program waits for its turn on a busy machine.
const IDLE_MS: u64 = 10_000;

/// Stops sending what the CPUs write to `flood`, or goes on with it: to measure the drain alone,
/// and writers without it. Any context.
pub(crate) fn pause(paused: bool) {
    PAUSED.store(paused, Ordering::Release);
}

/// A stream of a CPU.
pub(crate) struct Stream {
    pub(super) cpu: usize,
    /// The path of its channel, and how many channels come before it.
    pub(super) path: &'static str,
    pub(super) rank: usize,
    /// It is one of klog.
    pub(super) is_klog: bool,
    file: File,
    pub(super) state: Mutex<State>,
}

/// What is done with it.
pub(super) struct State {
    source: Source,
    /// What has left the ring, and not the machine.
    pub(super) queue: Queue<SubBuffer<'static>>,
    /// Nothing more will come from the source.
    is_ended: bool,
    /// Who drains it sleeps, or is about to.
    pub(super) is_awaited: bool,
    /// Syslog is told what it has: who drains it next goes on with that.
    is_told: bool,
    /// The kernel's pump leaves it alone for so long.
    pub(super) rests: Option<Timeout>,
    /// The first packet that waits for a program's submitting it, and how long it has, in ticks of
    /// the clock.
    idle: Option<(u64, u64)>,
    cpu: usize,
}

/// Where its packets come from.
enum Source {
    /// It is read here.
    Read(Reader<'static>),
    /// It is read here, and its records are looked at before.
    Shown(Shown),
    /// The trace, likewise, when it is asked for.
    Trace(Reader<'static>, Asking),
    /// The trace as a flight recorder: it is read for snapshots.
    Recorder(Reader<'static>, Recorder),
    /// klog: the [intake] reads it, for the console too.
    Intake,
}

/// What is done where a lock is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Something else.
    None,
    /// It is waited for: in calls of programs.
    Waits,
}

impl Stream {
    /// The streams of `cpu` that leave the machine, in the order of the registry, but for the
    /// metadata: that is [sent](super::description) by itself. Not those that programs take. They
    /// are there for good. Task context, once for each CPU.
    pub(super) fn all_of(cpu: usize) -> impl Iterator<Item = &'static Self> {
        let carried = NAMES.channels().enumerate();
        let carried =
            carried.filter(|(_, mount)| registry::is_carried(mount) && !registry::is_taken(mount));
        carried.filter_map(move |(rank, mount)| {
            let file = mount.file(cpu).ok()?;
            let source = match mount.path() {
                "/metadata" => return None,
                "/klog" => Source::Intake,
                "/trace" if trace::is_recorder() => {
                    Source::Recorder(file.open().ok()?, Recorder::new(cpu, file))
                }
                "/trace" => Source::Trace(file.open().ok()?, Asking::new(cpu)),
                _ if is_by_record(file) => Source::Shown(Shown::new(file.open().ok()?)),
                _ => Source::Read(file.open().ok()?),
            };
            let is_told = syslog_port::is_there() && syslog_port::TOLD.contains(&mount.path());
            let stream = Self {
                cpu,
                path: mount.path(),
                rank,
                is_klog: mount.path() == "/klog",
                file,
                state: Mutex::new(State {
                    source,
                    queue: Queue::new(HELD),
                    is_ended: false,
                    is_awaited: false,
                    is_told,
                    rests: is_told.then(|| Timeout::after_ms(REST_MS)),
                    idle: None,
                    cpu,
                }),
            };
            Some(&*Box::leak(Box::new(stream)))
        })
    }

    /// Takes the next packet for the kernel's pump, by its number. Where a program drains the stream
    /// it is told that there is one. Task and IRQ context.
    pub(super) fn take(&self) -> Took<u64> {
        let Some(mut state) = self.state.try_lock() else {
            return Took::Nothing;
        };
        if state.queue.is_kernels() {
            if state.rests(self.file) {
                return Took::Nothing;
            }
            let took = state.take(Ticket::KERNEL, Patience::None);
            return took.unwrap_or(Took::Nothing);
        }
        if state.fill(Patience::None) && mem::take(&mut state.is_awaited) {
            drop(state);
            waker::wake(self.cpu);
        }
        Took::Nothing
    }

    /// Looks whether a program that drains the stream goes on with it: `elapsed` ticks of the clock
    /// have passed since the last look, and its outlet has room. If it does not for too long, in
    /// which nothing of the stream leaves, and its ring fills, it drains the stream no more. Task and
    /// IRQ context.
    pub(super) fn look_after(&self, elapsed: u64) {
        let Some(mut state) = self.state.try_lock() else {
            return;
        };
        if !state.is_left_lying(elapsed) {
            return;
        }
        state.queue.take_away();
        drop(state);
        waker::wake(self.cpu);
        relay::warn!(
            "a program had {} of cpu {} and sent nothing of it for {} s: the kernel drains it",
            self.path,
            self.cpu,
            IDLE_MS / 1000
        );
    }

    /// Who drained it does no more. If syslog was told what it has, the next one is waited for.
    pub(super) fn leave(&self, ticket: Ticket) {
        let mut state = self.state.lock();
        if state.queue.give_up(ticket) && state.is_told {
            state.rests = Some(Timeout::after_ms(REST_MS));
        }
    }

    /// Asks for what was not handed over yet, if nothing is there. Task and IRQ context.
    pub(super) fn ask(&self) {
        if let Some(mut state) = self.state.try_lock()
            && state.queue.is_empty()
            && !state.is_ended
            // What is handed over takes sub-buffers, which may be all that there is until it goes on.
            && state.rests.is_none()
        {
            state.ask();
        }
    }

    /// Whether all of it was given to the outlet. Who is at it is not done.
    pub(super) fn is_done(&self) -> bool {
        let state = self.state.try_lock();
        state.is_some_and(|state| state.is_ended && state.queue.is_empty())
    }

    /// Packets that were left out because the sink stood still for too long.
    pub(super) fn left_out(&self) -> u64 {
        match self.is_klog {
            true => intake::left_out(self.cpu),
            false => 0,
        }
    }

    /// Its sink has moved something.
    pub(super) fn note_move(&self) {
        if self.is_klog {
            intake::note_move(self.cpu);
        }
    }

    /// Nothing of it will be sent any more. Returns how many packets wait, which are given back;
    /// `None`: somebody is at it, and it is to be tried again.
    pub(super) fn give_up(&self) -> Option<u64> {
        if self.is_klog {
            intake::give_up(self.cpu);
        }
        let mut state = self.state.try_lock()?;
        state.queue.take_back();
        state.rests = None;
        let cleared = state.queue.clear() as u64;
        drop(state);
        waker::wake(self.cpu);
        Some(cleared)
    }
}

impl State {
    /// Takes the next packet, by its number.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(super) fn take(
        &mut self,
        ticket: Ticket,
        patience: Patience,
    ) -> Result<Took<u64>, Refusal> {
        let Self { queue, source, .. } = self;
        let (is_ended, cpu) = (&mut self.is_ended, self.cpu);
        let pull = || source.pull(cpu, is_ended, patience);
        Ok(match queue.take(ticket, pull)? {
            Some((number, _)) => Took::Packet(number),
            None if self.is_ended => Took::Ended,
            None => Took::Nothing,
        })
    }

    /// Whether the kernel's pump leaves the stream alone: for a time, and as long as its ring, that
    /// of `file`, is not half full.
    fn rests(&mut self, file: File) -> bool {
        let Some(until) = self.rests else {
            return false;
        };
        let is_half_full = file.info().is_none_or(|info| {
            let full = (info.unread + info.taken) as usize;
            full * 2 >= info.geometry.subbuf_count()
        });
        if until.expired() || is_half_full {
            self.rests = None;
        }
        self.rests.is_some()
    }

    /// Whether the first packet waits for a program, and has for too long.
    fn is_left_lying(&mut self, elapsed: u64) -> bool {
        let first = self.queue.packets().next();
        let first = first.filter(|_| !self.queue.is_kernels());
        let first = first.map(|packet| packet.packet().sequence);
        let waited = match self.idle {
            Some((before, waited)) if first == Some(before) => waited + elapsed,
            _ => 0,
        };
        self.idle = first.map(|first| (first, waited));
        waited > clock::ticks_of_ms(IDLE_MS)
    }

    /// Has a packet here that can be taken, if there is one; whether there is.
    pub(super) fn fill(&mut self, patience: Patience) -> bool {
        let Self { queue, source, .. } = self;
        let (is_ended, cpu) = (&mut self.is_ended, self.cpu);
        queue.fill(|| source.pull(cpu, is_ended, patience))
    }

    /// Whether nothing is left to take, and nothing will come.
    pub(super) fn is_at_end(&self) -> bool {
        self.is_ended && self.queue.len() == self.queue.had()
    }

    /// Asks the CPU for what it has not handed over, if that is for this pump to do.
    fn ask(&mut self) {
        if PAUSED.load(Ordering::Acquire) {
            return;
        }
        let (reader, is_asked) = match &mut self.source {
            Source::Read(reader) => (&*reader, true),
            Source::Shown(shown) => (shown.reader(), true),
            Source::Trace(reader, asking) => (&*reader, asking.is_due()),
            // They ask by themselves.
            Source::Recorder(..) | Source::Intake => return,
        };
        if is_asked {
            reader.request_flush();
        }
    }

    /// Says that who drains it will sleep if it finds nothing when it looks next: the kernel's pump
    /// wakes it, at a tick or when the device is done with something, which is when that would go on
    /// itself. A writer does not: it would be interrupted for every packet.
    pub(super) fn announce(&mut self) {
        self.is_awaited = true;
    }

    /// Does something with its reader. `None`: there is none.
    pub(super) fn with_reader<R>(
        &mut self,
        act: impl FnOnce(&mut Reader<'static>) -> R,
    ) -> Option<R> {
        Some(match &mut self.source {
            Source::Read(reader) | Source::Trace(reader, _) | Source::Recorder(reader, _) => {
                act(reader)
            }
            Source::Shown(shown) => act(shown.reader_mut()),
            Source::Intake => return intake::with_reader(self.cpu, act),
        })
    }
}

impl Source {
    /// The next sub-buffer, with its number, if there is one.
    fn pull(
        &mut self,
        cpu: usize,
        is_ended: &mut bool,
        patience: Patience,
    ) -> Option<(u64, SubBuffer<'static>)> {
        if *is_ended {
            return None;
        }
        let next = self.next(cpu, is_ended, patience)?;
        Parcel::of(&next).tell(Step::Take);
        Some((next.packet().sequence, next))
    }

    /// Takes it.
    fn next(
        &mut self,
        cpu: usize,
        is_ended: &mut bool,
        patience: Patience,
    ) -> Option<SubBuffer<'static>> {
        if matches!(self, Self::Intake) {
            let next = intake::next(cpu, patience == Patience::Waits);
            *is_ended = next.as_ref().is_some_and(|next| next.packet().is_final);
            return next;
        }
        if PAUSED.load(Ordering::Acquire) {
            return None;
        }
        let (next, reader) = match self {
            Self::Read(reader) | Self::Trace(reader, _) => (reader.next_subbuf(), &*reader),
            Self::Shown(shown) => (shown.next(), shown.reader()),
            Self::Recorder(reader, recorder) => (recorder.next(reader), &*reader),
            Self::Intake => return None,
        };
        if next.is_none() {
            *is_ended = reader.is_at_end();
        }
        next
    }
}

/// Whether records of a stream can be read before their sub-buffer is complete.
fn is_by_record(file: File) -> bool {
    let geometry = file.geometry();
    geometry.is_some_and(|geometry| geometry.delivery() == Delivery::Record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay::fs::Mount;
    use relay::record::Framed;
    use relay::{Channel, Geometry, Platform, Storage};

    #[derive(Debug)]
    struct Still;

    // SAFETY: one thread plays the only CPU.
    #[expect(unsafe_code, reason = "a platform to test on")]
    unsafe impl Platform for Still {
        type Pinned = ();

        fn pin(&self) -> (usize, ()) {
            (0, ())
        }

        unsafe fn unpin(&self, (): ()) {}

        fn now(&self) -> u64 {
            1
        }
    }

    /// A stream with three packets.
    fn stream() -> Stream {
        let log = &*Box::leak(Box::new(Channel::<Still, 1>::new(Still, &Framed)));
        let geometry = Geometry::new(256, 16).expect("it is one");
        let storage = Storage::allocate(&geometry).expect("there is memory");
        log.start(0, storage, geometry).expect("it is the first");
        let mount = &*Box::leak(Box::new(Mount::new("/test", log).expect("it is a path")));
        let file = mount.file(0).expect("there is a CPU");
        for _ in 0..3 {
            log.write(b"a record").expect("there is room");
            log.flush();
        }
        Stream {
            cpu: 0,
            path: mount.path(),
            rank: 0,
            is_klog: false,
            file,
            state: Mutex::new(State {
                source: Source::Read(file.open().expect("nobody has it")),
                queue: Queue::new(HELD),
                is_ended: false,
                is_awaited: false,
                is_told: false,
                rests: None,
                idle: None,
                cpu: 0,
            }),
        }
    }

    /// Takes the next packet, and tells nobody.
    fn take(state: &mut State, ticket: Ticket) -> bool {
        let next = state.with_reader(Reader::next_subbuf).flatten();
        let pull = || next.map(|next| (next.packet().sequence, next));
        state
            .queue
            .take(ticket, pull)
            .is_ok_and(|took| took.is_some())
    }

    #[test]
    fn what_somebody_is_at_is_given_back_when_he_is_not_any_more() {
        let stream = stream();
        let mut state = stream.state.lock();
        let ticket = state.queue.take_over().expect("it is the kernel's");
        for _ in 0..2 {
            assert!(take(&mut state, ticket));
        }
        assert_eq!(stream.give_up(), None);
        assert_eq!(state.queue.len(), 2);
        drop(state);
        assert_eq!(stream.give_up(), Some(2));
        let state = stream.state.lock();
        assert!(state.queue.is_empty() && !state.queue.is_owner(ticket));
    }
}
