//! Programs that run: processes, and the threads that are their members.
//!
//! A process lives as long as one of its threads does. What it has it gives back when the last of
//! them ends: handles at once, memory when its stack in the kernel is left, too. Who has a handle of
//! it can ask how it ended.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use arrayvec::ArrayString;
use relay_abi::{Ended, Error, PATH_BYTES, ThreadOptions, ready};
use spin::Once;

use super::handles::{Entry, Handles};
use super::poll::Pollable;
use super::port::{self, Seat};
use super::waiting::Waiters;
use crate::arch::user;
use crate::cpu::lock::IrqMutex;
use crate::cpu::running::Comm;
use crate::logs::evlog;
use crate::logs::operator::{ProgramEnded, ProgramStarted};
use crate::mem::UserSpace;
use crate::sched::{self, Owner, Plan, SLOTS, SpawnError, Thread};

/// The most threads of a process.
const MOST_THREADS: usize = 64;

/// A program that runs, or has run.
#[derive(Debug)]
pub(crate) struct Process {
    pid: i32,
    name: ArrayString<PATH_BYTES>,
    pub(super) handles: Handles,
    life: IrqMutex<Life>,
    /// Its first thread was made, or could not be.
    has_begun: AtomicBool,
    waiters: Waiters,
}

/// How far it is.
#[derive(Debug)]
struct Life {
    /// Its threads that have not ended.
    threads: usize,
    /// What it will have ended by, when there are none.
    ended: Ended,
    /// It has ended, and has given its handles back.
    is_over: bool,
}

impl Process {
    /// One without threads, with these handles.
    ///
    /// # Errors
    /// [`Error::NoRoom`]: there is no number for it.
    pub(super) fn new(name: &str, handles: Vec<Option<Entry>>) -> Result<Arc<Self>, Error> {
        let pid = sched::new_number().ok_or(Error::NoRoom)?;
        let mut short = ArrayString::new();
        short.push_str(&name[..name.floor_char_boundary(PATH_BYTES)]);
        Ok(Arc::new(Self {
            pid,
            name: short,
            handles: Handles::new(handles),
            life: IrqMutex::new(Life {
                threads: 0,
                ended: Ended::Not,
                is_over: false,
            }),
            has_begun: AtomicBool::new(false),
            waiters: Waiters::new(),
        }))
    }

    /// Its number: that of its first thread.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// The program's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How it ended. Who finds that it has can have all that it had: its handles are given back.
    pub(crate) fn ended(&self) -> Ended {
        let life = self.life.lock();
        match life.is_over {
            true => life.ended,
            false => Ended::Not,
        }
    }

    /// Ends it so, unless it is about to end otherwise; whether that was not so. Its threads end as
    /// soon as they can. Task context.
    pub(crate) fn end(&self, how: Ended) -> bool {
        let is_first = {
            let mut life = self.life.lock();
            let is_first = life.ended == Ended::Not;
            if is_first {
                life.ended = how;
            }
            is_first
        };
        sched::end_process(self.pid);
        is_first
    }

    /// One more thread, unless there are too many, or it is about to end.
    fn add_thread(&self) -> Result<(), Error> {
        let mut life = self.life.lock();
        if life.ended != Ended::Not {
            return Err(Error::Killed);
        }
        if life.threads >= MOST_THREADS {
            return Err(Error::NoRoom);
        }
        life.threads += 1;
        Ok(())
    }

    /// One less. With the last one it is over.
    fn remove_thread(&self) {
        let (is_over, ended) = {
            let mut life = self.life.lock();
            life.threads -= 1;
            let is_over = life.threads == 0;
            if is_over && life.ended == Ended::Not {
                life.ended = Ended::Exited(0);
            }
            (is_over, life.ended)
        };
        if is_over {
            if let Ended::Exited(code) = ended {
                evlog::emit(|| ProgramEnded {
                    program: self.name(),
                    process: self.pid,
                    code,
                });
            }
            self.handles.close_all();
            self.life.lock().is_over = true;
            self.waiters.wake_all();
        }
    }
}

impl Pollable for Process {
    fn look(&self, wanted: u16) -> u16 {
        match self.ended() {
            Ended::Not => 0,
            _ => ready::ENDED & wanted,
        }
    }

    fn announce(&self) {}

    fn waiters(&self) -> &Waiters {
        &self.waiters
    }
}

/// The members whose threads live, by the slots of these.
static MEMBERS: [IrqMutex<Option<Arc<Member>>>; SLOTS] = [const { IrqMutex::new(None) }; SLOTS];

/// The thread that runs here, as a member of its process; `None`: it is the kernel's. Task context,
/// interrupts off.
pub(super) fn member() -> Option<Arc<Member>> {
    MEMBERS[sched::here()].lock_quiet().clone()
}

