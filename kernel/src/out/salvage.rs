//! What a panic finds unsent leaves the machine through a port that is kept for it.
//!
//! The port was set up with the others and is used for nothing else, so that no queue is inherited
//! in the middle of a change. The CPU that ends the machine is the only one here: it polls, takes
//! nothing that another CPU may hold, and waits for nothing without an end. What the stopped CPUs
//! left is read, never written.

use alloc::boxed::Box;
use core::fmt;

use relay::ctf::HEADER;
use spin::Mutex;

use crate::arch::stop;
use crate::base::cpuset::MAX_CPUS;
use crate::base::shortfall;
use crate::cpu::clock::Timeout;
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

/// The port, once it was found. Held while it is stored, and by the CPU that ends the machine.
static PORT: Mutex<Option<PolledPort<HEADER>>> = Mutex::new(None);

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
    *PORT.lock() = Some(Polled::new(port, Box::leak(Box::new([0; HEADER]))));
    Ok(true)
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Report {
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
    Stuck(Stuck),
    /// It took too long.
    Late,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let packets = self.packets;
        match self.failure {
            None => write!(
                f,
                "{packets} packets that were left were sent to port {NAME}"
            ),
            Some(Failure::NoPort) => write!(
                f,
                "there is no port {NAME}: what was not sent is on the console only"
            ),
            Some(Failure::Stuck(stuck)) => write!(
                f,
                "port {NAME} is stuck after {packets} packets ({stuck}): \
                 what was not sent is on the console only"
            ),
            Some(Failure::Late) => write!(
                f,
                "port {NAME} is too slow: it took {packets} packets in {} s, \
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
    let failure = try_send(&mut packets).err();
    Report { packets, failure }
}

/// Sends it, and counts the packets that were sent.
fn try_send(sent: &mut u64) -> Result<(), Failure> {
    // Not free where this CPU failed while it was setting the port aside.
    let mut guard = PORT.try_lock().ok_or(Failure::NoPort)?;
    let port = guard.as_mut().ok_or(Failure::NoPort)?;
    let limit = Timeout::after_ms(LIMIT_MS);
    for (channel, packets) in registry::SALVAGED {
        for cpu in 0..MAX_CPUS {
            let salvage = stop::proof(cpu).and_then(|stopped| channel.salvage(stopped));
            let Some(salvage) = salvage else {
                continue;
            };
            for copy in packets.salvage(salvage, stop::stopped_at(cpu)) {
                if limit.expired() {
                    return Err(Failure::Late);
                }
                let patience = Timeout::after_ms(PATIENCE_MS);
                port.send(copy.header(), copy.runs(), copy.padding(), || {
                    patience.expired()
                })
                .map_err(Failure::Stuck)?;
                *sent += 1;
            }
        }
    }
    Ok(())
}
