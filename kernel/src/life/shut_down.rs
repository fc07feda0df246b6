//! The end of the machine in order.

use super::{close, idle, others};
use crate::cpu::clock::Timeout;
use crate::cpu::patience::Patience;
use crate::dev::{self, ExitCode};
use crate::logs::operator::CpuNotClosed;
use crate::logs::{evlog, snapshot};
use crate::out::{console, control, pump, recorder, sent, syslog_port, takeover, virtio};

/// The longest that the end waits for a snapshot, also while sinks move: something else may keep
/// them moving. Nothing but the word that it was taken is at stake.
const SNAPSHOT_MS: u64 = 30_000;

/// Waits for the snapshot that was asked for last, so that the log tells that it was taken: closing
/// the streams sends all that they hold, and tells of none. What is asked for from here on is not
/// waited for. Task context, on the boot CPU.
pub(crate) fn finish_snapshot() {
    let number = snapshot::asked().number;
    if recorder::has_taken(number) {
        return;
    }
    let longest = Timeout::after_ms(SNAPSHOT_MS);
    let mut patience = Patience::after_ms(pump::PATIENCE_MS, pump::moved());
    idle::until(|| {
        recorder::has_taken(number) || patience.is_over(pump::moved()) || longest.expired()
    });
}

/// Parks the other CPUs: their streams are closed. Says whether all did, and logs which did not.
/// Task context, on the boot CPU.
pub(crate) fn park_others() -> bool {
    // Nothing that programs do holds up the end; what they had is the first to go.
    takeover::take_back();
    sent::tell();
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
    syslog_port::finish(virtio::listen);
    let all_sent = console::finish();
    dev::exit(if all_sent { code } else { ExitCode::Fail })
}
