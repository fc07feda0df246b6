//! Ports: where threads of programs call each other.
//!
//! A thread *calls* a port: its message waits in the port's queue until a thread *receives* it, does
//! what is asked, and *replies*; until then the caller waits. Beside that a port has notification
//! bits, which anybody may set without waiting, and which the next thread that receives gets.
//!
//! ```text
//! of a member (a thread of a program):   Idle -> Sent       by itself, in `call`
//!                                        Sent -> Taken      by who receives it
//!                                        Taken -> Answered  by who replies; or ends, or receives again: `Ended`
//!                                        Sent -> Answered   by the port when it closes: `Ended`
//!                                        Answered -> Idle   by itself; any -> Idle when it is to end
//! ```
//!
//! Each step is under the lock of the member's exchange; the port's queue has members in `Sent`, and
//! such as have gone on since, which are passed over. Who changes `Sent` or `Taken` unparks the member:
//! it looks again. A thread that waits to receive is in the port's list of receivers before it looks
//! for the last time, and is unparked by who puts something there.
//!
//! A port closes when nobody is left who may receive at it: when the last handle with that right is
//! given back, or dies with its program.

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
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

/// Where a member is in a call of its.
#[derive(Debug, Default)]
enum Exchange {
    /// It makes none.
    #[default]
    Idle,
    /// Nobody has received it.
    Sent(Message),
    /// Somebody has.
    Taken,
    /// It is over.
    Answered(Result<Message, Error>),
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
            exchange: IrqMutex::new(Exchange::Idle),
            port: AtomicU64::new(0),
            bytes: IrqMutex::new([0; MESSAGE_BYTES]),
        }
    }

    /// Takes the message, if nobody has.
    fn take(&self) -> Option<Message> {
        let mut exchange = self.exchange.lock();
        if !matches!(*exchange, Exchange::Sent(_)) {
            return None;
        }
        match core::mem::replace(&mut *exchange, Exchange::Taken) {
            Exchange::Sent(message) => Some(message),
            _ => None,
        }
    }

    /// Answers `client`, whose seat it is, if it still waits.
    fn answer(&self, client: i32, answer: Result<Message, Error>) {
        let mut exchange = self.exchange.lock();
        if matches!(*exchange, Exchange::Sent(_) | Exchange::Taken) {
            // Under the lock: before the client can go on.
            let port = self.port.load(Ordering::Relaxed);
            match &answer {
                Ok(message) => {
                    let server = sched::current().tid();
                    events::message_reply(port, client, server, message.length);
                }
                Err(_) => events::message_reply(port, client, 0, 0),
            }
            let before = core::mem::replace(&mut *exchange, Exchange::Answered(answer));
            drop(exchange);
            drop(before);
        }
    }

    /// The answer, if there is one: then the seat is idle again.
    fn answered(&self) -> Option<Result<Message, Error>> {
        let mut exchange = self.exchange.lock();
        if !matches!(*exchange, Exchange::Answered(_)) {
            return None;
        }
        match core::mem::take(&mut *exchange) {
            Exchange::Answered(answer) => Some(answer),
            _ => None,
        }
    }

    /// Gives the call up.
    fn give_up(&self) {
        let before = core::mem::take(&mut *self.exchange.lock());
        drop(before);
    }
}

/// What a port has under its lock.
#[derive(Debug, Default)]
struct State {
    /// Who calls, in order.
    callers: VecDeque<Weak<Member>>,
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

/// What was received.
#[derive(Debug)]
pub(super) enum Received {
    /// A message, of this member, which waits for the answer.
    Message(Arc<Member>, Message),
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
    pub(super) fn call(&self, me: &Arc<Member>, message: Message) -> Result<Message, Error> {
        me.seat.port.store(self.number, Ordering::Relaxed);
        *me.seat.exchange.lock() = Exchange::Sent(message);
        if let Err(error) = self.queue(me) {
            me.seat.give_up();
            return Err(error);
        }
        loop {
            let woken = sched::park(None);
            if let Some(answer) = me.seat.answered() {
                return answer;
            }
            if woken == Woken::Ended {
                me.seat.give_up();
                return Err(Error::Killed);
            }
        }
    }

    /// Puts `me` into the queue, and wakes somebody who receives.
    fn queue(&self, me: &Arc<Member>) -> Result<(), Error> {
        let receiver = {
            let mut state = self.state.lock();
            if state.is_closed {
                return Err(Error::Ended);
            }
            if state.callers.len() >= MOST {
                // Who has been ended while it waited is still there.
                state.callers.retain(|caller| caller.strong_count() != 0);
                if state.callers.len() >= MOST {
                    return Err(Error::NoRoom);
                }
            }
            state.callers.push_back(Arc::downgrade(me));
            state.receivers.pop()
        };
        self.wake(receiver);
        Ok(())
    }

    /// Wakes a thread that receives, and who polls.
    fn wake(&self, receiver: Option<Thread>) {
        if let Some(receiver) = receiver {
            receiver.unpark();
        }
        self.waiters.wake_all();
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
        self.wake(receiver);
        Ok(())
    }

    /// Waits for a message or bits, at most until a time in ticks. Task context, interrupts off.
    ///
    /// # Errors
    /// [`Error::TimedOut`], [`Error::Killed`]; [`Error::Ended`]: the last handle that may receive was
    /// given back meanwhile.
    pub(super) fn receive(&self, until: Option<u64>) -> Result<Received, Error> {
        let me = sched::current();
        loop {
            if let Some(received) = self.try_receive(me)? {
                return Ok(received);
            }
            match sched::park(until) {
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
    fn try_receive(&self, me: Thread) -> Result<Option<Received>, Error> {
        loop {
            let caller = {
                let mut state = self.state.lock();
                if state.is_there() {
                    // Who goes on is not one of those who can be woken.
                    state.receivers.retain(|receiver| *receiver != me);
                }
                if state.bits != 0 {
                    let bits = core::mem::take(&mut state.bits);
                    return Ok(Some(Received::Bits(bits)));
                }
                if let Some(caller) = state.callers.pop_front() {
                    caller
                } else if state.is_closed {
                    return Err(Error::Ended);
                } else {
                    if !state.receivers.contains(&me) {
                        state.receivers.push(me);
                    }
                    return Ok(None);
                }
            };
            if let Some(received) = Self::take(&caller) {
                return Ok(Some(received));
            }
        }
    }

    /// What there is, now.
    fn try_take(&self) -> Option<Received> {
        loop {
            let caller = {
                let mut state = self.state.lock();
                if state.bits != 0 {
                    return Some(Received::Bits(core::mem::take(&mut state.bits)));
                }
                state.callers.pop_front()?
            };
            if let Some(received) = Self::take(&caller) {
                return Some(received);
            }
        }
    }

    /// The message of a caller, if it still waits.
    fn take(caller: &Weak<Member>) -> Option<Received> {
        let member = caller.upgrade()?;
        let message = member.seat.take()?;
        Some(Received::Message(member, message))
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
        for member in callers.iter().filter_map(Weak::upgrade) {
            answer(&member, Err(Error::Ended));
        }
        self.waiters.wake_all();
    }
}

/// Answers the call of a member, which may have gone on, and has it look. Task context, interrupts
/// off.
pub(super) fn answer(member: &Member, answer: Result<Message, Error>) {
    // Who has a seat in a call has begun: it is known as a thread.
    if let Some(thread) = member.thread() {
        member.seat.answer(thread.tid(), answer);
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
