//! The list of this kernel's channels, and what is done with all of them. All are alike to relay.

use alloc::vec::Vec;
use core::ptr;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use relay::StreamError;
use relay::ctf::Packets;
use relay::event::StreamClass;
use relay::fs::{Mount, Namespace};
use spin::Once;

use super::attempts::Attempts;
use super::channel::{PerCpu, UUID};
use super::client::Client;
use super::operator::RingMissing;
use super::{claims, evlog, flood, klog, load, metadata, profile, shared, trace, user};
use crate::base::carried::Carried;
use crate::base::cmdline::Options;
use crate::base::cpuset::MAX_CPUS;
use crate::base::settings::{LOG_SIZE, TAKEABLE, TAKEN};
use crate::cpu::clock;

/// Where readers find them: `/klog/0`.
pub(crate) static NAMES: Namespace<16> = Namespace::new();

/// The clients whose events are typed.
static CLIENTS: [&Client; 4] = [
    &evlog::CLIENT,
    &user::CLIENT,
    &trace::CLIENT,
    &profile::CLIENT,
];

/// The channels that a sink sends before those of the clients: the description of all goes first,
/// before everything else.
static FIRST: [&Mount; 2] = [&metadata::MOUNT, &klog::MOUNT];

/// Those that it sends behind them: they may have much.
static LAST: [&Mount; 3] = [&flood::MOUNT, &shared::MOUNT, &claims::MOUNT];

/// The descriptions of these, but that of the metadata.
const STREAMS: [(&Mount, StreamClass); 4] = [
    (&klog::MOUNT, klog::STREAM),
    (&claims::MOUNT, claims::STREAM),
    (&flood::MOUNT, flood::STREAM),
    (&shared::MOUNT, shared::STREAM),
];

/// What is counted apart from relay, beside the clients'.
static ATTEMPTS: [(&Mount, &Attempts); 3] = [
    (&klog::MOUNT, &klog::ATTEMPTS),
    (&flood::MOUNT, &flood::ATTEMPTS),
    (&shared::MOUNT, &shared::ATTEMPTS),
];

/// Which channels leave the machine.
static CARRIED: Once<Carried> = Once::new();

/// Which of these programs take: a bit for each of [`TAKEABLE`].
static ARE_TAKEN: AtomicU64 = AtomicU64::new(0);

/// Gives the channels their names and starts the log on the boot CPU. The first thing of all, once
/// the CPU knows its number.
pub(crate) fn start_early() {
    UUID.set(clock::random_seed());
    let clients = CLIENTS.iter().map(|client| client.mount);
    let mut mounts = FIRST.into_iter().chain(clients).chain(LAST);
    let named = mounts.all(|mount| NAMES.create(mount).is_ok());
    let started = klog::start_early();
    debug_assert!(named && started, "the log was started before");
}

/// Says which channels leave the machine, or are taken by programs; all leave it before that. What
/// does neither is neither described nor claimed. Task context on the boot CPU, once, before the
/// rings are made.
pub(crate) fn carry(carried: Carried, options: &Options<'_>) {
    CARRIED.call_once(|| carried);
    let taken = options.value(&TAKEN).unwrap_or_default();
    ARE_TAKEN.store(taken, Ordering::Relaxed);
    load::choose(options);
    for name in TAKEABLE.map(|choice| choice.word) {
        if is_taken_by_name(name) && !carried.has(name) {
            relay::error!("taken={name}: the channel is not carried, so that it has no rings");
        }
    }
}

/// Whether programs take the channel, or both of the load, so that no sink does. Any context.
pub(crate) fn is_taken(mount: &Mount) -> bool {
    is_taken_by_name(match load::goes_to(mount) {
        Some(_) => "flood",
        None => mount.path().trim_start_matches('/'),
    })
}

