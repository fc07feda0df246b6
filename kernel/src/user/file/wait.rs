//! Waiting for files.
//!
//! relay tells of the stream, by its number, when something becomes readable that somebody has
//! announced to wait for: in the middle of a write, where nobody may be woken, since the scheduler
//! may be in the middle of something. So the machine keeps it as a bit of the CPU, and interrupts
//! this CPU itself: [`deliver`] is what comes then. All files of streams with the same number share a
//! list: who is woken looks again.

use relay_abi::ready;

use super::open::{OpenFile, Use};
use crate::base::cpuset::MAX_CPUS;
use crate::cpu::machine;
use crate::out::takeover::TakenOver;
use crate::user::poll::Pollable;
use crate::user::waiting::Waiters;

/// Who waits for files, by the number of the stream.
static WAITERS: [Waiters; MAX_CPUS] = [const { Waiters::new() }; MAX_CPUS];

/// Has those look again who wait for the streams that this CPU has been told of. IRQ context, of
/// every wake-up interrupt.
pub(crate) fn deliver() {
    machine::take_wakes().iter().for_each(wake);
}

/// Has those look again who wait for streams with this number. Task and IRQ context, interrupts off.
pub(crate) fn wake(stream: usize) {
    WAITERS[stream % MAX_CPUS].wake_all();
}

/// What is there of what is wanted of a file that is drained. That it has ended is always told.
fn drained(taken: &TakenOver, wanted: u16) -> u16 {
    let mut found = 0;
    if wanted & (ready::READABLE | ready::ENDED) != 0 {
        let seen = taken.look();
        if seen.is_readable {
            found |= ready::READABLE & wanted;
        }
        if seen.is_ended {
            return ready::ENDED;
        }
    }
    if wanted & ready::WRITABLE != 0 && taken.is_writable() {
        found |= ready::WRITABLE;
    }
    found
}

impl Pollable for OpenFile {
    fn look(&self, wanted: u16) -> u16 {
        if let Use::Drain(taken) = &self.state.lock().used {
            return drained(taken, wanted);
        }
        let (is_readable, is_at_end) = match &mut self.state.lock().used {
            Use::Fresh(reader) => (reader.is_readable(), reader.is_at_end()),
            Use::Packets(window) => {
                let is_readable = window.reader_mut().is_readable();
                (is_readable, window.reader().is_at_end())
            }
            Use::Records(records) => (records.is_readable(), records.is_at_end()),
            Use::Observe(observer, _) => (observer.is_readable(), observer.is_at_end()),
            Use::Drain(_) | Use::Changing => (false, false),
        };
        let found = match (is_readable, is_at_end) {
            (true, _) => ready::READABLE,
            (false, true) => ready::ENDED,
            (false, false) => 0,
        };
        // Who waits for something to read waits no longer where nothing will come.
        match wanted & ready::READABLE != 0 {
            true => found,
            false => found & wanted,
        }
    }

    fn announce(&self) {
        // What they say of sleeping or not is what `look` finds.
        let _ = match &mut self.state.lock().used {
            Use::Fresh(reader) => reader.prepare_to_sleep(),
            Use::Packets(window) => window.prepare_to_sleep(),
            Use::Records(records) => records.prepare_to_sleep(),
            Use::Observe(observer, _) => observer.prepare_to_sleep(),
            Use::Drain(taken) => {
                taken.announce();
                false
            }
            Use::Changing => false,
        };
    }

    fn waiters(&self) -> &Waiters {
        &WAITERS[self.file.cpu() % MAX_CPUS]
    }
}
