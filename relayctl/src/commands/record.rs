//! `relayctl record`: a capture of a machine that somebody else started.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use clap::Args;
use relay_decode::capture::{Capture, CaptureError};
use relay_decode::wire::Kind;
use serde_json::json;

use super::captures::{CaptureArgs, arguments, unix_ms, versions};
use crate::exit::Exit;
use crate::signals;
use crate::terminal::{self, say};

/// Chunks that may wait to be written.
const QUEUE: usize = 16;

/// Where the bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A unix socket that somebody listens on.
    Unix(PathBuf),
    /// `HOST:PORT`, where somebody listens.
    Tcp(String),
    /// A file, a device or a pipe.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "unix:PATH, tcp:HOST:PORT, a file, or - would be right";
        match text.split_once(':') {
            Some(("unix" | "tcp", "")) => Err(wrong.to_owned()),
            Some(("unix", path)) => Ok(Self::Unix(path.into())),
            Some(("tcp", address)) => match address.rsplit_once(':') {
                Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                    Ok(Self::Tcp(address.to_owned()))
                }
                _ => Err(wrong.to_owned()),
            },
            _ if text.is_empty() => Err(wrong.to_owned()),
            _ if text == "-" => Ok(Self::Stdin),
            _ => Ok(Self::File(text.into())),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::File(path) => path.display().fmt(f),
            Self::Stdin => f.write_str("-"),
        }
    }
}

impl Origin {
    /// Opens it.
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Unix(path) => Box::new(UnixStream::connect(path)?),
            Self::Tcp(address) => Box::new(TcpStream::connect(address)?),
            Self::File(path) => Box::new(File::open(path)?),
            Self::Stdin => Box::new(io::stdin()),
        })
    }

    /// Whether all of it is there already.
    fn kind(&self) -> Kind {
        match self {
            Self::File(path) if path.is_file() => Kind::Stored,
            _ => Kind::Live,
        }
    }
}

/// The options of `record`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordArgs {
    /// Where packets come from: unix:PATH, tcp:HOST:PORT, a file, or - for standard input
    #[arg(long, value_name = "FROM")]
    pub(crate) from: Origin,

    /// Where the capture and how large it may get
    #[command(flatten)]
    pub(crate) capture: CaptureArgs,
}

/// What the threads beside the main loop report.
enum Event {
    /// Bytes.
    Bytes(Vec<u8>),
    /// There are no more.
    End(io::Result<()>),
    /// A signal that asks to end.
    Signal,
}

/// Does `relayctl record`.
pub(crate) fn record(args: &RecordArgs) -> Exit {
    match try_record(args) {
        Ok(exit) => exit,
        Err((exit, what)) => {
            say(what);
            exit
        }
    }
}

/// Records until the source ends or a signal comes.
fn try_record(args: &RecordArgs) -> Result<Exit, (Exit, String)> {
    let from = &args.from;
    let fail = |what: String| (Exit::Infrastructure, what);
    let failed = |error: CaptureError| (Exit::from(&error), error.to_string());
    let mut input = from
        .open()
        .map_err(|error| fail(format!("{from}: {error}")))?;
    // What comes is taken, whether somebody reads stderr or not.
    terminal::talk_aside();
    let capture = Capture::create(&args.capture.options(from.kind())).map_err(failed)?;
    let folder = capture.folder().to_owned();
    let (started, began) = (unix_ms(), Instant::now());
    let (sender, events) = mpsc::sync_channel(QUEUE);
    let on_signal = sender.clone();
    signals::on_end(move || drop(on_signal.send(Event::Signal)))
        .map_err(|error| fail(format!("cannot listen for signals: {error}")))?;
    // Not joined: a source that has nothing to say is not waited for at the end.
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 18];
        let end = loop {
            match input.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(length) => {
                    if sender
                        .send(Event::Bytes(buffer[..length].to_vec()))
                        .is_err()
                    {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        let _ = sender.send(Event::End(end));
    });
    let mut port = capture.port(0);
    let mut result = "end";
    for event in events {
        match event {
            Event::Bytes(bytes) => port.push(&bytes),
            Event::End(Ok(())) => break,
            Event::End(Err(error)) => {
                say(format!("{from}: {error}"));
                result = "error";
                break;
            }
            Event::Signal => {
                result = "interrupted";
                break;
            }
        }
    }
    port.finish();
    let exit = match result {
        "error" => Exit::Infrastructure,
        _ => Exit::Good,
    };
    let wall_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let info = json!({
        "command": "record",
        "versions": versions(),
        "arguments": arguments(),
        "from": from.to_string(),
        "started_unix_ms": started,
        "wall_ms": wall_ms,
        "result": result,
        "exit": exit.code(),
    });
    let totals = capture.finish(info).map_err(failed)?;
    say(format!(
        "{}: {} packets, {} bytes, {} bytes of fragments",
        terminal::near(&folder).display(),
        totals.packets,
        totals.bytes,
        totals.fragments
    ));
    Ok(exit)
}
