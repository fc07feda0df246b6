//! What threads do, across the streams of all CPUs: how long a system call took, how long a thread
//! ran, how long after it was woken, how long a message waited for its answer.
//!
//! The thread that a record is about is the one that the last `sched_switch` of its CPU went to. A
//! thread may enter a call on one CPU and leave it on another. So where one CPU's stream lacks
//! something, nothing is known of any thread, but of those that run on the others just then and until
//! they are left: they cannot have been there. **Nothing is paired across what is not there.**

use std::collections::{HashMap, HashSet};

use super::roles::{Role, Roles};
use super::stack::{Fit, Link, Since, Unclosed};
use super::why::{Gap, Why};
use crate::records::{Channel, Value};
use crate::wire::Header;

/// The most threads that something is kept of: more of them are numbers that were made up.
pub const MAX_THREADS: usize = 1 << 16;

/// A call that a thread is in.
#[derive(Clone, Copy, Debug)]
struct Call {
    kind: u32,
    class: u16,
    since: Since,
    is_shown: bool,
}

/// A CPU.
#[derive(Clone, Copy, Debug, Default)]
struct Cpu {
    /// The thread that it runs, and since when, if that is known.
    running: Option<(i128, Since)>,
    /// What its stream lacks here, or just before.
    doubt: Option<Gap>,
    /// Whether the packet that is read has lost records itself: all of it is in doubt.
    is_lossy: bool,
}

/// Follows threads through the records of all streams of a channel, as they come by their time.
#[derive(Clone, Debug, Default)]
pub struct Threads {
    roles: Roles,
    cpus: HashMap<u32, Cpu>,
    /// The calls that threads are in.
    calls: HashMap<i128, Call>,
    /// Threads of which a call has begun or ended since something was missing: if they are in none
    /// now, none was written.
    known: HashSet<i128>,
    /// Threads that were woken and have not run since.
    woken: HashMap<i128, Since>,
    /// Threads that wait for an answer.
    waiting: HashMap<i128, Since>,
    /// What was missing last.
    gap: Option<Gap>,
    /// The time of the latest record, in nanoseconds.
    latest: u64,
    /// Calls whose ends are not known, and their CPUs; not yet taken.
    unclosed: Vec<(u32, Unclosed)>,
}

/// Where a record is: its CPU, number and time in nanoseconds.
type At = Since;

impl Threads {
    /// For the records of a channel, if it tells which threads run.
    #[must_use]
    pub fn of(channel: &Channel) -> Option<Self> {
        let roles = Roles::of(channel)?;
        Some(Self {
            roles,
            ..Self::default()
        })
    }

    /// Whether records of a class tell something about threads.
    #[must_use]
    pub fn concerns(&self, class: u16) -> bool {
        self.roles.of_class(class).is_some()
    }

    /// Takes the header of a CPU's next packet, whose records follow, and that of the one before it.
    pub fn packet(&mut self, cpu: u32, last: Option<&Header>, header: &Header) {
        let before = last.map_or(0, |last| last.ordinal.saturating_add(last.records));
        let number = last.map_or(0, |last| last.number.saturating_add(1));
        let missing = header.ordinal.saturating_sub(before);
        let lost = |header: &Header| header.lost.total().saturating_add(header.uncommitted);
        let lost = lost(header).saturating_sub(last.map_or(0, lost));
        if missing > 0 || header.number > number {
            self.gap(cpu, Gap::Missing(missing));
        }
        self.lost(cpu, lost);
    }

    /// So many records were lost while the packet of a CPU was written whose records follow.
    pub fn lost(&mut self, cpu: u32, records: u64) {
        if records > 0 {
            self.gap(cpu, Gap::Lost(records));
        }
        self.cpus.entry(cpu).or_default().is_lossy = records > 0;
    }

