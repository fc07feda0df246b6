//! klog: what the kernel says to people. Starts on static memory, before anything else works.

use core::fmt;

use relay::clients::klog::{self, Klog, Place, Severity};
use relay::ctf::Packets;
use relay::event::{Sink, Site, StreamClass};
use relay::fs::Mount;
use relay::{Channel, Geometry, StaticMemory, Storage};

use super::attempts::Attempts;
use super::channel::{self, PerCpu, UUID};
use super::trigger;
use crate::base::cpuset::MAX_CPUS;
use crate::cpu::machine::Machine;

/// The channel, described.
pub(super) const STREAM: StreamClass = klog::STREAM;

pub(super) static PACKETS: Packets = Packets::new(STREAM.id, &UUID);
pub(crate) static CHANNEL: PerCpu = Channel::new(Machine, &PACKETS);
pub(super) static MOUNT: Mount = channel::mount("/klog", &CHANNEL);

/// What was tried here.
pub(crate) static ATTEMPTS: Attempts = Attempts::new(STREAM.id);

/// The ring before there is a heap: it must hold what is logged until then. Its packets leave the
/// machine like those of the next.
pub(super) const EARLY: Geometry = channel::fixed(4096, 4);
/// How many sub-buffers the rings after that have, if these are not larger or smaller than is
/// sensible: some 1500 lines each, unless somebody asks for more or less.
const COUNT: usize = 16;
/// Bytes of a sub-buffer: the least, which is that of a slow line (what is damaged there is a
/// packet), and the most.
const LEAST: usize = 1024;
const MOST: usize = 8192;

/// Bytes of records in a packet, at most.
pub(crate) const MAX_PACKET: usize = MOST;

static EARLY_MEMORY: StaticMemory<{ Storage::bytes_for(&EARLY) }> = StaticMemory::new();

static BACKEND: Klog<Machine, MAX_CPUS> = Klog::new(&CHANNEL);

/// The severity of a level of the facade.
fn severity(level: log::Level) -> Severity {
    match level {
        log::Level::Error => Severity::Error,
        log::Level::Warn => Severity::Warn,
        log::Level::Info => Severity::Info,
        log::Level::Debug => Severity::Debug,
        log::Level::Trace => Severity::Trace,
    }
}

/// Counts what is to be logged, then logs it.
struct Counted;

impl log::Log for Counted {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        BACKEND.enabled(metadata)
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            ATTEMPTS.count();
            BACKEND.write(record);
            if trigger::is_armed() {
                trigger::severity(severity(record.level()));
            }
        }
    }

    fn flush(&self) {
        BACKEND.flush();
    }
}

impl Sink for Counted {
    #[inline(always)]
    fn put(&self, event: u16, fields: &[u8]) {
        ATTEMPTS.count();
        CHANNEL.put(event, fields);
        if trigger::is_armed() {
            trigger::statement(event);
        }
    }

    fn room(&self) -> usize {
        CHANNEL.room()
    }

    fn say(&self, site: &Site, message: fmt::Arguments<'_>) {
        ATTEMPTS.count();
        CHANNEL.say(site, message);
        if trigger::is_armed() {
            trigger::severity(site.severity());
        }
    }
}

/// Where relay's macros write: not on a host, whose tests have no CPU of this kernel.
#[cfg(target_os = "none")]
static STATEMENTS: Counted = Counted;
#[cfg(not(target_os = "none"))]
static STATEMENTS: Nowhere = Nowhere;
relay::sink!(STATEMENTS);

/// Drops what is said.
#[cfg(not(target_os = "none"))]
struct Nowhere;

#[cfg(not(target_os = "none"))]
impl Sink for Nowhere {
    fn put(&self, _event: u16, _fields: &[u8]) {}

    fn room(&self) -> usize {
        usize::MAX
    }

    fn say(&self, _site: &Site, _message: fmt::Arguments<'_>) {}
}

/// Logs a text, whatever is switched off. Any context.
pub(crate) fn write(severity: Severity, place: Place<'_>, message: fmt::Arguments<'_>) {
    // A host's tests have no CPU of this kernel.
    if cfg!(target_os = "none") {
        ATTEMPTS.count();
        // What is lost is counted by the channel.
        let _ = klog::write(&CHANNEL, severity, place, message);
    }
}

/// Starts klog on the boot CPU, behind the macros of `log`; true if that worked. From here on,
/// everything can be logged.
pub(super) fn start_early() -> bool {
    let memory = EARLY_MEMORY.take();
    let started = memory.is_some_and(|memory| CHANNEL.start(0, memory, EARLY).is_ok());
    log::set_max_level(log::LevelFilter::Info);
    // Fails only if there is a logger already, which can only be this one.
    let _ = log::set_logger(&Counted);
    started
}

/// Gives CPUs 0 to `cpus - 1` rings of `size` bytes, a power of two. Task context on the boot CPU, with a heap, before
/// the others start. A CPU that gets no memory is reported, and what it writes is counted as lost.
/// If it goes over a slow line, its packets are small.
pub(super) fn grow(cpus: usize, size: usize, is_slow: bool) {
    let subbuf = if is_slow { LEAST } else { size / COUNT };
    let subbuf = subbuf.clamp(LEAST, MOST);
    let geometry = match channel::geometry(subbuf, size / subbuf) {
        Ok(geometry) => geometry,
        Err(error) => return relay::error!("the log stays at its early size: {error}"),
    };
    let grown = Storage::allocate(&geometry)
        .map_err(relay::StreamError::Storage)
        .and_then(|memory| CHANNEL.replace(memory, geometry));
    if let Err(error) = grown {
        relay::error!("the log of cpu 0 stays at its early size: {error}");
    }
    for cpu in 1..cpus {
        channel::start_vital(&CHANNEL, "klog", cpu, geometry);
    }
}
