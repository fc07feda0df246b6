//! Why something has only one end.

use std::fmt;

/// What is not there of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// So many records between two packets, or at the end of one: they were overwritten, their
    /// packets are not there, or they are in doubt. Of packets that had none of them it is 0.
    Missing(u64),
    /// So many records that were lost while a packet was written: where in it nobody knows, or
    /// just before it.
    Lost(u64),
    /// The rest of a packet that cannot be read.
    Damage,
    /// What nobody wanted to read: before or behind a time, for example.
    Unread,
    /// Records that came when later ones had been read.
    Order,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(0) => f.write_str("packets are missing"),
            Self::Missing(1) => f.write_str("1 record is missing"),
            Self::Missing(records) => write!(f, "{records} records are missing"),
            Self::Lost(1) => f.write_str("1 record was lost"),
            Self::Lost(records) => write!(f, "{records} records were lost"),
            Self::Damage => f.write_str("records cannot be read"),
            Self::Order => f.write_str("records came out of order"),
            Self::Unread => f.write_str("records were not read"),
        }
    }
}

/// Why the other end is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It may be in a gap.
    Gap(Gap),
    /// It was not written, though nothing is missing: its class was switched off, or still was.
    Unwritten,
    /// The stream ends before it.
    End,
    /// More was open than is kept.
    TooMany,
    /// It is not told which thread the CPU ran.
    NoThread,
    /// The thread has ended before.
    Ended,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap(gap) => gap.fmt(f),
            Self::Unwritten => f.write_str("it was not written"),
            Self::End => f.write_str("still open at the end"),
            Self::NoThread => f.write_str("the thread is not known"),
            Self::Ended => f.write_str("the thread has ended"),
            Self::TooMany => f.write_str("too much is open"),
        }
    }
}
