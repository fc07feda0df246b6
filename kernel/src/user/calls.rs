//! System calls: from registers to what does them, and back.
//!
//! Each is a few lines here: it looks handles up, reads what the program passes, and hands that to
//! what knows how. `docs/SYSCALLS.md` has them on one page.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use relay_abi::{
    Call, Ended, Error, How, MESSAGE_BYTES, NO_HANDLE, NORMAL_PRIORITY, PATH_BYTES, Spawn,
    ThreadOptions, USER_BEGIN, USER_END, rights,
};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use super::events;
use super::file::{control, open};
use super::handles::{Entry, Object};
use super::memory::{Memory, error};
use super::poll::{self, Pollable};
use super::port::{self, Message, Port, Received};
use super::process::{self, Member};
use super::start;
use super::syslog;
use super::waiting::Threads;
use crate::arch::frame::TrapFrame;
use crate::cpu::{clock, percpu};
use crate::logs::evlog;
use crate::logs::operator::ProgramKilled;
use crate::logs::registry::NAMES;
use crate::logs::user::Writer;
use crate::mem::Rights;
use crate::sched::{self, Woken};

/// What a call gives back beside its count.
#[derive(Debug, Default, Clone, Copy)]
struct Back {
    rdx: u64,
    rsi: u64,
    rdi: u64,
    r10: u64,
    r8: u64,
}

/// A system call of the thread that runs here: its registers become what it gets back. Task context,
/// interrupts off.
pub(crate) fn call(frame: &mut TrapFrame) {
    let number = frame.rax;
    if number == Call::Null as u64 {
        // What the way in and out costs, and nothing else.
        frame.rax = 0;
        return;
    }
    let arguments = [
        frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9,
    ];
    events::syscall_entry(number, arguments);
    let mut back = Back::default();
    let result = match (Call::from_number(number), member()) {
        (Some(call), Some(member)) => run(&member, call, arguments, &mut back),
        (None, _) => Err(Error::NoSuchCall),
        (_, None) => Err(Error::Killed),
    };
    frame.rax = match result {
        Ok(count) => count & i64::MAX as u64,
        Err(error) => error.word(),
    };
    frame.rdx = back.rdx;
    frame.rsi = back.rsi;
    frame.rdi = back.rdi;
    frame.r10 = back.r10;
    frame.r8 = back.r8;
    let given = [back.rdx, back.rsi, back.rdi, back.r10];
    events::syscall_exit(number, frame.rax as i64, given);
}

/// The thread that runs here, as a member of its process.
pub(super) fn member() -> Option<Arc<Member>> {
    let owner = sched::owner()?;
    let any: Arc<dyn Any + Send + Sync> = owner;
    any.downcast().ok()
}

