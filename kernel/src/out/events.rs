//! What the trace has of packets on their way out.
//!
//! Those of the trace itself are not told of, but counted, as in
//! [`dev::virtio`](crate::dev::virtio): the next event of another packet says how many there were.
//! And what else a packet of the trace gives rise to (the interrupt when the device is done with it,
//! the halt that this ends) is no reason to ask for the next one: see [`Asking`].

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use relay::SubBuffer;

use crate::base::cpuset::MAX_CPUS;
use crate::cpu::clock::Timeout;
use crate::cpu::percpu;
use crate::dev::packet;
use crate::logs::trace;

relay::event! {
    /// A packet was taken from a ring.
    #[event(channel = "trace", name = "drain_take", facility = "drain", enabled = false)]
    struct DrainTake {
        /// Its channel's number in the metadata.
        stream: u32,
        /// The CPU that has written it.
        cpu: u32,
        /// Its number in the stream.
        packet: u64,
        /// How many records it has.
        records: u32,
        /// How many of the trace itself were taken since that was last said, on this CPU.
        own: u32,
    }

    /// A packet was given to its sink.
    #[event(channel = "trace", name = "drain_submit", facility = "drain", enabled = false)]
    struct DrainSubmit {
        /// Its channel's number in the metadata.
        stream: u32,
        /// The CPU that has written it.
        cpu: u32,
        /// Its number in the stream.
        packet: u64,
        /// The same of those that were given to a sink.
        own: u32,
    }

    /// A packet was given back to its writer.
    #[event(channel = "trace", name = "drain_return", facility = "drain", enabled = false)]
    struct DrainReturn {
        /// Its channel's number in the metadata.
        stream: u32,
        /// The CPU that has written it.
        cpu: u32,
        /// Its number in the stream.
        packet: u64,
        /// The same of those that were given back.
        own: u32,
    }
}

/// A step on a packet's way.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// It was taken from its ring.
    Take,
    /// It was given to its sink.
    Submit,
    /// It was given back.
    Return,
}

/// Packets of the trace itself by step, on each CPU, that were not told of.
static OWN: [[AtomicU32; 3]; MAX_CPUS] = [const { [const { AtomicU32::new(0) }; 3] }; MAX_CPUS];
/// All of them that were given back, on each CPU.
static RETURNED: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// What a packet is, to tell of it when it is somebody else's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parcel {
    stream: u32,
    cpu: u32,
    packet: u64,
    records: u32,
}

impl Parcel {
    /// What this one is.
    pub(super) fn of(packet: &SubBuffer<'static>) -> Self {
        let known = packet.packet();
        Self {
            stream: packet::channel(packet),
            cpu: known.cpu as u32,
            packet: known.sequence,
            records: known.records as u32,
        }
    }

    /// Tells of a step. Task and IRQ context.
    pub(super) fn tell(self, step: Step) {
        let Self {
            stream,
            cpu,
            packet,
            records,
        } = self;
        let me = percpu::cpu_index() % MAX_CPUS;
        let own = &OWN[me][step as usize];
        if stream == trace::NUMBER {
            own.fetch_add(1, Ordering::Relaxed);
            if matches!(step, Step::Return) {
                RETURNED[me].fetch_add(1, Ordering::Relaxed);
            }
            return;
        }
        let own = || own.swap(0, Ordering::Relaxed);
        match step {
            Step::Take => trace::emit(|| DrainTake {
                stream,
                cpu,
                packet,
                records,
                own: own(),
            }),
            Step::Submit => trace::emit(|| DrainSubmit {
                stream,
                cpu,
                packet,
                own: own(),
            }),
            Step::Return => trace::emit(|| DrainReturn {
                stream,
                cpu,
                packet,
                own: own(),
            }),
        }
    }
}

/// How often a CPU is asked for what it has traced and not filled a packet with, in milliseconds. A
/// person sees no difference.
const ASK_MS: u64 = 100;

/// Records that the way of one packet of the trace gives rise to, at most: the interrupt that says
/// that the device is done with it, and the halt that this ends.
const OWN_RECORDS: u64 = 8;

/// When the trace of a CPU is asked for what it has not filled a packet with: not more often than
/// every [`ASK_MS`], and not for the sake of what packets of the trace gave rise to themselves. That
/// waits for whatever is written next.
#[derive(Debug)]
pub(super) struct Asking {
    cpu: usize,
    moment: Timeout,
    /// What the CPU had tried to write, and how many packets of the trace had come back there, when
    /// it was asked last.
    tried: u64,
    returned: u64,
}

impl Asking {
    /// Nothing was asked of `cpu`.
    pub(super) fn new(cpu: usize) -> Self {
        Self {
            cpu,
            moment: Timeout::after_ms(ASK_MS),
            tried: 0,
            returned: 0,
        }
    }

    /// Whether to ask now; that it was done is noted.
    pub(super) fn is_due(&mut self) -> bool {
        if !self.moment.expired() {
            return false;
        }
        let returned = RETURNED[self.cpu % MAX_CPUS].load(Ordering::Relaxed);
        let tried = trace::tried_by(self.cpu);
        let is_due = has_more([self.tried, tried], [self.returned, returned]);
        if is_due {
            self.moment = Timeout::after_ms(ASK_MS);
            (self.tried, self.returned) = (tried, returned);
        }
        is_due
    }
}

/// Whether more was tried, from the one count to the other, than so many packets gave rise to.
fn has_more([since, tried]: [u64; 2], [before, returned]: [u64; 2]) -> bool {
    let own = returned.wrapping_sub(before).saturating_mul(OWN_RECORDS);
    tried.wrapping_sub(since) > own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_packet_of_the_trace_gives_rise_to_asks_for_no_other() {
        assert!(!has_more([5, 5], [0, 0]), "nothing was written");
        assert!(has_more([5, 6], [0, 0]), "one event is enough");
        assert!(!has_more([5, 11], [2, 3]), "all of it was the packet's");
        assert!(has_more([5, 14], [2, 3]), "something else was there");
    }
}
