//! klog on its way from the console, which has printed it, to the sink.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;
use relay::SubBuffer;
use spin::Once;

use crate::base::cpuset::MAX_CPUS;

/// Sub-buffers that wait for their sink, per CPU, at most. Where a sink stalls, the rest of the
/// ring is left to the console, and the capture misses what does not fit.
const WAITING: usize = 12;

/// There is a sink, or it was not looked for yet.
static IS_WANTED: AtomicBool = AtomicBool::new(true);

/// What waits, of each CPU.
static QUEUES: [Once<ArrayQueue<SubBuffer<'static>>>; MAX_CPUS] = [const { Once::new() }; MAX_CPUS];

/// Sub-buffers that were not sent, because they would have stood in the way of the console.
static SKIPPED: AtomicU64 = AtomicU64::new(0);

/// Keeps what is printed of the klog of `cpus` CPUs from now on, for the sinks that may be found.
/// Task context on the boot CPU, before the console starts.
pub(crate) fn keep(cpus: usize) {
    for queue in QUEUES.iter().take(cpus) {
        queue.call_once(|| ArrayQueue::new(WAITING));
    }
}

/// Keeps nothing any more: there is no sink. What was kept goes back to its writers.
pub(super) fn give_up() {
    IS_WANTED.store(false, Ordering::Release);
    for queue in QUEUES.iter().filter_map(Once::get) {
        while queue.pop().is_some() {}
    }
}

/// Whether the klog of `cpu` is kept.
pub(super) fn is_kept(cpu: usize) -> bool {
    QUEUES.get(cpu).is_some_and(Once::is_completed)
}

/// Takes a sub-buffer that was printed. Any CPU.
pub(super) fn put(subbuf: SubBuffer<'static>) {
    let packet = *subbuf.packet();
    let Some(queue) = QUEUES.get(packet.cpu).and_then(Once::get) else {
        return;
    };
    if !IS_WANTED.load(Ordering::Acquire) {
        return;
    }
    // The last one of a stream says that it is, and tells of all losses: rather skip another.
    let left_out = if packet.is_final {
        queue.force_push(subbuf)
    } else {
        queue.push(subbuf).err()
    };
    if left_out.is_some() {
        SKIPPED.fetch_add(1, Ordering::Relaxed);
    }
}

/// The next sub-buffer of `cpu`.
pub(super) fn take(cpu: usize) -> Option<SubBuffer<'static>> {
    QUEUES.get(cpu)?.get()?.pop()
}

/// How many sub-buffers were not captured because their sink was too slow.
pub(super) fn skipped() -> u64 {
    SKIPPED.load(Ordering::Relaxed)
}
