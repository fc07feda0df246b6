//! The serial ports of a PC. The console has one, and the line for packets.

use uart_16550::backend::PioBackend;
use uart_16550::spec::registers::LSR;
use uart_16550::{Config, Uart16550};

/// How often the transmitter is looked at before it counts as stuck: for a second and more, where a
/// look takes 1 us.
const PATIENCE: usize = 1_000_000;

/// A serial port, by the name that firmware gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Com {
    /// The console's.
    Com1,
    Com2,
    Com3,
    Com4,
}

impl Com {
    /// All of them, by number.
    pub(crate) const ALL: [Self; 4] = [Self::Com1, Self::Com2, Self::Com3, Self::Com4];

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Com1 => "COM1",
            Self::Com2 => "COM2",
            Self::Com3 => "COM3",
            Self::Com4 => "COM4",
        }
    }

    /// Its first I/O port on every PC.
    const fn base(self) -> u16 {
        match self {
            Self::Com1 => 0x3f8,
            Self::Com2 => 0x2f8,
            Self::Com3 => 0x3e8,
            Self::Com4 => 0x2e8,
        }
    }

    /// Whether there is one. Task context, before anybody has opened it.
    ///
    /// One that is not there reads as ones, and so looks ready to send: its scratch register, which
    /// keeps nothing, tells.
    pub(crate) fn is_there(self) -> bool {
        self.port().is_some_and(|mut port| port.check_present())
    }

    fn port(self) -> Option<Uart16550<PioBackend>> {
        // SAFETY: the eight I/O ports from `base` on are this serial port's on a PC, or nobody's.
        // Other owners are other CPUs under the lock of the console or the line, or stopped.
        unsafe { Uart16550::new_port(self.base()) }.ok()
    }
}

/// A serial port that somebody has opened.
#[derive(Debug)]
pub(crate) struct Uart {
    port: Uart16550<PioBackend>,
    /// It took nothing for so long that it is not waited for, until it takes something.
    is_stuck: bool,
    /// Bytes that it did not take since it is stuck.
    lost: u64,
    /// There were such.
    has_lost: bool,
}

impl Uart {
    /// Takes a port over and sets it up: 115200 baud, 8 bits, no parity; `None` if there is none.
    /// What is on its way out is waited for, so that a panic that takes it over cuts nothing off.
    pub(crate) fn open(com: Com) -> Option<Self> {
        let mut port = com.port()?;
        for _ in 0..PATIENCE {
            if port.ready_to_send().is_ok() {
                break;
            }
        }
        let mut config = Config::DEFAULT;
        // Nothing watches the line: nobody there is no reason to wait.
        config.check_cts_before_sending = false;
        port.init(config).ok()?;
        Some(Self::of(port))
    }

    /// The same port once more, as it was set up, for who takes it over from an owner that has
    /// stopped.
    pub(crate) fn again(com: Com) -> Option<Self> {
        com.port().map(Self::of)
    }

    fn of(port: Uart16550<PioBackend>) -> Self {
        Self {
            port,
            is_stuck: false,
            lost: 0,
            has_lost: false,
        }
    }

    /// Gives it as many of `bytes` as it takes at once, without waiting: none, or as many as its
    /// FIFO has room for. Returns how many.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> usize {
        self.port.send_bytes(bytes)
    }

    /// A byte that has come, if there is one. What comes while nobody looks is lost when the port's
    /// FIFO is full. A port that has gone away reads as ones, without end.
    pub(crate) fn receive(&mut self) -> Option<u8> {
        self.port.try_receive_byte().ok()
    }

    /// Whether it would take something.
    pub(crate) fn is_ready(&mut self) -> bool {
        self.port.ready_to_send().is_ok()
    }

    /// Whether all that it took has left it.
    pub(crate) fn is_empty(&mut self) -> bool {
        self.port.lsr().contains(LSR::TRANSMITTER_EMPTY)
    }

    /// Sends `bytes`, and waits until all are on their way; a port that takes nothing for a second
    /// is waited for no more, and what it does not take is lost, but [counted](Self::take_lost).
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        let mut tries = 0;
        while !rest.is_empty() {
            let sent = self.port.send_bytes(rest);
            rest = rest.get(sent..).unwrap_or_default();
            if sent != 0 {
                (tries, self.is_stuck) = (0, false);
                continue;
            }
            tries += 1;
            if self.is_stuck || tries == PATIENCE {
                self.is_stuck = true;
                self.lost += rest.len() as u64;
                self.has_lost = true;
                return;
            }
        }
    }

    /// Whether bytes were lost since the port was opened.
    pub(crate) fn has_lost(&self) -> bool {
        self.has_lost
    }

    /// How many bytes were lost, as soon as the port takes something again. Each is told once.
    pub(crate) fn take_lost(&mut self) -> u64 {
        if self.is_stuck {
            return 0;
        }
        core::mem::take(&mut self.lost)
    }
}
