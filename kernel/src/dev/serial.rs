//! COM1: the only way out of this kernel for text. Only the console uses it.

use uart_16550::backend::PioBackend;
use uart_16550::{Config, Uart16550};

/// The port of COM1 on every PC.
const COM1: u16 = 0x3f8;

/// How often the transmitter is looked at before it counts as stuck: for a second and more, where a
/// look takes 1 us.
const PATIENCE: usize = 1_000_000;

/// The serial port.
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
    /// Takes the port over and sets it up; `None` if there is none. What is on its way out is
    /// waited for, so that a panic that takes it over cuts nothing off.
    pub(crate) fn open() -> Option<Self> {
        // SAFETY: the eight ports from 0x3f8 are COM1's on a PC, or nobody's. Other owners are
        // other CPUs under the console's lock, or stopped.
        let mut port = unsafe { Uart16550::new_port(COM1) }.ok()?;
        for _ in 0..PATIENCE {
            if port.ready_to_send().is_ok() {
                break;
            }
        }
        let mut config = Config::DEFAULT;
        // Nothing watches the line: nobody there is no reason to wait.
        config.check_cts_before_sending = false;
        port.init(config).ok()?;
        Some(Self {
            port,
            is_stuck: false,
            lost: 0,
            has_lost: false,
        })
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
