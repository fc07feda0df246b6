//! The capture folder, as `docs/FORMAT.md` has it: written by [`Capture`] from
//! the bytes of any number of ports, read by [`Stored`].

mod folder;
mod index;
mod live;
mod metadata;
mod raw;
mod reader;
mod salvage;
mod stored;
mod writer;

pub use folder::{FolderError, latest, name_of_now, root};
pub use index::{Entry, Index};
pub use live::{FollowError, GrowingFile, Live, LivePackets};
pub use raw::{Scratch, read_raw};
pub use reader::{Item, PacketReader, PacketSource};
pub use stored::{OpenError, Stored, Stream};
pub use writer::{Capture, CaptureError, Options, Port, Totals};

/// The largest capture, unless `--max-size` says otherwise, in bytes.
pub const DEFAULT_MAX_SIZE: u64 = 1 << 30;
