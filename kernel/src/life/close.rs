//! Closing: the streams of a CPU come to their end.

use core::{hint, ptr};

use relay::StreamError;
use x86_64::instructions::interrupts;

use crate::cpu::patience::Patience;
use crate::logs::registry;
use crate::logs::{claims, klog};
use crate::out::{console, pump, virtio};

/// Ends the streams of the calling CPU: their last packets say that they are the last, and its
/// claims are made. Task context. Nothing is written in between: interrupts are off.
///
/// Where a ring is full, its reader makes room: here, or on the CPU that is at it. A stream whose
/// reader does not move stays open: the end of the machine says so.
pub(crate) fn this_cpu() {
    interrupts::without_interrupts(|| {
        for channel in registry::ALL {
            if ptr::eq(channel, &claims::CHANNEL) {
                registry::claim();
            }
            // klog is read by the console, too; what nobody reads is not waited for.
            let has_reader = ptr::eq(channel, &klog::CHANNEL) || pump::has_sink();
            let patience_ms = if has_reader { pump::PATIENCE_MS } else { 0 };
            let mut patience = Patience::after_ms(patience_ms, pump::moved());
            while channel.close() == Err(StreamError::NoRoom) && !patience.is_over(pump::moved()) {
                virtio::listen();
                console::poll();
                pump::poll();
                hint::spin_loop();
            }
        }
    });
}
