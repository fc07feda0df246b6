//! The header that every packet begins with.
//!
//! It is declared once, as [`Header`]: the fields of the structure are those on the wire, in their
//! order, without gaps. [`FIELDS`] is the same for who describes or checks it.
//!
//! ```
//! use relay_format::packet::{FINAL, Header, MAGIC, SIZE};
//!
//! let header = Header { magic: MAGIC, cpu_id: 3, flags: FINAL, records: 7, ..Header::default() };
//! let bytes: [u8; SIZE] = header.to_bytes();
//! assert_eq!(bytes[..4], MAGIC.to_le_bytes());
//! assert_eq!(Header::from_bytes(&bytes), header);
//! ```

use crate::{Loss, Losses};

/// The first four bytes of a packet, as a number.
pub const MAGIC: u32 = 0xC1FC_1FC1;

/// In `flags`: the stream was closed with this packet.
pub const FINAL: u32 = 1;

/// In `flags`: made from what a stopped CPU left.
pub const SALVAGED: u32 = 2;

/// In `flags`, beside [`SALVAGED`]: some of its records are in doubt, and left out.
pub const CUT: u32 = 4;

/// Packets are padded to a multiple of this many bytes.
pub const GRAIN: usize = 8;

/// The largest packet that the format knows, in bytes.
pub const MAX_SIZE: u64 = 1 << 31;

/// CPUs have numbers below this.
pub const MAX_CPUS: u64 = 1 << 16;

/// Bytes of a packet with `content` bytes of header and records: the next multiple of [`GRAIN`].
#[must_use]
pub const fn padded(content: usize) -> usize {
    content.next_multiple_of(GRAIN)
}

/// The type of a field of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// A number of 32 bits.
    U32,
    /// A number of 64 bits.
    U64,
    /// A time: a number of 64 bits, in ticks.
    Ticks,
    /// 16 bytes.
    Uuid,
}

impl FieldType {
    /// Bytes of such a field.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::U32 => 4,
            Self::U64 | Self::Ticks => 8,
            Self::Uuid => 16,
        }
    }
}

/// A field of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderField {
    /// Its name in the metadata.
    pub name: &'static str,
    /// Its type.
    pub kind: FieldType,
    /// Where it begins, in bytes from the packet's begin.
    pub offset: usize,
}

