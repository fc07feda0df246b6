//! Ports: where threads of programs call each other.
//!
//! A thread *calls* a port: its message waits in the port's queue until a thread *receives* it, does
//! what is asked, and *replies*; until then the caller waits. Beside that a port has notification
//! bits, which anybody may set without waiting, and which the next thread that receives gets.
//!
//! ```text
//! of a member (a thread of a program):   Idle -> Sent       by itself, in `call`
//!                                        Sent -> Taken      by who receives it
//!                                        Taken -> Answered  by who replies
//!                                        Sent, Taken -> Refused  by the port when it closes; by who
//!                                                           receives it and ends, or receives again
//!                                        Answered, Refused -> Idle  by itself; any -> Idle when it is
//!                                                           to end
//! ```
//!
//! Each step is under the lock of the member's exchange; the port's queue has members in `Sent`, and
//! such as have been refused since, which are passed over. Who changes `Sent` or `Taken` unparks the
//! member: it looks again. A thread that waits to receive is in the port's list of receivers before it
//! looks for the last time, and is unparked by who puts something there.
//!
//! Who calls goes to sleep, and so does who replies and receives, if nothing is there: each hands its
//! CPU over to whom it has woken ([`sched::park_for`]). So a message and its answer are two switches.
//!
//! A port closes when nobody is left who may receive at it: when the last handle with that right is
//! given back, or dies with its program.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use relay_abi::{Error, MESSAGE_BYTES, ready, rights};

use super::events;
use super::handles::Entry;
use super::poll::Pollable;
use super::process::Member;
use super::waiting::Waiters;
use crate::cpu::lock::IrqMutex;
use crate::sched::{self, Thread, Woken};

/// The most messages that wait at a port.
const MOST: usize = 128;

/// What a thread says to another. The bytes lie in the seat of the one that calls, both ways.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) words: [u64; 3],
    /// How many bytes.
    pub(super) length: usize,
    /// A handle that goes with it.
    pub(super) passed: Option<Entry>,
}

impl Message {
    /// What there is of it: the handle is there no more.
    #[inline(always)]
    fn take(&mut self) -> Self {
        Self {
            words: self.words,
            length: self.length,
            // Most have none: nothing is moved then.
            passed: match self.passed {
                None => None,
                Some(_) => self.passed.take(),
            },
        }
    }

    /// Becomes another one.
    #[inline(always)]
    fn set(&mut self, other: Self) {
        self.words = other.words;
        self.length = other.length;
        match other.passed {
            None if self.passed.is_none() => {}
            None => self.passed = None,
            Some(entry) => self.passed = Some(entry),
        }
    }
}

/// Where a member is in a call of its.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It makes none.
    Idle,
    /// Nobody has received it.
    Sent,
    /// Somebody has.
    Taken,
    /// The answer is there.
    Answered,
    /// Nobody will answer.
    Refused,
}

/// A call of a member's: the message while it is `Sent`, the answer when it is `Answered`.
#[derive(Debug)]
struct Exchange {
    step: Step,
    message: Message,
}

/// A member's place for a call.
#[derive(Debug)]
pub(super) struct Seat {
    exchange: IrqMutex<Exchange>,
    /// The number of the port that it called last.
    port: AtomicU64,
    /// The bytes of the message, then those of the answer. The member writes them before it sends,
    /// and who answers does while the message is taken.
    pub(super) bytes: IrqMutex<[u8; MESSAGE_BYTES]>,
}

impl Seat {
    /// It makes no call.
    pub(super) const fn new() -> Self {
        Self {
            exchange: IrqMutex::new(Exchange {
                step: Step::Idle,
                message: Message {
                    words: [0; 3],
                    length: 0,
                    passed: None,
                },
            }),
            port: AtomicU64::new(0),
            bytes: IrqMutex::new([0; MESSAGE_BYTES]),
        }
    }

    /// Sends a message to the port of this number. By the member itself, which makes no call.
    #[inline(always)]
    fn send(&self, port: u64, message: Message) {
        self.port.store(port, Ordering::Relaxed);
        let mut exchange = self.exchange.lock_quiet();
        exchange.message.set(message);
        exchange.step = Step::Sent;
    }

    /// Takes the message, if nobody has.
    #[inline(always)]
    pub(super) fn take(&self) -> Option<Message> {
        let mut exchange = self.exchange.lock_quiet();
        (exchange.step == Step::Sent).then(|| {
            exchange.step = Step::Taken;
            exchange.message.take()
        })
    }

    /// Has the thread `server` answer `client`, whose seat it is, if that still waits.
    #[inline(always)]
    fn answer(&self, client: Thread, server: i32, answer: Message) {
        let mut exchange = self.exchange.lock_quiet();
        if exchange.step == Step::Taken {
            if events::are_on() {
                // Under the lock: before the client can go on.
                let port = self.port.load(Ordering::Relaxed);
                events::message_reply(port, client.tid(), server, answer.length);
            }
            exchange.message.set(answer);
            exchange.step = Step::Answered;
            return;
        }
        drop(exchange);
        // Behind the lock: a handle may go with it.
        drop(answer);
    }

