//! System calls: from registers to what does them, and back.
//!
//! Each is a few lines here: it looks handles up, reads what the program passes, and hands that to
//! what knows how. `docs/SYSCALLS.md` has them on one page.

use alloc::sync::Arc;
use alloc::vec::Vec;

use relay_abi::{
    Call, Ended, Error, How, MESSAGE_BYTES, NO_HANDLE, NORMAL_PRIORITY, PATH_BYTES, Spawn,
    ThreadOptions, USER_BEGIN, USER_END, rights,
};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use super::events;
use super::file::control;
use super::file::open::{self, OpenFile};
use super::handles::{Entry, Handles, Object};
use super::memory::{Memory, error};
use super::poll::{self, Pollable};
use super::port::{self, Message, Next, Port};
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
use crate::out::syslog_port;
use crate::sched::{self, Thread, Woken};

/// A system call of the thread that runs here: its registers become what it gets back. Task context,
/// interrupts off.
pub(crate) fn call(frame: &mut TrapFrame) {
    let number = frame.rax;
    if number == Call::Null as u64 {
        // What the way in and out costs, and nothing else.
        frame.rax = 0;
        return;
    }
    if events::are_on() {
        events::syscall_entry(number, arguments(frame));
    }
    let result = match (Call::from_number(number), process::member()) {
        (Some(call), Some(member)) => run(&member, call, frame),
        (None, _) => Err(Error::NoSuchCall),
        (_, None) => Err(Error::Killed),
    };
    frame.rax = match result {
        Ok(count) => count & i64::MAX as u64,
        Err(error) => {
            // A call that fails gives nothing back beside.
            (frame.rdx, frame.rsi, frame.rdi, frame.r10, frame.r8) = (0, 0, 0, 0, 0);
            error.word()
        }
    };
    if events::are_on() {
        let given = [frame.rdx, frame.rsi, frame.rdi, frame.r10];
        events::syscall_exit(number, frame.rax as i64, given);
    }
}

/// The arguments of a call, in their order.
#[inline(always)]
fn arguments(frame: &TrapFrame) -> [u64; 6] {
    [
        frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9,
    ]
}

/// Does a call; what it gives back beside its count goes to registers.
#[inline(always)]
fn run(me: &Arc<Member>, call: Call, back: &mut TrapFrame) -> Result<u64, Error> {
    let [a, b, c, d, e, f] = arguments(back);
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
            if events::are_on() {
                let tid = me.thread().map_or(0, Thread::tid);
                let (bytes, has_handle) = (message.length, message.passed.is_some());
                events::message_send(port.number(), tid, bytes, has_handle);
            }
            let answer = port.call(me, message)?;
            take_in(me, me, answer, [e, f >> 16 & 0xffff], back)
        }
        Call::Receive => {
            let port = handles.port(a, rights::RECEIVE)?;
            receive(me, &port, None, until(b), [c, d], back)
        }
        Call::Reply => {
            if let Some(answered) = reply(me, [b, c, d], [e, a])? {
                answered.unpark();
            }
            Ok(0)
        }
        Call::ReplyReceive => {
            let port = handles.port(a, rights::RECEIVE)?;
            let answered = reply(me, [b, c, d], [e, f])?;
            receive(me, &port, answered, None, [e, f >> 16 & 0xffff], back)
        }
        Call::Notify => {
            let port = handles.port(a, rights::SEND)?;
            events::message_notify(port.number(), b, sched::current().tid());
            port.notify(b)?;
            Ok(0)
        }
        Call::FileTake => {
            let taken = consumed(handles, a)?.take()?;
            back.rdx = taken.number;
            back.rsi = taken.at;
            back.rdi = taken.start;
            back.r10 = taken.records;
            Ok(taken.length)
        }
        Call::FileGiveBack => consumed(handles, a)?.give_back(b),
        _ => files(me, call, back),
    }
}

/// An open file whose packets may be taken. What a file is used for is known when it is opened; here
/// a right to either will do.
#[inline(always)]
fn consumed(handles: &Handles, handle: u64) -> Result<Arc<OpenFile>, Error> {
    match handles.file(handle, rights::CONSUME) {
        Err(Error::NoRight) => handles.file(handle, rights::DRAIN),
        file => file,
    }
}

