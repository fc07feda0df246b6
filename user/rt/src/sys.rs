//! The system calls, one function each: numbers and slices in, numbers out.
//!
//! Everything but [`raw`] is safe: the kernel writes only into what it is given, and believes
//! nothing. Any thread may call them.

use relay_abi::{
    Call, Error, FileInfo, Handle, How, MESSAGE_BYTES, Mark, NO_HANDLE, Notice, PollItem, Spawn,
    ThreadOptions,
};
use zerocopy::IntoBytes as _;

/// What a system call gives back, by register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// 0 or a count, or a negated error: [`Error::check`] tells.
    pub rax: u64,
    /// Meant as the [`Call`] says.
    pub rdi: u64,
    /// The same.
    pub rsi: u64,
    /// The same.
    pub rdx: u64,
    /// The same.
    pub r10: u64,
    /// The same.
    pub r8: u64,
}

/// Executes `syscall` with this number and these arguments.
///
/// # Safety
/// What the call makes of the program's memory (it writes where it is told, unmaps what it is told)
/// must be nothing that the program relies on.
#[inline(always)]
pub unsafe fn raw(number: u64, arguments: [u64; 6]) -> Registers {
    let [rdi, rsi, rdx, r10, r8, r9] = arguments;
    #[cfg(target_os = "none")]
    {
        let mut out = Registers::default();
        // SAFETY: all registers that the kernel changes are named, it keeps the others, and uses no
        // stack of the program. What it does to memory is the caller's promise.
        unsafe {
            core::arch::asm!(
                "syscall",
                inlateout("rax") number => out.rax,
                inlateout("rdi") rdi => out.rdi,
                inlateout("rsi") rsi => out.rsi,
                inlateout("rdx") rdx => out.rdx,
                inlateout("r10") r10 => out.r10,
                inlateout("r8") r8 => out.r8,
                inlateout("r9") r9 => _,
                lateout("rcx") _,
                lateout("r11") _,
                options(nostack),
            );
        }
        out
    }
    // A host's kernel has other calls behind these numbers.
    #[cfg(not(target_os = "none"))]
    {
        let _ = (number, rdi, rsi, rdx, r10, r8, r9);
        Registers {
            rax: Error::NoSuchCall.word(),
            ..Registers::default()
        }
    }
}

/// A call whose pointers lead into what the caller has borrowed, or which has none.
#[inline(always)]
fn call(number: Call, arguments: [u64; 6]) -> Registers {
    // SAFETY: the functions of this module pass addresses of slices with their lengths, mutable ones
    // where the kernel writes; calls that change the address space are those of `memory_unmap`, which
    // is unsafe, and of `memory_map` and `file_map`, which only add to it.
    unsafe { raw(number as u64, arguments) }
}

/// The same, of which only the result is wanted.
#[inline(always)]
fn done(number: Call, arguments: [u64; 6]) -> Result<u64, Error> {
    Error::check(call(number, arguments).rax)
}

/// The address and the length of bytes, as the kernel takes them.
fn bytes(bytes: &[u8]) -> (u64, u64) {
    (
        bytes.as_ptr().expose_provenance() as u64,
        bytes.len() as u64,
    )
}

/// The same of bytes that it may write.
fn room(bytes: &mut [u8]) -> (u64, u64) {
    (
        bytes.as_mut_ptr().expose_provenance() as u64,
        bytes.len() as u64,
    )
}

/// A reference as an address.
fn address<T>(what: &T) -> u64 {
    core::ptr::from_ref(what).expose_provenance() as u64
}

/// Does nothing: what a system call costs by itself.
///
/// # Errors
/// None but that there is no such kernel.
pub fn null() -> Result<(), Error> {
    done(Call::Null, [0; 6]).map(|_| ())
}

/// Ends the program with this code.
pub fn exit(code: u32) -> ! {
    loop {
        call(Call::Exit, [code.into(), 0, 0, 0, 0, 0]);
    }
}

