//! A port of relay to a kernel, running: `cargo run -p relayfs --example port`.
//!
//! The kernel is imaginary, and the machine at the end of this file is made of threads: two CPUs,
//! whose interrupts and NMIs are calls. What stands between the rules is the port, all of it;
//! `docs/PORTING.md` goes through it step by step. Then comes a boot, from the first instruction to
//! the post-mortem of a CPU that stopped in the middle of a record, and the check that nothing is
//! missing.

use relay::Losses;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

// ---- the port -----------------------------------------------------------------------------------

use relay::clients::klog::{self, Klog, Record};
use relay::record::Framed;
use relay::{
    Channel, Context, Geometry, Platform, Reader, StaticMemory, Stopped, Storage, StreamError,
};

/// What relay asks of this machine.
struct Machine;

// SAFETY: no task is moved to another CPU, or preempted by another task; every CPU has a number of
// its own from its first instruction on, and keeps it; interrupts and NMIs return before what they
// interrupted goes on.
unsafe impl Platform for Machine {
    type Pinned = ();

    fn pin(&self) -> (usize, ()) {
        (machine::cpu(), ())
    }

    unsafe fn unpin(&self, (): ()) {}

    fn now(&self) -> u64 {
        machine::ticks()
    }

    fn context(&self) -> Context {
        machine::context()
    }

    fn wake(&self, _cpu: usize) {
        machine::send_interrupt(DRAINER);
    }

    fn call(&self, cpu: usize) {
        machine::send_interrupt(cpu);
    }
}

const CPUS: usize = 2;
/// The CPU that takes the log of all out.
const DRAINER: usize = 0;
/// The boot CPU's ring before there is a heap, and everybody's after that.
const EARLY: Geometry = geometry(1024, 4);
const FULL: Geometry = geometry(4096, 8);

static MEMORY: StaticMemory<{ Storage::bytes_for(&EARLY) }> = StaticMemory::new();
static LOG: Channel<Machine, CPUS> = Channel::new(Machine, &Framed);
static KLOG: Klog<Machine, CPUS> = Klog::new(&LOG);

const fn geometry(subbuf_size: usize, count: usize) -> Geometry {
    match Geometry::new(subbuf_size, count) {
        Ok(geometry) => geometry,
        Err(_) => panic!("a bad geometry"),
    }
}

/// First of all, on the boot CPU.
fn start_early() {
    let memory = MEMORY.take().expect("a kernel starts once");
    LOG.start(0, memory, EARLY).expect("the memory is as large");
    log::set_logger(&KLOG).expect("the only logger");
    log::set_max_level(log::LevelFilter::Info);
}

/// When there is a heap, on the boot CPU, before the others start.
fn start_fully() {
    let memory = || Storage::allocate(&FULL).expect("the heap is large enough");
    LOG.replace(memory(), FULL).expect("of the same kind");
    for cpu in 1..CPUS {
        LOG.start(cpu, memory(), FULL).expect("not started yet");
    }
}

/// The timer interrupt of every CPU.
fn timer_interrupt() {
    LOG.tick();
}

/// Prints what can be read of one CPU, asks for the rest, and returns how many records that were.
/// Where the drainer is idle.
fn drain(reader: &mut Reader<'_>) -> u64 {
    let mut records = 0;
    while let Some(taken) = reader.next_subbuf() {
        let packet = taken.packet();
        for record in klog::records(taken.records(), packet.begin_ticks) {
            print(reader.cpu(), &record.expect("only klog writes here"));
        }
        records += packet.records;
    }
    reader.request_flush();
    LOG.reclaim(reader.cpu());
    records
}

/// The end of this CPU: its last packet says that it is the last. Where the ring is full, whoever
/// drains makes room, and says whether it could: this CPU itself, or another that it waits for.
fn stop_logging(mut make_room: impl FnMut() -> bool) -> Result<(), StreamError> {
    loop {
        match LOG.close() {
            Err(StreamError::NoRoom) if make_room() => {}
            ended => return ended,
        }
    }
}

/// Prints what a stopped CPU left; returns how many records were committed, and how many were not.
/// Only a panic needs it.
fn post_mortem(stopped: Stopped) -> (u64, u64) {
    let (cpu, mut records, mut uncommitted) = (stopped.cpu(), 0, 0);
    for left in LOG.salvage(stopped).into_iter().flatten() {
        for run in left.committed() {
            for record in klog::records(run, left.packet().begin_ticks).flatten() {
                print(cpu, &record);
            }
        }
        records += left.packet().records;
        uncommitted += left.uncommitted() as u64;
    }
    (records, uncommitted)
}

// ---- end of the port ----------------------------------------------------------------------------

fn main() -> ExitCode {
    let is_complete = boot();
    println!(
        "the ledger {}",
        if is_complete {
            "adds up"
        } else {
            "does not add up"
        }
    );
    ExitCode::from(u8::from(!is_complete))
}

/// From the first instruction to the last; whether every record is accounted for.
fn boot() -> bool {
    machine::become_cpu(0);
    start_early();
    say("the first thing that this kernel does");
    machine::interrupt(Context::Nmi, || say("an NMI before there is a heap"));
    start_fully();
    say("this is in the large ring; the NMI is in the small one");

    let other = machine::start(1, || {
        work();
        stop_in_a_record();
    });
    let mut readers = [0, 1].map(|cpu| LOG.reader(cpu).expect("the only reader"));
    let mut delivered = [0; CPUS];
    let mut drain_all = || {
        for (reader, delivered) in readers.iter_mut().zip(&mut delivered) {
            *delivered += drain(reader);
        }
        readers.iter_mut().all(Reader::prepare_to_sleep)
    };
    work();
    while !machine::has_stopped() {
        if drain_all() {
            machine::halt();
        }
    }
    let mut tries = 0..10;
    let ended = stop_logging(|| {
        drain_all();
        tries.next().is_some()
    });
    ended.expect("what is drained makes room");
    drain_all();
    let at_end = readers[0].is_at_end();

    // SAFETY: the thread that is CPU 1 has stopped, which `has_stopped` has seen.
    let (salvaged, uncommitted) = post_mortem(unsafe { Stopped::new(1) });
    let complete = account(0, delivered[0], 0) & account(1, delivered[1] + salvaged, uncommitted);
    machine::let_go();
    other.join().expect("it ended");
    complete && at_end && uncommitted == 1
}

