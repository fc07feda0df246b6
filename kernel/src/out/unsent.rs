//! What was not sent, at the end of the machine.

use core::fmt;

use relay::fs::Mount;

use super::stream::Stream;
use super::{copies, pump};
use crate::logs::registry::NAMES;

/// Something that was not sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unsent<'a> {
    /// Nothing of this CPU was sent.
    All {
        /// The CPU.
        cpu: usize,
    },
    /// The stream was not sent to its end.
    Open {
        /// Its CPU.
        cpu: usize,
        /// Its channel.
        path: &'a str,
    },
    /// Packets of the stream were left out: the sink stood still while the console went on.
    LeftOut {
        /// Its CPU.
        cpu: usize,
        /// Its channel.
        path: &'a str,
        /// How many.
        packets: u64,
    },
    /// Nobody knows whether these packets were sent.
    UnderWay {
        /// How many.
        packets: u64,
    },
    /// Nobody knows what was sent: a CPU that did not park is at this pump.
    Unknown {
        /// The pump's number.
        pump: usize,
    },
}

impl fmt::Display for Unsent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All { cpu } => write!(f, "cpu {cpu}: nothing was sent"),
            Self::Open { cpu, path } => write!(f, "cpu {cpu}: {path} was not sent to its end"),
            Self::LeftOut { cpu, path, packets } => {
                write!(f, "cpu {cpu}: {packets} packets of {path} were not sent")
            }
            Self::UnderWay { packets } => write!(f, "{packets} packets may not have arrived"),
            Self::Unknown { pump } => {
                write!(
                    f,
                    "what pump {pump} has sent is not known: a CPU hangs at it"
                )
            }
        }
    }
}

/// Tells of what was not sent, of all CPUs, and why: to `tell` goes what, and the sink. Task
/// context, at the end, on the only CPU that still runs.
pub(crate) fn unsent(mut tell: impl FnMut(Unsent<'_>, &dyn fmt::Display)) {
    pump::each(|number, outlet| {
        let Some(outlet) = outlet else {
            return tell(Unsent::Unknown { pump: number }, &"its lock is taken");
        };
        let Some(outlet) = outlet else {
            for cpu in pump::cpus_of(number).filter(|cpu| has_written(*cpu)) {
                if pump::are_sinks_found() {
                    tell(Unsent::All { cpu }, &"it has no port");
                } else if copies::of(cpu).is_none() {
                    tell(
                        Unsent::All { cpu },
                        &"there are neither ports nor a console",
                    );
                }
            }
            return;
        };
        let way = &mut outlet.way;
        for stream in &way.streams {
            let Stream { cpu, path, .. } = **stream;
            if !stream.is_done() {
                tell(Unsent::Open { cpu, path }, &way.sink);
            }
            let packets = stream.left_out();
            if packets != 0 {
                tell(Unsent::LeftOut { cpu, path, packets }, &way.sink);
            }
        }
        let packets = way.sink.in_flight() as u64 + way.sink.lost() + way.given_up;
        if packets != 0 {
            tell(Unsent::UnderWay { packets }, &way.sink);
        }
    });
}

/// Whether `cpu` has written anything, or tried to.
fn has_written(cpu: usize) -> bool {
    let stats = |mount: &'static Mount| mount.file(cpu).ok()?.stats();
    let mut all = NAMES.channels().filter_map(stats);
    all.any(|stats| stats.records != 0 || stats.lost.total() != 0)
}
