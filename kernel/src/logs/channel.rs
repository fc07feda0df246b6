//! What the channels of this kernel have in common.

use relay::ctf::{self, Uuid};
use relay::fs::{Mount, Streams};
use relay::{Channel, Geometry, GeometryError, Storage, Usage};

use crate::base::cpuset::MAX_CPUS;
use crate::base::shortfall;
use crate::cpu::machine::Machine;

/// A channel of this kernel.
pub(crate) type PerCpu = Channel<Machine, MAX_CPUS>;

/// What ties the packets of this boot together.
pub(super) static UUID: Uuid = Uuid::new();

/// Rings of `count` sub-buffers of `subbuf_size` bytes, with room for packet headers.
///
/// # Errors
/// There is no such ring.
pub(super) const fn geometry(subbuf_size: usize, count: usize) -> Result<Geometry, GeometryError> {
    match Geometry::new(subbuf_size, count) {
        Ok(geometry) => geometry.with_reserves(ctf::HEADER, 0),
        Err(error) => Err(error),
    }
}

/// The same, for a constant.
pub(super) const fn fixed(subbuf_size: usize, count: usize) -> Geometry {
    match geometry(subbuf_size, count) {
        Ok(geometry) => geometry,
        Err(_) => panic!("a bad geometry"),
    }
}

/// The place of a channel among the names.
pub(super) const fn mount(path: &'static str, channel: &'static dyn Streams) -> Mount {
    match Mount::new(path, channel) {
        Ok(mount) => mount,
        Err(_) => panic!("a bad path"),
    }
}

/// Starts the stream of `cpu` in `memory`, or in some of the heap; whether that worked. A CPU that
/// gets no memory is reported, and what it writes is counted as lost. Task context, before the CPU
/// starts.
pub(super) fn start<U: Usage>(
    channel: &Channel<Machine, MAX_CPUS, U>,
    name: &str,
    cpu: usize,
    memory: Option<Storage>,
    geometry: Geometry,
) -> bool {
    let started = memory
        .map_or_else(|| Storage::allocate(&geometry), Ok)
        .map_err(relay::StartError::Storage)
        .and_then(|memory| channel.start(cpu, memory, geometry));
    if let Err(error) = &started {
        relay::error!("cpu {cpu} has no ring for {name}: {error}");
    }
    started.is_ok()
}

/// The same, for a channel without which nobody can tell what a CPU did: a CPU that has no stream
/// there is a [shortfall](shortfall::note).
pub(super) fn start_vital(channel: &PerCpu, name: &str, cpu: usize, geometry: Geometry) {
    if !start(channel, name, cpu, None, geometry) {
        shortfall::note();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay::NoHooks;

    /// The only test that may note a shortfall: there is one word for it.
    #[test]
    fn only_a_vital_channel_that_a_cpu_lacks_is_a_shortfall() {
        static CHANNEL: PerCpu = Channel::new(Machine, &NoHooks);
        let ring = fixed(1024, 2);
        assert!(!start(&CHANNEL, "x", MAX_CPUS, None, ring));
        assert!(!shortfall::is_noted());
        start_vital(&CHANNEL, "x", MAX_CPUS, ring);
        assert!(shortfall::is_noted());
    }
}
