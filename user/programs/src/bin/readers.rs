//! `readers flood trace`: consumes every file of these channels, a thread for each: maps where that
//! is possible, polls, takes, checks each packet, gives it back. Ends when all files have ended, and
//! says what it has found: a line for each file and one for all. Ends with code 0 if nothing was
//! wrong.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

extern crate alloc;

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use programs::check::{Kind, Said, Stream};
use relay_abi::{Error, ready};
use relay_rt::files::{File, Files, Packet};
use relay_rt::process::NORMAL;
use relay_rt::{relay, thread};

relay_rt::entry!(run);

/// What was found in a file.
struct Found {
    path: String,
    stream: Stream,
    /// Packets that were looked at where they lie, and such that were copied.
    mapped: u64,
    copied: u64,
    /// Why it was given up.
    error: Option<Error>,
}

fn run(arguments: &'static str) -> u32 {
    let files = Files::given();
    let mut threads = Vec::new();
    let mut errors = 0_u64;
    for path in files
        .paths()
        .filter(|path| is_wanted(path.text(), arguments))
    {
        let path = path.text().to_string();
        // It is opened here, so that nothing is missed while the others are started.
        let file = match files.consume(&path) {
            Ok(file) => file,
            Err(error) => {
                relay::error!("readers: {} cannot be consumed: {}", path.as_str(), error);
                errors += 1;
                continue;
            }
        };
        match thread::spawn(thread::STACK, NORMAL, move || read(path, file)) {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                relay::error!("readers: there is no thread for a file: {}", error);
                errors += 1;
            }
        }
    }
    relay::info!("readers: {} files are read", threads.len());
    let mut sums = [0_u64; 7];
    let count = threads.len();
    for thread in threads {
        let found = thread.join();
        errors += u64::from(found.error.is_some());
        let line = tell(&found);
        for (sum, one) in sums.iter_mut().zip(line) {
            *sum += one;
        }
    }
    let [
        packets,
        records,
        checked,
        lost,
        overwritten,
        uncommitted,
        wrong,
    ] = sums;
    relay::info!(
        "readers: total files {count} packets {packets} records {records} checked {checked} lost {lost} overwritten {overwritten} uncommitted {uncommitted} wrong {wrong} errors {errors}"
    );
    u32::from(wrong != 0 || errors != 0)
}

/// Whether a file is one of those channels, whose names may begin with a slash.
fn is_wanted(path: &str, channels: &str) -> bool {
    let path = path.trim_start_matches('/');
    channels.split_ascii_whitespace().any(|channel| {
        let channel = channel.trim_start_matches('/');
        let rest = path.strip_prefix(channel);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || channel.is_empty())
    })
}

/// Reads a file until it has ended.
fn read(path: String, mut file: File) -> Found {
    let overwrites = file.info().is_ok_and(|info| info.flags & 1 != 0);
    let mut found = Found {
        stream: Stream::new(Kind::of(&path), overwrites),
        path,
        mapped: 0,
        copied: 0,
        error: None,
    };
    // What cannot be mapped is copied.
    let mut is_mapped = file.map().is_ok();
    let mut room = Vec::new();
    loop {
        let is_elsewhere = match file.take() {
            Ok(packet) => look(&mut found, packet, &mut room).unwrap_or_else(|error| {
                found.error = Some(error);
                false
            }),
            Err(Error::Again) => {
                let waited = file.wait(ready::READABLE | ready::ENDED, None);
                found.error = waited.err();
                false
            }
            Err(Error::Ended) => break,
            Err(error) => {
                found.error = Some(error);
                false
            }
        };
        if found.error.is_some() {
            break;
        }
        // The stream goes on in another ring: that is mapped, too.
        if is_elsewhere && is_mapped {
            is_mapped = file.map().is_ok();
        }
    }
    found
}

/// Checks a packet, and gives it back. True: it lies in no ring that is mapped.
fn look(found: &mut Found, packet: Packet<'_>, room: &mut Vec<u8>) -> Result<bool, Error> {
    let taken = packet.taken();
    let said = Said {
        number: taken.number,
        records_at: taken.records_at,
        records: taken.records,
    };
    let is_copied = packet.bytes().is_none();
    let bytes = match packet.bytes() {
        Some(bytes) => bytes,
        None => {
            room.resize(taken.length, 0);
            let copied = packet.copy(0, room)?;
            &room[..copied.min(taken.length)]
        }
    };
    if let Err(wrong) = found.stream.take(bytes, &said) {
        let (path, number) = (found.path.as_str(), taken.number);
        relay::error!("readers: {path}: packet {number}: {}", wrong);
    }
    found.mapped += u64::from(!is_copied);
    found.copied += u64::from(is_copied);
    packet.give_back()?;
    Ok(is_copied)
}

/// Says what was found in a file; returns what is summed up.
fn tell(found: &Found) -> [u64; 7] {
    let Found {
        path,
        stream,
        mapped,
        copied,
        error,
    } = found;
    let (overwritten, uncommitted) = stream.gone();
    let (packets, records, checked) = (stream.packets, stream.records, stream.checked);
    let (lost, missed, wrong) = (stream.lost().total(), stream.missed, stream.wrong);
    let is_final = stream.is_final();
    relay::info!(
        "readers: {} packets {packets} records {records} checked {checked} lost {lost} overwritten {overwritten} uncommitted {uncommitted} missed {missed} mapped {mapped} copied {copied} final {is_final} wrong {wrong}",
        path.as_str()
    );
    if let Some(error) = error {
        relay::error!("readers: {}: {}", path.as_str(), error);
    }
    [
        packets,
        records,
        checked,
        lost,
        overwritten,
        uncommitted,
        wrong,
    ]
}
