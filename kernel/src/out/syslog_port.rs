//! The port of a virtio-console that programs tell syslog over: `relay.syslog`.
//!
//! What is sent is copied into buffers of the kernel's, which the device reads: so it is sent whoever
//! dies. There is no interrupt for it: buffers that the device is done with are found by who sends the
//! next, and in the timer interrupt of one CPU.

use alloc::vec;
use core::sync::atomic::{AtomicBool, Ordering};

use relay_abi::{Error, SYSLOG_BYTES};

use crate::base::shortfall;
use crate::cpu::lock::Mutex;
use crate::cpu::patience::Patience;
use crate::dev::virtio::console::driver::OpenError;
use crate::dev::virtio::console::port::{Letter, Refusal};
use crate::dev::virtio::console::{Console, PciPort};

/// The port's name.
const NAME: &str = "relay.syslog";

/// The channels that programs tell syslog, where there is a port for that.
pub(crate) const TOLD: [&str; 3] = ["/klog", "/evlog", "/user"];

/// Buffers that may be under way.
const LETTERS: usize = 8;

/// How long the end of the machine waits while the host takes nothing.
const PATIENCE_MS: u64 = 1_000;

/// What carries messages out of the machine. All of it task and IRQ context, interrupts off.
pub(crate) trait Way: Sync {
    /// Has `fill` write a buffer of so many bytes, at most [`SYSLOG_BYTES`], and sends it.
    ///
    /// # Errors
    /// [`Error::Again`]: there is no room, or nobody listens; [`Error::Ended`]: it will never send
    /// anything again; those of `fill`. Nothing is sent then.
    fn send(
        &self,
        length: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<(), Error>,
    ) -> Result<(), Error>;

    /// Whether it could send something now.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    fn look(&self) -> Result<(), Error>;
}

/// The port, and its buffers: those that are not here are with the device.
struct SyslogPort {
    port: PciPort<Letter<SYSLOG_BYTES>>,
    letters: [Option<Letter<SYSLOG_BYTES>>; LETTERS],
}

static PORT: Mutex<Option<SyslogPort>> = Mutex::new(None);

/// It was found.
static IS_THERE: AtomicBool = AtomicBool::new(false);

/// Whether a port with this name is the one for syslog.
pub(super) fn is_kept(name: &str) -> bool {
    name == NAME
}

/// Whether there is one. Any context, once the ports were looked for.
pub(crate) fn is_there() -> bool {
    IS_THERE.load(Ordering::Acquire)
}

/// The way, if there is one. Any context.
pub(crate) fn way() -> Option<&'static dyn Way> {
    is_there().then_some(&Programs)
}

/// Opens the port; `false` if there is none. Task context on the boot CPU, once.
///
/// # Errors
/// [`OpenError`]: there is one, but it cannot be opened: a [shortfall](shortfall::note).
pub(super) fn keep(console: &mut Console) -> Result<bool, OpenError> {
    let Some(info) = console.ports().find(|port| is_kept(port.name.as_str())) else {
        return Ok(false);
    };
    let opened = console.open(info.id, None);
    let port = opened.inspect_err(|_: &OpenError| shortfall::note())?;
    let letter = || {
        let bytes = vec![0; SYSLOG_BYTES].leak();
        bytes.try_into().ok().map(Letter::new)
    };
    *PORT.lock() = Some(SyslogPort {
        port,
        letters: core::array::from_fn(|_| letter()),
    });
    IS_THERE.store(true, Ordering::Release);
    Ok(true)
}

/// Waits until the host has taken what was sent, or takes nothing for too long; calls `meanwhile`.
/// Task context, at the end, on the only CPU that still runs.
pub(crate) fn finish(meanwhile: impl Fn()) {
    let state = || {
        let mut port = PORT.try_lock()?;
        let port = port.as_mut()?;
        port.reclaim();
        let is_going = port.port.in_flight() != 0 && port.port.is_dead().is_none();
        is_going.then(|| port.port.counters().sent)
    };
    let mut patience = Patience::after_ms(PATIENCE_MS, 0);
    while let Some(sent) = state()
        && !patience.is_over(sent)
    {
        meanwhile();
    }
}

/// What programs have of it.
struct Programs;

impl Way for Programs {
    fn send(
        &self,
        length: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // Who holds it is on another CPU, and does not for long.
        PORT.lock().as_mut().ok_or(Error::Ended)?.send(length, fill)
    }

    fn look(&self) -> Result<(), Error> {
        let mut port = PORT.try_lock().ok_or(Error::Again)?;
        port.as_mut().ok_or(Error::Ended)?.look().map(drop)
    }
}

impl SyslogPort {
    /// Takes back what the device is done with.
    fn reclaim(&mut self) {
        while let Some(letter) = self.port.reclaim() {
            let place = self.letters.iter_mut().find(|place| place.is_none());
            if let Some(place) = place {
                *place = Some(letter.into_inner());
            }
        }
    }

    /// The place of a buffer that could be sent.
    fn look(&mut self) -> Result<usize, Error> {
        self.reclaim();
        if let Some(unheard) = self.port.take_return() {
            relay::warn!(
                "syslog's host has come back; {unheard} buffers came back while it was away"
            );
        }
        if self.port.is_dead().is_some() {
            return Err(Error::Ended);
        }
        if !self.port.is_host_open() {
            return Err(Error::Again);
        }
        let free = self.letters.iter().position(Option::is_some);
        free.ok_or(Error::Again)
    }

    fn send(
        &mut self,
        length: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let place = self.look()?;
        let mut letter = self.letters[place].take().ok_or(Error::Again)?;
        let mut filled = Err(Error::BadArgument);
        letter.fill(|room| {
            let room = room.get_mut(..length).ok_or(Error::BadArgument)?;
            filled = fill(room);
            filled.map(|()| length)
        });
        if let Err(error) = filled {
            self.letters[place] = Some(letter);
            return Err(error);
        }
        let Err(rejected) = self.port.submit(letter) else {
            self.port.notify();
            return Ok(());
        };
        self.letters[place] = Some(rejected.buffer);
        Err(match rejected.refusal {
            Refusal::Full | Refusal::HostClosed => Error::Again,
            _ => Error::Ended,
        })
    }
}