    /// Something is not there of a CPU's stream, from here to its next record.
    pub fn gap(&mut self, cpu: u32, gap: Gap) {
        let place = self.cpus.entry(cpu).or_default();
        place.running = None;
        place.doubt = Some(gap);
        self.gap = Some(gap);
        // What a thread that runs on another CPU does is known.
        let running = self.cpus.values().filter_map(|cpu| cpu.running);
        let running: HashSet<i128> = running.map(|(thread, _)| thread).collect();
        self.known.retain(|thread| running.contains(thread));
        self.woken.clear();
        self.waiting.clear();
        let is_lost = |(thread, _): &(&i128, &Call)| !running.contains(*thread);
        let lost = self.calls.iter().filter(is_lost).map(|(thread, _)| *thread);
        for thread in lost.collect::<Vec<_>>() {
            self.close(thread, Why::Gap(gap));
        }
    }

    /// Takes a record: its class, where it is and its fields. What is known of it, if it is one end
    /// of something.
    pub fn record(&mut self, class: u16, at: At, values: &[Value<'_>]) -> Option<Fit> {
        if at.ns < self.latest {
            self.come_late();
        }
        self.latest = self.latest.max(at.ns);
        let role = self.roles.of_class(class);
        let place = self.cpus.entry(at.cpu).or_default();
        if !place.is_lossy {
            place.doubt = None;
        }
        let doubt = place.doubt;
        let number = |field: usize| values.get(field).and_then(Value::as_integer);
        match role? {
            Role::Switch { prev, next } => self.switch(at, number(prev)?, number(next)?),
            Role::Waking(thread) => {
                let thread = number(thread)?;
                if self.is_whole() && self.woken.len() < MAX_THREADS {
                    self.woken.entry(thread).or_insert(at);
                }
                None
            }
            Role::Woken(thread) => {
                let waking = self.woken.get(&number(thread)?);
                waking.map(|since| Fit::Since(Link::Waking, *since))
            }
            Role::End(thread) => {
                let thread = number(thread)?;
                self.close(thread, Why::Ended);
                self.woken.remove(&thread);
                self.waiting.remove(&thread);
                None
            }
            Role::Entry(kind) => match doubt {
                Some(gap) => Some(Fit::NoExit(Why::Gap(gap))),
                None => self.enter(kind, class, at),
            },
            Role::Exit(kind) => Some(match doubt {
                Some(gap) => Fit::NoEntry(Why::Gap(gap)),
                None => self.leave(kind, at.cpu),
            }),
            Role::Send(client) => {
                let client = number(client)?;
                if self.is_whole() && self.waiting.len() < MAX_THREADS {
                    self.waiting.insert(client, at);
                }
                None
            }
            Role::Receive(client) => {
                let since = self.waiting.get(&number(client)?).copied();
                Some(self.since(Link::Sent, since))
            }
            Role::Reply(client) => {
                let since = self.waiting.remove(&number(client)?);
                Some(self.since(Link::Asked, since))
            }
        }
    }

    /// Notes that the record that was taken last, of this CPU and with this number, is shown to
    /// somebody.
    pub fn note_shown(&mut self, cpu: u32, number: u64) {
        let running = self.cpus.get(&cpu).and_then(|cpu| cpu.running);
        let call = running.and_then(|(thread, _)| self.calls.get_mut(&thread));
        if let Some(call) = call.filter(|call| call.since.number == number) {
            call.is_shown = true;
        }
    }

    /// All streams are at their ends.
    pub fn finish(&mut self) {
        for thread in self.calls.keys().copied().collect::<Vec<_>>() {
            self.close(thread, Why::End);
        }
    }

    /// The calls whose ends are not known, each with the CPU that it was entered on, as far as that
    /// was found out since they were taken last.
    pub fn take_unclosed(&mut self) -> Vec<(u32, Unclosed)> {
        let mut unclosed = std::mem::take(&mut self.unclosed);
        unclosed.sort_by_key(|(cpu, unclosed)| (unclosed.ticks, *cpu, unclosed.number));
        unclosed
    }

    /// Whether no stream lacks anything here.
    fn is_whole(&self) -> bool {
        self.cpus.values().all(|cpu| cpu.doubt.is_none())
    }

    /// Something came later than it should have: what was found out before may be wrong.
    fn come_late(&mut self) {
        for cpu in self.cpus.keys().copied().collect::<Vec<_>>() {
            let is_lossy = self.cpus.get(&cpu).is_some_and(|cpu| cpu.is_lossy);
            self.gap(cpu, Gap::Order);
            // It is over with the next record of this CPU, as long as that is in order.
            self.cpus.entry(cpu).or_default().is_lossy = is_lossy;
        }
    }

    /// What is known of the end of something that has begun there, if that is known.
    fn since(&self, link: Link, since: Option<Since>) -> Fit {
        match since {
            Some(since) => Fit::Since(link, since),
            None => Fit::NoEntry(self.gap.map_or(Why::Unwritten, Why::Gap)),
        }
    }

    /// A CPU leaves one thread, and goes on with another.
    fn switch(&mut self, at: At, prev: i128, next: i128) -> Option<Fit> {
        let is_whole = self.is_whole();
        let place = self.cpus.entry(at.cpu).or_default();
        let (doubt, before) = (place.doubt, place.running.take());
        if doubt.is_none() {
            place.running = Some((next, at));
        }
        if let Some((thread, _)) = before.filter(|(thread, _)| *thread != prev) {
            // Switches were not written: what this thread has done meanwhile nobody knows.
            self.close(thread, Why::Unwritten);
        }
        if !is_whole {
            // It may go where something is missing.
            let gap = self.gap.unwrap_or(Gap::Unread);
            self.close(prev, Why::Gap(gap));
            self.known.remove(&prev);
        }
        let ran = before.filter(|(thread, _)| *thread == prev);
        let ran = ran.map(|(_, since)| since);
        let woken = self.woken.remove(&next).filter(|_| next != 0);
        (ran.is_some() || woken.is_some()).then_some(Fit::Switch { ran, woken })
    }

    /// The thread of a CPU begins a call.
    fn enter(&mut self, kind: u32, class: u16, at: At) -> Option<Fit> {
        let Some(thread) = self.thread(at.cpu) else {
            return Some(Fit::NoExit(Why::NoThread));
        };
        self.close(thread, Why::Unwritten);
        if self.calls.len() == MAX_THREADS {
            return Some(Fit::NoExit(Why::TooMany));
        }
        self.known.insert(thread);
        let call = Call {
            kind,
            class,
            since: at,
            is_shown: false,
        };
        self.calls.insert(thread, call);
        None
    }

    /// The thread of a CPU is done with a call.
    fn leave(&mut self, kind: u32, cpu: u32) -> Fit {
        let Some(thread) = self.thread(cpu) else {
            return Fit::NoEntry(Why::NoThread);
        };
        let was_known = !self.known.insert(thread);
        match self.calls.get(&thread) {
            Some(call) if call.kind == kind => {
                let since = call.since;
                self.calls.remove(&thread);
                Fit::Since(Link::Call, since)
            }
            Some(_) => {
                self.close(thread, Why::Unwritten);
                Fit::NoEntry(Why::Unwritten)
            }
            None => {
                let gap = self.gap.filter(|_| !was_known);
                Fit::NoEntry(gap.map_or(Why::Unwritten, Why::Gap))
            }
        }
    }

    /// The thread that a CPU runs, if that is known and there is one.
    fn thread(&self, cpu: u32) -> Option<i128> {
        let (thread, _) = self.cpus.get(&cpu)?.running?;
        (thread != 0).then_some(thread)
    }

    /// Gives up the call that a thread is in.
    fn close(&mut self, thread: i128, why: Why) {
        if let Some(call) = self.calls.remove(&thread) {
            let unclosed = Unclosed {
                class: call.class,
                number: call.since.number,
                ticks: call.since.ns,
                why,
                is_shown: call.is_shown,
            };
            self.unclosed.push((call.since.cpu, unclosed));
        }
    }
}

#[cfg(test)]
mod tests;
