//! Parking: the end of a CPU in order.

use core::sync::atomic::{AtomicBool, Ordering};

use x86_64::instructions::interrupts;

use super::close;
use crate::arch::{apic, smp, stop};
use crate::base::cpuset::CpuSet;
use crate::cpu::{self, halt_forever};
use crate::out::{console, pump};

/// Set when idle CPUs shall close their streams and park.
static ASKED: AtomicBool = AtomicBool::new(false);

/// Has idle CPUs park.
pub(super) fn ask() {
    ASKED.store(true, Ordering::Release);
}

/// Whether idle CPUs shall park.
pub(super) fn is_asked() -> bool {
    ASKED.load(Ordering::Acquire)
}

/// Closes the streams of this CPU, which is not the boot CPU, and halts for ever. Task context, so
/// that no record of this CPU is half written when it stops.
pub(super) fn park() -> ! {
    close::this_cpu();
    interrupts::enable();
    pump::finish(|| {
        console::poll();
        cpu::wait_for_interrupt();
        interrupts::enable();
    });
    interrupts::disable();
    apic::stop_timer();
    stop::set_parked();
    smp::wake(CpuSet::only(0));
    halt_forever()
}
