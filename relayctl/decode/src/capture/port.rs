//! A port as a source of a capture: packets, back to back.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use super::shared::{Shared, take};
use crate::wire::{Kind, Piece, Splitter};

/// Takes the bytes of one port, in a thread of its own if wanted.
#[derive(Debug)]
pub struct Port {
    /// Its number.
    number: u32,
    /// Finds the packets.
    splitter: Splitter,
    /// What all ports write to.
    shared: Arc<Mutex<Shared>>,
}

impl Port {
    pub(super) fn new(number: u32, kind: Kind, shared: Arc<Mutex<Shared>>) -> Self {
        Self {
            number,
            splitter: Splitter::new(kind),
            shared,
        }
    }

    /// Takes the next bytes, in chunks of any length. It never fails: what
    /// cannot be written is counted, and told by
    /// [`Capture::finish`](super::Capture::finish).
    pub fn push(&mut self, chunk: &[u8]) {
        let Self {
            number,
            splitter,
            shared,
        } = self;
        let Ok(()) = splitter.push(chunk, |piece| take(shared, *number, piece));
    }

    /// Takes bytes that are no packet.
    pub(super) fn fragment(&self, bytes: &[u8]) {
        let Ok(()) = take(&self.shared, self.number, Piece::Fragment(bytes));
    }

    /// Ends the port: what is left of it is a fragment.
    pub fn finish(mut self) {
        let Self {
            number,
            splitter,
            shared,
        } = &mut self;
        let Ok(()) = splitter.finish(|piece| take(shared, *number, piece));
    }
}

impl Write for Port {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        self.push(chunk);
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
