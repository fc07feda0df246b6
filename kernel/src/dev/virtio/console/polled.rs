//! A port whose only user waits for it: for the end of the machine, when nobody else runs.

use core::fmt;

use super::port::{Piece, Port, Refusal, Rejected};
use crate::dev::virtio::device::Device;

/// What is sent as padding.
static ZEROS: [u8; 8] = [0; 8];

/// A port that sends copies of packets, one after the other. Each call polls; none allocates,
/// takes a lock, or needs an interrupt.
pub(crate) struct Polled<D: Device, const HEADER: usize> {
    port: Port<D, Piece<HEADER>>,
    /// Where a packet's header is kept while the device has it; with the device if `None`.
    header: Option<&'static mut [u8; HEADER]>,
}

/// Why a packet was not sent. The port is of no more use then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stuck {
    /// The port does not take it.
    Refused(Refusal),
    /// The device was not done with it in time.
    Silent,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Silent => f.write_str("the device takes nothing"),
        }
    }
}

impl<D: Device, const HEADER: usize> Polled<D, HEADER> {
    /// Keeps `port` for sending with waiting. `header` is where headers are kept for the device.
    pub(crate) fn new(port: Port<D, Piece<HEADER>>, header: &'static mut [u8; HEADER]) -> Self {
        Self {
            port,
            header: Some(header),
        }
    }

    /// Sends a packet: `header`, then `runs`, then so many bytes of `padding`, at most 8. Waits
    /// until the device is done with it, or `is_over`.
    ///
    /// # Errors
    /// [`Stuck`]; the device may have got a part of it.
    pub(crate) fn send(
        &mut self,
        header: &[u8; HEADER],
        runs: impl Iterator<Item = &'static [u8]>,
        padding: usize,
        is_over: impl Fn() -> bool,
    ) -> Result<(), Stuck> {
        let place = self.header.take().ok_or(Stuck::Silent)?;
        *place = *header;
        let padding = ZEROS.get(..padding).filter(|bytes| !bytes.is_empty());
        let pieces = runs.chain(padding).map(Piece::Run);
        for piece in core::iter::once(Piece::Header(place)).chain(pieces) {
            self.submit(piece, &is_over)?;
        }
        self.port.notify();
        while self.port.in_flight() != 0 {
            self.reclaim_or_wait(&is_over)?;
        }
        Ok(())
    }

    /// Gives a piece to the device, as soon as there is room.
    fn submit(
        &mut self,
        mut piece: Piece<HEADER>,
        is_over: &impl Fn() -> bool,
    ) -> Result<(), Stuck> {
        loop {
            match self.port.submit(piece) {
                Ok(()) => return Ok(()),
                Err(Rejected {
                    buffer,
                    refusal: Refusal::Full,
                }) => piece = buffer,
                Err(Rejected { buffer, refusal }) => {
                    self.take_back(buffer);
                    return Err(Stuck::Refused(refusal));
                }
            }
            self.port.notify();
            self.reclaim_or_wait(is_over)?;
        }
    }

    /// Takes back what the device is done with, or waits a little.
    fn reclaim_or_wait(&mut self, is_over: &impl Fn() -> bool) -> Result<(), Stuck> {
        if let Some(done) = self.port.reclaim() {
            self.take_back(done.into_inner());
            return Ok(());
        }
        if let Some(dead) = self.port.is_dead() {
            return Err(Stuck::Refused(Refusal::Dead(dead)));
        }
        if is_over() {
            return Err(Stuck::Silent);
        }
        core::hint::spin_loop();
        Ok(())
    }

    fn take_back(&mut self, piece: Piece<HEADER>) {
        if let Piece::Header(place) = piece {
            self.header = Some(place);
        }
    }
}

impl<D: Device, const HEADER: usize> fmt::Debug for Polled<D, HEADER> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Polled").field(&self.port).finish()
    }
}
