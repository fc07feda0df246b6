//! Typed events and deferred text: `cargo run -p relayfs --example events -- FOLDER`.
//!
//! A kernel with events of its own, statements whose text the reader puts together, and filters.
//! What stands between the rules is what they need beside a port of relay (that is in `port.rs`);
//! `docs/PORTING.md` goes through it. Then come two CPUs, which are threads, and a console. What
//! they wrote becomes a folder that is a CTF trace: `babeltrace2 FOLDER` reads it, and
//! `relayctl cat FOLDER`.

use relay::host::{Cpu, Host as Machine};
use relay::{Geometry, Storage, StreamError, ctf};
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, thread};

// ---- the events ---------------------------------------------------------------------------------

use core::fmt;
use relay::clients::klog;
use relay::ctf::{Packets, Uuid, metadata::Trace};
use relay::event::filter::{self, FilterError};
use relay::event::{Event, StreamClass, Values};
use relay::record::Fields;
use relay::{Channel, SubBuffer};

const CPUS: usize = 2;

static UUID: Uuid = Uuid::new();
static LOG_PACKETS: Packets = Packets::new(klog::STREAM.id, &UUID);
static LOG: Channel<Machine, CPUS> = Channel::new(Machine, &LOG_PACKETS);

relay::sink!(LOG);

/// A channel of typed events. Those with an id of their own are listed; the linker finds the rest.
const TRACE: StreamClass = StreamClass {
    id: 2,
    name: "trace",
    is_global: false,
    overwrites: false,
    is_taken: false,
    events: &[Stage::CLASS],
};
static TRACE_PACKETS: Packets = Packets::new(TRACE.id, &UUID);
static TRACE_LOG: Channel<Machine, CPUS> = Channel::new(Machine, &TRACE_PACKETS);

/// What a task does.
#[derive(Clone, Copy, Debug, relay::Enum)]
enum State {
    Runs,
    Waits,
    Ended,
}

relay::event! {
    /// A CPU goes on with another task.
    #[event(channel = "trace", facility = "sched", text = "{from} {state}, {name} comes")]
    struct TaskSwitched<'a> {
        /// The one that ran.
        from: u32,
        state: State,
        /// The one that comes.
        to: u32,
        name: &'a str,
    }

    /// A page was not there.
    #[event(channel = "trace", severity = Notice, facility = "mm", text = "{access} of {address}")]
    struct PageFault {
        #[hex]
        address: usize,
        #[flags(READ = 1, WRITE = 2, EXECUTE = 4)]
        access: u8,
        is_user: bool,
        /// What the handler said, if it failed.
        error: Option<i32>,
    }

    /// A message between tasks.
    #[event(channel = "trace", severity = Debug, facility = "ipc", enabled = false)]
    struct Message<'a> {
        /// The first bytes of it.
        bytes: &'a [u8],
        words: [u64; 3],
        slots: &'a [u16],
        kind: char,
        /// How full the queue is, from 0 to 1.
        load: f32,
        wait: f64,
        balance: i64,
    }

    /// The boot has come so far. It has an id of its own, so that it needs no section.
    #[event(channel = "trace", id = 1)]
    struct Stage {
        number: u16,
    }
}

/// An address that is printed in a way of its own: what prints it runs where it is logged.
struct Mac([u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Some work, and what it says.
fn work(cpu: u32) {
    let (task, free) = (7 + cpu, 0.25);
    relay::info!("task {task} runs on cpu {cpu:#x}");
    relay::warn!("{:>5.1} % of {} pages are free", 100.0 * free, 4096);
    relay::notice!("{} has a link", Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56]));
    relay::debug!("nobody sees this, unless {} is on", "it");

    // What is lost is counted by the channel.
    let _ = TRACE_LOG.emit(&TaskSwitched {
        from: task,
        state: State::Waits,
        to: 1,
        name: "idle",
    });
    let _ = TRACE_LOG.emit(&PageFault {
        address: 0xdead_b000,
        access: 1 | 4,
        is_user: true,
        error: (cpu == 1).then_some(-14),
    });
    // This one is made only if it is on.
    let _ = TRACE_LOG.emit_with(|| Message {
        bytes: b"\x01\x02ping",
        words: [1, 2, 3],
        slots: &[4, 5],
        kind: 'é',
        load: 0.5,
        wait: 1e-6,
        balance: -3,
    });
}