/// A thread of a process.
#[derive(Debug)]
pub(crate) struct Member {
    pub(super) process: Arc<Process>,
    pub(super) space: Arc<UserSpace>,
    /// Where its calls of ports are.
    pub(super) seat: Seat,
    /// Whose call it has received and not answered.
    pub(super) serves: IrqMutex<Option<Arc<Self>>>,
    thread: Once<Thread>,
}

impl Member {
    /// The thread; `None`: it has not been made yet.
    pub(super) fn thread(&self) -> Option<Thread> {
        self.thread.get().copied()
    }

    /// Whose call it has received: it has answered now. Task context.
    pub(super) fn stop_serving(&self) -> Option<Arc<Self>> {
        self.serves.lock_quiet().take()
    }
}

impl Owner for Member {
    fn on_begin(&self, thread: Thread) {
        if thread.tid() == self.process.pid {
            sched::events::exec(&self.process.name, thread.tid());
        }
    }

    fn on_end(&self, thread: Thread) {
        if let Some(caller) = self.stop_serving() {
            port::refuse(&caller);
        }
        self.process.remove_thread();
        // Who calls has another reference.
        *MEMBERS[thread.slot()].lock() = None;
    }
}

/// Starts a thread of a process, at `entry` on `stack`, with these arguments. Task context.
///
/// # Errors
/// [`Error::NoRoom`]; [`Error::BadArgument`]: its options; [`Error::Killed`]: the process is about to
/// end.
pub(super) fn start_thread(
    process: &Arc<Process>,
    space: &Arc<UserSpace>,
    [entry, stack]: [u64; 2],
    arguments: [u64; 2],
    options: ThreadOptions,
) -> Result<Thread, Error> {
    process.add_thread()?;
    let started = try_start(process, space, [entry, stack], arguments, options);
    if started.is_err() {
        process.remove_thread();
    }
    started
}

/// The same, when the thread is counted.
fn try_start(
    process: &Arc<Process>,
    space: &Arc<UserSpace>,
    [entry, stack]: [u64; 2],
    arguments: [u64; 2],
    options: ThreadOptions,
) -> Result<Thread, Error> {
    let is_first = !process.has_begun.swap(true, Ordering::Relaxed);
    let number = match is_first {
        true => process.pid,
        false => sched::new_number().ok_or(Error::NoRoom)?,
    };
    let member = Arc::new(Member {
        process: Arc::clone(process),
        space: Arc::clone(space),
        seat: Seat::new(),
        serves: IrqMutex::new(None),
        thread: Once::new(),
    });
    let plan = Plan {
        comm: Comm::new(&process.name),
        number,
        process: process.pid,
        options,
        beginning: user::beginning(entry, stack, arguments),
        space: Arc::clone(space),
        owner: Arc::clone(&member) as Arc<dyn Owner>,
    };
    let thread = sched::spawn(plan).map_err(|error| match error {
        SpawnError::NoRoom => Error::NoRoom,
        SpawnError::BadOptions => Error::BadArgument,
    })?;
    member.thread.call_once(|| thread);
    *MEMBERS[thread.slot()].lock() = Some(member);
    if is_first {
        // Before it can write anything itself.
        evlog::emit(|| ProgramStarted {
            program: process.name(),
            process: process.pid,
        });
    }
    if process.life.lock().ended != Ended::Not {
        // Who ended it meanwhile has not seen the new thread.
        sched::end_process(process.pid);
    }
    thread.unpark();
    Ok(thread)
}

#[cfg(test)]
mod tests {
    use super::super::handles::Object;
    use super::super::port::Port;
    use super::super::waiting::Wakes;
    use super::*;
    use relay_abi::rights;

    /// Looks how a process has ended, when it is told of something.
    struct Looks {
        process: Arc<Process>,
        found: IrqMutex<Vec<Ended>>,
    }

    impl Wakes for Looks {
        fn unpark(&self) {
            self.found.lock().push(self.process.ended());
        }
    }

    #[test]
    fn a_process_has_ended_when_its_handles_are_given_back() {
        let end = Port::open();
        let port = Arc::clone(end.port());
        let entry = Entry {
            object: Object::Port(end),
            rights: rights::ALL,
        };
        let process = Process::new("any", Vec::from([Some(entry)])).expect("there are numbers");
        let looks = Arc::new(Looks {
            process: Arc::clone(&process),
            found: IrqMutex::new(Vec::new()),
        });
        // The port tells of its end, the process of its own.
        let told = Arc::clone(&looks) as Arc<dyn Wakes>;
        assert_eq!(port.waiters().add(&told), Ok(()));
        assert_eq!(process.waiters.add(&told), Ok(()));
        assert_eq!(process.add_thread(), Ok(()));
        assert!(process.end(Ended::Killed));
        assert_eq!(process.ended(), Ended::Not);
        process.remove_thread();
        assert_eq!(*looks.found.lock(), [Ended::Not, Ended::Killed]);
    }
}