/// Does a call.
fn run(me: &Arc<Member>, call: Call, arguments: [u64; 6], back: &mut Back) -> Result<u64, Error> {
    let [a, b, c, d, e, f] = arguments;
    let handles = &me.process.handles;
    let memory = &*me.space;
    match call {
        Call::Null => Ok(0),
        Call::Exit => {
            me.process.end(Ended::Exited(a as u32));
            Err(Error::Killed)
        }
        Call::ThreadExit => {
            sched::end_current();
            Err(Error::Killed)
        }
        Call::ThreadStart => {
            let options = options(memory, d)?;
            is_user(a)?;
            is_user(b)?;
            let thread =
                process::start_thread(&me.process, &me.space, [a, b & !15], [c, 0], options)?;
            Ok(thread.tid() as u64)
        }
        Call::ThreadOptions => {
            sched::set_options(options(memory, a)?).map_err(|_| Error::BadArgument)?;
            Ok(0)
        }
        Call::Yield => {
            sched::yield_now();
            Ok(0)
        }
        Call::Sleep => sleep(deadline(a)),
        Call::Time => {
            back.rdx = clock::started().unwrap_or(0);
            Ok(clock::nanos(clock::ticks()))
        }
        Call::Who => {
            back.rdx = sched::current().tid() as u64;
            back.rsi = percpu::cpu_index() as u64;
            Ok(me.process.pid() as u64)
        }
        Call::Spawn => spawn(me, a, b),
        Call::Status => {
            back.rdx = handles.process(a, 0)?.ended().word();
            Ok(0)
        }
        Call::Kill => {
            let process = handles.process(a, rights::END)?;
            if process.end(Ended::Killed) {
                evlog::emit(|| ProgramKilled {
                    program: process.name(),
                    process: process.pid(),
                    by: me.process.pid(),
                });
            }
            Ok(0)
        }
        Call::MemoryMap => {
            let length = whole_pages(a)?;
            memory.map(None, length, Rights::ReadWrite).map_err(error)
        }
        Call::MemoryUnmap => {
            memory.unmap(a, whole_pages(b)?).map_err(error)?;
            Ok(0)
        }
        Call::Close => {
            handles.close(a)?;
            Ok(0)
        }
        Call::Duplicate => {
            let entry = handles.get(handle(a)?)?.with_rights(b as u32);
            handles.add(entry).map(u64::from)
        }
        Call::PortCreate => {
            let object = Object::Port(Port::open());
            let rights = rights::SEND | rights::RECEIVE | rights::PASS;
            handles.add(Entry { object, rights }).map(u64::from)
        }
        Call::Call => {
            let port = handles.port(a, rights::SEND)?;
            let message = message(me, me, [b, c, d], [e, f])?;
            let tid = sched::current().tid();
            let (bytes, has_handle) = (message.length, message.passed.is_some());
            events::message_send(port.number(), tid, bytes, has_handle);
            let answer = port.call(me, message)?;
            take_in(me, me, answer, [e, f >> 16 & 0xffff], back)
        }
        Call::Receive => {
            let port = handles.port(a, rights::RECEIVE)?;
            receive(me, &port, until(b), [c, d], back)
        }
        Call::Reply => {
            reply(me, [b, c, d], e, a)?;
            Ok(0)
        }
        Call::ReplyReceive => {
            let port = handles.port(a, rights::RECEIVE)?;
            reply(me, [b, c, d], e, f)?;
            receive(me, &port, None, [e, f >> 16 & 0xffff], back)
        }
        Call::Notify => {
            let port = handles.port(a, rights::SEND)?;
            events::message_notify(port.number(), b, sched::current().tid());
            port.notify(b)?;
            Ok(0)
        }
        _ => files(me, call, arguments, back),
    }
}

/// Does a call about files of relay.
fn files(me: &Arc<Member>, call: Call, arguments: [u64; 6], back: &mut Back) -> Result<u64, Error> {
    let [a, b, c, d, e, _] = arguments;
    let handles = &me.process.handles;
    let memory = &*me.space;
    let observed = || handles.file(a, rights::OBSERVE);
    // What a file is used for is known when it is opened; here a right to either will do.
    let consumed = || {
        let file = handles.file(a, rights::CONSUME);
        file.or_else(|_| handles.file(a, rights::DRAIN))
    };
    let controlled = || handles.file(a, rights::CONTROL);
    match call {
        Call::FileName => {
            handles.files(a, rights::OBSERVE)?;
            open::name(&NAMES, memory, b, [c, d])
        }
        Call::FileOpen => {
            let Entry { object, rights } = handles.get(handle(a)?)?;
            let Object::Files = object else {
                return Err(Error::WrongKind);
            };
            let file = match d == How::Drain as u64 {
                true => {
                    let name = me.process.name();
                    let (file, outlets) = open::drain(&NAMES, memory, rights, [b, c], name)?;
                    back.rdx = outlets;
                    file
                }
                false => open::open(&NAMES, memory, rights, [b, c, d])?,
            };
            let object = Object::File(Arc::new(file));
            handles.add(Entry { object, rights }).map(u64::from)
        }
        Call::FileInfo => observed()?.info(memory, b),
        Call::FileRead => observed()?.read(memory, [b, c]),
        Call::FileReadLast => {
            let [bytes, records] = observed()?.read_last(memory, [b, c, d])?;
            back.rdx = records;
            Ok(bytes)
        }
        Call::FileTake => {
            let taken = consumed()?.take()?;
            back.rdx = taken.number;
            back.rsi = taken.at;
            back.rdi = taken.start;
            back.r10 = taken.records;
            Ok(taken.length)
        }
        Call::FileGiveBack => consumed()?.give_back(b),
        Call::FileCopy => consumed()?.copy(memory, [b, c, d, e]),
        Call::FileMap => {
            let [address, length] = handles.file(a, rights::MAP)?.map(memory)?;
            back.rdx = length;
            Ok(address)
        }
        Call::Poll => poll::call(memory, &Threads, [a, b], until(c), |handle| {
            let object: Arc<dyn Pollable> = match handles.get(handle).ok()?.object {
                Object::File(file) => file,
                Object::Port(port) => Arc::clone(port.port()) as Arc<dyn Pollable>,
                Object::Process(process) => process,
                Object::Syslog(syslog) => syslog,
                Object::Files => return None,
            };
            Some(object)
        }),
        Call::Write => {
            handles.files(a, rights::WRITE)?;
            let writer = Writer {
                pid: me.process.pid(),
                tid: sched::current().tid(),
                comm: me.process.name(),
            };
            control::write(memory, writer, [b, c, d])
        }
        Call::Filter => {
            handles.files(a, rights::CONTROL)?;
            control::filter(memory, [b, c], [d, e])
        }
        Call::FileFlush => controlled()?.flush(),
        Call::FileResize => controlled()?.resize([b, c]),
        Call::FileReset => controlled()?.reset(),
        Call::SyslogOpen => {
            handles.files(a, rights::SYSLOG)?;
            let object = Object::Syslog(syslog::open()?);
            let rights = rights::SYSLOG | rights::PASS;
            handles.add(Entry { object, rights }).map(u64::from)
        }
        Call::SyslogWrite => {
            let syslog = handles.syslog(a, rights::SYSLOG)?;
            syslog.write(memory, [b, c], [d, e], |file| handles.file(file.into(), 0))
        }
        Call::FileSubmit => handles.file(a, rights::DRAIN)?.submit([b, c]),
        Call::Report => {
            let Entry { object, rights } = handles.get(handle(a)?)?;
            let Object::Files = object else {
                return Err(Error::WrongKind);
            };
            control::report(memory, me.process.name(), rights, [b, c], [d, e])
        }
        _ => Err(Error::NoSuchCall),
    }
}

