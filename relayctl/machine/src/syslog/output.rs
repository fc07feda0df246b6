//! A receiver that is connected.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::destination::Destination;
use super::queue::Message;

/// How long an address may take to answer.
const CONNECT: Duration = Duration::from_secs(1);

/// How long a receiver may take nothing before the sender looks at the clock.
const SLICE: Duration = Duration::from_millis(100);

/// How long a receiver may take to read the rest and close its end.
const CLOSE: Duration = Duration::from_secs(1);

/// What of a batch was done.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// The messages that were taken.
    pub(super) passed: u64,
    /// Why some were refused for what they are: they are left out.
    pub(super) refused: Option<io::Error>,
    /// Why it went no further, if that was no matter of time.
    pub(super) error: Option<io::Error>,
}

/// A receiver.
#[derive(Debug)]
pub(super) enum Output {
    /// It gets a datagram for each message.
    Datagrams(Datagrams),
    /// It gets a stream of frames, or of lines.
    Stream(Stream),
}

/// A socket of datagrams.
#[derive(Debug)]
pub(super) enum Datagrams {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

/// What takes a stream.
#[derive(Debug)]
enum Pipe {
    Tcp(TcpStream),
    Unix(UnixStream),
    File(File),
}

/// A stream, and what of it was made ready.
#[derive(Debug)]
pub(super) struct Stream {
    pipe: Pipe,
    bytes: Vec<u8>,
    /// Where its messages end.
    ends: VecDeque<usize>,
    /// How much was written.
    written: usize,
}

impl Output {
    /// Connects to a receiver, after so many tries that failed.
    ///
    /// # Errors
    ///
    /// When it cannot be reached.
    pub(super) fn open(to: &Destination, tries: usize) -> io::Result<Self> {
        let stream = match to {
            Destination::Udp(address) => {
                return each(address, tries, udp)
                    .map(|socket| Self::Datagrams(Datagrams::Udp(socket)));
            }
            Destination::Tcp(address) => Pipe::Tcp(each(address, tries, tcp)?),
            Destination::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_write_timeout(Some(SLICE))?;
                match socket.connect(path) {
                    // It is there, and takes a stream.
                    Err(error) if is(&error, Errno::EPROTOTYPE) => Pipe::Unix(unix(path)?),
                    connected => {
                        connected?;
                        return Ok(Self::Datagrams(Datagrams::Unix(socket)));
                    }
                }
            }
            Destination::File(path) => Pipe::File(file(path)?),
        };
        Ok(Self::Stream(Stream::new(stream)))
    }

    /// Passes messages on, and takes them out of `hand`, until all are passed on, or the receiver
    /// takes no more for a moment.
    pub(super) fn pass(&mut self, hand: &mut VecDeque<Message>) -> Step {
        let mut step = Step::default();
        let done = match self {
            Self::Datagrams(socket) => socket.pass(hand, &mut step),
            Self::Stream(stream) => stream.pass(hand, &mut step),
        };
        step.error = done.err().filter(|error| !is_slow(error));
        step
    }

    /// Whether it may go on after this error. What of a message is written stays so.
    pub(super) fn survives(&self, error: &io::Error) -> bool {
        match self {
            Self::Stream(stream) => stream.is_file() && error.kind() != io::ErrorKind::BrokenPipe,
            Self::Datagrams(_) => false,
        }
    }

    /// Whether messages that it took may not have arrived if it breaks.
    pub(super) fn is_connection(&self) -> bool {
        matches!(self, Self::Stream(stream) if !stream.is_file())
    }

    /// Waits, for a time, until the receiver has read everything.
    pub(super) fn close(self) {
        // There is nothing to do for a receiver that does not.
        let _ = match self {
            Self::Stream(stream) => stream.close(),
            Self::Datagrams(_) => Ok(()),
        };
    }
}

impl Datagrams {
    fn pass(&mut self, hand: &mut VecDeque<Message>, step: &mut Step) -> io::Result<()> {
        while let Some(message) = hand.front() {
            let sent = match self {
                // On this machine it is known at once when nobody listens.
                Self::Udp(socket) => {
                    socket
                        .send(message)
                        .and_then(|_| match socket.take_error()? {
                            Some(error) => Err(error),
                            None => Ok(()),
                        })
                }
                Self::Unix(socket) => socket.send(message).map(|_| ()),
            };
            match sent {
                Ok(()) => step.passed += 1,
                Err(error) if is(&error, Errno::EMSGSIZE) => step.refused = Some(error),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            hand.pop_front();
        }
        Ok(())
    }
}

impl Stream {
    fn new(pipe: Pipe) -> Self {
        Self {
            pipe,
            bytes: Vec::new(),
            ends: VecDeque::new(),
            written: 0,
        }
    }

