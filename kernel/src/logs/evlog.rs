//! evlog: events for those who run the machine, with a facility, a type and a severity.

use relay::Channel;
use relay::ctf::Packets;
use relay::event::StreamClass;
use relay::fs::Mount;

use super::attempts::Attempts;
use super::channel::{self, PerCpu, UUID};
use super::client::Client;
use crate::base::settings::{EVLOG_MODE, EVLOG_SIZE};
use crate::cpu::machine::Machine;

/// The channel, described.
const STREAM: StreamClass = StreamClass {
    id: 6,
    name: "evlog",
    is_global: false,
    overwrites: false,
    events: &[],
};

static PACKETS: Packets = Packets::new(STREAM.id, &UUID);
static CHANNEL: PerCpu = Channel::new(Machine, &PACKETS);
static MOUNT: Mount = channel::mount("/evlog", &CHANNEL);
static ATTEMPTS: Attempts = Attempts::new(STREAM.id);

/// The client.
pub(crate) static CLIENT: Client = Client::new(
    STREAM,
    &CHANNEL,
    &PACKETS,
    &MOUNT,
    &ATTEMPTS,
    [&EVLOG_MODE, &EVLOG_SIZE],
);
