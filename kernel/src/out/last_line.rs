//! A serial port whose only user waits for it: for the end of the machine, when nobody else runs.

use core::fmt;

use relay::ctf::salvage::PacketCopy;

use crate::dev::serial::{Com, Uart};

/// Sends copies of packets in frames, one after the other. Each call polls; none allocates, takes a
/// lock, or needs an interrupt.
#[derive(Debug)]
pub(super) struct LastLine {
    com: Com,
    /// Where a frame is put together.
    buffer: &'static mut [u8],
}

/// Why a packet was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stuck {
    /// Somebody has taken the port away.
    Gone(Com),
    /// The frame does not fit the buffer.
    NoRoom,
    /// The port took nothing for too long.
    Silent(Com),
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(com) => write!(f, "{} does not answer", com.name()),
            Self::NoRoom => f.write_str("a packet does not fit a frame"),
            Self::Silent(com) => write!(f, "{} takes nothing", com.name()),
        }
    }
}

impl LastLine {
    /// A port that was set up, and a buffer that has room for any packet's frame.
    pub(super) fn new(com: Com, buffer: &'static mut [u8]) -> Self {
        Self { com, buffer }
    }

    /// Its name.
    pub(super) fn name(&self) -> &'static str {
        self.com.name()
    }

    /// Sends a packet, and waits until it has left, or `is_over`. What the port was sending when
    /// its CPU was stopped is cut off: the frame's first byte ends it.
    ///
    /// # Errors
    /// [`Stuck`]; the other side may have got a part of it.
    pub(super) fn send(
        &mut self,
        packet: &PacketCopy<'_>,
        is_over: impl Fn() -> bool,
    ) -> Result<(), Stuck> {
        let Self { com, buffer } = self;
        let size = relay::line::frame(packet.pieces(), buffer).map_err(|_| Stuck::NoRoom)?;
        let mut uart = Uart::again(*com).ok_or(Stuck::Gone(*com))?;
        let mut rest = buffer.get(..size).unwrap_or_default();
        while !rest.is_empty() || !uart.is_empty() {
            let sent = uart.try_send(rest);
            rest = rest.get(sent..).unwrap_or_default();
            if is_over() {
                return Err(Stuck::Silent(*com));
            }
        }
        Ok(())
    }
}