    fn is_file(&self) -> bool {
        matches!(self.pipe, Pipe::File(_))
    }

    fn pass(&mut self, hand: &mut VecDeque<Message>, step: &mut Step) -> io::Result<()> {
        self.pipe.check()?;
        if self.ends.is_empty() {
            self.bytes.clear();
            self.written = 0;
            for message in &*hand {
                self.add(message)?;
            }
        }
        while !self.ends.is_empty() {
            let unwritten = self.bytes.get(self.written..).unwrap_or_default();
            match self.pipe.write(unwritten) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => self.written += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            while self.ends.front().is_some_and(|end| *end <= self.written) {
                self.ends.pop_front();
                hand.pop_front();
                step.passed += 1;
            }
        }
        Ok(())
    }

    /// Makes a message ready: a line of a file, or a frame.
    fn add(&mut self, message: &[u8]) -> io::Result<()> {
        if self.is_file() {
            self.bytes.extend_from_slice(message);
            self.bytes.push(b'\n');
        } else {
            write!(self.bytes, "{} ", message.len())?;
            self.bytes.extend_from_slice(message);
        }
        self.ends.push_back(self.bytes.len());
        Ok(())
    }

    fn close(mut self) -> io::Result<()> {
        match &mut self.pipe {
            Pipe::File(_) => Ok(()),
            Pipe::Tcp(stream) => {
                stream.shutdown(Shutdown::Write)?;
                stream.set_read_timeout(Some(CLOSE))?;
                await_end(stream)
            }
            Pipe::Unix(stream) => {
                stream.shutdown(Shutdown::Write)?;
                stream.set_read_timeout(Some(CLOSE))?;
                await_end(stream)
            }
        }
    }
}

impl Pipe {
    /// Whether the other end has been closed: what is written then arrives nowhere, and only the
    /// second write would say so.
    fn check(&self) -> io::Result<()> {
        let mut said = [0; 256];
        let read = match self {
            Self::Tcp(stream) => {
                stream.set_nonblocking(true)?;
                let read = (&*stream).read(&mut said);
                stream.set_nonblocking(false)?;
                read
            }
            Self::Unix(stream) => {
                stream.set_nonblocking(true)?;
                let read = (&*stream).read(&mut said);
                stream.set_nonblocking(false)?;
                read
            }
            Self::File(_) => return Ok(()),
        };
        match read {
            Ok(0) => Err(io::Error::new(
                io::ErrorKind::ConnectionReset,
                "the connection was closed",
            )),
            // A receiver has nothing to say.
            Ok(_) => Ok(()),
            Err(error) if is_slow(&error) || error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }
}

/// Reads what nobody wants to know, to the end, or a bit of it.
fn await_end(stream: &mut impl Read) -> io::Result<()> {
    let mut said = [0; 256];
    for _ in 0..64 {
        if stream.read(&mut said)? == 0 {
            break;
        }
    }
    Ok(())
}

/// Tries each address of a name, after so many tries that failed: each time another one is first,
/// since that nobody has a UDP port turns out later.
fn each<T>(name: &str, tries: usize, open: impl Fn(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut addresses: Vec<_> = name.to_socket_addrs()?.collect();
    let first = tries.checked_rem(addresses.len()).unwrap_or(0);
    addresses.rotate_left(first);
    for address in addresses {
        match open(address) {
            Ok(opened) => return Ok(opened),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let any = match address {
        SocketAddr::V4(_) => "0.0.0.0:0",
        SocketAddr::V6(_) => "[::]:0",
    };
    let socket = UdpSocket::bind(any)?;
    socket.set_write_timeout(Some(SLICE))?;
    socket.connect(address)?;
    Ok(socket)
}

fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, CONNECT)?;
    stream.set_write_timeout(Some(SLICE))?;
    Ok(stream)
}

fn unix(path: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(path)?;
    stream.set_write_timeout(Some(SLICE))?;
    Ok(stream)
}

/// A file to append to. A pipe that nobody reads is not waited for.
fn file(path: &Path) -> io::Result<File> {
    File::options()
        .append(true)
        .create(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)
}

/// Whether an error is this one.
fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno as i32)
}

/// Whether the receiver takes nothing for a moment.
fn is_slow(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}
