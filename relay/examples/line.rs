//! A capture over a serial port: `cargo run -p relayfs --example line -- [--panic] [FILE]`.
//!
//! A kernel whose log leaves the machine as CTF packets over an UART with a FIFO of 16 bytes. What
//! stands between the rules is what the line needs beside a port of relay (that is in `port.rs`);
//! `docs/PORTING.md` goes through it. Then comes a boot, which ends orderly or in a panic, on a
//! machine of threads. What was on the wire is written to a file: `relayctl cat FILE` shows it.

use relay::Platform;
use std::path::PathBuf;
use std::{env, fs, io};

// ---- the line -----------------------------------------------------------------------------------

extern crate alloc;

use alloc::{format, vec::Vec};
use core::fmt;
use relay::clients::klog;
use relay::ctf::{self, Packets, Uuid, metadata::Trace, salvage::PacketCopy};
use relay::line::{self, Line};
use relay::{Channel, Geometry, Reader, Stopped, Storage, StreamError};
use spin::{Mutex, MutexGuard};

const CPUS: usize = 2;
/// The largest packet, in bytes: what a damaged byte of the line costs.
const PACKET: usize = 1024;
const FRAME: usize = line::buffer_size(PACKET);
const RING: Geometry = match Geometry::new(PACKET, 16) {
    Ok(geometry) => match geometry.with_reserves(ctf::HEADER, 0) {
        Ok(geometry) => geometry,
        Err(_) => panic!("a packet has no room for its header"),
    },
    Err(_) => panic!("a bad geometry"),
};

static UUID: Uuid = Uuid::new();
static LOG_PACKETS: Packets = Packets::new(klog::STREAM.id, &UUID);
static LOG: Channel<Machine, CPUS> = Channel::new(Machine, &LOG_PACKETS);
static METADATA_PACKETS: Packets = Packets::new(0, &UUID);
static METADATA: Channel<Machine, CPUS> = Channel::new(Machine, &METADATA_PACKETS);

/// The packets of the metadata, one behind the other. Once, on the boot CPU, when the rate of the
/// clock is known.
fn describe() -> Vec<u8> {
    let memory = Storage::allocate(&RING).expect("the heap is large enough");
    METADATA.start(0, memory, RING).expect("not started yet");
    let trace = Trace {
        uuid: UUID.bytes(),
        clock_hz: machine::HZ,
        cpus: CPUS,
        streams: &[klog::STREAM],
        env: &[],
    };
    for piece in format!("{trace}").as_bytes().chunks(RING.max_record()) {
        METADATA.write(piece).expect("the ring is large enough");
    }
    METADATA.close().expect("there is room");
    let mut reader = METADATA.reader(0).expect("the only reader");
    let mut packets = Vec::new();
    while let Some(taken) = reader.next_subbuf() {
        packets.extend_from_slice(ctf::packet_bytes(&taken));
        // It stays taken for ever, so that a panic finds it in its ring.
        core::mem::forget(taken);
    }
    packets
}

