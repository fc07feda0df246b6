//! The timer of each CPU, at random times: as an interrupt, or as an NMI.
//!
//! What another CPU sends comes when that CPU runs, and QEMU mostly takes it where the receiver
//! does something slow. A timer comes anywhere; where a clock counts instructions, at any
//! instruction. Each time it comes, its handler sets it anew.

use super::plan::{Plan, Writer};
use super::random::Random;
use crate::arch::apic::{self, Alarm};

/// Sets the timer of the calling CPU, if it shall come at random. Any context.
pub(super) fn set(plan: &Plan, random: &mut Random) {
    let Some(mean) = plan.timer else {
        return;
    };
    let alarm = match random.below(2) {
        0 if plan.has(Writer::Nmi) => Alarm::Nmi,
        _ => Alarm::Interrupt,
    };
    apic::fire_once(random.below(2 * mean), alarm);
}

/// Makes it periodic again, as it is without this scenario, when its handlers do not set it any
/// more. Task context.
pub(super) fn end(plan: &Plan) {
    if plan.timer.is_some() {
        apic::start_timer();
    }
}