    /// Nobody will answer `client`, whose seat it is, if it still waits.
    fn refuse(&self, client: Thread) {
        let mut exchange = self.exchange.lock_quiet();
        if matches!(exchange.step, Step::Sent | Step::Taken) {
            let port = self.port.load(Ordering::Relaxed);
            events::message_reply(port, client.tid(), 0, 0);
            exchange.step = Step::Refused;
            let unheard = exchange.message.take();
            drop(exchange);
            drop(unheard);
        }
    }

    /// The answer, if there is one, or none will come: then the seat is idle again.
    #[inline(always)]
    fn answered(&self) -> Option<Result<Message, Error>> {
        let mut exchange = self.exchange.lock_quiet();
        let answer = match exchange.step {
            Step::Answered => Ok(exchange.message.take()),
            Step::Refused => Err(Error::Ended),
            Step::Idle | Step::Sent | Step::Taken => return None,
        };
        exchange.step = Step::Idle;
        Some(answer)
    }

    /// Gives the call up.
    fn give_up(&self) {
        let mut exchange = self.exchange.lock_quiet();
        exchange.step = Step::Idle;
        let unheard = exchange.message.take();
        drop(exchange);
        drop(unheard);
    }
}

/// What a port has under its lock.
#[derive(Debug, Default)]
struct State {
    /// Who calls, in order.
    callers: VecDeque<Arc<Member>>,
    /// Who waits to receive.
    receivers: Vec<Thread>,
    bits: u64,
    is_closed: bool,
}

impl State {
    /// Whether there is something to receive.
    fn is_there(&self) -> bool {
        self.bits != 0 || !self.callers.is_empty()
    }

    /// Takes it.
    #[inline(always)]
    fn next(&mut self) -> Option<Next> {
        match self.bits {
            0 => self.callers.pop_front().map(Next::Caller),
            _ => Some(Next::Bits(core::mem::take(&mut self.bits))),
        }
    }
}

/// A port.
pub(super) struct Port {
    number: u64,
    state: IrqMutex<State>,
    waiters: Waiters,
    /// Handles that may receive.
    receiving: AtomicUsize,
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// What is next at a port.
#[derive(Debug)]
pub(super) enum Next {
    /// A member that called: its message [is there](Seat::take), unless it was refused meanwhile.
    Caller(Arc<Member>),
    /// Notification bits.
    Bits(u64),
}

/// The number of the next port.
static NEXT: AtomicU64 = AtomicU64::new(1);

impl Port {
    /// A new one, with a first handle that may do all.
    pub(super) fn open() -> PortEnd {
        let port = Arc::new(Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            state: IrqMutex::new(State::default()),
            waiters: Waiters::new(),
            receiving: AtomicUsize::new(0),
        });
        PortEnd::new(port, true)
    }

    /// Its number, for the trace.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Sends a message for `me`, and waits for the answer. Task context, interrupts off.
    ///
    /// # Errors
    /// [`Error::Ended`]: nobody answers any more; [`Error::NoRoom`]; [`Error::Killed`].
    #[inline(always)]
    pub(super) fn call(&self, me: &Arc<Member>, message: Message) -> Result<Message, Error> {
        me.seat.send(self.number, message);
        let mut receiver = match self.queue(me) {
            Ok(receiver) => receiver,
            Err(error) => {
                me.seat.give_up();
                return Err(error);
            }
        };
        self.waiters.wake_all();
        loop {
            let woken = sched::park_for(receiver.take(), None);
            if let Some(answer) = me.seat.answered() {
                return answer;
            }
            if woken == Woken::Ended {
                self.forget(me);
                return Err(Error::Killed);
            }
        }
    }

    /// Puts `me` into the queue; who receives and is to be woken.
    #[inline(always)]
    fn queue(&self, me: &Arc<Member>) -> Result<Option<Thread>, Error> {
        let mut state = self.state.lock_quiet();
        if state.is_closed {
            return Err(Error::Ended);
        }
        if state.callers.len() >= MOST {
            return Err(Error::NoRoom);
        }
        state.callers.push_back(Arc::clone(me));
        Ok(state.receivers.pop())
    }

    /// `me` is to end, and does not call any more.
    fn forget(&self, me: &Arc<Member>) {
        me.seat.give_up();
        let mut state = self.state.lock_quiet();
        let place = state
            .callers
            .iter()
            .position(|caller| Arc::ptr_eq(caller, me));
        let gone = place.and_then(|place| state.callers.remove(place));
        drop(state);
        drop(gone);
    }

