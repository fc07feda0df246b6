//! Waiting until what was written to `flood` has left the machine.

use crate::cpu::patience::Patience;
use crate::cpu::percpu;
use crate::life::idle;
use crate::logs::flood::CHANNEL;
use crate::out::pump;

/// How long nothing may move before it is given up.
const PATIENCE_MS: u64 = 20_000;

/// Waits until the ring of the calling CPU is empty; false if it never was.
///
/// Not what the pump says counts: it may be another CPU's turn, which has seen this one's ring
/// before it was filled.
pub(super) fn wait() -> bool {
    let cpu = percpu::cpu_index();
    wait_for(|| {
        let info = CHANNEL.info(cpu);
        info.is_none_or(|info| info.unread == 0 && info.taken == 0)
    })
}

/// Waits until `is_done`, as long as anything moves; false if it never was. However slow a port is,
/// what it takes is waited for.
pub(super) fn wait_for(is_done: impl Fn() -> bool) -> bool {
    let mut patience = Patience::after_ms(PATIENCE_MS, pump::moved());
    let mut done = false;
    idle::until(|| {
        done = is_done();
        done || patience.is_over(pump::moved())
    });
    done
}
