//! `relayctl record`: a capture of a machine that somebody else started.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::mpsc::{self, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

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

/// How often is tried to open a source again.
const AGAIN: Duration = Duration::from_millis(100);

/// How long a socket may say nothing at all before it is opened once more. A port of our kernel
/// says something at once; QEMU 7.2 may stall one that was closed at the wrong time, until it is
/// opened again.
const SILENCE: Duration = Duration::from_secs(5);

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
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(SILENCE))?;
                Box::new(stream)
            }
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_read_timeout(Some(SILENCE))?;
                Box::new(stream)
            }
            Self::File(path) => Box::new(File::open(path)?),
            Self::Stdin => Box::new(io::stdin()),
        })
    }

    /// Whether it may come back when it has ended.
    fn comes_back(&self) -> bool {
        matches!(self, Self::Unix(_) | Self::Tcp(_))
    }

    /// Whether all of it is there already.
    fn kind(&self) -> Kind {
        match self {
            Self::File(path) if path.is_file() => Kind::Stored,
            _ => Kind::Live,
        }
    }
}

/// The options of `record`. It ends with 0 if what came is in the capture and can be read, with 1
/// if nothing came that can, something of it was left out or contradicts the rest.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordArgs {
    /// Where packets come from: unix:PATH, tcp:HOST:PORT, a file, or - for standard input
    #[arg(long, value_name = "FROM")]
    pub(crate) from: Origin,

    /// Wait for a socket that is not there, and open it again when it ends, until Ctrl-C
    ///
    /// A machine that is reset, or started again, becomes a further boot of the same capture. What
    /// the machine sent while nobody was attached is missing, and the capture says so.
    #[arg(long)]
    pub(crate) reattach: bool,

    /// Where the capture and how large it may get
    #[command(flatten)]
    pub(crate) capture: CaptureArgs,
}

/// What the threads beside the main loop report.
enum Event {
    /// Bytes.
    Bytes(Vec<u8>),
    /// There are no more before the source is opened again.
    Break(io::Result<()>),
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
    if args.reattach && !from.comes_back() {
        return Err((
            Exit::Usage,
            format!("{from}: only a socket, unix:PATH or tcp:HOST:PORT, can be opened again"),
        ));
    }
    let input = match args.reattach {
        true => None,
        false => Some(
            from.open()
                .map_err(|error| fail(format!("{from}: {error}")))?,
        ),
    };
    // What comes is taken, whether somebody reads stderr or not.
    terminal::talk_aside();
    let capture = Capture::create(&args.capture.options(from.kind())).map_err(failed)?;
    let folder = capture.folder().to_owned();
    let (started, began) = (unix_ms(), Instant::now());
    let (sender, events) = mpsc::sync_channel(QUEUE);
    let on_signal = sender.clone();
    signals::on_end(move || drop(on_signal.send(Event::Signal)))
        .map_err(|error| fail(format!("cannot listen for signals: {error}")))?;
    let origin = from.clone();
    // Not joined: a source that has nothing to say is not waited for at the end.
    thread::spawn(move || match input {
        Some(input) => {
            if let Some(end) = read_once(&origin, input, &sender) {
                let _ = sender.send(Event::End(end));
            }
        }
        None => read_again(&origin, &sender),
    });
    let mut port = capture.port(0);
    let mut result = "end";
    for event in events {
        match event {
            Event::Bytes(bytes) => port.push(&bytes),
            Event::Break(end) => {
                let end = end
                    .err()
                    .map_or("it ended".to_owned(), |end| end.to_string());
                say(format!(
                    "{from}: {end}; waiting until it can be opened again"
                ));
                // What is cut off has no more to come.
                std::mem::replace(&mut port, capture.port(0)).finish();
            }
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
    capture.settle();
    let totals = capture.totals();
    let exit = match result {
        "error" => Exit::Infrastructure,
        _ if totals.is_sound() => Exit::Good,
        _ => Exit::Failed,
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
    let near = terminal::near(&folder);
    say(match totals.came() {
        0 => format!("{from}: nothing came"),
        _ => format!(
            "{}: {}{} packets, {} bytes, {} bytes of fragments",
            near.display(),
            match totals.boots {
                0 | 1 => String::new(),
                boots => format!("{boots} boots, "),
            },
            totals.packets,
            totals.bytes,
            totals.fragments
        ),
    });
    totals.strays.sentences().for_each(say);
    if !totals.has_metadata && totals.strays.is_empty() && totals.came() > 0 {
        say("nothing that came can be read: there is no whole packet in it");
    }
    Ok(exit)
}

/// Gives everything that a source says to `sender`; how it ended, if anybody wants to know. A
/// socket that says nothing at all ends like one that timed out.
fn read(mut input: impl Read, sender: &SyncSender<Event>) -> Option<io::Result<()>> {
    let mut buffer = vec![0; 1 << 18];
    let mut has_come = false;
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Some(Ok(())),
            Ok(length) => {
                has_come = true;
                sender.send(Event::Bytes(buffer[..length].to_vec())).ok()?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if has_come && is_silence(&error) => {}
            Err(error) => return Some(Err(error)),
        }
    }
}

/// Whether a socket said nothing for [`SILENCE`].
fn is_silence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// Reads a source that is open to its end; one that is silent is opened once more, as often as it
/// takes.
fn read_once(
    from: &Origin,
    mut input: Box<dyn Read + Send>,
    sender: &SyncSender<Event>,
) -> Option<io::Result<()>> {
    loop {
        match read(input, sender) {
            Some(Err(error)) if is_silence(&error) => {}
            end => return end,
        }
        input = match from.open() {
            Ok(input) => input,
            Err(error) => return Some(Err(error)),
        };
    }
}

/// The same, again and again.
fn read_again(from: &Origin, sender: &SyncSender<Event>) {
    loop {
        // Whoever is not there yet, or cannot be reached, is tried again.
        if let Ok(input) = from.open() {
            let told = match read(input, sender) {
                Some(Err(error)) if is_silence(&error) => continue,
                end => end.map(|end| sender.send(Event::Break(end))),
            };
            if !matches!(told, Some(Ok(()))) {
                return;
            }
        }
        thread::sleep(AGAIN);
    }
}