/// The line, and what goes over it.
struct Outlet {
    line: Line<'static>,
    readers: [Reader<'static>; CPUS],
}

/// Nobody waits for it: who finds it locked goes on, because somebody else is sending.
static OUTLET: Mutex<Option<Outlet>> = Mutex::new(None);

/// Opens the line. Once, on the boot CPU, when the streams are started.
fn open_line() {
    static BUFFER: Mutex<[u8; FRAME]> = Mutex::new([0; FRAME]);
    let buffer = MutexGuard::leak(BUFFER.lock());
    let mut line = Line::new(buffer);
    let described = line.describe(describe().leak());
    described.expect("its packets are no larger than the log's");
    let readers = core::array::from_fn(|cpu| LOG.reader(cpu).expect("the only reader"));
    *OUTLET.lock() = Some(Outlet { line, readers });
}

/// Gives the port what it takes now; whether that was the end: every stream was closed, and all of
/// it was taken. From the idle loop and the timer interrupt of every CPU.
fn send() -> bool {
    let mut outlet = OUTLET.try_lock();
    let Some(outlet) = outlet.as_deref_mut().and_then(Option::as_mut) else {
        return false;
    };
    let Outlet { line, readers } = outlet;
    let next = || {
        for _ in 0..CPUS {
            // The CPUs take turns, so that none waits for one that says much.
            readers.rotate_left(1);
            if let Some(taken) = readers[0].next_subbuf() {
                return Some(taken);
            }
        }
        // The line is idle: let it have what there is, once the CPUs have ticked.
        readers.iter().for_each(Reader::request_flush);
        None
    };
    line.run(next, machine::try_send);
    !line.is_busy() && readers.iter().all(Reader::is_at_end)
}

/// The timer interrupt of every CPU.
fn timer_interrupt() {
    LOG.tick();
    send();
}

/// The end of this CPU: its last packet says that it is the last.
fn stop_logging() -> Result<(), StreamError> {
    loop {
        match LOG.close() {
            // A full ring has room when the line has taken something.
            Err(StreamError::NoRoom) => send(),
            ended => return ended,
        };
    }
}

/// Sends what all CPUs left. Only a panic needs it: this CPU is the only one that still runs, and
/// waits for the port. `OUTLET` may be held by a CPU that has stopped, and is left alone.
fn post_mortem(stopped: impl Fn(usize) -> Stopped) -> fmt::Result {
    static BUFFER: Mutex<[u8; FRAME]> = Mutex::new([0; FRAME]);
    let mut buffer = BUFFER.try_lock().ok_or(fmt::Error)?;
    for (channel, packets) in [(&METADATA, &METADATA_PACKETS), (&LOG, &LOG_PACKETS)] {
        for left in (0..CPUS).filter_map(|cpu| channel.salvage(stopped(cpu))) {
            for copy in packets.salvage(left, machine::ticks()) {
                send_copy(&copy, &mut *buffer)?;
            }
        }
    }
    Ok(())
}

/// Sends one of them; an error if it does not fit, or the port takes nothing for too long.
fn send_copy(copy: &PacketCopy<'_>, buffer: &mut [u8]) -> fmt::Result {
    let size = line::frame(copy.pieces(), buffer).map_err(|_| fmt::Error)?;
    let (mut unsent, end) = (&buffer[..size], machine::ticks() + machine::HZ);
    while !unsent.is_empty() && machine::ticks() < end {
        unsent = &unsent[machine::try_send(unsent)..];
    }
    unsent.is_empty().then_some(()).ok_or(fmt::Error)
}

// ---- end of the line ----------------------------------------------------------------------------

fn main() -> io::Result<()> {
    let mut arguments = env::args_os().skip(1).peekable();
    let panics = arguments
        .next_if(|argument| argument == "--panic")
        .is_some();
    let default = || env::temp_dir().join("relay.line");
    let path = arguments.next().map_or_else(default, PathBuf::from);
    let wire = boot(panics);
    fs::write(&path, &wire)?;
    // A frame has a delimiter at both ends.
    let delimiters = wire.iter().filter(|byte| **byte == line::DELIMITER);
    let (frames, bytes) = (delimiters.count() / 2, wire.len());
    println!("{}: {frames} frames in {bytes} bytes", path.display());
    Ok(())
}

/// So many jobs does every CPU do, and says so.
pub(crate) const JOBS: usize = 100;

/// From the first instruction to the last, orderly or in a panic; what was on the wire.
pub(crate) fn boot(panics: bool) -> Vec<u8> {
    machine::become_cpu(0);
    UUID.set(0x2003);
    for cpu in 0..CPUS {
        let memory = Storage::allocate(&RING).expect("the heap is large enough");
        LOG.start(cpu, memory, RING).expect("not started yet");
    }
    open_line();
    let other = std::thread::spawn(move || {
        machine::become_cpu(1);
        work();
        if !panics {
            stop_logging().expect("it was started");
        }
    });
    work();
    if panics {
        other.join().expect("it has stopped");
        // Until then the line has carried a part.
        (0..500).for_each(|_| machine::halt());
        say("panic");
        // SAFETY: the thread that is CPU 1 has ended; this one, which is CPU 0, writes nothing
        // more, and uses no reader.
        let sent = post_mortem(|cpu| unsafe { Stopped::new(cpu) });
        sent.expect("the port takes something");
    } else {
        stop_logging().expect("it was started");
        while !send() {
            machine::halt();
        }
        other.join().expect("its stream has ended");
    }
    machine::wire()
}

fn work() {
    for job in 0..JOBS {
        say("a job is done");
        if job % 10 == 0 {
            machine::halt();
        }
    }
}

fn say(what: &str) {
    let (module, file, line) = (module_path!(), file!(), line!());
    let place = klog::Place { module, file, line };
    // What finds no room is lost, and counted.
    let _ = klog::write(&LOG, klog::Severity::Info, place, format_args!("{what}"));
}

struct Machine;

// SAFETY: a CPU is a thread, and has a number of its own for good; interrupts are calls.
unsafe impl Platform for Machine {
    type Pinned = ();

    fn pin(&self) -> (usize, ()) {
        (machine::cpu(), ())
    }

    unsafe fn unpin(&self, (): ()) {}

    fn now(&self) -> u64 {
        machine::ticks()
    }
}

/// The machine: threads are its CPUs, calls its interrupts. A tick passes when somebody looks.
mod machine {
    use std::cell::Cell;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};

    thread_local! {
        static CPU: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    static TICKS: AtomicU64 = AtomicU64::new(0);
    /// Ticks in a second.
    pub(super) const HZ: u64 = 1_000_000;

    pub(super) fn become_cpu(cpu: usize) {
        CPU.set(cpu);
    }

    pub(super) fn cpu() -> usize {
        CPU.get()
    }

    pub(super) fn ticks() -> u64 {
        TICKS.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits for the timer interrupt.
    pub(super) fn halt() {
        TICKS.fetch_add(FIFO, Ordering::Relaxed);
        super::timer_interrupt();
    }

    /// So many bytes the UART takes at once. One leaves it with each tick.
    const FIFO: u64 = 16;
    /// When all of its bytes will have left it, and what it was given so far.
    static UART: Mutex<(u64, Vec<u8>)> = Mutex::new((0, Vec::new()));

    /// Gives the UART what it takes now; how many bytes that were.
    pub(super) fn try_send(bytes: &[u8]) -> usize {
        let (now, mut uart) = (ticks(), UART.lock().expect("nobody panics here"));
        let room = FIFO.saturating_sub(uart.0.saturating_sub(now));
        let taken = bytes.len().min(room as usize);
        uart.0 = uart.0.max(now) + taken as u64;
        uart.1.extend_from_slice(&bytes[..taken]);
        taken
    }

    /// What was on the wire.
    pub(super) fn wire() -> Vec<u8> {
        UART.lock().expect("nobody panics here").1.clone()
    }
}
