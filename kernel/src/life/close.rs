//! Closing: the streams of a CPU come to their end.

use core::sync::atomic::{AtomicU32, Ordering};
use core::{hint, ptr};

use relay::StreamError;
use x86_64::instructions::interrupts;

use crate::base::cpuset::CpuSet;
use crate::cpu::patience::Patience;
use crate::cpu::percpu;
use crate::logs::registry;
use crate::logs::{claims, klog};
use crate::out::{console, intake, pump, virtio};

/// CPUs that have begun to close their streams.
static BEGUN: AtomicU32 = AtomicU32::new(0);

/// Whether the calling CPU has begun to close its streams. An NMI that wrote now could come between
/// the end of a stream and the end of its count: it must not write any more. Any context.
pub(crate) fn has_begun() -> bool {
    CpuSet::from_bits(BEGUN.load(Ordering::Relaxed)).contains(percpu::cpu_index())
}

/// Ends the streams of the calling CPU: their last packets say that they are the last, and its
/// claims are made. Task context. Nothing is written in between: interrupts are off, and
/// NMIs [know](has_begun).
///
/// Where a ring is full, its reader makes room: here, or on the CPU that is at it. A stream whose
/// reader does not move stays open: the end of the machine says so.
pub(crate) fn this_cpu() {
    interrupts::without_interrupts(|| {
        let me = CpuSet::only(percpu::cpu_index());
        BEGUN.fetch_or(me.bits(), Ordering::Relaxed);
        // One patience for all, so that it is known how long this takes at most.
        let mut patience = Patience::after_ms(pump::PATIENCE_MS, pump::moved());
        for channel in registry::all() {
            if ptr::eq(channel, &claims::CHANNEL) {
                // What all CPUs write ends with the last of them.
                if percpu::cpu_index() == 0 {
                    close(registry::close_shared, pump::has_sink(), &mut patience);
                }
                registry::claim();
            }
            // klog is read by the console, too; what nobody reads is not waited for.
            let has_reader = match ptr::eq(channel, &klog::CHANNEL) {
                true => intake::has_user(percpu::cpu_index()),
                false => pump::has_sink(),
            };
            close(|| registry::close(channel), has_reader, &mut patience);
        }
    });
}

/// Closes a stream: where its ring is full, its reader makes room first, if it has one.
fn close(close: impl Fn() -> Result<(), StreamError>, has_reader: bool, patience: &mut Patience) {
    while close() == Err(StreamError::NoRoom) && has_reader && !patience.is_over(pump::moved()) {
        virtio::listen();
        console::poll();
        pump::poll();
        hint::spin_loop();
    }
}