/// A time-out in ns, from now, as a time in ticks; `u64::MAX`: never.
fn until(ns: u64) -> Option<u64> {
    (ns != u64::MAX).then(|| deadline(ns))
}

/// The time so many ns from now, in ticks.
fn deadline(ns: u64) -> u64 {
    clock::ticks().saturating_add(clock::ticks_of_ns(ns))
}

/// Sleeps until a time, in ticks.
fn sleep(until: u64) -> Result<u64, Error> {
    loop {
        match sched::park(Some(until)) {
            Woken::TimedOut => return Ok(0),
            Woken::Ended => return Err(Error::Killed),
            // It was for something that the thread does not wait for any more.
            Woken::Unparked => {}
        }
    }
}

/// The number of a handle.
fn handle(number: u64) -> Result<u32, Error> {
    u32::try_from(number).map_err(|_| Error::BadHandle)
}

/// A number of bytes.
fn length(bytes: u64) -> Result<usize, Error> {
    usize::try_from(bytes).map_err(|_| Error::BadArgument)
}

/// As many bytes in whole pages.
fn whole_pages(bytes: u64) -> Result<u64, Error> {
    let pages = bytes.checked_next_multiple_of(4096);
    let is_some = |pages: &u64| (1..=USER_END).contains(pages);
    pages.filter(is_some).ok_or(Error::BadArgument)
}

/// That an address may be a program's.
fn is_user(address: u64) -> Result<(), Error> {
    let is_one = (USER_BEGIN..USER_END).contains(&address);
    is_one.then_some(()).ok_or(Error::BadArgument)
}

/// A text of the program's, of as many bytes as there is room for.
fn text<'a>(
    memory: &(impl Memory + ?Sized),
    [at, bytes]: [u64; 2],
    room: &'a mut [u8],
) -> Result<&'a str, Error> {
    let bytes = room.get_mut(..length(bytes)?).ok_or(Error::BadArgument)?;
    memory.read(at, bytes)?;
    str::from_utf8(bytes).map_err(|_| Error::BadArgument)
}

/// How a thread is to be run: as is said at an address; 0: as most are.
fn options(memory: &(impl Memory + ?Sized), at: u64) -> Result<ThreadOptions, Error> {
    let mut options = ThreadOptions {
        priority: NORMAL_PRIORITY,
        cpus: 0,
    };
    if at != 0 {
        memory.read(at, options.as_mut_bytes())?;
    }
    Ok(options)
}

