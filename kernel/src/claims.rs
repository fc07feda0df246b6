//! Claims: what every CPU tried to write, counted apart from relay.
//!
//! The writers of this kernel count each attempt before they make it, by channel and context; at
//! the end each CPU writes its counts to the channel `claims`. So that the host can compare them
//! with what it received: a ledger kept by relay alone could be right by construction only.

use core::sync::atomic::{AtomicU64, Ordering};

use relay::Context;
use relay::record::{self, MIN_RECORD};

use crate::arch::percpu;
use crate::channels::{CLAIMS, FLOOD_STREAM};
use crate::cpuset::MAX_CPUS;

/// A channel whose attempts are counted, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// klog.
    Klog = relay::clients::klog::STREAM.id as isize,
    /// flood.
    Flood = FLOOD_STREAM.id as isize,
}

impl Claimed {
    const ALL: [Self; 2] = [Self::Klog, Self::Flood];

    fn index(self) -> usize {
        match self {
            Self::Klog => 0,
            Self::Flood => 1,
        }
    }
}

/// The attempts of one CPU, by channel and context. Each is changed in its own context only, which
/// does not interrupt itself: a load and a store are enough.
#[repr(align(128))]
struct Counts([[AtomicU64; Context::ALL.len()]; Claimed::ALL.len()]);

static COUNTS: [Counts; MAX_CPUS] = [const {
    Counts([const { [const { AtomicU64::new(0) }; Context::ALL.len()] }; Claimed::ALL.len()])
}; MAX_CPUS];

/// Counts one attempt of the calling CPU and context. Any context.
pub(crate) fn count(channel: Claimed) {
    let counts = &COUNTS[percpu::cpu_index() % MAX_CPUS].0[channel.index()];
    let count = &counts[percpu::context() as usize];
    count.store(
        count.load(Ordering::Relaxed).wrapping_add(1),
        Ordering::Relaxed,
    );
}

/// Writes the claims of the calling CPU. Task context, when it writes to no other channel any more.
pub(crate) fn report() {
    for channel in Claimed::ALL {
        for context in Context::ALL {
            let counts = &COUNTS[percpu::cpu_index() % MAX_CPUS].0[channel.index()];
            let attempted = counts[context as usize].load(Ordering::Relaxed);
            write(channel as u16, context, attempted);
        }
    }
}

/// Writes one claim; what is lost is counted by the channel, and missed by the host.
fn write(channel: u16, from: Context, attempted: u64) {
    const LEN: usize = MIN_RECORD + 2 + 1 + 8;
    let _ = CLAIMS.reserve_with(LEN, |slot| {
        let mut bytes = [0; LEN];
        let (head, fields) = bytes.split_at_mut(MIN_RECORD);
        head[..record::HEADER].copy_from_slice(&record::header(1, slot.timestamp()));
        head[record::HEADER] = percpu::context() as u8;
        fields[..2].copy_from_slice(&channel.to_le_bytes());
        fields[2] = from as u8;
        fields[3..].copy_from_slice(&attempted.to_le_bytes());
        slot.bytes_mut().copy_from_slice(&bytes);
    });
}