/// What every CPU does: it logs, and so do its interrupts.
fn work() {
    for job in 0..if cfg!(miri) { 10 } else { 100 } {
        say(&format!("job {job}"));
        if job % 5 == 0 {
            machine::interrupt(Context::Irq, || {
                say("a device wants something");
                machine::interrupt(Context::Nmi, || say("an NMI in the interrupt"));
            });
        }
        if job % 10 == 0 {
            machine::interrupt(Context::Irq, timer_interrupt);
        }
    }
}

/// A CPU that is stopped at the worst time.
fn stop_in_a_record() {
    say("the last words of this CPU");
    ATTEMPTED[machine::cpu()].fetch_add(1, Ordering::Relaxed);
    let stopped = LOG.reserve_with(100, |_| machine::stop());
    stopped.expect("there is room");
}

/// What every CPU tried to log, counted apart from relay.
static ATTEMPTED: [AtomicU64; CPUS] = [const { AtomicU64::new(0) }; CPUS];

fn say(what: &str) {
    ATTEMPTED[machine::cpu()].fetch_add(1, Ordering::Relaxed);
    log::info!("{what}");
}

fn print(cpu: usize, record: &Record<'_>) {
    let Record {
        ticks,
        context,
        message,
        ..
    } = record;
    println!("[{ticks:6}] cpu {cpu} {:4} {message}", context.name());
}

/// Whether what CPU `cpu` tried to log is what came out and what is counted as lost.
fn account(cpu: usize, delivered: u64, uncommitted: u64) -> bool {
    let attempted = ATTEMPTED[cpu].load(Ordering::Relaxed);
    let stats = LOG.stats(cpu).expect("it was started");
    let (lost, overwritten): (Losses, u64) = (stats.lost, stats.overwritten);
    println!(
        "cpu {cpu}: attempted {attempted} = delivered {delivered} + lost {} ({lost}) + overwritten {overwritten} + uncommitted {uncommitted}",
        lost.total()
    );
    attempted == delivered + lost.total() + overwritten + uncommitted
}

/// The machine: threads are its CPUs, calls its interrupts.
mod machine {
    use super::{CPUS, Context, timer_interrupt};
    use std::cell::Cell;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::sync::{Barrier, OnceLock};
    use std::thread::{self, JoinHandle, Thread};
    use std::time::Duration;

    thread_local! {
        static CPU: Cell<usize> = const { Cell::new(usize::MAX) };
        static CONTEXT: Cell<Context> = const { Cell::new(Context::Task) };
    }

    static THREADS: [OnceLock<Thread>; CPUS] = [const { OnceLock::new() }; CPUS];

    /// The number of this CPU. A thread that is none has one that no channel has room for.
    pub(super) fn cpu() -> usize {
        CPU.get()
    }

    pub(super) fn context() -> Context {
        CONTEXT.get()
    }

    /// The time that all CPUs agree upon.
    pub(super) fn ticks() -> u64 {
        static TICKS: AtomicU64 = AtomicU64::new(0);
        TICKS.fetch_add(1, Ordering::Relaxed)
    }

    /// Makes this thread CPU `cpu`, for ever.
    pub(super) fn become_cpu(cpu: usize) {
        let is_first = THREADS[cpu].set(thread::current()).is_ok();
        assert!(is_first && CPU.get() == usize::MAX, "a CPU is one thread");
        CPU.set(cpu);
    }

    /// Starts CPU `cpu` at `entry`.
    pub(super) fn start(cpu: usize, entry: fn()) -> JoinHandle<()> {
        thread::spawn(move || {
            become_cpu(cpu);
            entry();
        })
    }

    static STOPPED: Barrier = Barrier::new(2);
    static HAS_STOPPED: AtomicBool = AtomicBool::new(false);

    /// Stops this CPU where it is, until the process ends.
    pub(super) fn stop() {
        HAS_STOPPED.store(true, Ordering::Release);
        send_interrupt(0);
        STOPPED.wait();
    }

    /// Whether the other CPU has stopped.
    pub(super) fn has_stopped() -> bool {
        HAS_STOPPED.load(Ordering::Acquire)
    }

    /// Lets the thread of the CPU that has stopped come to its end: only a process needs it.
    pub(super) fn let_go() {
        STOPPED.wait();
    }

    /// An interrupt of this CPU.
    pub(super) fn interrupt(context: Context, handler: impl FnOnce()) {
        let interrupted = CONTEXT.replace(context);
        handler();
        CONTEXT.set(interrupted);
    }

    /// Ends the halt of CPU `cpu`. From any context.
    pub(super) fn send_interrupt(cpu: usize) {
        if let Some(thread) = THREADS[cpu].get() {
            thread.unpark();
        }
    }

    /// Waits for an interrupt; that of the timer comes in any case.
    pub(super) fn halt() {
        thread::park_timeout(Duration::from_millis(1));
        interrupt(Context::Irq, timer_interrupt);
    }
}

#[test]
fn every_record_is_accounted_for() {
    assert!(boot());
}
