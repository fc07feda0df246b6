//! Files of relay, as programs see them.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum How {
    /// To look at: what is read is a copy, any number of observers may be there.
    Observe = 0,
    /// To consume: each packet once; one consumer at a time.
    Consume = 1,
    /// To drain: the stream is taken over from the kernel. Packets are taken as by a consumer, but
    /// leave the machine through an outlet. What is given back, or held when the file is closed, is
    /// the stream's again, in its place. One at a time.
    Drain = 2,
}

impl How {
    /// What this number means.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            0 => Some(Self::Observe),
            1 => Some(Self::Consume),
            2 => Some(Self::Drain),
            _ => None,
        }
    }
}

/// What the operators are told of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Notice {
    /// It has died and is started again; the number: how often, with this. Needs `SPAWN`.
    Restarted = 0,
    /// It dies too often and is left alone; the number: how often it was started again. Needs
    /// `SPAWN`.
    GivenUp = 1,
    /// It could not pass on so many records, all in all. Needs `WRITE`; the name is the program's
    /// own, whatever it passes.
    Lost = 2,
}

impl Notice {
    /// What this number means.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            0 => Some(Self::Restarted),
            1 => Some(Self::GivenUp),
            2 => Some(Self::Lost),
            _ => None,
        }
    }
}

/// What is known of a stream. All sizes are in bytes, all counts are of records, but where it says
/// otherwise; those of writers are exact when the stream's CPU is quiet.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct FileInfo {
    /// The size of a sub-buffer.
    pub subbuf_size: u64,
    /// How many sub-buffers its ring has.
    pub subbuf_count: u64,
    /// Bit 0: the ring overwrites what nobody has read; bit 1: it can be mapped; bit 2: the stream
    /// has ended.
    pub flags: u64,
    /// The CPU that writes it.
    pub cpu: u64,
    /// Records that were written.
    pub committed: u64,
    /// Records that were lost, for any reason.
    pub lost: u64,
    /// Records that were overwritten before anybody had read them.
    pub overwritten: u64,
    /// Bytes that could be read now; 0 where it is not known (observers).
    pub available: u64,
    /// Packets that the handle holds.
    pub held: u64,
    /// The time up to which all that was written could be read, in ticks of the clock; 0 where it is
    /// not known.
    pub quiet_since: u64,
    /// Records that syslog has been told of, or that were passed over there: what the last
    /// [`Mark`](crate::Mark) of the stream says, whoever has set it.
    pub told: u64,
}

/// What a poll waits for at one handle, and what was found.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct PollItem {
    /// The handle.
    pub handle: u32,
    /// What is waited for: bits of [`ready`].
    pub wanted: u16,
    /// What is there: the kernel writes it.
    pub found: u16,
}

/// What can be found at a handle.
pub mod ready {
    /// A file: there is something to take or to read. A port: a message, or notification bits.
    pub const READABLE: u16 = 1;
    /// A file: it has ended, and all was read. A process: it has ended.
    pub const ENDED: u16 = 1 << 1;
    /// A file that is drained: its outlet takes packets again, or will never. The way to syslog: it
    /// takes messages, or will never.
    pub const WRITABLE: u16 = 1 << 2;
    /// The handle is not one. It is always reported, wanted or not.
    pub const BAD: u16 = 1 << 15;
}