    /// Sets notification bits. Task context, interrupts off.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub(super) fn notify(&self, bits: u64) -> Result<(), Error> {
        let receiver = {
            let mut state = self.state.lock();
            if state.is_closed {
                return Err(Error::Ended);
            }
            state.bits |= bits;
            state.receivers.pop()
        };
        if let Some(receiver) = receiver {
            receiver.unpark();
        }
        self.waiters.wake_all();
        Ok(())
    }

    /// Waits for a caller or bits, at most until a time in ticks; unparks `other` before it waits, or
    /// when it need not. `me` is the thread that calls. Task context, interrupts off.
    ///
    /// # Errors
    /// [`Error::TimedOut`], [`Error::Killed`]; [`Error::Ended`]: the last handle that may receive was
    /// given back meanwhile.
    #[inline(always)]
    pub(super) fn receive(
        &self,
        me: Thread,
        mut other: Option<Thread>,
        until: Option<u64>,
    ) -> Result<Next, Error> {
        loop {
            let next = self.try_receive(me);
            if let Some(next) = next.transpose() {
                if let Some(other) = other {
                    other.unpark();
                }
                return next;
            }
            match sched::park_for(other.take(), until) {
                Woken::Unparked => {}
                Woken::TimedOut => {
                    self.leave(me);
                    return self.try_take().ok_or(Error::TimedOut);
                }
                Woken::Ended => {
                    self.leave(me);
                    self.pass_on();
                    return Err(Error::Killed);
                }
            }
        }
    }

    /// `me` does not wait any more.
    fn leave(&self, me: Thread) {
        let mut state = self.state.lock();
        state.receivers.retain(|receiver| *receiver != me);
    }

    /// Who was woken for what is there does not take it: somebody else is woken.
    fn pass_on(&self) {
        let receiver = {
            let mut state = self.state.lock();
            match state.is_there() {
                true => state.receivers.pop(),
                false => None,
            }
        };
        if let Some(receiver) = receiver {
            receiver.unpark();
        }
    }

    /// What there is, now; otherwise `me` is in the list of those who wait.
    ///
    /// # Errors
    /// [`Error::Ended`].
    #[inline(always)]
    fn try_receive(&self, me: Thread) -> Result<Option<Next>, Error> {
        let mut state = self.state.lock_quiet();
        if let Some(next) = state.next() {
            // Who goes on is not one of those who can be woken.
            state.receivers.retain(|receiver| *receiver != me);
            return Ok(Some(next));
        }
        if state.is_closed {
            return Err(Error::Ended);
        }
        if !state.receivers.contains(&me) {
            state.receivers.push(me);
        }
        Ok(None)
    }

    /// What there is, now.
    fn try_take(&self) -> Option<Next> {
        self.state.lock_quiet().next()
    }

    /// Nobody receives any more: who calls gets an answer that says so.
    fn close(&self) {
        let (callers, receivers) = {
            let mut state = self.state.lock();
            state.is_closed = true;
            let callers = core::mem::take(&mut state.callers);
            (callers, core::mem::take(&mut state.receivers))
        };
        for receiver in receivers {
            receiver.unpark();
        }
        callers.iter().for_each(|caller| refuse(caller));
        self.waiters.wake_all();
    }
}

/// Has the thread `server` answer the call of a member, which may have gone on; who is to be unparked,
/// so that it looks.
#[inline(always)]
pub(super) fn answer(member: &Member, server: i32, answer: Message) -> Option<Thread> {
    // Who has a seat in a call has begun: it is known as a thread.
    let thread = member.thread()?;
    member.seat.answer(thread, server, answer);
    Some(thread)
}

/// Nobody will answer the call of a member, which may have gone on: it looks. Task context,
/// interrupts off.
pub(super) fn refuse(member: &Member) {
    if let Some(thread) = member.thread() {
        member.seat.refuse(thread);
        thread.unpark();
    }
}

impl Pollable for Port {
    fn look(&self, wanted: u16) -> u16 {
        let state = self.state.lock();
        let mut found = 0;
        if state.is_there() {
            found |= ready::READABLE;
        }
        if state.is_closed {
            found |= ready::ENDED;
        }
        found & wanted
    }

    fn announce(&self) {}

    fn waiters(&self) -> &Waiters {
        &self.waiters
    }
}

/// A port, as a handle has it.
#[derive(Debug)]
pub(super) struct PortEnd {
    port: Arc<Port>,
    receives: bool,
}

impl PortEnd {
    fn new(port: Arc<Port>, receives: bool) -> Self {
        if receives {
            port.receiving.fetch_add(1, Ordering::Relaxed);
        }
        Self { port, receives }
    }

    /// The same, for a handle with these rights.
    pub(super) fn with_rights(&self, held: u32) -> Self {
        let receives = self.receives && held & rights::RECEIVE != 0;
        Self::new(Arc::clone(&self.port), receives)
    }

    /// The port.
    pub(super) fn port(&self) -> &Arc<Port> {
        &self.port
    }
}

impl Clone for PortEnd {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.port), self.receives)
    }
}

impl Drop for PortEnd {
    fn drop(&mut self) {
        // ORDERING: AcqRel: who closes the port sees what was done by the other handles.
        if self.receives && self.port.receiving.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.port.close();
        }
    }
}
