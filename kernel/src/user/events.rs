//! What the trace has of programs: their system calls, and the messages between them.
//!
//! Each call has two events, `syscall_entry_NAME` with its arguments as they were passed, and
//! `syscall_exit_NAME` with what comes back: the result, then what the call gives back beside it.
//! Viewers know them by how their names begin. Nothing here follows an address: those are a
//! program's. A number of no call is `syscall_entry_unknown`, as LTTng has it.
//!
//! All of it may be called in any context, with interrupts off too, and is a few loads and a branch
//! while the events are off.

use relay::event::Hex;
use relay_abi::Call;

use crate::logs::trace;

/// A field, made of a register.
trait Word {
    /// As much of the register as the field has.
    fn of(word: u64) -> Self;
}

impl Word for u64 {
    fn of(word: u64) -> Self {
        word
    }
}

impl Word for u32 {
    fn of(word: u64) -> Self {
        word as Self
    }
}

impl Word for i32 {
    fn of(word: u64) -> Self {
        word as Self
    }
}

impl Word for Hex<u64> {
    fn of(word: u64) -> Self {
        Self(word)
    }
}

impl Word for Hex<u32> {
    fn of(word: u64) -> Self {
        Self(word as u32)
    }
}

/// The events of all calls, and what writes them: of each its arguments in the order of their
/// registers, and what it gives back, with the registers that have it.
macro_rules! calls {
    ($(
        $call:ident $entry:literal $exit:literal
        ($($argument:ident: $in:ty),*) -> ($($register:ident $output:ident: $out:ty),*);
    )*) => {
        /// Calls that begin.
        mod entry {
            use super::Hex;

            relay::event! {
                $(
                    #[doc = concat!("A program calls: ", $entry, ".")]
                    #[event(channel = "trace", name = $entry, facility = "syscall", enabled = false)]
                    pub(super) struct $call {
                        $(pub(super) $argument: $in,)*
                    }
                )*
            }
        }

        /// Calls that are over.
        mod exit {
            use super::Hex;

            relay::event! {
                $(
                    #[doc = concat!("A call is over: ", $exit, ".")]
                    #[event(channel = "trace", name = $exit, facility = "syscall", enabled = false)]
                    pub(super) struct $call {
                        pub(super) ret: i64,
                        $(pub(super) $output: $out,)*
                    }
                )*
            }
        }

        /// A program calls, with these arguments: `rdi`, `rsi`, `rdx`, `r10`, `r8`, `r9`.
        pub(crate) fn syscall_entry(call: u64, args: [u64; 6]) {
            match Call::from_number(call) {
                $(Some(Call::$call) => trace::emit(|| {
                    let mut words = args.into_iter();
                    let mut word = || words.next().unwrap_or_default();
                    // They are taken in this order.
                    $(let $argument = Word::of(word());)*
                    let _ = &mut word;
                    entry::$call { $($argument,)* }
                }),)*
                None => trace::emit(|| UnknownEntry { id: call as i32, args }),
            }
        }

        /// A call is over: its result, and what `rdx`, `rsi`, `rdi` and `r10` give back.
        pub(crate) fn syscall_exit(call: u64, ret: i64, out: [u64; 4]) {
            let out = Outputs::of(out);
            match Call::from_number(call) {
                $(Some(Call::$call) => trace::emit(|| {
                    $(let $output = Word::of(out.$register);)*
                    let _ = &out;
                    exit::$call { ret, $($output,)* }
                }),)*
                None => trace::emit(|| UnknownExit { ret, id: call as i32, args: [0; 6] }),
            }
        }

        /// The names of both events of each call, for the tests.
        #[cfg(test)]
        const NAMES: &[(Call, &str, &str)] = &[$((Call::$call, $entry, $exit),)*];
    };
}

/// What comes back in registers beside the result.
#[derive(Debug, Clone, Copy)]
struct Outputs {
    rdx: u64,
    rsi: u64,
    rdi: u64,
    r10: u64,
}

impl Outputs {
    fn of([rdx, rsi, rdi, r10]: [u64; 4]) -> Self {
        Self { rdx, rsi, rdi, r10 }
    }
}

