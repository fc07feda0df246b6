//! What the operators are told of a way out: that its other side has gone or is back, that it does
//! not move, that it will never move again.

use super::sink::Sink;
use crate::cpu::clock::Timeout;
use crate::logs::evlog;
use crate::logs::operator::{DrainGaveUp, PortClosed, PortMoved, PortOpened, PortStalled};

/// How long it may not move before that is told, in milliseconds. Emulated machines stand still for
/// some 100 ms when the host is busy.
const STALL_MS: u64 = 2_000;

/// What is known of a sink.
pub(super) struct Watch {
    is_open: bool,
    /// Since when it is stuck, if it is: until then it is patience.
    patience: Option<Timeout>,
    is_stalled: bool,
}

impl Watch {
    /// It is there, and moves, until it is seen that it does not.
    pub(super) fn new() -> Self {
        Self {
            is_open: true,
            patience: None,
            is_stalled: false,
        }
    }

    /// Looks at it, after a turn; whether it `is_stuck`: it has something, and nothing has moved.
    /// Task and IRQ context.
    pub(super) fn look(&mut self, sink: &dyn Sink, is_stuck: bool) {
        let is_open = sink.is_open();
        if is_open != self.is_open {
            self.is_open = is_open;
            let port = evlog::text(&sink);
            match is_open {
                true => evlog::emit(|| PortOpened { port: &port }),
                false => evlog::emit(|| PortClosed { port: &port }),
            }
        }
        // That a closed one does not move was told.
        if !is_stuck || !is_open {
            self.patience = None;
            if core::mem::take(&mut self.is_stalled) {
                let port = evlog::text(&sink);
                evlog::emit(|| PortMoved { port: &port });
            }
            return;
        }
        let patience = self
            .patience
            .get_or_insert_with(|| Timeout::after_ms(STALL_MS));
        if !self.is_stalled && patience.expired() {
            self.is_stalled = true;
            let port = evlog::text(&sink);
            evlog::emit(|| PortStalled { port: &port });
        }
    }
}

/// The sink will never send anything again.
pub(super) fn tell_the_end(sink: &dyn Sink) {
    let port = evlog::text(&sink);
    evlog::emit(|| DrainGaveUp { port: &port });
}
