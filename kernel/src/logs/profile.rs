//! profile: samples of what every CPU does, as [`relay::clients::profile`] has them.

use relay::Channel;
use relay::clients::profile::{Sample, Source};
use relay::ctf::Packets;
use relay::event::{Event, StreamClass};
use relay::fs::Mount;

use super::attempts::Attempts;
use super::channel::{self, PerCpu, UUID};
use super::client::Client;
use crate::base::settings::{PROFILE_MODE, PROFILE_SIZE};
use crate::cpu::machine::Machine;

/// The channel, described.
const STREAM: StreamClass = StreamClass {
    id: 7,
    name: "profile",
    is_global: false,
    overwrites: false,
    is_taken: false,
    events: &[Sample::CLASS, Source::CLASS],
};

static PACKETS: Packets = Packets::new(STREAM.id, &UUID);
static CHANNEL: PerCpu = Channel::new(Machine, &PACKETS);
static MOUNT: Mount = channel::mount("/profile", &CHANNEL);
static ATTEMPTS: Attempts = Attempts::new(STREAM.id);

/// The client.
pub(crate) static CLIENT: Client = Client::new(
    STREAM,
    &CHANNEL,
    &PACKETS,
    &MOUNT,
    &ATTEMPTS,
    [&PROFILE_MODE, &PROFILE_SIZE],
);