/// Does a call about files of relay.
fn files(me: &Arc<Member>, call: Call, back: &mut TrapFrame) -> Result<u64, Error> {
    let [a, b, c, d, e, _] = arguments(back);
    let handles = &me.process.handles;
    let memory = &*me.space;
    let observed = || handles.file(a, rights::OBSERVE);
    let consumed = || consumed(handles, a);
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
            let object = Object::Syslog(syslog::open(syslog_port::way())?);
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

/// What says that a message has no bytes, and no handle.
const NOTHING: u64 = (NO_HANDLE as u64) << 32;

/// A message with these words, and what `lengths` says of the buffer and of a handle. Its bytes are
/// put into the seat of who calls.
#[inline(always)]
fn message(
    me: &Member,
    caller: &Member,
    words: [u64; 3],
    [buffer, lengths]: [u64; 2],
) -> Result<Message, Error> {
    // Bits 16 to 31 are of the answer.
    let (length, passed) = match lengths & !0xffff_0000 {
        NOTHING => (0, None),
        _ => with_more(me, caller, [buffer, lengths])?,
    };
    Ok(Message {
        words,
        length,
        passed,
    })
}

/// The length of a message, and the handle that goes with it.
#[inline(never)]
fn with_more(
    me: &Member,
    caller: &Member,
    [buffer, lengths]: [u64; 2],
) -> Result<(usize, Option<Entry>), Error> {
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
    Ok((length, passed))
}

/// Gives a message of a call to the program: as many bytes as there is room for.
#[inline(always)]
fn take_in(
    me: &Member,
    caller: &Member,
    message: Message,
    place: [u64; 2],
    back: &mut TrapFrame,
) -> Result<u64, Error> {
    [back.rsi, back.rdx, back.r10] = message.words;
    let (length, handle) = match message {
        Message {
            length: 0,
            passed: None,
            ..
        } => (0, NO_HANDLE),
        Message { length, passed, .. } => take_more(me, caller, length, passed, place)?,
    };
    back.r8 = handle.into();
    Ok(length)
}

/// How many bytes the program has got, and the handle that came with them.
#[inline(never)]
fn take_more(
    me: &Member,
    caller: &Member,
    length: usize,
    passed: Option<Entry>,
    [buffer, room]: [u64; 2],
) -> Result<(u64, u32), Error> {
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    let length = length.min(room);
    if length != 0 {
        let bytes = caller.seat.bytes.lock();
        Memory::write(&*me.space, buffer, &bytes[..length])?;
    }
    Ok((length as u64, me.process.handles.add_passed(passed)))
}

/// Receives at a port; unparks `answered` before it waits, or when it need not.
#[inline(always)]
fn receive(
    me: &Arc<Member>,
    port: &Port,
    mut answered: Option<Thread>,
    until: Option<u64>,
    place: [u64; 2],
    back: &mut TrapFrame,
) -> Result<u64, Error> {
    if let Some(before) = me.stop_serving() {
        port::refuse(&before);
    }
    // It runs: so it has begun.
    let thread = me.thread().ok_or(Error::Killed)?;
    loop {
        let caller = match port.receive(thread, answered.take(), until)? {
            Next::Caller(caller) => caller,
            Next::Bits(bits) => {
                (back.rdi, back.rsi, back.rdx, back.r10) = (0, bits, 0, 0);
                back.r8 = NO_HANDLE.into();
                return Ok(0);
            }
        };
        let Some(message) = caller.seat.take() else {
            // It was refused, or does not call any more.
            continue;
        };
        if events::are_on() {
            let client = caller.thread().map_or(0, Thread::tid);
            events::message_receive(port.number(), client, thread.tid(), message.length);
        }
        back.rdi = caller.process.pid() as u64;
        let length = take_in(me, &caller, message, place, back);
        match length {
            Ok(_) => *me.serves.lock_quiet() = Some(caller),
            Err(_) => port::refuse(&caller),
        }
        return length;
    }
}

/// Answers whose call was received last; who is to be unparked then.
#[inline(always)]
fn reply(
    me: &Arc<Member>,
    words: [u64; 3],
    [buffer, lengths]: [u64; 2],
) -> Result<Option<Thread>, Error> {
    let caller = me.stop_serving().ok_or(Error::NotFound)?;
    match message(me, &caller, words, [buffer, lengths]) {
        Ok(answer) => {
            let server = me.thread().map_or(0, Thread::tid);
            Ok(port::answer(&caller, server, answer))
        }
        Err(error) => {
            // The caller waits on: the thread may answer again.
            *me.serves.lock_quiet() = Some(caller);
            Err(error)
        }
    }
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
