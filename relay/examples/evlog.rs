//! Events for those who run the machine: `cargo run -p relayfs --example evlog -- FOLDER`.
//!
//! A kernel that tells its operators of a disk, with facility, type, severity, process and thread.
//! What stands between the rules is what it needs beside a port of relay (that is in `port.rs`);
//! `docs/PORTING.md` goes through it. What it wrote becomes a folder that is a CTF trace:
//! `babeltrace2 FOLDER` reads it, and `relayctl cat FOLDER`.

use relay::{Geometry, Storage};
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

// ---- the evlog ----------------------------------------------------------------------------------

use core::fmt;
use relay::clients::evlog;
use relay::ctf::{Packets, Uuid, metadata::Trace};
use relay::{Channel, Context, Platform, SubBuffer, Who};

const CPUS: usize = 1;

static UUID: Uuid = Uuid::new();

/// The channel of operators, with a number of its own.
const EVLOG: relay::event::StreamClass = evlog::stream(2);
static EVLOG_PACKETS: Packets = Packets::new(EVLOG.id, &UUID);
static EVLOG_LOG: Channel<Machine, CPUS> = Channel::new(Machine, &EVLOG_PACKETS);

relay::event! {
    /// A disk did not answer in time.
    #[event(
        channel = "evlog",
        facility = "disk",
        type = 1,
        severity = Warn,
        text = "{disk}: block {lba} timed out after {millis} ms"
    )]
    struct TimedOut<'a> {
        disk: &'a str,
        lba: u64,
        millis: u32,
    }

    /// A disk is gone. Its type is a checksum.
    #[event(channel = "evlog", facility = "disk", severity = Crit, text = "{disk} is gone")]
    struct Gone<'a> {
        disk: &'a str,
    }
}

struct Machine;

// SAFETY: as in `port.rs`.
unsafe impl Platform for Machine {
    type Pinned = ();

    fn pin(&self) -> (usize, ()) {
        (machine::cpu(), ())
    }

    unsafe fn unpin(&self, (): ()) {}

    fn now(&self) -> u64 {
        machine::ticks()
    }

    fn context(&self) -> Context {
        machine::context()
    }

    /// Who runs here: the scheduler knows.
    fn who(&self) -> Who {
        let (process, thread) = machine::current();
        Who { process, thread }
    }
}

/// What goes wrong, and is told. From any context.
fn lose_a_disk() {
    // What is lost is counted by the channel.
    let _ = EVLOG_LOG.emit(&TimedOut {
        disk: "sda",
        lba: 2048,
        millis: 30_000,
    });
    let _ = EVLOG_LOG.emit(&Gone { disk: "sda" });
}

/// What a reader must know of all records, as TSDL.
fn metadata() -> Trace<'static> {
    Trace {
        uuid: UUID.bytes(),
        clock_hz: machine::HZ,
        cpus: CPUS,
        streams: &[EVLOG],
        env: &[],
    }
}

/// Shows the events of a packet on the kernel's own console.
fn print(taken: &SubBuffer<'_>, console: &mut dyn fmt::Write) -> fmt::Result {
    for record in evlog::records(taken.records(), taken.packet().begin_ticks) {
        match record {
            Ok(record) => {
                let Who { process, thread } = record.who;
                let severity = record.site.severity().name();
                let (facility, name) = (record.facility(), record.site.name());
                let event = format_args!("{facility} {severity} {process}:{thread} {name}");
                writeln!(console, "{event}: {record}")?;
            }
            Err(malformed) => writeln!(console, "{malformed}")?,
        }
    }
    Ok(())
}

// ---- end of the evlog ---------------------------------------------------------------------------

/// The machine: this process.
mod machine {
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Ticks in a second.
    pub(super) const HZ: u64 = 1_000_000;

    pub(super) fn cpu() -> usize {
        0
    }

    pub(super) fn ticks() -> u64 {
        static TICKS: AtomicU64 = AtomicU64::new(0);
        TICKS.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn context() -> relay::Context {
        relay::Context::Task
    }

    pub(super) fn current() -> (i32, i32) {
        (0, 17)
    }
}

const RING: Geometry = match Geometry::new(4096, 4) {
    Ok(geometry) => match geometry.with_reserves(relay::ctf::HEADER, 0) {
        Ok(geometry) => geometry,
        Err(_) => panic!("a packet has no room for its header"),
    },
    Err(_) => panic!("a bad geometry"),
};

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1) else {
        eprintln!("usage: cargo run -p relayfs --example evlog -- FOLDER");
        return ExitCode::from(2);
    };
    match run(Path::new(&folder)) {
        Ok(console) => {
            print!("{console}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Boots, works, and writes what came of it into `folder`; returns what was on the console.
fn run(folder: &Path) -> Result<String, Box<dyn Error>> {
    UUID.set(0x0a5c_91c8_5d3b_4d0e_8f27_6f1a_2b7c_3e94);
    EVLOG_LOG.start(0, Storage::allocate(&RING)?, RING)?;
    lose_a_disk();
    EVLOG_LOG.close()?;
    fs::create_dir_all(folder)?;
    fs::write(folder.join("metadata"), metadata().to_string())?;
    let (mut console, mut packets) = (String::new(), Vec::new());
    let mut reader = EVLOG_LOG.reader(0)?;
    while let Some(taken) = reader.next_subbuf() {
        packets.extend_from_slice(relay::ctf::packet_bytes(&taken));
        print(&taken, &mut console)?;
    }
    fs::write(folder.join("evlog_0"), packets)?;
    Ok(console)
}

#[test]
fn what_was_told_is_on_the_console_and_in_the_folder() {
    let folder = env::temp_dir().join(format!("relay-evlog-{}", std::process::id()));
    let console = run(&folder).expect("it works");
    let metadata = fs::read_to_string(folder.join("metadata")).expect("it was written");
    fs::remove_dir_all(&folder).expect("it can be removed");
    assert_eq!(
        console,
        "disk WARN 0:17 timed_out: sda: block 2048 timed out after 30000 ms\n\
         disk CRIT 0:17 gone: sda is gone\n"
    );
    // The CRC-32 of `disk`.
    let code = "&facility=disk&code=208985346&type=";
    assert_eq!(metadata.matches(code).count(), 2, "{metadata}");
}
