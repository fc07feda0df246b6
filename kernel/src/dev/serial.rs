//! COM1: the only way out of this kernel for text. Only the console uses it.

use uart_16550::backend::PioBackend;
use uart_16550::{Config, Uart16550};

/// The port of COM1 on every PC.
const COM1: u16 = 0x3f8;

/// How often the transmitter is looked at before it counts as stuck.
const PATIENCE: usize = 1_000_000;

/// The serial port.
#[derive(Debug)]
pub(crate) struct Uart(Uart16550<PioBackend>);

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
        Some(Self(port))
    }

    /// Sends `bytes`, and waits until all are on their way.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        let mut tries = 0;
        while !rest.is_empty() && tries < PATIENCE {
            let sent = self.0.send_bytes(rest);
            rest = rest.get(sent..).unwrap_or_default();
            tries = if sent == 0 { tries + 1 } else { 0 };
        }
    }
}
