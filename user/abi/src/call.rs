//! The system calls.

macro_rules! calls {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal, $text:literal;)*) => {
        /// A system call, by its number. Arguments are named in the order of their registers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u64)]
        pub enum Call {
            $($(#[doc = $doc])+ $name = $number,)*
        }

        impl Call {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The call with this number.
            #[must_use]
            pub const fn from_number(number: u64) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// What the trace calls it: `syscall_entry_` and this.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

calls! {
    /// `()`: does nothing.
    Null = 0, "null";
    /// `(code)`: ends the program, with all its threads. Does not return.
    Exit = 1, "exit";
    /// `()`: ends the thread that calls; the program with its last one, with code 0.
    ThreadExit = 2, "thread_exit";
    /// `(entry, stack, argument, options)`: a new thread of the program begins at `entry` with `rsp`
    /// = `stack`, a multiple of 16, and `rdi` = `argument`. `options`: where
    /// [`ThreadOptions`](crate::ThreadOptions) are, or 0. Returns its number.
    ThreadStart = 3, "thread_start";
    /// `(options)`: how the thread that calls is run from now on.
    ThreadOptions = 4, "thread_options";
    /// `()`: others of the same priority go first.
    Yield = 5, "yield";
    /// `(ns)`: sleeps at least so long.
    Sleep = 6, "sleep";
    /// `()`: nanoseconds since the machine was started; in `rdx` when that was, in nanoseconds since
    /// 1970 (UTC), or 0: it is not known.
    Time = 7, "time";
    /// `()`: the number of the process; in `rdx` that of the thread, in `rsi` the CPU.
    Who = 8, "who";
    /// `(handle, spawn)`: starts a program of the archive, told by a [`Spawn`](crate::Spawn).
    /// `handle`: files with the right `SPAWN`. Returns a handle of the process.
    Spawn = 9, "spawn";
    /// `(handle)`: how a process ended, in `rdx`: see [`Ended`](crate::Ended).
    Status = 10, "status";
    /// `(handle)`: ends a process.
    Kill = 11, "kill";

    /// `(length)`: fresh memory, zeroed, that can be read and written. Returns its address.
    MemoryMap = 12, "memory_map";
    /// `(address, length)`: gives pages back, mapped files too, whole pages.
    MemoryUnmap = 13, "memory_unmap";

    /// `(handle)`: gives a handle back.
    Close = 14, "close";
    /// `(handle, rights)`: a second handle of the same, with these rights at most.
    Duplicate = 15, "duplicate";

    /// `()`: a new port. Returns its handle, with all rights.
    PortCreate = 16, "port_create";
    /// `(port, w0, w1, w2, buffer, lengths)`: sends a message and waits for the answer. `lengths`:
    /// bytes to send in bits 0 to 15, room for bytes of the answer in bits 16 to 31, both at `buffer`;
    /// a handle to pass, or `NO_HANDLE`, in bits 32 to 63. Returns how many bytes the answer has; its
    /// words in `rsi`, `rdx`, `r10`, its handle in `r8`.
    Call = 17, "call";
    /// `(port, timeout_ns, buffer, room)`: waits for a message, or notification bits. Returns how many
    /// bytes it has; `rdi`: the number of the process that sent it, or 0: then `rsi` has the bits;
    /// words in `rsi`, `rdx`, `r10`, a handle in `r8`. At most one message is unanswered at a thread:
    /// receiving again answers it with `Ended`.
    Receive = 18, "receive";
    /// `(lengths, w0, w1, w2, buffer)`: answers the last message that the thread received. Nobody is
    /// waited for.
    Reply = 19, "reply";
    /// `(port, w0, w1, w2, buffer, lengths)`: [`Reply`](Self::Reply), then
    /// [`Receive`](Self::Receive) without a time-out, in the same buffer.
    ReplyReceive = 20, "reply_receive";
    /// `(port, bits)`: sets notification bits.
    Notify = 21, "notify";

    /// `(files, index, buffer, room)`: the path of the `index`-th file. Returns its length; `NotFound`
    /// behind the last.
    FileName = 22, "file_name";
    /// `(files, path, length, how)`: opens a file, [`How`](crate::How). Returns a handle; to drain, in
    /// `rdx` how many outlets there are.
    FileOpen = 23, "file_open";
    /// `(file, info)`: what is known of it: a [`FileInfo`](crate::FileInfo).
    FileInfo = 24, "file_info";
    /// `(file, buffer, room)`: records, one after the other, without padding and headers of packets:
    /// whole ones. Returns how many bytes.
    FileRead = 25, "file_read";
    /// `(file, buffer, room, count)`: the last `count` records, of an observer. Returns how many bytes;
    /// how many records in `rdx`.
    FileReadLast = 26, "file_read_last";
    /// `(file)`: takes the next packet. Returns its length in bytes; its number in `rdx`; in `rsi` where
    /// it lies in the mapping, or 0: it is not mapped; in `rdi` where its records begin in it; in `r10`
    /// how many records it has.
    FileTake = 27, "file_take";
    /// `(file, number)`: gives a packet back.
    FileGiveBack = 28, "file_give_back";
    /// `(file, number, offset, buffer, room)`: copies bytes of a packet that is held. Returns how many.
    FileCopy = 29, "file_copy";
    /// `(file)`: maps the ring that the file has now, to be read. Returns the address; bytes in `rdx`.
    FileMap = 30, "file_map";
    /// `(items, count, timeout_ns)`: waits until one of up to 64 [`PollItem`](crate::PollItem)s is
    /// ready. Returns how many are. `u64::MAX`: for ever.
    Poll = 31, "poll";
    /// `(files, severity, text, length)`: writes to channel `user`.
    Write = 32, "write";
    /// `(files, key, key_length, value, value_length)`: sets a filter: `log`, `trace`, `evlog`.
    Filter = 33, "filter";
    /// `(file)`: asks for what is written so far to be handed over.
    FileFlush = 34, "file_flush";
    /// `(file, subbuf_size, subbuf_count)`: has the stream go on in a ring of this shape.
    FileResize = 35, "file_resize";
    /// `(file)`: drops what nobody has read: the stream goes on in an empty ring.
    FileReset = 36, "file_reset";
    /// `(file, number, outlet)`: a packet that is held leaves the machine through an outlet. Of a file
    /// that was opened to [drain](crate::How::Drain).
    FileSubmit = 37, "file_submit";
    /// `(files, what, number, name, length)`: tells the operators of a service: a
    /// [`Notice`](crate::Notice).
    Report = 38, "report";
    /// `(files)`: opens the way to syslog. Returns a handle.
    SyslogOpen = 39, "syslog_open";
    /// `(syslog, buffer, length, marks, count)`: whole messages, for syslog, and what has been told of
    /// streams with them: up to 128 [`Mark`](crate::Mark)s. All of it, or nothing.
    SyslogWrite = 40, "syslog_write";
}