/// A message with these words, and what `lengths` says of the buffer and of a handle. Its bytes are
/// put into the seat of who calls.
fn message(
    me: &Member,
    caller: &Member,
    words: [u64; 3],
    [buffer, lengths]: [u64; 2],
) -> Result<Message, Error> {
    let length = (lengths & 0xffff) as usize;
    if length != 0 {
        let mut bytes = caller.seat.bytes.lock();
        let bytes = bytes.get_mut(..length).ok_or(Error::BadArgument)?;
        Memory::read(&*me.space, buffer, bytes)?;
    }
    let passed = match (lengths >> 32) as u32 {
        NO_HANDLE => None,
        handle => {
            let entry = me.process.handles.get(handle)?;
            if entry.rights & rights::PASS == 0 {
                return Err(Error::NoRight);
            }
            Some(entry)
        }
    };
    Ok(Message {
        words,
        length,
        passed,
    })
}

/// Gives a message of a call to the program: as many bytes as there is room for.
fn take_in(
    me: &Member,
    caller: &Member,
    message: Message,
    [buffer, room]: [u64; 2],
    back: &mut Back,
) -> Result<u64, Error> {
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    let length = message.length.min(room);
    if length != 0 {
        let bytes = caller.seat.bytes.lock();
        Memory::write(&*me.space, buffer, &bytes[..length])?;
    }
    [back.rsi, back.rdx, back.r10] = message.words;
    back.r8 = me.process.handles.add_passed(message.passed).into();
    Ok(length as u64)
}

/// Receives at a port.
fn receive(
    me: &Arc<Member>,
    port: &Port,
    until: Option<u64>,
    place: [u64; 2],
    back: &mut Back,
) -> Result<u64, Error> {
    if let Some(before) = me.stop_serving() {
        port::answer(&before, Err(Error::Ended));
    }
    match port.receive(until)? {
        Received::Bits(bits) => {
            back.rsi = bits;
            back.r8 = NO_HANDLE.into();
            Ok(0)
        }
        Received::Message(caller, message) => {
            let client = caller.thread().map_or(0, |thread| thread.tid());
            let server = sched::current().tid();
            events::message_receive(port.number(), client, server, message.length);
            back.rdi = caller.process.pid() as u64;
            match take_in(me, &caller, message, place, back) {
                Ok(length) => {
                    *me.serves.lock() = Some(caller);
                    Ok(length)
                }
                Err(error) => {
                    port::answer(&caller, Err(Error::Ended));
                    Err(error)
                }
            }
        }
    }
}

/// Answers whose call was received last.
fn reply(me: &Arc<Member>, words: [u64; 3], buffer: u64, lengths: u64) -> Result<(), Error> {
    let caller = me.serves.lock().clone().ok_or(Error::NotFound)?;
    // With what is wrong here, the caller waits on: the thread may answer again.
    let answer = message(me, &caller, words, [buffer, lengths])?;
    me.stop_serving();
    port::answer(&caller, Ok(answer));
    Ok(())
}

/// The most handles that a program begins with.
const MOST_PASSED: usize = 8;

/// Starts a program.
fn spawn(me: &Arc<Member>, files: u64, at: u64) -> Result<u64, Error> {
    let handles = &me.process.handles;
    let memory: &dyn Memory = &*me.space;
    handles.files(files, rights::SPAWN)?;
    let mut wanted = Spawn::new_zeroed();
    memory.read(at, wanted.as_mut_bytes())?;
    let (mut name, mut arguments) = ([0; PATH_BYTES], [0; MESSAGE_BYTES]);
    let name = text(memory, [wanted.name, wanted.name_len], &mut name)?;
    let place = [wanted.arguments, wanted.arguments_len];
    let arguments = text(memory, place, &mut arguments)?;
    let mut numbers = [0_u8; MOST_PASSED * size_of::<u32>()];
    let count = length(wanted.handles_len)?;
    let numbers = numbers
        .get_mut(..count.saturating_mul(size_of::<u32>()))
        .ok_or(Error::BadArgument)?;
    memory.read(wanted.handles, numbers)?;
    let mut passed = Vec::new();
    for number in numbers.chunks_exact(size_of::<u32>()) {
        let number = u32::read_from_bytes(number).map_err(|_| Error::BadArgument)?;
        if number == NO_HANDLE {
            passed.push(None);
            continue;
        }
        let entry = handles.get(number)?;
        if entry.rights & rights::PASS == 0 {
            return Err(Error::NoRight);
        }
        passed.push(Some(entry));
    }
    let process = start::start(name, arguments, passed, wanted.options)?;
    let object = Object::Process(Arc::clone(&process));
    let rights = rights::END | rights::OBSERVE;
    let handle = handles.add(Entry { object, rights });
    if handle.is_err() {
        // Nobody could end it: what is refused has not happened.
        process.end(Ended::Killed);
    }
    handle.map(u64::from)
}
