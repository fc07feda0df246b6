//! The fixed part of a packet.

use std::fmt;

use relay_format::packet::{
    self, CUT, FINAL, GRAIN, MAGIC, MAX_CPUS, MAX_SIZE, SALVAGED, SIZE as HEADER_SIZE,
};
use relay_format::{Loss, Losses};

/// The fixed part of one packet, checked for contradictions within itself.
///
/// Sizes are in bytes here, in bits on the wire. Times are in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The boot that the packet belongs to.
    pub uuid: [u8; 16],
    /// The channel's number, 0 for metadata.
    pub stream_id: u32,
    /// The CPU, below 65536.
    pub cpu: u32,
    /// When the packet was opened.
    pub begin: u64,
    /// When it was closed.
    pub end: u64,
    /// Bytes of header and records, at least [`HEADER_SIZE`].
    pub content_size: u64,
    /// Bytes of the whole packet, a multiple of 8.
    pub packet_size: u64,
    /// Number of the packet in its stream.
    pub number: u64,
    /// Whether the stream was closed with this packet.
    pub is_final: bool,
    /// Whether it was made from what a stopped CPU left.
    pub is_salvaged: bool,
    /// Whether some of its records are in doubt, and left out.
    pub is_cut: bool,
    /// Records in the packets before this one.
    pub ordinal: u64,
    /// Records in this packet; those that are left out because they are in doubt, too.
    pub records: u64,
    /// Records lost since the stream began, up to the closing.
    pub lost: Losses,
    /// Records overwritten unread, up to the delivery.
    pub overwritten: u64,
    /// Records that were under way in what a stopped CPU left.
    pub uncommitted: u64,
}

/// How a header contradicts itself or the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// It does not begin with [`MAGIC`].
    Magic(u32),
    /// The sizes, in bits, cannot be.
    Sizes {
        /// Of header and records.
        content: u64,
        /// Of the packet.
        packet: u64,
    },
    /// The stream's instance is not the CPU, or no CPU.
    Cpu {
        /// What `stream_instance_id` says.
        instance: u64,
        /// What `cpu_id` says.
        cpu: u32,
    },
    /// It ends before it begins.
    Times {
        /// Ticks of the opening.
        begin: u64,
        /// Ticks of the closing.
        end: u64,
    },
    /// The losses by reason are not `events_discarded`.
    Losses {
        /// What `events_discarded` says.
        discarded: u64,
    },
    /// Flags that this version of the format does not have, or that cannot be together.
    Flags(u32),
    /// A count that leaves no room for what it counts.
    Count(u64),
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic(magic) => {
                write!(f, "it begins with {magic:#010x} instead of {MAGIC:#010x}")
            }
            Self::Sizes { content, packet } => write!(
                f,
                "sizes of {content} and {packet} bits; {} <= content_size <= packet_size <= {}, \
                 both in whole bytes, packet_size in multiples of 64 would be right",
                HEADER_SIZE * 8,
                MAX_SIZE * 8
            ),
            Self::Cpu { instance, cpu } => write!(
                f,
                "stream_instance_id {instance} and cpu_id {cpu} should be equal, and below 65536"
            ),
            Self::Times { begin, end } => {
                write!(f, "it ends at {end} ticks, before it begins at {begin}")
            }
            Self::Losses { discarded } => write!(
                f,
                "events_discarded is {discarded}, which is not the sum of the losses by reason"
            ),
            Self::Flags(flags) => write!(f, "flags {flags:#x} cannot be"),
            Self::Count(count) => write!(f, "a count of {count} cannot be"),
        }
    }
}

impl std::error::Error for HeaderError {}

impl Header {
    /// Reads the first bytes of a packet.
    ///
    /// # Errors
    ///
    /// When they are not a sound header.
    pub fn parse(header: &[u8; HEADER_SIZE]) -> Result<Self, HeaderError> {
        let raw = packet::Header::from_bytes(header);
        if raw.magic != MAGIC {
            return Err(HeaderError::Magic(raw.magic));
        }
        let (content, packet) = (raw.content_size, raw.packet_size);
        let sound = content >= HEADER_SIZE as u64 * 8
            && content <= packet
            && packet <= MAX_SIZE * 8
            && content.is_multiple_of(8)
            && packet.is_multiple_of(GRAIN as u64 * 8);
        if !sound {
            return Err(HeaderError::Sizes { content, packet });
        }
        let (instance, cpu) = (raw.stream_instance_id, raw.cpu_id);
        if instance != u64::from(cpu) || instance >= MAX_CPUS {
            return Err(HeaderError::Cpu { instance, cpu });
        }
        let (begin, end) = (raw.timestamp_begin, raw.timestamp_end);
        if begin > end {
            return Err(HeaderError::Times { begin, end });
        }
        let (lost, discarded) = (raw.losses(), raw.events_discarded);
        if lost.checked_total() != Some(discarded) {
            return Err(HeaderError::Losses { discarded });
        }
        let flags = raw.flags;
        let is_sound = match flags & CUT {
            0 => flags & !(FINAL | SALVAGED) == 0,
            // What is left out did not come to its end.
            _ => flags == SALVAGED | CUT,
        };
        if !is_sound {
            return Err(HeaderError::Flags(flags));
        }
        let parsed = Self {
            uuid: raw.uuid,
            stream_id: raw.stream_id,
            cpu,
            begin,
            end,
            content_size: content / 8,
            packet_size: packet / 8,
            number: raw.packet_seq_num,
            is_final: flags & FINAL != 0,
            is_salvaged: flags & SALVAGED != 0,
            is_cut: flags & CUT != 0,
            ordinal: raw.ordinal,
            records: raw.records,
            lost,
            overwritten: raw.overwritten,
            uncommitted: raw.uncommitted,
        };
        // Later sums rely on this: no two of these counts overflow together.
        let counts = [
            parsed.number,
            parsed.ordinal,
            parsed.records,
            discarded,
            parsed.overwritten,
            parsed.uncommitted,
        ];
        match counts.into_iter().find(|count| *count >= 1 << 60) {
            Some(count) => Err(HeaderError::Count(count)),
            None => Ok(parsed),
        }
    }

    /// Reads the header of a packet or of its beginning; `None` where there is
    /// less than a header.
    #[must_use]
    pub fn of(packet: &[u8]) -> Option<Result<Self, HeaderError>> {
        packet.first_chunk().map(Self::parse)
    }

    /// What the packet holds after its header, without padding. `packet` are
    /// the packet's bytes; what is not there is left out.
    #[must_use]
    pub fn contents<'a>(&self, packet: &'a [u8]) -> &'a [u8] {
        let end = usize::try_from(self.content_size).unwrap_or(usize::MAX);
        packet
            .get(HEADER_SIZE..end.min(packet.len()))
            .unwrap_or_default()
    }

    /// What is counted from the stream's beginning on, by name: it never falls.
    pub(crate) fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let lost = self.lost;
        let lost = Loss::ALL
            .into_iter()
            .map(move |loss| (loss.name(), lost.get(loss)));
        lost.chain([
            ("overwritten", self.overwritten),
            ("uncommitted", self.uncommitted),
        ])
    }

    /// Attempts that the stream's ledger shows at the end of this packet.
    #[must_use]
    pub fn attempted(&self) -> u64 {
        self.ordinal + self.records + self.lost.total() + self.uncommitted
    }
}
