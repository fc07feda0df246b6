//! Closing: the streams of a CPU come to their end.

use core::{hint, ptr};

use relay::StreamError;
use x86_64::instructions::interrupts;

use crate::logs::claims;
use crate::logs::registry;
use crate::out::{console, pump};

/// Ends the streams of the calling CPU: their last packets say that they are the last, and its
/// claims are made. Task context. Nothing is written in between: interrupts are off.
pub(crate) fn this_cpu() {
    interrupts::without_interrupts(|| {
        for channel in registry::ALL {
            if ptr::eq(channel, &claims::CHANNEL) {
                registry::claim();
            }
            // Where a ring is full, its reader makes room: here, or on the CPU that is at it.
            while channel.close() == Err(StreamError::NoRoom) {
                console::poll();
                pump::poll();
                hint::spin_loop();
            }
        }
    });
}
