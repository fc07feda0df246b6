//! The log: a relay channel, from the first record to the last.
//!
//! It starts on static memory, for the boot CPU alone, before anything else works; once there is
//! a heap, every CPU gets a ring of full size, and the boot CPU moves to its own without losing a
//! record.

use relay::clients::klog::Klog;
use relay::record::Framed;
use relay::{Channel, CloseError, Geometry, StaticMemory, Storage};

use crate::arch::platform::Machine;
use crate::console;
use crate::cpuset::MAX_CPUS;

/// The ring before there is a heap: it must hold what is logged until then.
const EARLY: Geometry = geometry(4096, 4);
/// Every CPU's ring after that: some 1500 lines.
const FULL: Geometry = geometry(8192, 16);

static EARLY_MEMORY: StaticMemory<{ Storage::bytes_for(&EARLY) }> = StaticMemory::new();

/// The kernel's log.
pub(crate) static CHANNEL: Log = Channel::new(Machine, &Framed);
/// The type of the kernel's log.
pub(crate) type Log = Channel<Machine, MAX_CPUS>;

static LOGGER: Klog<Machine, MAX_CPUS> = Klog::new(&CHANNEL);

const fn geometry(subbuf_size: usize, count: usize) -> Geometry {
    match Geometry::new(subbuf_size, count) {
        Ok(geometry) => geometry,
        Err(_) => panic!("a bad geometry"),
    }
}

/// Starts the log on the boot CPU. From here on, everything can be logged.
pub(crate) fn init() {
    let started = EARLY_MEMORY
        .take()
        .is_some_and(|memory| CHANNEL.start(0, memory, EARLY).is_ok());
    debug_assert!(started, "the log was started before");
    log::set_max_level(log::LevelFilter::Info);
    // Fails only if there is a logger already, which can only be this one.
    let _ = log::set_logger(&LOGGER);
}

/// Gives CPUs 0 to `cpus - 1` rings of full size. Task context on the boot CPU, with a heap,
/// before the others start. A CPU for which there is no memory is reported; what it logs is
/// counted as lost.
pub(crate) fn grow(cpus: usize) {
    match Storage::allocate(&FULL) {
        Ok(memory) => {
            if let Err(error) = CHANNEL.replace(memory, FULL) {
                log::error!("the log of cpu 0 stays at its early size: {error}");
            }
        }
        Err(error) => log::error!("the log of cpu 0 stays at its early size: {error}"),
    }
    for cpu in 1..cpus {
        let started = Storage::allocate(&FULL)
            .map_err(relay::StartError::Storage)
            .and_then(|memory| CHANNEL.start(cpu, memory, FULL));
        if let Err(error) = started {
            log::error!("cpu {cpu} has no log: {error}");
        }
    }
}

/// The timer's share: lets the console see what this CPU has logged.
pub(crate) fn tick() {
    CHANNEL.tick();
}

/// Ends the log of the calling CPU: its last packet says that it is the last. Task context.
pub(crate) fn close_this_cpu() {
    // Where the ring is full, the console makes room: here, or on the CPU that is at it.
    while CHANNEL.close() == Err(CloseError::NoRoom) {
        console::poll();
        core::hint::spin_loop();
    }
}