/// Declares the header: structure, table, bytes.
macro_rules! header {
    ($($(#[$doc:meta])* $name:ident: $rust:ty = $kind:ident,)*) => {
        /// The header of a packet, as it is on the wire. Nothing about it has been checked.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Header {
            $($(#[$doc])* pub $name: $rust,)*
        }

        /// The fields of [`Header`], in order.
        pub const FIELDS: [HeaderField; [$(stringify!($name)),*].len()] = {
            let mut fields = [$(HeaderField {
                name: stringify!($name),
                kind: FieldType::$kind,
                offset: 0,
            }),*];
            let (mut i, mut offset) = (0, 0);
            while i < fields.len() {
                fields[i].offset = offset;
                offset += fields[i].kind.size();
                i += 1;
            }
            fields
        };

        /// Bytes of the header.
        pub const SIZE: usize = $(size_of::<$rust>() +)* 0;

        impl Header {
            /// Its bytes.
            #[must_use]
            pub fn to_bytes(&self) -> [u8; SIZE] {
                let mut bytes = [0; SIZE];
                let rest = &mut bytes[..];
                $(let rest = put(rest, &self.$name.wire());)*
                debug_assert!(rest.is_empty());
                bytes
            }

            /// Reads one.
            #[must_use]
            pub fn from_bytes(bytes: &[u8; SIZE]) -> Self {
                let rest = &bytes[..];
                $(let ($name, rest) = take(rest);)*
                debug_assert!(rest.is_empty());
                Self { $($name: <$rust>::unwire($name),)* }
            }
        }
    };
}

header! {
    /// [`MAGIC`].
    magic: u32 = U32,
    /// The same in all packets and the metadata of one boot.
    uuid: [u8; 16] = Uuid,
    /// The channel's number; 0 is the metadata.
    stream_id: u32 = U32,
    /// The CPU.
    stream_instance_id: u64 = U64,
    /// Ticks: time of the opening.
    timestamp_begin: u64 = Ticks,
    /// Ticks: time of the closing.
    timestamp_end: u64 = Ticks,
    /// Bits: header and records.
    content_size: u64 = U64,
    /// Bits: with padding, a multiple of 64 bits.
    packet_size: u64 = U64,
    /// Number of the packet in its stream, from 0.
    packet_seq_num: u64 = U64,
    /// The sum of the six `lost_` counts.
    events_discarded: u64 = U64,
    /// The CPU.
    cpu_id: u32 = U32,
    /// [`FINAL`], [`SALVAGED`], [`CUT`].
    flags: u32 = U32,
    /// Number of the packet's first record in the stream.
    ordinal: u64 = U64,
    /// Records in the packet, fillers not counted.
    records: u64 = U64,
    /// Records lost up to the closing, since the stream began: [`Loss::Full`].
    lost_full: u64 = U64,
    /// [`Loss::TooBig`].
    lost_too_big: u64 = U64,
    /// [`Loss::Wrapped`].
    lost_wrapped: u64 = U64,
    /// [`Loss::Nested`].
    lost_nested: u64 = U64,
    /// [`Loss::Closed`].
    lost_closed: u64 = U64,
    /// [`Loss::Discarded`].
    lost_discarded: u64 = U64,
    /// Records overwritten unread, up to the delivery.
    overwritten: u64 = U64,
    /// Records that were under way when their CPU was stopped, and are left out, since the stream
    /// began.
    uncommitted: u64 = U64,
}

/// The first so many of [`FIELDS`] are CTF's packet header, the others its packet context.
pub const TRACE_FIELDS: usize = 4;

impl Header {
    /// The losses by reason.
    #[must_use]
    pub const fn losses(&self) -> Losses {
        Losses([
            self.lost_full,
            self.lost_too_big,
            self.lost_wrapped,
            self.lost_nested,
            self.lost_closed,
            self.lost_discarded,
        ])
    }

    /// The same header with these losses, and their sum.
    #[must_use]
    pub fn with_losses(self, losses: &Losses) -> Self {
        Self {
            events_discarded: losses.total(),
            lost_full: losses.get(Loss::Full),
            lost_too_big: losses.get(Loss::TooBig),
            lost_wrapped: losses.get(Loss::Wrapped),
            lost_nested: losses.get(Loss::Nested),
            lost_closed: losses.get(Loss::Closed),
            lost_discarded: losses.get(Loss::Discarded),
            ..self
        }
    }
}

/// What a field may be in the structure.
trait Wire<const N: usize> {
    fn wire(&self) -> [u8; N];
    fn unwire(bytes: [u8; N]) -> Self;
}

impl Wire<4> for u32 {
    fn wire(&self) -> [u8; 4] {
        self.to_le_bytes()
    }

    fn unwire(bytes: [u8; 4]) -> Self {
        Self::from_le_bytes(bytes)
    }
}

impl Wire<8> for u64 {
    fn wire(&self) -> [u8; 8] {
        self.to_le_bytes()
    }

    fn unwire(bytes: [u8; 8]) -> Self {
        Self::from_le_bytes(bytes)
    }
}

impl Wire<16> for [u8; 16] {
    fn wire(&self) -> [u8; 16] {
        *self
    }

    fn unwire(bytes: [u8; 16]) -> Self {
        bytes
    }
}

/// Puts a field at the begin of `bytes`, which has room for it; returns what is behind it.
#[inline(always)]
fn put<'b, const N: usize>(bytes: &'b mut [u8], field: &[u8; N]) -> &'b mut [u8] {
    let Some((place, rest)) = bytes.split_first_chunk_mut() else {
        return &mut [];
    };
    *place = *field;
    rest
}

/// The field at the begin of `bytes`, which holds one; and what is behind it.
#[inline(always)]
fn take<const N: usize>(bytes: &[u8]) -> ([u8; N], &[u8]) {
    match bytes.split_first_chunk() {
        Some((field, rest)) => (*field, rest),
        None => ([0; N], &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_read_as_it_was_written() {
        let mut bytes = [0; SIZE];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = i as u8;
        }
        let header = Header::from_bytes(&bytes);
        assert_eq!(header.to_bytes(), bytes);
        assert_eq!(header.magic, 0x0302_0100);
        assert_eq!(header.uncommitted.to_le_bytes(), bytes[160..]);
    }

    #[test]
    fn the_table_has_every_field_and_no_gap() {
        let mut end = 0;
        for field in FIELDS {
            assert_eq!(field.offset, end, "{}", field.name);
            end += field.kind.size();
        }
        assert_eq!(end, SIZE);
        assert_eq!(SIZE, 168);
        let at = |name| {
            FIELDS
                .iter()
                .find(|field| field.name == name)
                .unwrap()
                .offset
        };
        assert_eq!(
            (at("cpu_id"), at("lost_full"), at("overwritten")),
            (80, 104, 152)
        );
    }

    #[test]
    fn losses_are_the_counters_of_their_names() {
        let losses = Losses([1, 2, 3, 4, 5, 6]);
        let header = Header::default().with_losses(&losses);
        assert_eq!((header.losses(), header.events_discarded), (losses, 21));
        let lost = FIELDS
            .iter()
            .filter(|field| field.name.starts_with("lost_"));
        let names = lost.map(|field| &field.name["lost_".len()..]);
        assert!(names.eq(Loss::ALL.map(Loss::name)));
        let first = FIELDS
            .iter()
            .find(|field| field.name == "lost_full")
            .unwrap();
        let bytes = header.to_bytes();
        for (i, loss) in Loss::ALL.into_iter().enumerate() {
            assert_eq!(u64::from(bytes[first.offset + 8 * i]), losses.get(loss));
        }
    }
}