/// Starts a thread at `entry`. See [`thread::spawn`](crate::thread::spawn).
///
/// # Safety
/// `stack` must be the end of memory that only this thread uses, and `entry` a function that never
/// returns and may have this argument.
///
/// # Errors
/// The kernel's.
pub unsafe fn thread_start(
    entry: u64,
    stack: u64,
    argument: u64,
    options: Option<&ThreadOptions>,
) -> Result<u64, Error> {
    let options = options.map_or(0, address);
    done(Call::ThreadStart, [entry, stack, argument, options, 0, 0])
}

/// How the calling thread is run from now on.
///
/// # Errors
/// The kernel's.
pub fn thread_options(options: &ThreadOptions) -> Result<(), Error> {
    done(Call::ThreadOptions, [address(options), 0, 0, 0, 0, 0]).map(|_| ())
}

/// Lets others of the same priority go first.
pub fn yield_now() {
    call(Call::Yield, [0; 6]);
}

/// Sleeps at least so many nanoseconds.
pub fn sleep(ns: u64) {
    call(Call::Sleep, [ns, 0, 0, 0, 0, 0]);
}

/// Nanoseconds since the machine was started.
#[must_use]
pub fn time() -> u64 {
    done(Call::Time, [0; 6]).unwrap_or_default()
}

/// When the machine was started, in nanoseconds since 1970 (UTC), if that is known.
#[must_use]
pub fn started() -> Option<u64> {
    let out = call(Call::Time, [0; 6]);
    (Error::check(out.rax).is_ok() && out.rdx != 0).then_some(out.rdx)
}

/// Who calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// The number of the process.
    pub process: u32,
    /// The number of the thread.
    pub thread: u32,
    /// The CPU that it ran on when it asked.
    pub cpu: u32,
}

/// Who calls.
#[must_use]
pub fn who() -> Who {
    let out = call(Call::Who, [0; 6]);
    match Error::check(out.rax) {
        Ok(process) => Who {
            process: process as u32,
            thread: out.rdx as u32,
            cpu: out.rsi as u32,
        },
        Err(_) => Who::default(),
    }
}

/// Starts a program of the archive. Returns a handle of the process.
///
/// # Errors
/// The kernel's: `NotFound` if there is no such program.
pub fn spawn(
    files: Handle,
    name: &str,
    arguments: &str,
    handles: &[Handle],
    options: ThreadOptions,
) -> Result<Handle, Error> {
    let (name, name_len) = bytes(name.as_bytes());
    let (arguments, arguments_len) = bytes(arguments.as_bytes());
    let spawn = Spawn {
        name,
        name_len,
        arguments,
        arguments_len,
        handles: bytes(handles.as_bytes()).0,
        handles_len: handles.len() as u64,
        options,
    };
    done(Call::Spawn, [files.into(), address(&spawn), 0, 0, 0, 0]).map(|handle| handle as Handle)
}

/// How a process ended, as a word: [`Ended::from_word`](relay_abi::Ended::from_word).
///
/// # Errors
/// The kernel's.
pub fn status(process: Handle) -> Result<u64, Error> {
    let out = call(Call::Status, [process.into(), 0, 0, 0, 0, 0]);
    Error::check(out.rax).map(|_| out.rdx)
}

/// Ends a process.
///
/// # Errors
/// The kernel's.
pub fn kill(process: Handle) -> Result<(), Error> {
    done(Call::Kill, [process.into(), 0, 0, 0, 0, 0]).map(|_| ())
}

/// Maps fresh memory, zeroed. Returns its address.
///
/// # Errors
/// The kernel's: `NoRoom` if the program may not have more.
pub fn memory_map(length: u64) -> Result<u64, Error> {
    done(Call::MemoryMap, [length, 0, 0, 0, 0, 0])
}

/// Gives whole pages back.
///
/// # Safety
/// Nobody may use them any more.
///
/// # Errors
/// The kernel's.
pub unsafe fn memory_unmap(address: u64, length: u64) -> Result<(), Error> {
    done(Call::MemoryUnmap, [address, length, 0, 0, 0, 0]).map(|_| ())
}

/// Gives a handle back.
///
/// # Errors
/// The kernel's.
pub fn close(handle: Handle) -> Result<(), Error> {
    done(Call::Close, [handle.into(), 0, 0, 0, 0, 0]).map(|_| ())
}

