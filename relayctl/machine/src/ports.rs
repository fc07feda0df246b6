//! The host end of the guest's ports: a socket that QEMU connects to, once for
//! each virtio port, or once for a serial port; another one for the port that the guest is asked
//! through, and one for that of syslog; a thread for each connection that does nothing but
//! read it, and one that writes the capture behind their back: files are slower than sockets, and
//! the guest shall not wait for them before it has to.

use std::env;
use std::io::{self, Read};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use relay_decode::capture::{Capture, LinePort, Port, Scratch};

use crate::control::Wire;
use crate::guest::Wires;
use crate::syslog::Intake;

/// The most ports that CPUs of one guest can have: what QEMU's virtio-serial-pci
/// offers beside the one that is kept for a console and the one that is kept for
/// panics.
pub const MAX_PORTS: u32 = 30;

/// How long the rest of what a guest has written may take once QEMU has ended.
const DRAIN: Duration = Duration::from_secs(30);

/// How often a port that is about to end is looked at.
const POLL: Duration = Duration::from_millis(5);

/// How much is read at once, in bytes: more than a socket holds.
const CHUNK: usize = 1 << 18;

/// Chunks that may wait to be written, of all ports together: 4 MiB. When they do,
/// QEMU waits, then the guest's ports, and then the guest counts what it loses.
const QUEUE: usize = 16;

/// The number of the console among the ports of a guest.
pub const CONSOLE: u32 = MAX_PORTS + 1;

/// What the readers give to the writer: a port, and its next bytes or its end.
type Chunk = (usize, Option<Vec<u8>>);

/// Chunks that were written, to be filled again.
type Pool = Arc<Mutex<Vec<Vec<u8>>>>;

/// A connection, and the thread that reads it.
type Reader = (UnixStream, JoinHandle<()>);

/// The longest path of a unix socket, in bytes (unix(7), `sun_path` without its last 0).
const MAX_PATH: usize = 107;

/// Where a socket lies when the folder for temporary files has too long a path.
const SHORT: &str = "/tmp";

/// The name of the socket for packets.
const PACKETS: &str = "ports";
/// That of the socket for requests and answers, which is no longer.
const CONTROL_SOCKET: &str = "ctl";
/// That of the socket for syslog.
const SYSLOG_SOCKET: &str = "log";

/// A folder for the sockets, within `root` or, if their paths are too long there, in `/tmp`.
fn place(root: &Path) -> io::Result<Scratch> {
    let folder = Scratch::within(root)?;
    let path = folder.path().join(PACKETS);
    if path.as_os_str().len() <= MAX_PATH {
        return Ok(folder);
    }
    Scratch::within(Path::new(SHORT)).map_err(|error| {
        let what = format!(
            "the path of {} is too long for a socket, and {error}: set TMPDIR to a folder with a \
             path of at most 80 bytes",
            path.display()
        );
        io::Error::new(error.kind(), what)
    })
}