/// What a reader must know of all records, as TSDL.
fn metadata() -> Trace<'static> {
    Trace {
        uuid: UUID.bytes(),
        clock_hz: machine::HZ,
        cpus: CPUS,
        streams: &[klog::STREAM, TRACE],
        env: &[],
    }
}

/// Does what the command line says: `log=warn,kernel::mm=debug trace=task_*,mm`. From task context.
fn set_filters(command_line: &str) -> Result<(), FilterError<'_>> {
    for word in command_line.split_whitespace() {
        match word.split_once('=') {
            Some(("log", text)) => filter::statements(klog::STREAM.name, text)?,
            Some(("trace", text)) => filter::events(TRACE.name, text)?,
            _ => continue,
        };
    }
    Ok(())
}

/// Shows the statements of a packet on the kernel's own console. They become texts here.
fn print_log(taken: &SubBuffer<'_>, console: &mut dyn fmt::Write) -> fmt::Result {
    for record in klog::records(taken.records(), taken.packet().begin_ticks) {
        match record {
            Ok(record) => {
                let klog::Record {
                    severity,
                    place,
                    message,
                    ..
                } = record;
                let line = place.line;
                writeln!(
                    console,
                    "{} {}:{line}: {message}",
                    severity.name(),
                    place.file
                )?;
            }
            Err(malformed) => writeln!(console, "{malformed}")?,
        }
    }
    Ok(())
}

/// The same of typed events.
fn print_events(taken: &SubBuffer<'_>, console: &mut dyn fmt::Write) -> fmt::Result {
    let mut fields = Fields::new(taken.records());
    while let Ok(Some(stamp)) = fields.next_stamp() {
        let collected = relay::event::find(stamp.id()).map(|it| (it.class, it.site.text()));
        let listed = TRACE.events.iter().find(|class| class.id == stamp.id());
        let Some((class, text)) = collected.or(listed.map(|class| (*class, None))) else {
            return writeln!(console, "no event has the id {}", stamp.id());
        };
        let Some(values) = Values::take(class.fields, &mut fields) else {
            return writeln!(console, "{}: cut off", class.name);
        };
        write!(console, "{}", class.name)?;
        if let Some(text) = text {
            console.write_str(": ")?;
            values.write(console, text)?;
        }
        writeln!(console)?;
    }
    Ok(())
}

// ---- end of the events --------------------------------------------------------------------------

/// The machine's clock.
mod machine {
    /// Ticks in a second.
    pub(super) const HZ: u64 = 1_000_000_000;
}

