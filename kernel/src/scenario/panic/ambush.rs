//! The moments at which interrupts make the CPU fail: whatever it is in the middle of stays so.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use spin::Once;

use crate::cpu::percpu;
use crate::out::pump;
use crate::scenario::stress::nestings::Place;

/// The first interrupt that finds this makes the CPU fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Any: the timer's.
    Irq,
    /// Any: an NMI.
    Nmi,
    /// An NMI that finds somebody at the CPU's pump.
    Drain,
    /// An NMI that finds the CPU while it moves to another ring.
    Resize,
    /// An NMI that finds the CPU at this place of a write.
    Write(Place),
}

/// In [`VICTIM`]: nobody waits for anything.
const NOBODY: usize = usize::MAX;

/// The CPU that is to fail when the moment has come.
static VICTIM: AtomicUsize = AtomicUsize::new(NOBODY);
/// What it waits for.
static MOMENT: Once<Moment> = Once::new();
/// That CPU moves to another ring.
static IS_RESIZING: AtomicBool = AtomicBool::new(false);

/// The calling CPU fails at the next such moment. Once, in task context.
pub(super) fn lie_in_wait(moment: Moment) {
    MOMENT.call_once(|| moment);
    VICTIM.store(percpu::cpu_index(), Ordering::Release);
}

/// The CPU that waits for its moment, if there is one. Task context.
pub(super) fn victim() -> Option<usize> {
    Some(VICTIM.load(Ordering::Relaxed)).filter(|victim| *victim != NOBODY)
}

/// Does `resize` in such a way that NMIs of the calling CPU know it.
pub(super) fn resizing(resize: impl FnOnce()) {
    let is_victim = mine().is_some();
    if is_victim {
        IS_RESIZING.store(true, Ordering::SeqCst);
    }
    resize();
    if is_victim {
        IS_RESIZING.store(false, Ordering::SeqCst);
    }
}

/// Called in the timer interrupt.
pub(super) fn on_timer() {
    if mine() == Some(Moment::Irq) {
        fail();
    }
}

/// Called in an NMI.
pub(super) fn on_nmi() {
    let has_come = match mine() {
        None | Some(Moment::Irq) => false,
        Some(Moment::Nmi) => true,
        Some(Moment::Drain) => pump::is_attended(),
        Some(Moment::Resize) => IS_RESIZING.load(Ordering::SeqCst),
        Some(Moment::Write(place)) => Place::now() == place,
    };
    if has_come {
        fail();
    }
}

/// What the calling CPU waits for.
fn mine() -> Option<Moment> {
    // ORDERING: pairs with `lie_in_wait`: who sees the CPU sees the moment.
    let victim = VICTIM.load(Ordering::Acquire);
    MOMENT
        .get()
        .copied()
        .filter(|_| victim == percpu::cpu_index())
}

fn fail() -> ! {
    panic!("this is the panic that the scenario is about")
}
