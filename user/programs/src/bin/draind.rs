//! `draind klog evlog`: drains the machine. It takes over every stream that leaves it, but those of the
//! channels that it is told to leave alone, and those that somebody else has, and has their packets
//! leave: by their numbers, it never looks into one.
//!
//! What it does is [`relay_pump`]'s, which the kernel's own drain does, too: this is the policy's home
//! in ring 3. A thread for each outlet takes and submits until there is nothing, or no room, and then
//! sleeps until there is: the kernel asks the CPUs for what they have not handed over, and wakes it.
//! It ends with code 0 when all its streams have ended or were taken back.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

extern crate alloc;

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::time::Duration;

use relay_abi::{Error, PollItem, ThreadOptions, ready};
use relay_pump::{Home, Pump, Sent, Took};
use relay_rt::files::{self, File, Files};
use relay_rt::{relay, sys, thread};

relay_rt::entry!(run);

/// The priority of its threads: before most others.
const PRIORITY: u32 = 10;

/// The most streams of a thread: it polls all of them.
const MOST: usize = 64;

/// How long it sleeps at most. Nothing depends on it.
const LOOK: Duration = Duration::from_secs(5);

/// A stream that was taken over.
struct Stream {
    file: File,
    /// Its channel's place in the order of the files.
    rank: usize,
    cpu: usize,
}

fn run(arguments: &'static str) -> u32 {
    let mut outlets: Vec<(u64, Vec<Stream>)> = Vec::new();
    for (outlet, stream) in streams(arguments) {
        let own =
            |(number, streams): &&mut (u64, Vec<_>)| *number == outlet && streams.len() < MOST;
        match outlets.iter_mut().find(own) {
            Some((_, streams)) => streams.push(stream),
            None => outlets.push((outlet, Vec::from([stream]))),
        }
    }
    // This thread does as much as any other.
    let last = outlets.pop();
    let mut threads = Vec::new();
    for (outlet, streams) in outlets {
        let options = beside(&streams);
        match thread::spawn(thread::STACK, options, move || drain(outlet, streams)) {
            Ok(thread) => threads.push(thread),
            // The streams are the kernel's again.
            Err(error) => relay::error!("draind: outlet {outlet} has no thread: {}", error),
        }
    }
    if let Some((outlet, streams)) = last {
        // Where it runs is no more than a matter of speed.
        let _ = sys::thread_options(&beside(&streams));
        drain(outlet, streams);
    }
    threads.into_iter().for_each(|thread| thread.join());
    0
}

/// How the thread is run that drains these: on their CPUs, which the outlet interrupts, too. So
/// nobody else need be woken.
fn beside(streams: &[Stream]) -> ThreadOptions {
    let bits = streams.iter().map(|stream| 1_u32 << (stream.cpu % 32));
    ThreadOptions {
        priority: PRIORITY,
        cpus: bits.fold(0, |all, one| all | one),
    }
}

/// Takes over what there is to drain: each stream with its outlet.
fn streams(left_out: &str) -> Vec<(u64, Stream)> {
    let mut channels: Vec<String> = Vec::new();
    let mut all = Vec::new();
    for path in Files::given().paths() {
        let (channel, _) = path.text().rsplit_once('/').unwrap_or_default();
        let rank = channels.iter().position(|known| known == channel);
        let rank = rank.unwrap_or_else(|| {
            channels.push(channel.to_string());
            channels.len() - 1
        });
        let is_left_out = |word: &str| word.trim_start_matches('/') == &channel[1..];
        if channel.is_empty() || left_out.split_ascii_whitespace().any(is_left_out) {
            continue;
        }
        match Files::given().drain(path.text()) {
            Ok(file) => {
                let cpu = file.info().map_or(0, |info| info.cpu) as usize;
                let stream = Stream { file, rank, cpu };
                all.extend(stream.file.outlet().map(|outlet| (outlet, stream)));
            }
            // Somebody else has it, or it stays here; the end of the machine.
            Err(Error::Busy | Error::NotFound | Error::Ended) => {}
            Err(error) => {
                relay::error!("draind: {} is left to the kernel: {}", path.text(), error);
            }
        }
    }
    all
}

/// The policy's home: streams by their places here, packets by their numbers.
struct Outlet {
    streams: Vec<Stream>,
    number: u64,
}

impl Home for Outlet {
    type Packet = u64;

    fn begin(&mut self, _outlet: usize) -> u64 {
        // The kernel gives back what the device is done with.
        0
    }

    fn is_ready(&mut self, _outlet: usize) -> bool {
        // The kernel sends the metadata.
        true
    }

    fn take(&mut self, stream: usize) -> Took<u64> {
        match self.streams[stream].file.take() {
            Ok(packet) => Took::Packet(packet.keep()),
            Err(Error::Again) => Took::Nothing,
            Err(_) => Took::Ended,
        }
    }

    fn ask(&mut self, _stream: usize) {
        // The kernel does, at its ticks.
    }

    fn submit(&mut self, _outlet: usize, stream: usize, packet: u64) -> Sent<u64> {
        match self.streams[stream].file.submit(packet) {
            Ok(()) => Sent::Taken,
            Err(Error::Again) => Sent::NotNow(packet),
            // What is said of the stream when something is taken next tells why.
            Err(_) => Sent::Gone,
        }
    }

    fn end(&mut self, _outlet: usize) -> u64 {
        0
    }
}

/// Drains these streams through an outlet, until they end.
fn drain(number: u64, streams: Vec<Stream>) {
    // It is the only one that the policy sees here.
    let known = streams.iter().enumerate();
    let known = known.map(|(at, stream)| (at, stream.rank, stream.cpu));
    let mut pump = Pump::new(0, 1, known);
    let mut outlet = Outlet { streams, number };
    loop {
        pump.turn(&mut outlet);
        if pump.is_done() {
            return;
        }
        if let Err(error) = sleep(&pump, &outlet) {
            let number = outlet.number;
            return relay::error!("draind: outlet {number} cannot be waited for: {}", error);
        }
    }
}

/// Waits until there is something to take, or room for what waits.
fn sleep(pump: &Pump<u64>, outlet: &Outlet) -> Result<usize, Error> {
    let item = |stream: usize, wanted| PollItem {
        handle: outlet.streams[stream].file.handle(),
        wanted,
        found: 0,
    };
    let mut items: Vec<_> = match pump.refused() {
        Some(stream) => Vec::from([item(stream, ready::WRITABLE | ready::ENDED)]),
        None => {
            let open = pump.open_streams();
            open.map(|stream| item(stream, ready::READABLE | ready::ENDED))
                .collect()
        }
    };
    files::poll(&mut items, Some(LOOK))
}