/// The same, by the name that settings have.
fn is_taken_by_name(name: &str) -> bool {
    let place = TAKEABLE.iter().position(|choice| choice.word == name);
    place.is_some_and(|place| ARE_TAKEN.load(Ordering::Relaxed) & (1 << place) != 0)
}

/// Whether programs take a channel that every CPU has a stream of. Any context.
pub(crate) fn is_taken_from(channel: &PerCpu) -> bool {
    let clients = CLIENTS.iter().map(|client| (client.channel, client.mount));
    let mut all = clients.chain([(&flood::CHANNEL, &flood::MOUNT)]);
    all.any(|(known, mount)| ptr::eq(known, channel) && is_taken(mount))
}

/// The channels that programs take and that are there. Any context.
pub(crate) fn taken() -> impl Iterator<Item = &'static Mount> {
    NAMES
        .channels()
        .filter(|mount| is_carried(mount) && is_taken(mount))
}

/// Closes the streams of the calling CPU in the channels that programs take, as [`close`] does; CPU 0
/// that of all. Where there is no room for the last packet nothing is done: it is to be called again.
/// Task context, interrupts off, when nobody writes to them any more but NMIs, which must not.
pub(crate) fn close_taken(cpu: usize) {
    for channel in all().filter(|channel| is_taken_from(channel) && !channel.is_closed(cpu)) {
        let _ = close(channel);
    }
    if cpu == 0 && load::is_shared() && is_taken(&shared::MOUNT) && !shared::CHANNEL.is_closed(0) {
        let _ = close_shared();
    }
}

/// Whether a channel leaves the machine. Any context.
pub(crate) fn is_carried(mount: &Mount) -> bool {
    let is_chosen = |name| CARRIED.get().is_none_or(|carried| carried.has(name));
    match load::goes_to(mount) {
        Some(is_written) => is_written && is_chosen("flood"),
        None => is_chosen(mount.path().trim_start_matches('/')),
    }
}

/// The channels that every CPU has a stream of, in the order in which they are closed: claims are
/// made when the others are.
pub(crate) fn all() -> impl Iterator<Item = &'static PerCpu> {
    let clients = CLIENTS.iter().map(|client| client.channel);
    let first = [&klog::CHANNEL].into_iter().chain(clients);
    first.chain([&flood::CHANNEL, &claims::CHANNEL])
}

/// The channels of which a panic sends what is left, with their hooks: the description of all first,
/// what may be much last; not those that programs take. Any context.
pub(crate) fn salvaged() -> impl Iterator<Item = (&'static PerCpu, &'static Packets)> {
    let first: [(&Mount, _, _); 3] = [
        (&metadata::MOUNT, &metadata::CHANNEL, &metadata::PACKETS),
        (&klog::MOUNT, &klog::CHANNEL, &klog::PACKETS),
        (&claims::MOUNT, &claims::CHANNEL, &claims::PACKETS),
    ];
    let clients = CLIENTS.map(|client| (client.mount, client.channel, client.packets));
    let flood = [(&flood::MOUNT, &flood::CHANNEL, &flood::PACKETS)];
    let salvaged = first.into_iter().chain(clients).chain(flood);
    let carried = salvaged.filter(|(mount, ..)| is_carried(mount) && !is_taken(mount));
    carried.map(|(_, channel, packets)| (channel, packets))
}

/// Gives the log of CPUs 0 to `cpus - 1` its full size, in small packets if these go over a slow
/// line. Task context on the boot CPU, with a heap, before the others start.
pub(crate) fn grow_log(cpus: usize, options: &Options<'_>, is_slow: bool) {
    let size = options.value(&LOG_SIZE).unwrap_or_default() as usize;
    klog::grow(cpus, size, is_slow);
}

/// Gives them streams of all other channels, likewise.
pub(crate) fn start_others(cpus: usize, options: &Options<'_>, is_slow: bool) {
    claims::start(cpus);
    metadata::start();
    for client in CLIENTS.iter().filter(|client| is_carried(client.mount)) {
        client.start(cpus, options, is_slow);
    }
    if is_carried(&flood::MOUNT) || is_carried(&shared::MOUNT) {
        // Last: it may take all the memory that there is.
        load::start(cpus, options, is_slow);
    } else {
        relay::info!("flood is not carried: it has no rings");
    }
    tell_missing(cpus);
}

