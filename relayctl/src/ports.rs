//! The host end of the guest's ports: a socket that QEMU connects to, once for
//! each port, and a thread for each connection.

use std::io::{self, Read};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::capture::{Capture, Port, Scratch};

/// The most ports that CPUs of one guest can have: what QEMU's virtio-serial-pci
/// offers beside the one that is kept for a console and the one that is kept for
/// panics.
pub const MAX_PORTS: u32 = 30;

/// How long the rest of what a guest has written may take once QEMU has ended.
const DRAIN: Duration = Duration::from_secs(30);

/// How often a port that is about to end is looked at.
const POLL: Duration = Duration::from_millis(5);

/// A connection, and the thread that reads it.
type Reader = (UnixStream, JoinHandle<()>);

/// The ports of one guest.
#[derive(Debug)]
pub struct Ports {
    /// How many CPUs have one.
    count: u32,
    /// The socket.
    path: PathBuf,
    /// Where it lies: nobody else can reach it there.
    _folder: Scratch,
    /// Whether no more connections are wanted.
    is_over: Arc<AtomicBool>,
    /// Waits for connections.
    acceptor: Option<JoinHandle<()>>,
    /// The connections.
    readers: Arc<Mutex<Vec<Reader>>>,
}

impl Ports {
    /// Listens for so many ports of CPUs, and for the one for panics, whose bytes
    /// `capture` gets. QEMU connects to them in the order of its command line: the
    /// first connection is port 0, the last one that for panics.
    ///
    /// # Errors
    ///
    /// When the socket cannot be made.
    pub fn listen(capture: &Capture, count: u32) -> io::Result<Self> {
        let folder = Scratch::new()?;
        let path = folder.path().join("ports");
        let listener = UnixListener::bind(&path)?;
        let is_over = Arc::new(AtomicBool::new(false));
        let readers = Arc::new(Mutex::new(Vec::new()));
        let mut ports: Vec<Port> = (0..=count).map(|number| capture.port(number)).collect();
        let (over, all) = (Arc::clone(&is_over), Arc::clone(&readers));
        let acceptor = thread::spawn(move || {
            for port in ports.drain(..) {
                let Ok((stream, _)) = listener.accept() else {
                    return;
                };
                if over.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(own) = stream.try_clone() {
                    let reader = thread::spawn(move || read(stream, port));
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    all.push((own, reader));
                }
            }
        });
        Ok(Self {
            count,
            path,
            _folder: folder,
            is_over,
            acceptor: Some(acceptor),
            readers,
        })
    }

    /// How many there are for CPUs.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The socket that QEMU connects to.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until everything that came was taken: the other end has been
    /// closed, or is given up after a time.
    pub fn finish(self) {
        // What follows is done when it is dropped.
    }

    /// Ends the acceptor: it may wait for a connection, so it gets one.
    fn end_acceptor(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let Some(acceptor) = self.acceptor.take() else {
            return;
        };
        if acceptor.is_finished() || UnixStream::connect(&self.path).is_ok() {
            // A thread that panicked has said so.
            let _ = acceptor.join();
        }
    }
}

impl Drop for Ports {
    fn drop(&mut self) {
        self.end_acceptor();
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = Instant::now() + DRAIN;
        for (stream, reader) in readers.drain(..) {
            while !reader.is_finished() && Instant::now() < deadline {
                thread::sleep(POLL);
            }
            // Something that QEMU started may hold the other end.
            let _ = stream.shutdown(Shutdown::Both);
            let _ = reader.join();
        }
    }
}

/// Reads one port until it is closed.
fn read(mut stream: UnixStream, mut port: Port) {
    let mut buffer = vec![0; 1 << 18];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => port.push(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    port.finish();
}
