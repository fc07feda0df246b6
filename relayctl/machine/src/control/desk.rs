//! Who passes requests on, and answers back.
//!
//! ```text
//! client --- socket ---> reader (a thread each) --- queue ---> writer ---> machine
//! client <-- socket ---- answerer <---------------- queue ---- who reads the machine
//! ```
//!
//! A client that takes no answers is waited for [a moment](PATIENCE), once. A machine that takes no
//! requests makes the queue full, and then clients are told so.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use relay_format::control::{Answer, End, MAX_BODY, MAX_FRAME, Message};
use relay_format::frames::Frames;

use super::socket::{self, Socket};

/// The most clients at once. Who comes while there are so many is sent away.
const MAX_CLIENTS: usize = 32;

/// The most requests that are not answered yet; the oldest are forgotten first.
const MAX_PENDING: usize = 256;

/// Requests that may wait for the machine to take them.
const REQUESTS: usize = 16;

/// Answers that may wait for the desk to pass them on: all pieces of one, and more.
const ANSWERS: usize = 1024;

/// How long a client may take no bytes before it is sent away.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long nobody is listened to after somebody could not be.
const PAUSE: Duration = Duration::from_millis(100);

/// A client's connection. Whole frames are written under the lock.
type Connection = Arc<Mutex<UnixStream>>;

/// A request that was passed on.
#[derive(Debug)]
struct Pending {
    client: Connection,
    /// The client's number for it.
    number: u32,
}

/// What the threads share.
#[derive(Debug, Default)]
struct State {
    /// By the desk's number.
    pending: BTreeMap<u32, Pending>,
    /// The number of the last request.
    last: u32,
    /// Where frames go to the machine, if that can be asked.
    machine: Option<SyncSender<Vec<u8>>>,
    /// By the order in which they came.
    clients: BTreeMap<u64, UnixStream>,
    came: u64,
}

type Shared = Arc<Mutex<State>>;

/// A desk that is open. Dropping it closes it: the socket is removed, clients are sent away.
#[derive(Debug)]
pub struct Desk {
    socket: Socket,
    wire: Wire,
    is_over: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

/// What connects a desk with a machine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Wire {
    shared: Shared,
    answers: SyncSender<Vec<u8>>,
}

/// What is shared; a thread that panicked leaves it usable.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    /// Opens one in a capture's folder.
    ///
    /// # Errors
    ///
    /// When the socket cannot be made there.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let (socket, listener) = Socket::bind(folder)?;
        let shared = Shared::default();
        let (answers, came) = mpsc::sync_channel(ANSWERS);
        let own = Arc::clone(&shared);
        // It ends when nobody has an answer to give any more.
        thread::spawn(move || pass_back(&came, &own));
        let is_over = Arc::new(AtomicBool::new(false));
        let (own, over) = (Arc::clone(&shared), Arc::clone(&is_over));
        let acceptor = thread::spawn(move || accept(&listener, &own, &over));
        Ok(Self {
            socket,
            wire: Wire { shared, answers },
            is_over,
            acceptor: Some(acceptor),
        })
    }

    /// What connects it with a machine.
    #[must_use]
    pub fn wire(&self) -> Wire {
        self.wire.clone()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        if let Some(acceptor) = self.acceptor.take() {
            // It may wait for a client, so it gets one.
            let is_woken = socket::connect(self.socket.folder()).is_ok();
            if is_woken || acceptor.is_finished() {
                // A thread that panicked has said so.
                let _ = acceptor.join();
            }
        }
        let mut state = lock(&self.wire.shared);
        state.machine = None;
        state.pending.clear();
        for client in std::mem::take(&mut state.clients).into_values() {
            let _ = client.shutdown(Shutdown::Both);
        }
    }
}

impl Wire {
    /// From now on requests go to this machine, whose thread may wait in `write`.
    pub fn attach(&self, mut machine: impl Write + Send + 'static) {
        let (sender, frames) = mpsc::sync_channel::<Vec<u8>>(REQUESTS);
        thread::spawn(move || {
            for frame in frames {
                if machine
                    .write_all(&frame)
                    .and_then(|()| machine.flush())
                    .is_err()
                {
                    return;
                }
            }
        });
        lock(&self.shared).machine = Some(sender);
    }

    /// From now on there is no machine.
    pub fn detach(&self) {
        lock(&self.shared).machine = None;
    }

    /// Where what the machine says goes: what a frame holds, [`Message`]. Anything else is passed
    /// over.
    #[must_use]
    pub fn answers(&self) -> SyncSender<Vec<u8>> {
        self.answers.clone()
    }

