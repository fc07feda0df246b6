//! What a panic finds unsent leaves the machine through a port that is kept for it, or over the
//! serial port that carries the packets.
//!
//! A virtio port was set up with the others and is used for nothing else, so that no queue is
//! inherited in the middle of a change; a serial port has no queue, and a frame that was cut off is
//! found by its checksum. The CPU that ends the machine is the only one here: it polls, takes
//! nothing that another CPU may hold, and waits for nothing without an end. What the stopped CPUs
//! left is read, never written.

use alloc::boxed::Box;
use alloc::vec;
use core::fmt;

use crate::cpu::lock::Mutex;
use relay::ctf::HEADER;
use relay::ctf::salvage::PacketCopy;

use super::last_line::{self, LastLine};
use crate::arch::stop;
use crate::base::cpuset::MAX_CPUS;
use crate::base::shortfall;
use crate::cpu::clock::Timeout;
use crate::dev::serial::Com;
use crate::dev::virtio::console::driver::OpenError;
use crate::dev::virtio::console::polled::{Polled, Stuck};
use crate::dev::virtio::console::{Console, PolledPort};
use crate::logs::registry;

/// The port's name.
const NAME: &str = "relay.panic";

/// How long one packet may take. Emulated on a busy host, a device can stand still for half a
/// second.
const PATIENCE_MS: u64 = 2_000;

/// How long all of it may take.
const LIMIT_MS: u64 = 30_000;

/// The way out for panics.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one, in a static: a panic has no heap to box it"
)]
enum Way {
    /// A port of a virtio-console.
    Port(PolledPort<HEADER>),
    /// The serial port that carries packets.
    Line(LastLine),
}

/// The way, once it was found. Held while it is stored, and by the CPU that ends the machine.
static WAY: Mutex<Option<Way>> = Mutex::new(None);

/// Whether a port with this name is the one for panics.
pub(crate) fn is_kept(name: &str) -> bool {
    name == NAME
}

/// Sets the port aside; `false` if there is none. Task context on the boot CPU, once.
///
/// # Errors
/// [`OpenError`]: there is one, but it cannot be opened.
pub(crate) fn keep(console: &mut Console) -> Result<bool, OpenError> {
    let Some(info) = console.ports().find(|port| is_kept(port.name.as_str())) else {
        return Ok(false);
    };
    // Polled: it has no use for interrupts.
    let port = console
        .open(info.id, None)
        .inspect_err(|_| shortfall::note())?;
    let polled = Polled::new(port, Box::leak(Box::new([0; HEADER])));
    *WAY.lock() = Some(Way::Port(polled));
    Ok(true)
}

/// Keeps a serial port for panics beside what it carries; its frames have so many bytes at most.
/// Task context on the boot CPU, once, when the port was set up.
pub(super) fn keep_line(com: Com, frame: usize) {
    let line = LastLine::new(com, vec![0; frame].leak());
    *WAY.lock() = Some(Way::Line(line));
}

impl Way {
    /// Sends a packet, and waits for it.
    fn send(&mut self, copy: &PacketCopy<'static>) -> Result<(), Failure> {
        let patience = Timeout::after_ms(PATIENCE_MS);
        let is_over = || patience.expired();
        match self {
            Self::Port(port) => port
                .send(copy.header(), copy.runs(), copy.padding(), is_over)
                .map_err(Failure::PortStuck),
            Self::Line(line) => line.send(copy, is_over).map_err(Failure::LineStuck),
        }
    }

    /// Its name.
    fn name(&self) -> &'static str {
        match self {
            Self::Port(_) => NAME,
            Self::Line(line) => line.name(),
        }
    }
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Report {
    /// Over what.
    way: &'static str,
    /// Packets that the device has taken.
    packets: u64,
    /// Why it was not all; `None` if it was.
    failure: Option<Failure>,
}

/// Why not everything was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// There is no port for it, or it was not found yet.
    NoPort,
    /// The port does not move.
    PortStuck(Stuck),
    /// The serial port does not.
    LineStuck(last_line::Stuck),
    /// It took too long.
    Late,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { way, packets, .. } = self;
        let mut stuck = |why: &dyn fmt::Display| {
            write!(
                f,
                "port {way} is stuck after {packets} packets ({why}): \
                 what was not sent is on the console only"
            )
        };
        match self.failure {
            None => write!(
                f,
                "{packets} packets that were left were sent to port {way}"
            ),
            Some(Failure::NoPort) => write!(
                f,
                "there is no port {way}: what was not sent is on the console only"
            ),
            Some(Failure::PortStuck(why)) => stuck(&why),
            Some(Failure::LineStuck(why)) => stuck(&why),
            Some(Failure::Late) => write!(
                f,
                "port {way} is too slow: it took {packets} packets in {} s, \
                 the rest is on the console only",
                LIMIT_MS / 1000
            ),
        }
    }
}

/// Sends what all CPUs that have stopped left in their rings. Panic context, after
/// `stop::stop_others`; nothing may be logged after it.
pub(crate) fn send() -> Report {
    let mut packets = 0;
    // Not free where this CPU failed while it was setting the port aside.
    let mut guard = WAY.try_lock();
    let Some(way) = guard.as_deref_mut().and_then(Option::as_mut) else {
        return Report {
            way: NAME,
            packets,
            failure: Some(Failure::NoPort),
        };
    };
    let failure = try_send(way, &mut packets).err();
    Report {
        way: way.name(),
        packets,
        failure,
    }
}

/// Sends it, and counts the packets that were sent.
fn try_send(way: &mut Way, sent: &mut u64) -> Result<(), Failure> {
    let limit = Timeout::after_ms(LIMIT_MS);
    for (channel, packets) in registry::salvaged() {
        for cpu in 0..MAX_CPUS {
            let salvage = stop::proof(cpu).and_then(|stopped| channel.salvage(stopped));
            let Some(salvage) = salvage else {
                continue;
            };
            for copy in packets.salvage(salvage, stop::stopped_at(cpu)) {
                if limit.expired() {
                    return Err(Failure::Late);
                }
                way.send(&copy)?;
                *sent += 1;
            }
        }
    }
    Ok(())
}
