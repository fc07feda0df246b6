//! Claims: what every CPU tried to write, counted apart from relay.
//!
//! The writers of this kernel count each [attempt](Attempts) before they make it, by channel and
//! context; at the end each CPU writes its counts to the channel `claims`. So that the host can
//! compare them with what it received: a ledger kept by relay alone could be right by construction
//! only.
//!
//! A CPU that has no ring in a channel has no stream there that could tell of its losses: it says
//! here that all of its attempts were lost. A CPU gets its rings before it starts, or never.

use relay::ctf::Packets;
use relay::event::{Event, StreamClass};
use relay::fs::{FindError, Mount};
use relay::{Channel, Context, Geometry};

use super::attempts::Attempts;
use super::channel::{self, PerCpu, UUID};
use crate::cpu::machine::Machine;
use crate::cpu::percpu;

relay::event! {
    /// What a CPU has tried to write to a channel, in a context.
    #[event(channel = "claims", id = 1)]
    struct Claim {
        channel: u16,
        from: Context,
        attempted: u64,
    }

    /// A CPU has no ring in a channel, and has lost all that it tried to write there.
    #[event(channel = "claims", id = 2)]
    struct NoRing {
        channel: u16,
        lost: u64,
    }
}

/// The channel `claims`, described.
pub(super) const STREAM: StreamClass = StreamClass {
    id: 2,
    name: "claims",
    is_global: false,
    overwrites: false,
    is_taken: false,
    events: &[Claim::CLASS, NoRing::CLASS],
};

pub(super) static PACKETS: Packets = Packets::new(STREAM.id, &UUID);
pub(crate) static CHANNEL: PerCpu = Channel::new(Machine, &PACKETS);
pub(super) static MOUNT: Mount = channel::mount("/claims", &CHANNEL);

/// A few records at the end.
const RING: Geometry = channel::fixed(1024, 2);

/// Gives CPUs 0 to `cpus - 1` their streams. Task context, with a heap.
pub(super) fn start(cpus: usize) {
    for cpu in 0..cpus {
        channel::start_vital(&CHANNEL, "claims", cpu, RING);
    }
}

/// Writes the claims of the calling CPU about a channel, in which it counted attempts. Task context,
/// when it writes to no other channel any more.
pub(super) fn report(mount: &'static Mount, attempts: &Attempts) {
    for context in Context::ALL {
        // What is lost is counted by the channel, and missed by the host.
        let _ = CHANNEL.emit(&Claim {
            channel: attempts.channel(),
            from: context,
            attempted: attempts.tried(context),
        });
    }
    if !has_ring(mount) {
        let tried = Context::ALL.map(|context| attempts.tried(context));
        let _ = CHANNEL.emit(&NoRing {
            channel: attempts.channel(),
            lost: tried.into_iter().fold(0, u64::wrapping_add),
        });
    }
}

/// Whether the calling CPU has a ring in a channel: its own, or the one that all CPUs have.
fn has_ring(mount: &'static Mount) -> bool {
    match mount.file(percpu::cpu_index()) {
        Err(FindError::NoSuchCpu { .. }) => mount.file(0).is_ok(),
        file => file.is_ok(),
    }
}
