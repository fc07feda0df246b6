//! The kernel's channels: what each carries, how large its rings are.
//!
//! All are alike to relay. klog starts on static memory, before anything else works; the others
//! when there is a heap.

use core::fmt::{self, Write};
use core::{hint, ptr};

use relay::clients::klog;
use relay::ctf::metadata::{CONTEXT_KIND, EventClass, Field, Kind, StreamClass, Trace};
use relay::ctf::{self, Packets, Uuid};
use relay::fs::{Mount, Namespace};
use relay::{Channel, Geometry, StaticMemory, Storage, StreamError};
use x86_64::instructions::interrupts;

use crate::arch::clock;
use crate::arch::platform::Machine;
use crate::cmdline::Options;
use crate::cpuset::MAX_CPUS;
use crate::{claims, console, transport};

/// A channel of this kernel.
pub(crate) type PerCpu = Channel<Machine, MAX_CPUS>;

/// What ties the packets of this boot together.
static UUID: Uuid = Uuid::new();

static METADATA_PACKETS: Packets = Packets::new(0, &UUID);
static KLOG_PACKETS: Packets = Packets::new(klog::STREAM.id, &UUID);
static CLAIMS_PACKETS: Packets = Packets::new(CLAIMS_STREAM.id, &UUID);
static FLOOD_PACKETS: Packets = Packets::new(FLOOD_STREAM.id, &UUID);

/// The description of all others, as text. A stream of CPU 0 only, closed once it is written.
pub(crate) static METADATA: PerCpu = Channel::new(Machine, &METADATA_PACKETS);
/// What the kernel says to people.
pub(crate) static KLOG: PerCpu = Channel::new(Machine, &KLOG_PACKETS);
/// What every CPU tried to write, by its own count.
pub(crate) static CLAIMS: PerCpu = Channel::new(Machine, &CLAIMS_PACKETS);
/// The load of the scenario `flood`.
pub(crate) static FLOOD: PerCpu = Channel::new(Machine, &FLOOD_PACKETS);

/// Where readers find them: `/klog/0`.
pub(crate) static NAMES: Namespace<4> = Namespace::new();

static MOUNTS: [Mount; 4] = [
    mount("/metadata", &METADATA),
    mount("/klog", &KLOG),
    mount("/claims", &CLAIMS),
    mount("/flood", &FLOOD),
];

const fn mount(path: &'static str, channel: &'static PerCpu) -> Mount {
    match Mount::new(path, channel) {
        Ok(mount) => mount,
        Err(_) => panic!("a bad path"),
    }
}

/// The channels that every CPU has a stream of, in the order in which they are closed: claims are
/// made when the others are.
pub(crate) static ALL: [&PerCpu; 3] = [&KLOG, &FLOOD, &CLAIMS];

/// The channels of which a panic sends what is left, with their hooks: the description of all
/// first, what may be much last.
pub(crate) static SALVAGED: [(&PerCpu, &Packets); 4] = [
    (&METADATA, &METADATA_PACKETS),
    (&KLOG, &KLOG_PACKETS),
    (&CLAIMS, &CLAIMS_PACKETS),
    (&FLOOD, &FLOOD_PACKETS),
];

/// Their descriptions.
const STREAMS: [StreamClass; 3] = [klog::STREAM, CLAIMS_STREAM, FLOOD_STREAM];

/// The channel `claims`, described.
pub(crate) const CLAIMS_STREAM: StreamClass = StreamClass {
    id: 2,
    name: "claims",
    events: &[EventClass {
        id: 1,
        name: "claim",
        fields: &[
            Field {
                name: "channel",
                kind: Kind::U16,
            },
            Field {
                name: "from",
                kind: CONTEXT_KIND,
            },
            Field {
                name: "attempted",
                kind: Kind::U64,
            },
        ],
    }],
};

/// The channel `flood`, described.
pub(crate) const FLOOD_STREAM: StreamClass = StreamClass {
    id: 3,
    name: "flood",
    events: &[EventClass {
        id: 1,
        name: "flood",
        fields: &[
            Field {
                name: "sequence",
                kind: Kind::U64,
            },
            Field {
                name: "checksum",
                kind: Kind::U32,
            },
            Field {
                name: "length",
                kind: Kind::U16,
            },
            Field {
                name: "data",
                kind: Kind::Bytes("length"),
            },
        ],
    }],
};

/// klog's ring before there is a heap: it must hold what is logged until then.
const EARLY: Geometry = geometry(4096, 4);
/// klog's rings after that: some 1500 lines each.
const FULL: Geometry = geometry(8192, 16);
/// The metadata's ring holds all of it.
const METADATA_RING: Geometry = geometry(4096, 4);
/// The rings of claims: a few records at the end.
const CLAIMS_RING: Geometry = geometry(1024, 2);
/// The rings of flood where the command line does not say otherwise.
const FLOOD_RING: Geometry = geometry(16 * 1024, 16);

static EARLY_MEMORY: StaticMemory<{ Storage::bytes_for(&EARLY) }> = StaticMemory::new();