/// A second handle of the same, with these rights at most.
///
/// # Errors
/// The kernel's.
pub fn duplicate(handle: Handle, rights: u32) -> Result<Handle, Error> {
    let arguments = [handle.into(), rights.into(), 0, 0, 0, 0];
    done(Call::Duplicate, arguments).map(|handle| handle as Handle)
}

/// A new port.
///
/// # Errors
/// The kernel's.
pub fn port_create() -> Result<Handle, Error> {
    done(Call::PortCreate, [0; 6]).map(|handle| handle as Handle)
}

/// What a message says beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// Three words.
    pub words: [u64; 3],
    /// A handle that is passed on or has come, or `NO_HANDLE`.
    pub handle: Handle,
}

/// What has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Come {
    /// How many bytes it has.
    pub length: usize,
    /// The number of the process that sent it; 0: it is notification bits, and these are `words[0]`.
    pub sender: u32,
    /// What it says.
    pub said: Words,
}

/// The bytes of a message, and room for those of the next.
pub type MessageRoom = [u8; MESSAGE_BYTES];

/// The word that says how many bytes are sent, that there is room for as many as can come, and what
/// handle is passed.
fn lengths(send: usize, handle: Handle) -> u64 {
    send.min(MESSAGE_BYTES) as u64 | (MESSAGE_BYTES as u64) << 16 | u64::from(handle) << 32
}

/// What the registers say has come.
fn come(out: &Registers) -> Result<Come, Error> {
    let length = Error::check(out.rax)? as usize;
    Ok(Come {
        length: length.min(MESSAGE_BYTES),
        sender: out.rdi as u32,
        said: Words {
            words: [out.rsi, out.rdx, out.r10],
            handle: out.r8 as Handle,
        },
    })
}

/// Sends a message with the first `send` bytes of `room`, and waits for the answer.
///
/// # Errors
/// The kernel's: `Ended` if nobody will answer.
pub fn port_call(
    port: Handle,
    said: &Words,
    bytes: &mut MessageRoom,
    send: usize,
) -> Result<Come, Error> {
    let [w0, w1, w2] = said.words;
    let lengths = lengths(send, said.handle);
    let out = call(
        Call::Call,
        [port.into(), w0, w1, w2, room(bytes).0, lengths],
    );
    come(&out)
}

/// Waits for a message, or notification bits, for so many nanoseconds; `u64::MAX`: for ever.
///
/// # Errors
/// The kernel's: `TimedOut` if nothing came.
pub fn receive(port: Handle, timeout_ns: u64, bytes: &mut MessageRoom) -> Result<Come, Error> {
    let (buffer, length) = room(bytes);
    come(&call(
        Call::Receive,
        [port.into(), timeout_ns, buffer, length, 0, 0],
    ))
}

/// Answers the last message that the thread received. Who has sent it may be gone: that is not told.
///
/// # Errors
/// The kernel's: `NotFound` if there is none that was not answered.
pub fn reply(said: &Words, answer: &[u8]) -> Result<(), Error> {
    let [w0, w1, w2] = said.words;
    let lengths = answer.len().min(MESSAGE_BYTES) as u64 | u64::from(said.handle) << 32;
    let arguments = [lengths, w0, w1, w2, bytes(answer).0, 0];
    done(Call::Reply, arguments).map(|_| ())
}

/// Answers with the first `send` bytes of `room`, and waits for the next message.
///
/// # Errors
/// The kernel's.
pub fn reply_receive(
    port: Handle,
    said: &Words,
    bytes: &mut MessageRoom,
    send: usize,
) -> Result<Come, Error> {
    let [w0, w1, w2] = said.words;
    let lengths = lengths(send, said.handle);
    let out = call(
        Call::ReplyReceive,
        [port.into(), w0, w1, w2, room(bytes).0, lengths],
    );
    come(&out)
}

/// Sets notification bits of a port.
///
/// # Errors
/// The kernel's.
pub fn notify(port: Handle, bits: u64) -> Result<(), Error> {
    done(Call::Notify, [port.into(), bits, 0, 0, 0, 0]).map(|_| ())
}