/// Tells the operators which of CPUs 0 to `cpus - 1` have no ring in a channel that leaves the
/// machine.
fn tell_missing(cpus: usize) {
    let carried = NAMES.channels().filter(|mount| is_carried(mount));
    let has_one = |mount: &&Mount| {
        let alone: [&Mount; 2] = [&metadata::MOUNT, &shared::MOUNT];
        alone.into_iter().any(|known| ptr::eq(known, *mount))
    };
    let of_each = carried.filter(|mount| !has_one(mount));
    for mount in of_each {
        let ring = mount.path().trim_start_matches('/');
        for cpu in (0..cpus).filter(|cpu| mount.file(*cpu).is_err()) {
            let cpu = cpu as u32;
            evlog::emit(|| RingMissing { cpu, ring });
        }
    }
}

/// Bytes of the largest packet that any of `cpus` CPUs may write, or has written before the rings
/// were made; from now on none becomes larger. Task context.
pub(crate) fn largest_packet(cpus: usize) -> usize {
    let files = NAMES.channels().flat_map(|mount| mount.files().take(cpus));
    let sizes = files.filter_map(|file| Some(file.geometry()?.subbuf_size()));
    let load = load::full().map(|full| full.subbuf_size());
    let sizes = sizes.chain(load);
    let largest = sizes.fold(klog::EARLY.subbuf_size(), usize::max);
    LARGEST.store(largest, Ordering::Relaxed);
    largest
}

/// What the records of a channel are, if they are events. Any context.
pub(crate) fn class_of(mount: &Mount) -> Option<StreamClass> {
    let clients = CLIENTS.iter().map(|client| (client.mount, client.stream));
    let mut all = STREAMS.into_iter().chain(clients);
    all.find(|(known, _)| ptr::eq(*known, mount))
        .map(|(_, class)| class)
}

/// The largest sub-buffers that a channel may be given while the machine runs: the buffers of who
/// prints the log, and of a slow line, were made for those that there were. Any context.
pub(crate) fn most_subbuf(mount: &Mount) -> usize {
    let most = match ptr::eq(mount, &klog::MOUNT) {
        true => klog::MAX_PACKET,
        false => MOST_SUBBUF,
    };
    most.min(LARGEST.load(Ordering::Relaxed))
}

/// The largest sub-buffers of all channels but the log, unless the command line says otherwise.
const MOST_SUBBUF: usize = 64 * 1024;

/// The largest packet that somebody has made buffers for.
static LARGEST: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Writes the description of all. Once, on the boot CPU, when the clock is calibrated and the
/// streams of `cpus` CPUs are started.
pub(crate) fn describe(cpus: usize) {
    let carried = STREAMS.iter().filter(|(mount, _)| is_carried(mount));
    let described = carried.map(|(mount, stream)| StreamClass {
        overwrites: load::goes_to(mount) == Some(true) && load::overwrites(),
        is_taken: is_taken(mount),
        ..*stream
    });
    let clients = CLIENTS.iter().filter(|client| is_carried(client.mount));
    let clients = clients.map(|client| StreamClass {
        is_taken: is_taken(client.mount),
        ..client.described()
    });
    let streams: Vec<_> = described.chain(clients).collect();
    metadata::describe(&streams, cpus);
}

/// The timer's share: hands over what readers have asked for.
pub(crate) fn tick() {
    for channel in all() {
        channel.tick();
    }
    if load::is_shared() {
        shared::CHANNEL.tick();
    }
}

