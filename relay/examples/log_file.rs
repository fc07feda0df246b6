//! `log::info!` into a file: `cargo run -p relayfs --example log_file [FILE]`.
//!
//! Several threads log; one takes the records out as soon as they are committed (record delivery),
//! and writes them as lines of text. Nobody who logs waits for the file. At the end the file is
//! read again: every line must be there.

use relay::clients::klog::{self, Klog};
use relay::host::{Cpu, Host, Sleeper};
use relay::record::Framed;
use relay::{Channel, Delivery, Geometry, Global, Records, Storage, StreamError};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, thread};

const THREADS: usize = 4;
/// Lines that every thread logs.
const LINES: usize = 1000;

/// One stream for all threads, in one order.
static LOG: Channel<Host, 64, Global> = Channel::new(Host, &Framed);
static KLOG: Klog<Host, 64, Global> = Klog::new(&LOG);

fn main() -> ExitCode {
    let default = || env::temp_dir().join("relay.log");
    let path = env::args_os().nth(1).map_or_else(default, PathBuf::from);
    match run(&path) {
        Ok(missing) => {
            println!("{}: {missing} lines are missing", path.display());
            ExitCode::from(u8::from(missing != 0))
        }
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

/// Logs into the file at `path`; returns how many lines are missing there.
fn run(path: &Path) -> Result<u64, Box<dyn core::error::Error>> {
    let file = File::create(path)?;
    let geometry = Geometry::new(64 * 1024, 32)?.with_delivery(Delivery::Record)?;
    LOG.start(0, Storage::allocate(&geometry)?, geometry)?;
    log::set_logger(&KLOG).map_err(|error| error.to_string())?;
    log::set_max_level(log::LevelFilter::Info);

    thread::scope(|scope| {
        let writing = scope.spawn(|| write_lines(file));
        let logging: [_; THREADS] = core::array::from_fn(|_| scope.spawn(log_lines));
        let logged = logging.map(thread::ScopedJoinHandle::join);
        // Without a reader there is never room.
        end_the_log(|| writing.is_finished());
        let written = writing.join().expect("the writer failed")?;
        assert!(logged.iter().all(Result::is_ok), "a thread failed");

        let attempted = (THREADS * LINES) as u64;
        let lost = LOG.stats(0).map_or(0, |stats| stats.lost.total()) + LOG.lost_no_ring();
        println!("attempted {attempted}, written {written}, lost {lost}");
        if attempted != written + lost {
            return Err("some lines are unaccounted for".into());
        }
        let lines = fs::read_to_string(path)?.lines().count() as u64;
        Ok(attempted - lines)
    })
}

/// A thread that has something to say.
fn log_lines() {
    let _cpu = Cpu::claim();
    for line in 0..LINES {
        log::info!("line {line} of {:?}", thread::current().id());
    }
}

/// Ends the stream, so that its reader does; unless that `is_gone`.
fn end_the_log(is_gone: impl Fn() -> bool) {
    let _cpu = Cpu::claim();
    while LOG.close() == Err(StreamError::NoRoom) && !is_gone() {
        thread::yield_now();
    }
}

/// Writes to `file` what is logged, until the log ends; returns how many lines that were.
fn write_lines(file: File) -> io::Result<u64> {
    let mut file = BufWriter::new(file);
    let sleeper = Sleeper::new();
    let reader = LOG.reader(0).expect("the only reader");
    let mut records = Records::new(reader);
    let mut written = 0;
    loop {
        while let Some(run) = records.next_run() {
            for record in klog::records(run.bytes, run.begin_ticks) {
                let record = record.map_err(io::Error::other)?;
                let (severity, module) = (record.severity.name(), record.place.module);
                let seconds = record.ticks as f64 / 1e9;
                writeln!(
                    file,
                    "[{seconds:12.6}] {severity:5} {module}: {}",
                    record.message
                )?;
                written += 1;
            }
        }
        if records.is_at_end() {
            file.flush()?;
            return Ok(written);
        }
        if records.prepare_to_sleep() {
            // Whoever looks at the file sees all that there is.
            file.flush()?;
            sleeper.sleep();
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri keeps programs away from files")]
fn every_line_is_in_the_file() {
    let name = format!("relay-log-{}.log", std::process::id());
    let path = env::temp_dir().join(name);
    let missing = run(&path);
    fs::remove_file(&path).expect("it was made");
    assert_eq!(missing.expect("it works"), 0);
}