calls! {
    Null "syscall_entry_null" "syscall_exit_null"
        ()
        -> ();
    Exit "syscall_entry_exit" "syscall_exit_exit"
        (code: u32)
        -> ();
    ThreadExit "syscall_entry_thread_exit" "syscall_exit_thread_exit"
        ()
        -> ();
    ThreadStart "syscall_entry_thread_start" "syscall_exit_thread_start"
        (entry: Hex<u64>, stack: Hex<u64>, argument: Hex<u64>, options: Hex<u64>)
        -> ();
    ThreadOptions "syscall_entry_thread_options" "syscall_exit_thread_options"
        (options: Hex<u64>)
        -> ();
    Yield "syscall_entry_yield" "syscall_exit_yield"
        ()
        -> ();
    Sleep "syscall_entry_sleep" "syscall_exit_sleep"
        (ns: u64)
        -> ();
    Time "syscall_entry_time" "syscall_exit_time"
        ()
        -> (rdx started: u64);
    Who "syscall_entry_who" "syscall_exit_who"
        ()
        -> (rdx tid: i32, rsi cpu: u32);
    Spawn "syscall_entry_spawn" "syscall_exit_spawn"
        (handle: u32, spawn: Hex<u64>)
        -> ();
    Status "syscall_entry_status" "syscall_exit_status"
        (handle: u32)
        -> (rdx ended: Hex<u64>);
    Kill "syscall_entry_kill" "syscall_exit_kill"
        (handle: u32)
        -> ();
    MemoryMap "syscall_entry_memory_map" "syscall_exit_memory_map"
        (length: u64)
        -> ();
    MemoryUnmap "syscall_entry_memory_unmap" "syscall_exit_memory_unmap"
        (address: Hex<u64>, length: u64)
        -> ();
    Close "syscall_entry_close" "syscall_exit_close"
        (fd: u32)
        -> ();
    Duplicate "syscall_entry_duplicate" "syscall_exit_duplicate"
        (handle: u32, rights: Hex<u32>)
        -> ();
    PortCreate "syscall_entry_port_create" "syscall_exit_port_create"
        ()
        -> ();
    Call "syscall_entry_call" "syscall_exit_call"
        (port: u32, w0: Hex<u64>, w1: Hex<u64>, w2: Hex<u64>, buffer: Hex<u64>, lengths: Hex<u64>)
        -> (rsi w0: Hex<u64>, rdx w1: Hex<u64>, r10 w2: Hex<u64>);
    Receive "syscall_entry_receive" "syscall_exit_receive"
        (port: u32, timeout_ns: u64, buffer: Hex<u64>, room: u64)
        -> (rdi pid: i32, rsi w0: Hex<u64>, rdx w1: Hex<u64>, r10 w2: Hex<u64>);
    Reply "syscall_entry_reply" "syscall_exit_reply"
        (lengths: Hex<u64>, w0: Hex<u64>, w1: Hex<u64>, w2: Hex<u64>, buffer: Hex<u64>)
        -> ();
    ReplyReceive "syscall_entry_reply_receive" "syscall_exit_reply_receive"
        (port: u32, w0: Hex<u64>, w1: Hex<u64>, w2: Hex<u64>, buffer: Hex<u64>, lengths: Hex<u64>)
        -> (rdi pid: i32, rsi w0: Hex<u64>, rdx w1: Hex<u64>, r10 w2: Hex<u64>);
    Notify "syscall_entry_notify" "syscall_exit_notify"
        (port: u32, bits: Hex<u64>)
        -> ();
    FileName "syscall_entry_file_name" "syscall_exit_file_name"
        (files: u32, index: u64, buffer: Hex<u64>, room: u64)
        -> ();
    FileOpen "syscall_entry_file_open" "syscall_exit_file_open"
        (files: u32, path: Hex<u64>, length: u64, how: u64)
        -> (rdx outlets: u64);
    FileInfo "syscall_entry_file_info" "syscall_exit_file_info"
        (file: u32, info: Hex<u64>)
        -> ();
    FileRead "syscall_entry_file_read" "syscall_exit_file_read"
        (file: u32, buffer: Hex<u64>, room: u64)
        -> ();
    FileReadLast "syscall_entry_file_read_last" "syscall_exit_file_read_last"
        (file: u32, buffer: Hex<u64>, room: u64, count: u64)
        -> (rdx records: u64);
    FileTake "syscall_entry_file_take" "syscall_exit_file_take"
        (file: u32)
        -> (rdx number: u64, rsi offset: u64, rdi records_begin: u64, r10 records: u64);
    FileGiveBack "syscall_entry_file_give_back" "syscall_exit_file_give_back"
        (file: u32, number: u64)
        -> ();
    FileCopy "syscall_entry_file_copy" "syscall_exit_file_copy"
        (file: u32, number: u64, offset: u64, buffer: Hex<u64>, room: u64)
        -> ();
    FileMap "syscall_entry_file_map" "syscall_exit_file_map"
        (file: u32)
        -> (rdx length: u64);
    Poll "syscall_entry_poll" "syscall_exit_poll"
        (items: Hex<u64>, count: u64, timeout_ns: u64)
        -> ();
    Write "syscall_entry_write" "syscall_exit_write"
        (files: u32, severity: u64, text: Hex<u64>, length: u64)
        -> ();
    Filter "syscall_entry_filter" "syscall_exit_filter"
        (files: u32, key: Hex<u64>, key_length: u64, value: Hex<u64>, value_length: u64)
        -> ();
    FileFlush "syscall_entry_file_flush" "syscall_exit_file_flush"
        (file: u32)
        -> ();
    FileResize "syscall_entry_file_resize" "syscall_exit_file_resize"
        (file: u32, subbuf_size: u64, subbuf_count: u64)
        -> ();
    FileReset "syscall_entry_file_reset" "syscall_exit_file_reset"
        (file: u32)
        -> ();
    FileSubmit "syscall_entry_file_submit" "syscall_exit_file_submit"
        (file: u32, number: u64, outlet: u64)
        -> ();
    Report "syscall_entry_report" "syscall_exit_report"
        (files: u32, what: u64, number: u64, name: Hex<u64>, length: u64)
        -> ();
    SyslogOpen "syscall_entry_syslog_open" "syscall_exit_syslog_open"
        (files: u32)
        -> ();
    SyslogWrite "syscall_entry_syslog_write" "syscall_exit_syslog_write"
        (syslog: u32, buffer: Hex<u64>, length: u64, marks: Hex<u64>, count: u64)
        -> ();
}

