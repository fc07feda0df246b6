//! What all ports and lines of a capture write to.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::intake::Intake;
use super::salvage::Waiting;
use super::store::Store;
use crate::wire::{Piece, crc32c};

/// What all ports write to.
#[derive(Debug)]
pub(super) struct Shared {
    /// Takes packets.
    pub(super) intake: Intake,
    /// What a stopped CPU left.
    pub(super) waiting: Waiting,
}

/// The shared part; a thread that panicked leaves it usable.
pub(super) fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// The files.
    pub(super) fn store(&mut self) -> &mut Store {
        &mut self.intake.store
    }

    /// Takes what a port has found; `crc` is that of a packet.
    fn take(&mut self, port: u32, piece: Piece<'_>, crc: u32) {
        let Self { intake, waiting } = self;
        match piece {
            Piece::Fragment(bytes) => intake.store.fragment(Path::new(""), port, bytes),
            Piece::Packet(header, packet) if header.is_salvaged => {
                waiting.take(&mut intake.store, port, header, packet);
            }
            Piece::Packet(header, packet) => intake.packet(port, header, packet, crc),
        }
    }

    /// Puts what a stopped CPU left where it belongs.
    pub(super) fn settle(&mut self) {
        self.waiting.settle(&mut self.intake);
        self.intake.conclude();
        self.intake.store.conclude();
    }
}

/// Takes what a port has found. Its checksum, a small part of the whole, is made before the lock:
/// the console has a thread of its own, which need not wait for it.
pub(super) fn take(shared: &Mutex<Shared>, port: u32, piece: Piece<'_>) -> Result<(), Infallible> {
    let crc = match piece {
        Piece::Packet(_, packet) => crc32c(packet),
        Piece::Fragment(_) => 0,
    };
    lock(shared).take(port, piece, crc);
    Ok(())
}
