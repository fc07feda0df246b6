//! The ways out: the text for people, and the packets for the host.
//!
//! From the ground up; a lower file never imports a higher one:
//!
//! - [`waker`]: how programs are woken that drain;
//! - [`sink`]: what takes packets out of the machine; [`watch`]: what the operators are told of it;
//! - [`copies`]: what the console has yet to print; [`intake`]: klog's only consumer;
//! - [`description`]: the metadata, which each port begins with;
//! - [`events`]: what the trace has of packets; [`recorder`]: when a flight recorder is read;
//! - [`shown`]: records that can be read before their packet is complete;
//! - [`stream`]: a stream on its way out; [`outlet`]: a sink, and what leaves through it;
//! - [`pump`]: the kernel's drain; [`takeover`]: streams that programs drain; [`sent`]: who has sent
//!   how much; [`unsent`]: what was not sent;
//! - [`salvage`]: what a panic finds unsent;
//! - [`control`]: what a host asks, and is told; [`control_port`]: over a virtio port of its own;
//! - [`syslog_port`]: what programs tell syslog, over another;
//! - [`virtio`]: sinks of a virtio-console; [`line`](mod@line): the sink of a serial port; [`ways`]: which;
//! - [`drain`]: klog of all CPUs, merged; [`console`]: prints it.

pub(crate) mod console;
pub(crate) mod control;
mod control_port;
mod copies;
pub(crate) mod description;
mod drain;
mod events;
pub(crate) mod intake;
mod last_line;
mod line;
mod outlet;
pub(crate) mod pump;
pub(crate) mod recorder;
pub(crate) mod salvage;
pub(crate) mod sent;
pub(crate) mod shown;
mod sink;
pub(crate) mod stream;
pub(crate) mod syslog_port;
pub(crate) mod takeover;
pub(crate) mod unsent;
pub(crate) mod virtio;
pub(crate) mod waker;
mod watch;
pub(crate) mod ways;