    /// Reads a port of the machine that has nothing but messages, to its end.
    pub fn read(&self, mut port: impl Read) {
        let mut frames = Frames::<MAX_BODY>::new();
        let mut buffer = [0; 4096];
        loop {
            match port.read(&mut buffer) {
                Ok(0) => return,
                Ok(length) => {
                    for byte in &buffer[..length] {
                        if let Some(contents) = frames.push(*byte)
                            && self.answers.send(contents.to_vec()).is_err()
                        {
                            return;
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }
}

/// Takes clients until it is over.
fn accept(listener: &UnixListener, shared: &Shared, is_over: &AtomicBool) {
    loop {
        let accepted = listener.accept();
        if is_over.load(Ordering::SeqCst) {
            return;
        }
        match accepted {
            Ok((stream, _)) => {
                // Who cannot be taken is sent away.
                let _ = take(stream, shared);
            }
            // There are too many open files, for example: it does not get better by haste.
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// Gives a client a thread.
fn take(stream: UnixStream, shared: &Shared) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let own = stream.try_clone()?;
    let connection = Arc::new(Mutex::new(stream.try_clone()?));
    let mut state = lock(shared);
    if state.clients.len() >= MAX_CLIENTS {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    state.came += 1;
    let client = state.came;
    state.clients.insert(client, own);
    drop(state);
    let shared = Arc::clone(shared);
    let serve = move || {
        serve(stream, &connection, &shared);
        lock(&shared).clients.remove(&client);
    };
    thread::Builder::new().spawn(serve)?;
    Ok(())
}

/// Passes on what a client asks, until it has gone.
fn serve(mut stream: UnixStream, connection: &Connection, shared: &Shared) {
    let mut frames = Frames::<MAX_BODY>::new();
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => {
                for byte in &buffer[..length] {
                    let Some(contents) = frames.push(*byte) else {
                        continue;
                    };
                    let Ok(message) = Message::read(contents) else {
                        continue;
                    };
                    if !message.is_answer()
                        && let Err(why) = pass_on(&message, connection, shared)
                    {
                        let answer = Answer {
                            number: message.number,
                            piece: 0,
                            end: Some(End::Undelivered),
                            text: why.as_bytes(),
                        };
                        if tell(connection, &answer.message()).is_err() {
                            return;
                        }
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Passes a request on to the machine.
fn pass_on(
    request: &Message<'_>,
    client: &Connection,
    shared: &Shared,
) -> Result<(), &'static str> {
    let mut state = lock(shared);
    let Some(machine) = &state.machine else {
        return Err(
            "there is no way to the machine: it takes requests over virtio ports and over \
                    a serial line that it sends frames on",
        );
    };
    let number = state.last.wrapping_add(1);
    let own = Message { number, ..*request };
    let mut frame = [0; MAX_FRAME];
    let size = own.frame(&mut frame).map_err(|_| "it is too long")?;
    match machine.try_send(frame[..size].to_vec()) {
        Ok(()) => {}
        Err(TrySendError::Full(_)) => {
            return Err("the machine takes no requests: the last ones still wait");
        }
        Err(TrySendError::Disconnected(_)) => {
            return Err("the machine takes no more requests: its end was closed");
        }
    }
    state.last = number;
    let pending = Pending {
        client: Arc::clone(client),
        number: request.number,
    };
    state.pending.insert(number, pending);
    if state.pending.len() > MAX_PENDING {
        // The least number is the oldest, but where numbers begin anew, once in 2^32 requests.
        state.pending.pop_first();
    }
    Ok(())
}

/// Passes answers back to those who have asked, as long as there may be some.
fn pass_back(answers: &Receiver<Vec<u8>>, shared: &Shared) {
    for contents in answers {
        let Some(answer) = Message::read(&contents)
            .ok()
            .and_then(|message| message.answer())
        else {
            continue;
        };
        let mut state = lock(shared);
        let pending = match answer.end {
            None => state.pending.get(&answer.number).map(|pending| Pending {
                client: Arc::clone(&pending.client),
                number: pending.number,
            }),
            Some(_) => state.pending.remove(&answer.number),
        };
        drop(state);
        // What nobody has asked for, or not any more, is passed over.
        let Some(Pending { client, number }) = pending else {
            continue;
        };
        let answer = Answer { number, ..answer };
        if tell(&client, &answer.message()).is_err() {
            // Its thread hears of that.
            let _ = lock(&client).shutdown(Shutdown::Both);
            let mut state = lock(shared);
            state
                .pending
                .retain(|_, pending| !Arc::ptr_eq(&pending.client, &client));
        }
    }
}

/// Tells a client something, within [`PATIENCE`].
fn tell(client: &Connection, message: &Message<'_>) -> io::Result<()> {
    let mut frame = [0; MAX_FRAME];
    let size = message.frame(&mut frame).map_err(io::Error::other)?;
    lock(client).write_all(&frame[..size])
}

#[cfg(test)]
mod tests;