/// Closes the stream of the calling CPU in one of [all]. What is tried from then on is not
/// claimed. Task context, interrupts off.
///
/// # Errors
/// As [`relay::Channel::close`].
pub(crate) fn close(channel: &PerCpu) -> Result<(), StreamError> {
    channel.close()?;
    let clients = CLIENTS
        .iter()
        .map(|client| (client.channel, client.attempts));
    let counted = clients.chain([
        (&klog::CHANNEL, &klog::ATTEMPTS),
        (&flood::CHANNEL, &flood::ATTEMPTS),
    ]);
    for (_, attempts) in counted.filter(|(counted, _)| ptr::eq(*counted, channel)) {
        attempts.close();
    }
    Ok(())
}

/// Closes the stream that all CPUs write, if there is one: when nobody else writes any more. Task
/// context, interrupts off.
///
/// # Errors
/// As [`relay::Channel::close`].
pub(crate) fn close_shared() -> Result<(), StreamError> {
    shared::CHANNEL.close()?;
    shared::ATTEMPTS.close();
    Ok(())
}

/// What is counted in the channels that leave the machine.
fn counted() -> impl Iterator<Item = (&'static Mount, &'static Attempts)> {
    let clients = CLIENTS.iter().map(|client| (client.mount, client.attempts));
    let counted = ATTEMPTS.iter().copied().chain(clients);
    counted.filter(|(mount, _)| is_carried(mount))
}

/// Writes what the calling CPU has tried, by its own count. Task context, when it writes to no
/// other channel any more.
pub(crate) fn claim() {
    for (mount, attempts) in counted() {
        claims::report(mount, attempts);
    }
}

/// What each CPU has tried to write to each channel that leaves the machine, by its own count: for
/// a panic, which comes before the claims. Any context; exact when all others have stopped.
pub(crate) fn tried() -> impl Iterator<Item = (usize, &'static str, u64)> {
    counted().flat_map(|(mount, attempts)| {
        let tried = (0..MAX_CPUS).map(|cpu| (cpu, mount.path(), attempts.tried_by(cpu)));
        tried.filter(|(.., count)| *count != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay::ctf::metadata::Trace;

    /// The metadata without the classes that the linker has collected, a line each: their ids are
    /// those of this program.
    fn without_collected(metadata: &str) -> String {
        let blocks = metadata.split("\n\n").filter(|block| {
            let block = block.trim_start();
            let is_described = block.starts_with("/* ") && block.contains("*/\nevent { ");
            !block.starts_with("event { ") && !is_described
        });
        blocks.collect::<Vec<_>>().join("\n\n")
    }

    #[test]
    fn the_metadata_is_what_the_host_is_tested_with() {
        let [klog, claims, flood, shared] = STREAMS.map(|(_, stream)| stream);
        let [evlog, user, trace, profile] = CLIENTS.map(Client::described);
        for (name, load) in [("metadata", flood), ("metadata-shared", shared)] {
            let streams = [klog, claims, load, evlog, user, trace, profile];
            let trace = Trace {
                uuid: *b"\x6d\x7a\x3c\x1e\x0b\x42\x4f\x5a\x9c\x88\x21\xd4\xe6\xf7\x0a\x95",
                clock_hz: 2_611_200_000,
                cpus: 2,
                streams: &streams,
                env: &metadata::KERNEL.env(),
            };
            let text = without_collected(&trace.to_string());
            let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../relayctl/tests/data");
            let path = format!("{data}/{name}");
            if std::env::var_os("RELAY_UPDATE_METADATA").is_some() {
                std::fs::write(&path, &text).expect("it can be written");
            }
            let sample = std::fs::read_to_string(&path).expect("it can be read");
            assert!(
                text == sample,
                "{path} is another; RELAY_UPDATE_METADATA=1 cargo test -p kernel registry writes\n\
                 {text}"
            );
            let room = metadata::RING.max_record() * metadata::RING.subbuf_count();
            assert!(
                trace.to_string().len() + 512 < room,
                "the metadata needs a larger ring"
            );
        }
    }
}
