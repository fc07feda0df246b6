//! What boot leaves behind for the kernel to read.

use core::cell::UnsafeCell;

use crate::error::Report;
use crate::image::KernelImage;
use crate::plan::Plan;
use crate::pvh::Machine;

/// Everything that boot learns and decides. Static, because it is larger than a stack should
/// bear, and because the kernel reads parts of it for as long as it runs.
#[derive(Debug)]
pub(crate) struct State {
    /// Time-stamp counter at the first instruction.
    pub(crate) entry_ticks: u64,
    /// What the loader said.
    pub(crate) machine: Machine,
    /// What went wrong.
    pub(crate) report: Report,
    /// Where the kernel lies.
    pub(crate) image: KernelImage,
    /// What was built.
    pub(crate) plan: Plan,
    /// Physical address of the ACPI root pointer.
    pub(crate) rsdp: Option<u64>,
}

struct Cell(UnsafeCell<State>);

// SAFETY: written only through `during_boot`, whose caller guarantees that nobody else is there;
// afterwards only read.
unsafe impl Sync for Cell {}

static STATE: Cell = Cell(UnsafeCell::new(State {
    entry_ticks: 0,
    machine: Machine::unknown(),
    report: Report::new(),
    image: KernelImage {
        text: 0..0,
        rodata: 0..0,
        data: 0..0,
        physical: 0..0,
    },
    plan: Plan::new(),
    rsdp: None,
}));

/// The state, for writing.
///
/// # Safety
/// Only one CPU runs, the kernel was not entered yet, and no other reference from this function or
/// from [`get`] is alive.
#[cfg(target_os = "none")]
pub(crate) unsafe fn during_boot() -> &'static mut State {
    // SAFETY: the caller guarantees that this is the only reference, and that later ones come
    // from `get` after the last use of this one.
    unsafe { &mut *STATE.0.get() }
}

/// The state as boot left it; on the host, where there is no boot, the state before it.
pub(crate) fn get() -> &'static State {
    // SAFETY: whoever calls this runs in the kernel; boot's last use of its mutable reference is
    // before the kernel's entry, and other CPUs start after it.
    unsafe { &*STATE.0.get() }
}