/// The path of the `index`-th file into `into`. Returns its length.
///
/// # Errors
/// The kernel's: `NotFound` behind the last.
pub fn file_name(files: Handle, index: u64, into: &mut [u8]) -> Result<usize, Error> {
    let (buffer, length) = room(into);
    let arguments = [files.into(), index, buffer, length, 0, 0];
    done(Call::FileName, arguments).map(|length| length as usize)
}

/// Opens a file.
///
/// # Errors
/// The kernel's: `Busy` if it is to be consumed, and somebody does.
pub fn file_open(files: Handle, path: &str, how: How) -> Result<Handle, Error> {
    let (path, length) = bytes(path.as_bytes());
    let arguments = [files.into(), path, length, how as u64, 0, 0];
    done(Call::FileOpen, arguments).map(|handle| handle as Handle)
}

/// Takes a stream over from the kernel. Returns its file, and how many outlets there are.
///
/// # Errors
/// The kernel's: `Busy` if somebody has it, `NotFound` if it does not leave the machine.
pub fn file_drain(files: Handle, path: &str) -> Result<(Handle, u64), Error> {
    let (path, length) = bytes(path.as_bytes());
    let arguments = [files.into(), path, length, How::Drain as u64, 0, 0];
    let out = call(Call::FileOpen, arguments);
    Error::check(out.rax).map(|handle| (handle as Handle, out.rdx))
}

/// What is known of a file.
///
/// # Errors
/// The kernel's.
pub fn file_info(file: Handle) -> Result<FileInfo, Error> {
    let mut info = FileInfo::default();
    let (into, _) = room(info.as_mut_bytes());
    done(Call::FileInfo, [file.into(), into, 0, 0, 0, 0]).map(|_| info)
}

/// Reads whole records. Returns how many bytes.
///
/// # Errors
/// The kernel's: `Again` if there is nothing now, `Ended` if nothing will come.
pub fn file_read(file: Handle, into: &mut [u8]) -> Result<usize, Error> {
    let (buffer, length) = room(into);
    let arguments = [file.into(), buffer, length, 0, 0, 0];
    done(Call::FileRead, arguments).map(|length| length as usize)
}

/// Reads the last `count` records. Returns how many bytes, and how many records.
///
/// # Errors
/// The kernel's.
pub fn file_read_last(file: Handle, into: &mut [u8], count: u64) -> Result<(usize, u64), Error> {
    let (buffer, length) = room(into);
    let out = call(
        Call::FileReadLast,
        [file.into(), buffer, length, count, 0, 0],
    );
    Error::check(out.rax).map(|length| (length as usize, out.rdx))
}

/// A packet that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its number, by which it is given back.
    pub number: u64,
    /// Its length, in bytes.
    pub length: usize,
    /// Where it lies in the mapping, or 0: it is not mapped.
    pub address: u64,
    /// Where its records begin in it, in bytes.
    pub records_at: usize,
    /// How many records it has.
    pub records: u64,
}

/// Takes the next packet.
///
/// # Errors
/// The kernel's: `Again` if there is none now, `Ended` if none will come.
pub fn file_take(file: Handle) -> Result<Taken, Error> {
    let out = call(Call::FileTake, [file.into(), 0, 0, 0, 0, 0]);
    Error::check(out.rax).map(|length| Taken {
        number: out.rdx,
        length: length as usize,
        address: out.rsi,
        records_at: out.rdi as usize,
        records: out.r10,
    })
}

/// Gives a packet back.
///
/// # Errors
/// The kernel's: `NotHeld`, `NotYet`.
pub fn file_give_back(file: Handle, number: u64) -> Result<(), Error> {
    done(Call::FileGiveBack, [file.into(), number, 0, 0, 0, 0]).map(|_| ())
}

/// Copies bytes of a packet that is held. Returns how many.
///
/// # Errors
/// The kernel's.
pub fn file_copy(file: Handle, number: u64, offset: u64, into: &mut [u8]) -> Result<usize, Error> {
    let (buffer, length) = room(into);
    let arguments = [file.into(), number, offset, buffer, length, 0];
    done(Call::FileCopy, arguments).map(|length| length as usize)
}

/// Maps the ring that the file has now. Returns address and bytes.
///
/// # Errors
/// The kernel's: `NotMappable`.
pub fn file_map(file: Handle) -> Result<(u64, u64), Error> {
    let out = call(Call::FileMap, [file.into(), 0, 0, 0, 0, 0]);
    Error::check(out.rax).map(|address| (address, out.rdx))
}

