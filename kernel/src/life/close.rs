//! Closing: the streams of a CPU come to their end.

use core::sync::atomic::{AtomicBool, Ordering};
use core::{hint, ptr};

use relay::StreamError;
use x86_64::instructions::interrupts;

use crate::arch::events::CpuDown;
use crate::cpu::patience::Patience;
use crate::cpu::percpu;
use crate::logs::registry;
use crate::logs::{claims, klog, trace};
use crate::out::{console, intake, pump, virtio};

/// What programs take shall be closed.
static ARE_TAKEN_ASKED: AtomicBool = AtomicBool::new(false);

/// Ends the streams of the calling CPU: their last packets say that they are the last, and its
/// claims are made. Task context. Nothing is written in between: interrupts are off, and
/// NMIs [know](percpu::is_closing).
///
/// Where a ring is full, its reader makes room: here, or on the CPU that is at it. A stream whose
/// reader does not move stays open: the end of the machine says so.
pub(crate) fn this_cpu() {
    interrupts::without_interrupts(|| {
        trace::emit(|| CpuDown {
            cpu_id: percpu::cpu_index() as u32,
        });
        percpu::set_closing();
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
            // klog is read by the console, too; what nobody reads is not waited for: programs have
            // ended.
            let has_reader = match ptr::eq(channel, &klog::CHANNEL) {
                true => intake::has_user(percpu::cpu_index()),
                false => pump::has_sink() && !registry::is_taken_from(channel),
            };
            close(|| registry::close(channel), has_reader, &mut patience);
        }
    });
}

/// Has every CPU close what programs take, when it is idle next: so they see that it has ended. Task
/// context, when nobody writes to it any more but programs, which then lose what they write.
pub(super) fn ask_taken() {
    ARE_TAKEN_ASKED.store(true, Ordering::Relaxed);
}

/// Closes what programs take of the calling CPU, if that was asked for, and as far as there is room:
/// it is tried again the next time. Task context of the CPU's own thread, so that no record is half
/// written.
pub(super) fn taken() {
    if !ARE_TAKEN_ASKED.load(Ordering::Relaxed) {
        return;
    }
    interrupts::without_interrupts(|| {
        percpu::set_closing();
        registry::close_taken(percpu::cpu_index());
        percpu::end_closing();
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