const RING: Geometry = match Geometry::new(4096, 4) {
    Ok(geometry) => match geometry.with_reserves(ctf::HEADER, 0) {
        Ok(geometry) => geometry,
        Err(_) => panic!("a packet has no room for its header"),
    },
    Err(_) => panic!("a bad geometry"),
};

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1) else {
        eprintln!("usage: cargo run -p relayfs --example events -- FOLDER");
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

type Failure = Box<dyn Error + Send + Sync>;

/// Boots, works, and writes what came of it into `folder`; returns what was on the console.
fn run(folder: &Path) -> Result<String, Failure> {
    UUID.set(0x0a5c_91c8_5d3b_4d0e_8f27_6f1a_2b7c_3e94);
    for cpu in 0..CPUS {
        for channel in [&LOG, &TRACE_LOG] {
            channel.start(cpu, Storage::allocate(&RING)?, RING)?;
        }
    }
    let boot = Cpu::claim();
    TRACE_LOG.emit(&Stage { number: 1 })?;
    set_filters("log=info trace=all,-message")?;
    work(0);
    thread::spawn(|| {
        let _cpu = Cpu::claim();
        work(1);
        close()
    })
    .join()
    .map_err(|_| "the other CPU failed")??;
    // While the machine runs, somebody wants to see other things.
    set_filters("log=warn,events=debug trace=ipc")?;
    work(0);
    let wrong = "log=info,kernel::nowhere=debug";
    let refused = set_filters(wrong).err().ok_or("there is no such module")?;
    relay::error!("{wrong:?}: {refused}");
    close()?;
    drop(boot);
    save(folder)
}

/// Ends the streams of this CPU.
fn close() -> Result<(), StreamError> {
    LOG.close()?;
    TRACE_LOG.close()
}

/// Reads all streams, onto the console and into files beside their metadata.
fn save(folder: &Path) -> Result<String, Failure> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("metadata"), metadata().to_string())?;
    let mut console = String::new();
    for (channel, name) in [(&LOG, "klog"), (&TRACE_LOG, "trace")] {
        for cpu in 0..CPUS {
            let mut packets = Vec::new();
            let mut reader = channel.reader(cpu)?;
            while let Some(taken) = reader.next_subbuf() {
                packets.extend_from_slice(ctf::packet_bytes(&taken));
                match name {
                    "klog" => print_log(&taken, &mut console)?,
                    _ => print_events(&taken, &mut console)?,
                }
            }
            fs::write(folder.join(format!("{name}_{cpu}")), packets)?;
        }
    }
    Ok(console)
}

/// What is on the console, without the lines of the source.
#[cfg(test)]
const CONSOLE: &str = "\
INFO events.rs: task 7 runs on cpu 0x0
WARN events.rs:  25.0 % of 4096 pages are free
NOTICE events.rs: 52:54:00:12:34:56 has a link
INFO events.rs: task 7 runs on cpu 0x0
WARN events.rs:  25.0 % of 4096 pages are free
NOTICE events.rs: 52:54:00:12:34:56 has a link
DEBUG events.rs: nobody sees this, unless it is on
ERROR events.rs: \"log=info,kernel::nowhere=debug\": no statement is in a module \
'kernel::nowhere'; a part of a path such as kernel::mem would be right
INFO events.rs: task 8 runs on cpu 0x1
WARN events.rs:  25.0 % of 4096 pages are free
NOTICE events.rs: 52:54:00:12:34:56 has a link
stage
task_switched: 7 Waits, idle comes
page_fault: READ|EXECUTE of 0xdeadb000
message
task_switched: 8 Waits, idle comes
page_fault: READ|EXECUTE of 0xdeadb000
";

#[test]
fn what_was_logged_is_on_the_console_and_in_the_folder() {
    let folder = env::temp_dir().join(format!("relay-events-{}", std::process::id()));
    let console = run(&folder).expect("it works");
    let metadata = fs::read_to_string(folder.join("metadata")).expect("it was written");
    let sizes = ["klog_0", "klog_1", "trace_0", "trace_1"].map(|name| {
        let file = fs::metadata(folder.join(name)).expect("it was written");
        file.len()
    });
    fs::remove_dir_all(&folder).expect("it can be removed");

    let without_lines = console
        .lines()
        .map(|line| match line.split_once("events.rs:") {
            Some((severity, rest)) => {
                let rest = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
                format!("{severity}events.rs{rest}\n")
            }
            None => format!("{line}\n"),
        });
    assert_eq!(without_lines.collect::<String>(), CONSOLE);

    for part in [
        "name = \"task {task} runs on cpu {cpu:#x}\"",
        "name = \"{Mac} has a link\"",
        "name = \"task_switched\"",
        "/* A page was not there. */",
        "\"Runs\" = 0, \"Waits\" = 1, \"Ended\" = 2",
    ] {
        assert_eq!(metadata.matches(part).count(), 1, "{part} in\n{metadata}");
    }
    assert!(
        sizes.iter().all(|size| *size > ctf::HEADER as u64),
        "{sizes:?}"
    );
}
