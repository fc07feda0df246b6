//! Where the bytes of a recording come from, and the thread that reads them.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use relay_decode::capture::GrowingFile;
use relay_decode::wire::Kind;

use super::tty::{self, Baud};

/// Chunks that may wait to be written.
pub(super) const QUEUE: usize = 16;

/// How often is tried to open a source again, and how often a file that grows is looked at.
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
    /// A terminal device, and its rate.
    Tty(PathBuf, Baud),
    /// A file, a device or a pipe.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "unix:PATH, tcp:HOST:PORT, tty:PATH[:BAUD], a file, or - would be right";
        match text.split_once(':') {
            Some(("unix" | "tcp" | "tty", "")) => Err(wrong.to_owned()),
            Some(("unix", path)) => Ok(Self::Unix(path.into())),
            Some(("tcp", address)) => match address.rsplit_once(':') {
                Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                    Ok(Self::Tcp(address.to_owned()))
                }
                _ => Err(wrong.to_owned()),
            },
            Some(("tty", terminal)) => match terminal.rsplit_once(':') {
                Some((path, baud)) if !path.is_empty() => Ok(Self::Tty(path.into(), baud.parse()?)),
                _ => Ok(Self::Tty(terminal.into(), Baud::default())),
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
            Self::Tty(path, baud) => write!(f, "tty:{}:{baud}", path.display()),
            Self::File(path) => path.display().fmt(f),
            Self::Stdin => f.write_str("-"),
        }
    }
}

impl Origin {
    /// Opens it.
    pub(super) fn open(&self) -> io::Result<Opened> {
        Ok(match self {
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(SILENCE))?;
                let output = stream.try_clone()?;
                Opened::both(stream, output)
            }
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_read_timeout(Some(SILENCE))?;
                let output = stream.try_clone()?;
                Opened::both(stream, output)
            }
            Self::Tty(path, baud) => {
                let tty = tty::open(path, *baud)?;
                match tty.output() {
                    Some(output) => Opened::both(tty, output),
                    None => Opened::input(tty),
                }
            }
            Self::File(path) => Opened::input(File::open(path)?),
            Self::Stdin => Opened::input(io::stdin()),
        })
    }

    /// Opens it to be read again and again: a file does not end then.
    fn open_again(&self) -> io::Result<Opened> {
        match self {
            Self::File(path) => Ok(Opened::input(Growing(GrowingFile::open(path)?))),
            _ => self.open(),
        }
    }

    /// Whether it may come back when it has ended.
    pub(super) fn comes_back(&self) -> bool {
        matches!(self, Self::Unix(_) | Self::Tcp(_) | Self::Tty(..))
    }

    /// Whether it may have another direction, so that a machine there can be asked.
    pub(super) fn can_be_written(&self) -> bool {
        self.comes_back()
    }

    /// Whether it is known to be a serial line.
    pub(super) fn is_line(&self) -> bool {
        matches!(self, Self::Tty(..))
    }

    /// Whether it may be a file that grows: one that is not there may come.
    pub(super) fn is_plain_file(&self) -> bool {
        matches!(self, Self::File(path) if path.is_file() || !path.exists())
    }

    /// Whether all of it is there already.
    pub(super) fn kind(&self, is_followed: bool) -> Kind {
        match self {
            Self::File(path) if path.is_file() && !is_followed => Kind::Stored,
            _ => Kind::Live,
        }
    }
}

/// A source that is open.
pub(super) struct Opened {
    /// What comes from it.
    input: Box<dyn Read + Send>,
    /// What goes to it, if that is possible.
    output: Option<Box<dyn Write + Send>>,
}

impl Opened {
    fn input(input: impl Read + Send + 'static) -> Self {
        Self {
            input: Box::new(input),
            output: None,
        }
    }

    fn both(input: impl Read + Send + 'static, output: impl Write + Send + 'static) -> Self {
        Self {
            output: Some(Box::new(output)),
            ..Self::input(input)
        }
    }

    /// Lets `sender` have what can be written to, and gives what can be read.
    fn split(self, sender: &SyncSender<Event>) -> Box<dyn Read + Send> {
        if let Some(output) = self.output {
            // Who does not listen any more does not read, either.
            let _ = sender.send(Event::Output(output));
        }
        self.input
    }
}

/// A file that is waited for at its end.
struct Growing(GrowingFile);

impl Read for Growing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Ok(0) => thread::sleep(AGAIN),
                Ok(length) => return Ok(length),
                Err(error) => return Err(io::Error::other(error.to_string())),
            }
        }
    }
}

/// What the threads beside the main loop report.
pub(super) enum Event {
    /// The source was opened, and can be written to.
    Output(Box<dyn Write + Send>),
    /// Bytes.
    Bytes(Vec<u8>),
    /// There are no more before the source is opened again.
    Break(io::Result<()>),
    /// There are no more.
    End(io::Result<()>),
    /// A signal that asks to end.
    Signal,
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
pub(super) fn read_once(
    from: &Origin,
    mut opened: Opened,
    sender: &SyncSender<Event>,
) -> Option<io::Result<()>> {
    loop {
        match read(opened.split(sender), sender) {
            Some(Err(error)) if is_silence(&error) => {}
            end => return end,
        }
        opened = match from.open() {
            Ok(opened) => opened,
            Err(error) => return Some(Err(error)),
        };
    }
}

/// The same, again and again.
pub(super) fn read_again(from: &Origin, sender: &SyncSender<Event>) {
    loop {
        // Whoever is not there yet, or cannot be reached, is tried again.
        if let Ok(opened) = from.open_again() {
            let told = match read(opened.split(sender), sender) {
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