/// A socket that is listened at.
fn bind(path: &Path) -> io::Result<UnixListener> {
    UnixListener::bind(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// What takes the bytes of one connection.
enum Sink {
    Port(Port),
    Line(LinePort),
}

impl Sink {
    fn push(&mut self, chunk: &[u8]) {
        match self {
            Self::Port(port) => port.push(chunk),
            // The capture has the text.
            Self::Line(line) => line.push(chunk, |_| {}),
        }
    }

    fn finish(self) {
        match self {
            Self::Port(port) => port.finish(),
            Self::Line(line) => line.finish(|_| {}),
        }
    }
}

/// The ports of one guest.
#[derive(Debug)]
pub struct Ports {
    /// What the guest has to have.
    wires: Wires,
    /// Where the sockets lie: nobody else can reach them there.
    folder: Scratch,
    /// Whether no more connections are wanted.
    is_over: Arc<AtomicBool>,
    /// Wait for connections to their sockets.
    acceptors: Vec<(PathBuf, JoinHandle<()>)>,
    /// The connections.
    readers: Arc<Mutex<Vec<Reader>>>,
    /// Writes what they read.
    writer: Option<JoinHandle<()>>,
}

impl Ports {
    /// Listens for so many ports of CPUs, and for the one for panics, whose bytes
    /// `capture` gets. QEMU connects to them in the order of its command line: the
    /// first connection is port 0, the last one that for panics. With a `wire` there is one more,
    /// over which the guest is asked, and one with an `intake`, which gets what goes to syslog.
    ///
    /// # Errors
    ///
    /// When a socket cannot be made.
    pub fn listen(
        capture: &Capture,
        count: u32,
        wire: Option<Wire>,
        intake: Option<Intake>,
    ) -> io::Result<Self> {
        let ports = (0..=count).map(|number| Sink::Port(capture.port(number)));
        let mut this = Self::take(ports.collect(), None, |packets| Wires::Ports {
            count,
            packets,
            control: None,
            syslog: None,
        })?;
        let own_control = match wire {
            Some(wire) => {
                let is_over = Arc::clone(&this.is_over);
                Some(this.take_one(CONTROL_SOCKET, move |stream| {
                    // A guest that has ended is not asked.
                    if is_over.load(Ordering::SeqCst) {
                        return Err(io::ErrorKind::NotConnected.into());
                    }
                    wire.attach(stream.try_clone()?);
                    Ok(move || wire.read(stream))
                })?)
            }
            None => None,
        };
        let own_syslog = match intake {
            Some(intake) => {
                Some(this.take_one(SYSLOG_SOCKET, move |stream| Ok(move || intake.read(stream)))?)
            }
            None => None,
        };
        if let Wires::Ports {
            control, syslog, ..
        } = &mut this.wires
        {
            (*control, *syslog) = (own_control, own_syslog);
        }
        Ok(this)
    }

    /// Listens for one connection at a socket of its own, whose path this is; `begin` makes of it
    /// what reads it, in a thread.
    fn take_one<R: FnOnce() + Send + 'static>(
        &mut self,
        name: &str,
        begin: impl FnOnce(UnixStream) -> io::Result<R> + Send + 'static,
    ) -> io::Result<PathBuf> {
        let path = self.folder.path().join(name);
        let listener = bind(&path)?;
        let all = Arc::clone(&self.readers);
        let acceptor = thread::spawn(move || accept_one(&listener, begin, &all));
        self.acceptors.push((path.clone(), acceptor));
        Ok(path)
    }

    /// Listens for a serial port, whose bytes `capture` gets. With a `wire` the guest is asked over
    /// it, too.
    ///
    /// # Errors
    ///
    /// When the socket cannot be made.
    pub fn listen_to_line(capture: &Capture, wire: Option<Wire>) -> io::Result<Self> {
        let mut line = capture.line(0);
        if let Some(wire) = &wire {
            line.answer_to(wire.answers());
        }
        Self::take(vec![Sink::Line(line)], wire, Wires::Line)
    }

    /// Listens for as many connections as there are sinks. What is asked over the `wire` goes into
    /// each of them.
    fn take(
        sinks: Vec<Sink>,
        wire: Option<Wire>,
        wires: impl FnOnce(PathBuf) -> Wires,
    ) -> io::Result<Self> {
        let folder = place(&env::temp_dir())?;
        let path = folder.path().join(PACKETS);
        let listener = bind(&path)?;
        let is_over = Arc::new(AtomicBool::new(false));
        let readers = Arc::new(Mutex::new(Vec::new()));
        let count = sinks.len();
        let pool = Pool::default();
        let (sender, chunks) = mpsc::sync_channel(QUEUE);
        let own_pool = Arc::clone(&pool);
        let writer = thread::spawn(move || write(&chunks, sinks, &own_pool));
        let (over, all) = (Arc::clone(&is_over), Arc::clone(&readers));
        let acceptor = thread::spawn(move || {
            for port in 0..count {
                let Ok((stream, _)) = listener.accept() else {
                    return;
                };
                // The guest may have ended before its connections were taken: those that wait are
                // taken, and none is waited for. The one that ended the waiting says nothing.
                if over.load(Ordering::SeqCst) && listener.set_nonblocking(true).is_err() {
                    return;
                }
                if let (Some(wire), Ok(own)) = (&wire, stream.try_clone()) {
                    wire.attach(own);
                }
                if let Ok(own) = stream.try_clone() {
                    let (sender, pool) = (sender.clone(), Arc::clone(&pool));
                    let reader = thread::spawn(move || read(stream, port, &sender, &pool));
                    lock(&all).push((own, reader));
                }
            }
        });
        Ok(Self {
            wires: wires(path.clone()),
            folder,
            is_over,
            acceptors: vec![(path, acceptor)],
            readers,
            writer: Some(writer),
        })
    }

    /// What the guest has to have.
    #[must_use]
    pub fn wires(&self) -> &Wires {
        &self.wires
    }

    /// Waits until everything that came was taken: the other end has been
    /// closed, or is given up after a time.
    pub fn finish(self) {
        // What follows is done when it is dropped.
    }

    /// Ends the acceptors: each may wait for a connection, so it gets one.
    fn end_acceptors(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        for (path, acceptor) in self.acceptors.drain(..) {
            if acceptor.is_finished() || UnixStream::connect(path).is_ok() {
                // A thread that panicked has said so.
                let _ = acceptor.join();
            }
        }
    }
}

impl Drop for Ports {
    fn drop(&mut self) {
        self.end_acceptors();
        let mut readers = lock(&self.readers);
        // Counted by looks: while this process is stopped, no time goes by.
        let mut looks = DRAIN.as_millis() / POLL.as_millis();
        for (stream, reader) in readers.drain(..) {
            while !reader.is_finished() && looks > 0 {
                looks -= 1;
                thread::sleep(POLL);
            }
            // Something that QEMU started may hold the other end.
            let _ = stream.shutdown(Shutdown::Both);
            let _ = reader.join();
        }
        // The readers had the last senders.
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// What is shared; a thread that panicked leaves it usable.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a connection, and reads it in a thread. What a guest that has ended meanwhile has sent is
/// read; the connection that ended the waiting says nothing.
fn accept_one<R: FnOnce() + Send + 'static>(
    listener: &UnixListener,
    begin: impl FnOnce(UnixStream) -> io::Result<R>,
    readers: &Mutex<Vec<Reader>>,
) {
    let Ok((stream, _)) = listener.accept() else {
        return;
    };
    if let Ok(own) = stream.try_clone()
        && let Ok(read) = begin(stream)
    {
        lock(readers).push((own, thread::spawn(read)));
    }
}

/// Reads one port until it is closed.
fn read(mut stream: UnixStream, port: usize, chunks: &SyncSender<Chunk>, pool: &Pool) {
    loop {
        let chunk = lock(pool).pop();
        let mut chunk = chunk.unwrap_or_else(|| Vec::with_capacity(CHUNK));
        chunk.resize(CHUNK, 0);
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => {
                chunk.truncate(length);
                if chunks.send((port, Some(chunk))).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    // The writer ends after the readers.
    let _ = chunks.send((port, None));
}

/// Writes what the readers have read, until they have ended.
fn write(chunks: &Receiver<Chunk>, sinks: Vec<Sink>, pool: &Pool) {
    let mut ports: Vec<_> = sinks.into_iter().map(Some).collect();
    for (number, chunk) in chunks {
        let Some(port) = ports.get_mut(number) else {
            continue;
        };
        match (chunk, port.as_mut()) {
            (Some(chunk), Some(port)) => {
                port.push(&chunk);
                lock(pool).push(chunk);
            }
            _ => {
                if let Some(port) = port.take() {
                    port.finish();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use relay_decode::capture::Options;
    use relay_decode::wire::Kind;

    use super::*;

    /// A guest may write and end before anybody has taken its connections: this process may have
    /// been stopped meanwhile.
    #[test]
    fn what_a_guest_sent_before_it_was_listened_to_is_taken() {
        let folder = Scratch::new().expect("it is writable");
        for round in 0..50 {
            let out = folder.path().join(round.to_string());
            let capture = Capture::create(&Options::new(&out, Kind::Live)).expect("it is writable");
            let ports = Ports::listen(&capture, 2, None, None).expect("there are sockets");
            for port in 0..3 {
                let mut guest =
                    UnixStream::connect(&ports.acceptors[0].0).expect("it is listened to");
                let bytes = vec![b'x'; 1 + port * 1000];
                guest.write_all(&bytes).expect("it is read");
            }
            ports.finish();
            assert_eq!(capture.totals().fragments, 3 + 3000, "round {round}");
        }
    }
}