relay::event! {
    /// A program calls what is no call.
    #[event(channel = "trace", name = "syscall_entry_unknown", facility = "syscall", enabled = false)]
    struct UnknownEntry {
        /// The number.
        id: i32,
        /// What it passes.
        args: [u64; 6],
    }

    /// It is told that this is no call.
    #[event(channel = "trace", name = "syscall_exit_unknown", facility = "syscall", enabled = false)]
    struct UnknownExit {
        /// What it is told.
        ret: i64,
        /// The number.
        id: i32,
        /// Not told again: zeros.
        args: [u64; 6],
    }

    /// A thread sends a message, and waits for the answer.
    #[event(channel = "trace", name = "message_send", facility = "ipc", enabled = false)]
    struct MessageSend {
        /// The port, by the number that the kernel has for it.
        port: u64,
        /// The thread that waits: until it is answered it sends no other message.
        client: i32,
        /// The bytes beside the words.
        bytes: u32,
        /// Whether a handle is passed.
        has_handle: bool,
    }

    /// A thread takes a message.
    #[event(channel = "trace", name = "message_receive", facility = "ipc", enabled = false)]
    struct MessageReceive {
        /// The port.
        port: u64,
        /// The thread that has sent it.
        client: i32,
        /// The thread that takes it.
        server: i32,
        /// The bytes that it takes.
        bytes: u32,
    }

    /// A thread is answered: it waits no longer.
    #[event(channel = "trace", name = "message_reply", facility = "ipc", enabled = false)]
    struct MessageReply {
        /// The port.
        port: u64,
        /// The thread that waited.
        client: i32,
        /// The thread that answers; 0: nobody will.
        server: i32,
        /// The bytes of the answer.
        bytes: u32,
    }

    /// Notification bits of a port are set.
    #[event(channel = "trace", name = "message_notify", facility = "ipc", enabled = false)]
    struct MessageNotify {
        /// The port.
        port: u64,
        /// The bits that are set.
        bits: Hex<u64>,
        /// The thread that sets them; 0: the kernel does.
        sender: i32,
    }
}