/// Waits until one of these is ready, for so many nanoseconds; `u64::MAX`: for ever. Returns how many
/// are: none if the time is over.
///
/// # Errors
/// The kernel's.
pub fn poll(items: &mut [PollItem], timeout_ns: u64) -> Result<usize, Error> {
    let count = items.len() as u64;
    let items = room(items.as_mut_bytes()).0;
    done(Call::Poll, [items, count, timeout_ns, 0, 0, 0]).map(|ready| ready as usize)
}

/// Writes a text to channel `user`.
///
/// # Errors
/// The kernel's.
pub fn write(files: Handle, severity: u8, text: &str) -> Result<(), Error> {
    let (text, length) = bytes(text.as_bytes());
    let arguments = [files.into(), severity.into(), text, length, 0, 0];
    done(Call::Write, arguments).map(|_| ())
}

/// Sets a filter: `log`, `trace`, `evlog`.
///
/// # Errors
/// The kernel's.
pub fn filter(files: Handle, key: &str, value: &str) -> Result<(), Error> {
    let (key, key_len) = bytes(key.as_bytes());
    let (value, value_len) = bytes(value.as_bytes());
    let arguments = [files.into(), key, key_len, value, value_len, 0];
    done(Call::Filter, arguments).map(|_| ())
}

/// Asks for what is written so far to be handed over.
///
/// # Errors
/// The kernel's.
pub fn file_flush(file: Handle) -> Result<(), Error> {
    done(Call::FileFlush, [file.into(), 0, 0, 0, 0, 0]).map(|_| ())
}

/// Has the stream go on in a ring of this shape.
///
/// # Errors
/// The kernel's.
pub fn file_resize(file: Handle, subbuf_size: u64, subbuf_count: u64) -> Result<(), Error> {
    let arguments = [file.into(), subbuf_size, subbuf_count, 0, 0, 0];
    done(Call::FileResize, arguments).map(|_| ())
}

/// Drops what nobody has read.
///
/// # Errors
/// The kernel's.
pub fn file_reset(file: Handle) -> Result<(), Error> {
    done(Call::FileReset, [file.into(), 0, 0, 0, 0, 0]).map(|_| ())
}

/// Has a packet of a file that is drained leave through an outlet.
///
/// # Errors
/// The kernel's: `Again` if the outlet is full, `Ended` if it is dead or the kernel has taken the
/// stream back.
pub fn file_submit(file: Handle, number: u64, outlet: u64) -> Result<(), Error> {
    done(Call::FileSubmit, [file.into(), number, outlet, 0, 0, 0]).map(|_| ())
}

/// Tells the operators of a service.
///
/// # Errors
/// The kernel's.
pub fn report(files: Handle, what: Notice, number: u64, name: &str) -> Result<(), Error> {
    let (name, length) = bytes(name.as_bytes());
    let arguments = [files.into(), what as u64, number, name, length, 0];
    done(Call::Report, arguments).map(|_| ())
}

/// Opens the way to syslog.
///
/// # Errors
/// The kernel's: `NotFound` if the machine has none, `Busy` if somebody else has it.
pub fn syslog_open(files: Handle) -> Result<Handle, Error> {
    done(Call::SyslogOpen, [files.into(), 0, 0, 0, 0, 0]).map(|handle| handle as Handle)
}

/// Sends messages, and says how far streams have been told with them: all of it, or nothing.
///
/// # Errors
/// The kernel's: `Again` if there is no room, or nobody listens.
pub fn syslog_write(syslog: Handle, messages: &[u8], marks: &[Mark]) -> Result<(), Error> {
    let (buffer, length) = bytes(messages);
    let (marks, count) = (bytes(marks.as_bytes()).0, marks.len() as u64);
    let arguments = [syslog.into(), buffer, length, marks, count, 0];
    done(Call::SyslogWrite, arguments).map(|_| ())
}

/// A handle as an option.
#[must_use]
pub fn some_handle(handle: Handle) -> Option<Handle> {
    (handle != NO_HANDLE).then_some(handle)
}
