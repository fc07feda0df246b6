//! ONE buffer: reserve, commit, switch, deliver, read. Pure mechanism; it knows bytes.
//!
//! Each module begins with its steps, in the words of `docs/RING.md` of the project, which
//! has who may write what. The orderings are in `docs/ORDERINGS.md`. The parts, from the ground up;
//! none imports what stands below it here (`tests/tests/floors`):
//!
//! | module | concept |
//! |---|---|
//! | `geometry` | sizes and counts |
//! | `position` | positions modulo 2^63 bytes, and packets |
//! | `entry` | the state of a sub-buffer in one word |
//! | `ledger` | losses by reason |
//! | `error` | what a write says |
//! | `packet` | what is known of a packet |
//! | `hooks` | the seam to the client |
//! | `subbuf` | the control words of a sub-buffer |
//! | `storage` | the memory of a ring |
//! | `words` | the ring's words |
//! | `intent`, `phase`, `local` | what a record under way has reserved; what a CPU is in the middle of (for proofs); the words of one CPU |
//! | `stream` | the owner's words, which outlive the ring |
//! | `owner` | who acts for a stream: pinned code |
//! | `wake` | readers that sleep |
//! | `deliver` | complete packets become readable, in order, once |
//! | `switch` | closing a packet and opening the next |
//! | `source` | what becomes a record |
//! | `reserve` | the loop around the one compare-and-swap |
//! | `fast` | a write that needs no switch |
//! | `slot` | a record that is filled in place: cut, given up |
//! | `write` | a record, the fast way or the whole way |
//! | `flush` | close the open packet |
//! | `succession` | seal a ring, go on in another, close the stream |
//! | `tick` | the owner's periodic duty: what others have asked for |
//! | `chain` | how a reader takes hold of a ring |
//! | `info` | what is known of a stream |
//! | `reclaim` | the memory of rings that nobody uses any more |
//! | `spares` | the blocks that readers leave for those that they take |
//! | `reader` | the consuming reader, zero copy |
//! | `records` | reading byte by byte and record by record |
//! | `observer` | readers that do not consume |
//! | `puzzle`, `salvage` | which bytes of an open packet are whole records; what a stopped CPU left, read only |

mod chain;
mod deliver;
mod entry;
mod error;
mod fast;
mod flush;
mod geometry;
mod hooks;
mod info;
mod intent;
mod ledger;
mod local;
mod observer;
mod owner;
mod packet;
mod phase;
mod position;
mod puzzle;
mod reader;
mod reclaim;
mod records;
mod reserve;
mod salvage;
mod slot;
mod source;
mod spares;
mod storage;
mod stream;
mod subbuf;
mod succession;
mod switch;
#[cfg(test)]
mod tests;
mod tick;
mod wake;
mod words;
mod write;

pub use error::WriteError;
pub use flush::Flushed;
pub use geometry::{Delivery, Geometry, GeometryError, Mode};
pub use hooks::{Hooks, NoHooks, PacketStart};
pub use info::{StreamInfo, StreamStats};
pub use ledger::{Loss, Losses};
pub use observer::{ObserveError, Observer};
pub use packet::Packet;
#[cfg(feature = "stress")]
pub use phase::Phase;
pub use reader::{Reader, SubBuffer};
pub use records::{Records, Run};
pub use salvage::{Salvage, SalvagedPacket, Stopped};
pub use slot::Slot;
pub use storage::{STORAGE_ALIGN, StaticMemory, Storage, StorageError};
pub use succession::StreamError;

pub(crate) use local::Local;
pub(crate) use owner::Owner;
pub(crate) use source::{Any, Exact, Plain, Source, Stamped, copy_into};
pub(crate) use stream::Stream;
pub(crate) use write::{Fill, Otherwise, fill, put};
