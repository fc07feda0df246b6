//! metadata: the description of all other channels, as text. A stream of CPU 0 only, closed once it
//! is written.

use core::fmt::{self, Write};

use relay::ctf::Packets;
use relay::ctf::metadata::{Kernel, Trace};
use relay::event::StreamClass;
use relay::fs::Mount;
use relay::{Channel, Geometry};

use super::channel::{self, PerCpu, UUID};
use crate::base::shortfall;
use crate::cpu::clock;
use crate::cpu::machine::Machine;

pub(super) static PACKETS: Packets = Packets::new(0, &UUID);
pub(crate) static CHANNEL: PerCpu = Channel::new(Machine, &PACKETS);
pub(super) static MOUNT: Mount = channel::mount("/metadata", &CHANNEL);

/// The ring holds all of it. In small packets, of which more arrive where a line is bad.
pub(crate) const RING: Geometry = channel::fixed(1024, 256);

/// What viewers shall know of this kernel. It has no name for its machine, and no clock that would
/// say when it was built.
pub(super) const KERNEL: Kernel<'_> = Kernel {
    hostname: "relay-kernel",
    sysname: "relay",
    release: env!("CARGO_PKG_VERSION"),
    version: "the reference kernel of relay, x86_64",
    trace_name: "relay",
};

/// Starts the stream. Task context on the boot CPU, with a heap.
pub(super) fn start() {
    channel::start_vital(&CHANNEL, "metadata", 0, RING);
}

/// Writes the description of `streams` on `cpus` CPUs, and closes it. Once, on the boot CPU, when
/// the clock is calibrated and the streams are started.
pub(super) fn describe(streams: &[StreamClass], cpus: usize) {
    let trace = Trace {
        uuid: UUID.bytes(),
        clock_hz: clock::frequency_hz().unwrap_or(0),
        cpus,
        streams,
        env: &KERNEL.env(),
    };
    let written = write!(Text, "{trace}").is_ok() && CHANNEL.close().is_ok();
    if !written {
        relay::error!("the metadata does not fit its ring: captures will not explain themselves");
        shortfall::note();
    }
}

/// Text that becomes the contents of metadata packets.
struct Text;

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.as_bytes()
            .chunks(RING.max_record())
            .try_for_each(|chunk| CHANNEL.write(chunk).map_err(|_| fmt::Error))
    }
}
