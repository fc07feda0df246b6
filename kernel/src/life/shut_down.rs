//! The end of the machine in order.

use super::{close, others};
use crate::dev::{self, ExitCode};
use crate::logs::evlog;
use crate::logs::operator::CpuNotClosed;
use crate::out::{console, control, pump, virtio};

/// Parks the other CPUs: their streams are closed. Says whether all did, and logs which did not.
/// Task context, on the boot CPU.
pub(crate) fn park_others() -> bool {
    // What a host asks for from here on would be logged behind the end of the log.
    control::close();
    let awake = others::park();
    if !awake.is_empty() {
        relay::error!("these CPUs did not close their streams: {awake}");
        for cpu in awake.iter() {
            evlog::emit(|| CpuNotClosed { cpu: cpu as u32 });
        }
    }
    awake.is_empty()
}

/// Closes the streams of this CPU, has everything printed and sent, and ends the machine: as failed
/// if something could not be sent. Nothing is logged after it. Task context, on the only CPU that
/// still runs.
pub(crate) fn shut_down(code: ExitCode) -> ! {
    close::this_cpu();
    pump::finish_all(|| {
        virtio::listen();
        console::poll();
    });
    let all_sent = console::finish();
    dev::exit(if all_sent { code } else { ExitCode::Fail })
}