const fn geometry(subbuf_size: usize, count: usize) -> Geometry {
    match Geometry::new(subbuf_size, count) {
        Ok(geometry) => match geometry.with_reserves(ctf::HEADER, 0) {
            Ok(geometry) => geometry,
            Err(_) => panic!("no room for a packet header"),
        },
        Err(_) => panic!("a bad geometry"),
    }
}

/// Gives the channels their names and starts klog on the boot CPU; true if that worked. The first thing of
/// all.
pub(crate) fn start_early() -> bool {
    UUID.set(clock::random_seed());
    let named = MOUNTS.iter().all(|mount| NAMES.create(mount).is_ok());
    let memory = EARLY_MEMORY.take();
    memory.is_some_and(|memory| KLOG.start(0, memory, EARLY).is_ok()) && named
}

/// Gives CPUs 0 to `cpus - 1` klog rings of full size. Task context on the boot CPU, with a heap,
/// before the others start. What cannot be had is reported; what is written there is counted as
/// lost.
pub(crate) fn grow_log(cpus: usize) {
    match Storage::allocate(&FULL) {
        Ok(memory) => {
            if let Err(error) = KLOG.replace(memory, FULL) {
                log::error!("the log of cpu 0 stays at its early size: {error}");
            }
        }
        Err(error) => log::error!("the log of cpu 0 stays at its early size: {error}"),
    }
    for cpu in 1..cpus {
        start(&KLOG, "klog", cpu, FULL);
    }
}

/// Gives them streams of all other channels, likewise.
pub(crate) fn start_others(cpus: usize, options: &Options<'_>) {
    let flood = flood_geometry(options);
    for cpu in 0..cpus {
        start(&CLAIMS, "claims", cpu, CLAIMS_RING);
        start(&FLOOD, "flood", cpu, flood);
    }
    start(&METADATA, "metadata", 0, METADATA_RING);
}

fn start(channel: &PerCpu, name: &str, cpu: usize, geometry: Geometry) {
    let started = Storage::allocate(&geometry)
        .map_err(relay::StartError::Storage)
        .and_then(|memory| channel.start(cpu, memory, geometry));
    if let Err(error) = started {
        log::error!("cpu {cpu} has no {name}: {error}");
    }
}

/// The geometry of flood's rings: as asked for, if that is one.
fn flood_geometry(options: &Options<'_>) -> Geometry {
    let size = options.subbuf.unwrap_or(FLOOD_RING.subbuf_size());
    let count = options.count.unwrap_or(FLOOD_RING.subbuf_count());
    let asked =
        Geometry::new(size, count).and_then(|geometry| geometry.with_reserves(ctf::HEADER, 0));
    asked.unwrap_or_else(|error| {
        log::warn!("command line: subbuf={size} count={count} is ignored: {error}");
        FLOOD_RING
    })
}

/// Writes the metadata, and closes it. Once, on the boot CPU, when the clock is calibrated and the
/// streams are started.
pub(crate) fn describe(cpus: usize) {
    let trace = Trace {
        uuid: UUID.bytes(),
        clock_hz: clock::frequency_hz().unwrap_or(0),
        cpus,
        streams: &STREAMS,
    };
    let written = write!(MetadataText, "{trace}").is_ok() && METADATA.close().is_ok();
    if !written {
        log::error!("the metadata does not fit its ring: captures will not explain themselves");
    }
}

/// Text that becomes the contents of metadata packets.
struct MetadataText;

impl Write for MetadataText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.as_bytes()
            .chunks(METADATA_RING.max_record())
            .try_for_each(|chunk| METADATA.write(chunk).map_err(|_| fmt::Error))
    }
}

/// The timer's share: hands over what readers have asked for.
pub(crate) fn tick() {
    for channel in ALL {
        channel.tick();
    }
}

/// Ends the streams of the calling CPU: their last packets say that they are the last, and its
/// claims are made. Task context. Nothing is written in between: interrupts are off.
pub(crate) fn close_this_cpu() {
    interrupts::without_interrupts(|| {
        for channel in ALL {
            if ptr::eq(channel, &CLAIMS) {
                claims::report();
            }
            // Where a ring is full, its reader makes room: here, or on the CPU that is at it.
            while channel.close() == Err(StreamError::NoRoom) {
                console::poll();
                transport::poll();
                hint::spin_loop();
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_is_what_the_host_is_tested_with() {
        let trace = Trace {
            uuid: *b"\x6d\x7a\x3c\x1e\x0b\x42\x4f\x5a\x9c\x88\x21\xd4\xe6\xf7\x0a\x95",
            clock_hz: 2_611_200_000,
            cpus: 2,
            streams: &STREAMS,
        };
        let sample = include_str!("../../relayctl/tests/data/metadata");
        assert_eq!(trace.to_string(), sample);
        let room = METADATA_RING.max_record() * METADATA_RING.subbuf_count();
        assert!(
            sample.len() + 512 < room,
            "the metadata needs a larger ring"
        );
    }
}
