//! The capture folder, as `docs/FORMAT.md` has it: written by [`Capture`] from
//! the bytes of any number of ports and lines, read by [`Stored`].

mod boot;
mod boots;
mod either;
mod error;
mod folder;
mod found;
mod growing;
mod index;
mod intake;
mod keep;
mod kernel;
mod left_out;
mod line;
mod line_totals;
mod live;
mod live_packets;
mod lttng_index;
mod metadata;
mod packed;
mod port;
mod raw;
mod reader;
mod salvage;
mod shared;
mod store;
mod stored;
mod strays;
mod totals;
mod writer;

pub use boots::{MAX_BOOTS, Uuid};
pub use either::EitherPort;
pub use error::CaptureError;
pub use folder::{CONTROL, FolderError, latest};
pub use found::{BootFolder, Boots};
pub use growing::{FollowError, GrowingFile};
pub use index::{Entry, Index, Run};
pub use keep::Keep;
pub use kernel::{Image, Kernel};
pub use left_out::{LeftOut, Runs};
pub use line::LinePort;
pub use line_totals::{LineTotals, Place};
pub use live::Live;
pub use live_packets::LivePackets;
pub use packed::{MAX_UNPACKED, Packed, PackedError, Unpacked, is_packed, unpack};
pub use port::Port;
pub use raw::{Scratch, read_raw};
pub use reader::{Item, PacketReader, PacketSource};
pub use stored::{OpenError, Stored, Stream};
pub use strays::{Stray, Strays};
pub use totals::Totals;
pub use writer::{Capture, Options};

/// The largest capture, unless somebody says otherwise, in bytes.
pub const DEFAULT_MAX_SIZE: u64 = 1 << 30;
