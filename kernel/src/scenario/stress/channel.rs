//! The channel that is written: each CPU's stream of `flood`, or the one of `shared`.

use core::ops::RangeInclusive;

use relay::event::Event;
use relay::{Channel, Geometry, PerCpu, Storage, StreamError, StreamInfo, Usage};

use crate::base::cpuset::{CpuSet, MAX_CPUS};
use crate::cpu::machine::Machine;
use crate::logs::flood::{self, Flood};
use crate::logs::load;
use crate::logs::shared::{self, Shared};
use crate::scenario::part::Part;

/// One of the two.
pub(super) trait Load {
    type Usage: Usage;
    type Record: Event;
    fn channel() -> &'static Channel<Machine, MAX_CPUS, Self::Usage>;
    /// The next record of the calling CPU, whose part this is.
    fn next(part: &Part, length: u16) -> Self::Record;
}

/// A stream of each CPU.
pub(super) enum Own {}

/// The stream of all.
pub(super) enum Common {}

impl Load for Own {
    type Usage = PerCpu;
    type Record = Flood;

    fn channel() -> &'static Channel<Machine, MAX_CPUS, PerCpu> {
        &flood::CHANNEL
    }

    fn next(part: &Part, length: u16) -> Flood {
        part.next(length)
    }
}

impl Load for Common {
    type Usage = relay::Global;
    type Record = Shared;

    fn channel() -> &'static Channel<Machine, MAX_CPUS, relay::Global> {
        &shared::CHANNEL
    }

    fn next(part: &Part, length: u16) -> Shared {
        part.next_shared(length)
    }
}

/// Does something with the channel that is written.
macro_rules! on_channel {
    ($channel:ident => $act:expr) => {
        match load::is_shared() {
            false => {
                let $channel = &flood::CHANNEL;
                $act
            }
            true => {
                let $channel = &shared::CHANNEL;
                $act
            }
        }
    };
}

/// The numbers of the streams that these CPUs write.
pub(super) fn streams(cpus: CpuSet) -> CpuSet {
    match load::is_shared() {
        false => cpus,
        true => CpuSet::only(0),
    }
}

/// Records that were lost, in streams and for want of one.
pub(super) fn lost(cpus: CpuSet) -> u64 {
    on_channel!(channel => {
        let stats = streams(cpus).iter().filter_map(|stream| channel.stats(stream));
        let lost: u64 = stats.map(|stats| stats.lost.total()).sum();
        lost.saturating_add(channel.lost_no_ring())
    })
}

/// As [`Channel::geometry`].
pub(super) fn geometry(stream: usize) -> Option<Geometry> {
    on_channel!(channel => channel.geometry(stream))
}

/// As [`Channel::info`].
pub(super) fn info(stream: usize) -> Option<StreamInfo> {
    on_channel!(channel => channel.info(stream))
}

/// As [`Channel::resize`].
pub(super) fn resize(stream: usize, ring: Storage, geometry: Geometry) -> Result<(), StreamError> {
    on_channel!(channel => channel.resize(stream, ring, geometry))
}

/// As [`Channel::adapt`].
pub(super) fn adapt(
    stream: usize,
    limits: RangeInclusive<usize>,
) -> Result<Option<usize>, StreamError> {
    on_channel!(channel => channel.adapt(stream, limits))
}

/// As [`Channel::reclaim`].
pub(super) fn reclaim(stream: usize) -> usize {
    on_channel!(channel => channel.reclaim(stream))
}

/// As [`Channel::tick`].
pub(super) fn tick() {
    on_channel!(channel => channel.tick());
}

/// What `cpu` is in the middle of.
#[cfg(feature = "stress")]
pub(super) fn phase(cpu: usize) -> usize {
    on_channel!(channel => channel.phase(cpu) as usize)
}

/// Nobody knows.
#[cfg(not(feature = "stress"))]
pub(super) fn phase(_cpu: usize) -> usize {
    0
}

/// Whether something of the calling CPU is complete, and nobody delivers it. In the stream of all
/// CPUs another one may be at it.
#[cfg(feature = "stress")]
pub(super) fn owes_delivery() -> bool {
    !load::is_shared() && flood::CHANNEL.owes_delivery()
}

/// Nobody knows.
#[cfg(not(feature = "stress"))]
pub(super) fn owes_delivery() -> bool {
    false
}

/// Swaps of `cpu` that have failed.
#[cfg(feature = "stress")]
pub(super) fn failed_swaps(cpu: usize) -> u64 {
    on_channel!(channel => channel.failed_swaps(cpu))
}

/// Nobody knows.
#[cfg(not(feature = "stress"))]
pub(super) fn failed_swaps(_cpu: usize) -> u64 {
    0
}