/// The thread `client` sends a message to a port. Before anybody can take it.
#[inline(always)]
pub(crate) fn message_send(port: u64, client: i32, bytes: usize, has_handle: bool) {
    trace::emit(|| MessageSend {
        port,
        client,
        bytes: bytes as u32,
        has_handle,
    });
}

/// The thread `server` takes the message of `client`.
#[inline(always)]
pub(crate) fn message_receive(port: u64, client: i32, server: i32, bytes: usize) {
    trace::emit(|| MessageReceive {
        port,
        client,
        server,
        bytes: bytes as u32,
    });
}

/// The thread `server` answers `client`; 0: nobody will, since the other side is gone. Before the
/// client can go on.
#[inline(always)]
pub(crate) fn message_reply(port: u64, client: i32, server: i32, bytes: usize) {
    trace::emit(|| MessageReply {
        port,
        client,
        server,
        bytes: bytes as u32,
    });
}

/// The thread `sender`, 0 for the kernel, sets bits of a port.
#[inline(always)]
pub(crate) fn message_notify(port: u64, bits: u64, sender: i32) {
    trace::emit(|| MessageNotify {
        port,
        bits: Hex(bits),
        sender,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay::event::Event;

    #[test]
    fn each_call_has_its_two_events() {
        let all: Vec<_> = NAMES.iter().map(|(call, ..)| *call).collect();
        assert_eq!(all, Call::ALL);
        for (call, entry, exit) in NAMES {
            assert_eq!(*entry, format!("syscall_entry_{}", call.name()));
            assert_eq!(*exit, format!("syscall_exit_{}", call.name()));
        }
    }

    #[test]
    fn arguments_are_those_of_the_contract() {
        // The documentation of each call begins with its arguments, as `(handle, rights)`.
        let text = include_str!("../../../user/abi/src/call.rs");
        let text = text.split("calls! {").nth(1).expect("there is the table");
        let mut documented = Vec::new();
        let mut arguments = None;
        for line in text.lines().map(str::trim) {
            if let Some(list) = line.strip_prefix("/// `(") {
                let list = list.split(')').next().expect("it ends");
                let list = list.split(", ").filter(|name| !name.is_empty());
                arguments.get_or_insert(list.collect::<Vec<_>>());
            } else if line.starts_with("///") {
                continue;
            } else if let Some((name, _)) = line.split_once(" = ") {
                documented.push((name, arguments.take().expect("it has arguments")));
            }
        }
        let told = include_str!("events.rs");
        let told = told.split("\ncalls! {").nth(1).expect("there is the table");
        let told = told.split("\n}\n").next().expect("it ends");
        let told = told.split(';').filter(|call| !call.trim().is_empty());
        let told: Vec<_> = told
            .map(|call| {
                let name = call.split_whitespace().next().expect("it has a name");
                let list = call
                    .split('(')
                    .nth(1)
                    .and_then(|list| list.split(')').next());
                let list = list.expect("it has arguments").split(',');
                let list = list.map(|one| one.split(':').next().unwrap_or_default().trim());
                (
                    name,
                    list.filter(|name| !name.is_empty()).collect::<Vec<_>>(),
                )
            })
            .collect();
        for ((name, arguments), (own, fields)) in documented.iter().zip(&told) {
            assert_eq!(name, own);
            // LTTng has an event of this name, whose field is called so.
            match *name {
                "Close" => assert_eq!(*fields, ["fd"]),
                _ => assert_eq!(arguments, fields, "{name}"),
            }
        }
        assert_eq!(documented.len(), Call::ALL.len());
        assert_eq!(told.len(), documented.len());
    }

    #[test]
    fn results_come_first_at_the_end_of_a_call() {
        let names = |class: relay::event::EventClass| {
            let names = class.fields.iter().map(|field| field.name);
            names.collect::<Vec<_>>()
        };
        let take = names(exit::FileTake::CLASS);
        assert_eq!(
            take,
            ["ret", "number", "offset", "records_begin", "records"]
        );
        assert_eq!(names(exit::Null::CLASS), ["ret"]);
        assert_eq!(
            names(exit::Receive::CLASS),
            ["ret", "pid", "w0", "w1", "w2"]
        );
        assert_eq!(
            names(entry::Call::CLASS),
            ["port", "w0", "w1", "w2", "buffer", "lengths"]
        );
    }
}
