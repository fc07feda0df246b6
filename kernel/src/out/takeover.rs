//! Streams in the hands of programs: what the kernel's pump leaves to them.
//!
//! A program that takes a stream over gets no reader, and opens no second one: the source stays the
//! kernel's, with the console's copies of klog, the moments at which the trace is asked, the snapshots
//! of a recorder. It gets a ticket, by which it takes packets and submits them, by their numbers. The
//! ticket is void when the file is closed, also because the program has died, and when the kernel
//! [takes all streams back](take_back): at the end of the machine, also while a call is under way,
//! since a call looks at its ticket under the stream's lock. What the program had comes next then, in
//! the old order. A panic asks nobody: it reads the rings, where packets lie until the device is done
//! with them.
//!
//! | who drains | when |
//! |---|---|
//! | the kernel's pump | nobody has taken the stream over: from the first packet on, where there are no programs, between the death of one and the next, behind one that lets packets lie; what syslog is told rests for a moment then |
//! | a program | from its `file_open` on, until it closes the file |
//! | the kernel's pump | from [`take_back`] on, for good |
//!
//! The kernel's pump looks at streams of programs, too, at each tick, and when the device is done with
//! something: it asks their CPUs for what was not handed over yet, as for its own, and wakes who
//! sleeps. Where a packet waits for its program for ten seconds, though its outlet has room, the stream
//! is the kernel's again: a service that hangs stops neither its streams nor, where it has klog, the
//! console for good.
//!
//! So a program drains when the kernel would, needs no time of its own to look at, and costs writers
//! nothing: no packet wakes anybody by itself.

use core::fmt;

use relay::{Reader, SubBuffer};
use relay_pump::{Refusal, Ticket, Took};

use super::pump::{self, NotDone};
use super::sent::{self, Sender};
use super::stream::{Patience, State, Stream};
use super::waker;

/// Why a stream was not taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// It does not leave the machine, or over what programs cannot use.
    NotFound,
    /// Somebody else has it.
    Busy,
    /// The kernel has taken all streams back.
    Over,
}

/// What is there of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// A packet can be taken.
    pub(crate) is_readable: bool,
    /// Nothing will come, or not to this program.
    pub(crate) is_ended: bool,
}

/// A stream that was taken over. Dropping it gives it back to the kernel. All of it in calls of the
/// program: task context, interrupts off.
pub(crate) struct TakenOver {
    stream: &'static Stream,
    ticket: Ticket,
    sender: Sender,
}

/// Takes over the stream of a channel that `cpu` writes, for the program of this name. Returns how
/// many outlets there are, too.
///
/// # Errors
/// [`NotTaken`].
pub(crate) fn take_over(
    path: &str,
    cpu: usize,
    program: &str,
) -> Result<(TakenOver, usize), NotTaken> {
    let (stream, outlets) = pump::find(path, cpu).ok_or(NotTaken::NotFound)?;
    let mut state = stream.state.lock();
    let taken = state.queue.take_over();
    state.rests = None;
    drop(state);
    let ticket = taken.map_err(|refusal| match refusal {
        Refusal::Closed => NotTaken::Over,
        _ => NotTaken::Busy,
    })?;
    let sender = sent::of(program);
    let taken = TakenOver {
        stream,
        ticket,
        sender,
    };
    Ok((taken, outlets))
}

/// Has the kernel drain all streams from now on, for good. Task context.
pub(crate) fn take_back() {
    for stream in pump::streams() {
        let mut state = stream.state.lock();
        state.rests = None;
        let was_taken = state.queue.take_back();
        drop(state);
        if was_taken {
            waker::wake(stream.cpu);
        }
    }
}

/// Whether programs drain the streams of a channel, all of them. Task context.
pub(crate) fn is_taken_over(path: &str) -> bool {
    let mut streams = pump::streams().into_iter().filter(|one| one.path == path);
    streams.all(|stream| !stream.state.lock().queue.is_kernels())
}

impl TakenOver {
    /// Takes the next packet, and says what there is to say of it.
    ///
    /// # Errors
    /// [`NotDone`].
    pub(crate) fn take<R>(&self, say: impl FnOnce(&SubBuffer<'static>) -> R) -> Result<R, NotDone> {
        let mut state = self.stream.state.lock();
        let took = state.take(self.ticket, Patience::Waits);
        let why = match took {
            Ok(Took::Packet(number)) => return Ok(say(state.queue.get(self.ticket, number)?)),
            Ok(Took::Nothing) => NotDone::Nothing,
            Ok(Took::Ended) => NotDone::Ended,
            Err(refusal) => refusal.into(),
        };
        drop(state);
        // It has nothing more to submit for now.
        pump::tell(self.stream.cpu);
        Err(why)
    }

    /// Looks at a packet that is held.
    ///
    /// # Errors
    /// [`NotDone`].
    pub(crate) fn get<R>(
        &self,
        number: u64,
        look: impl FnOnce(&SubBuffer<'static>) -> R,
    ) -> Result<R, NotDone> {
        let state = self.stream.state.lock();
        Ok(look(state.queue.get(self.ticket, number)?))
    }

    /// A packet that is held is the stream's again, in its place.
    ///
    /// # Errors
    /// [`NotDone`].
    pub(crate) fn give_back(&self, number: u64) -> Result<(), NotDone> {
        let mut state = self.stream.state.lock();
        Ok(state.queue.give_back(self.ticket, number)?)
    }

    /// A packet that is held leaves through an outlet.
    ///
    /// # Errors
    /// [`NotDone`].
    pub(crate) fn submit(&self, number: u64, outlet: usize) -> Result<(), NotDone> {
        pump::submit(self.stream, self.ticket, number, outlet)?;
        self.sender.count();
        Ok(())
    }

    /// How many packets are held.
    pub(crate) fn held(&self) -> u64 {
        let state = self.stream.state.lock();
        match self.is_good(&state) {
            true => state.queue.had() as u64,
            false => 0,
        }
    }

    /// What is there.
    pub(crate) fn look(&self) -> Seen {
        let mut state = self.stream.state.lock();
        let is_good = self.is_good(&state);
        let is_readable = is_good && state.fill(Patience::Waits);
        Seen {
            is_readable,
            is_ended: !is_good || (!is_readable && state.is_at_end()),
        }
    }

    /// Whether the outlet has room for a packet; who waits for it is told when it has.
    pub(crate) fn is_writable(&self) -> bool {
        pump::has_room(self.stream.cpu)
    }

    /// Says that the program will sleep if it finds nothing when it looks next.
    pub(crate) fn announce(&self) {
        pump::tell(self.stream.cpu);
        let mut state = self.stream.state.lock();
        if self.is_good(&state) {
            state.announce();
        }
    }

    /// Does something with the stream's reader. `None`: the stream is not the program's any more, or
    /// has none.
    pub(crate) fn with_reader<R>(&self, act: impl FnOnce(&mut Reader<'static>) -> R) -> Option<R> {
        let mut state = self.stream.state.lock();
        match self.is_good(&state) {
            true => state.with_reader(act),
            false => None,
        }
    }

    fn is_good(&self, state: &State) -> bool {
        state.queue.is_owner(self.ticket)
    }
}

impl Drop for TakenOver {
    fn drop(&mut self) {
        self.stream.leave(self.ticket);
        pump::tell(self.stream.cpu);
    }
}

impl fmt::Debug for TakenOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TakenOver")
            .field("path", &self.stream.path)
            .field("cpu", &self.stream.cpu)
            .field("ticket", &self.ticket)
            .finish_non_exhaustive()
    }
}
