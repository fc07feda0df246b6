//! The Common Trace Format: every sub-buffer is a CTF 1.8 packet, made in place.
//!
//! The ring knows bytes; this layer knows what stands in them. It uses the ring's start reserve for
//! the [packet header](packet), its hooks to fill it, and describes the records in [metadata] text,
//! which travels as a stream of its own. `docs/FORMAT.md` of the project is the specification.
//!
//! | to | see |
//! |---|---|
//! | make a channel's sub-buffers packets | [`Packets`] as its hooks, [`HEADER`] as its start reserve |
//! | tie packets and metadata of one boot together | [`Uuid`] |
//! | send what was taken | [`packet_bytes`] |
//! | describe records | [`EventClass`](crate::event::EventClass), [`StreamClass`](crate::event::StreamClass), [`metadata::Trace`] |
//! | send what a stopped CPU left | [`Packets::salvage`] |
//!
//! ```
//! use relay::ctf::{self, Packets, Uuid};
//! use relay::{Channel, Geometry, Platform, StaticMemory, Storage};
//! # struct OneCpu;
//! # // SAFETY: there is one CPU, and this program has one thread.
//! # unsafe impl Platform for OneCpu {
//! #     type Pinned = ();
//! #     fn pin(&self) -> (usize, ()) { (0, ()) }
//! #     unsafe fn unpin(&self, (): ()) {}
//! #     fn now(&self) -> u64 { 7 }
//! # }
//! const GEOMETRY: Geometry = match Geometry::new(1024, 4) {
//!     Ok(geometry) => match geometry.with_reserves(ctf::HEADER, 0) {
//!         Ok(geometry) => geometry,
//!         Err(_) => panic!(),
//!     },
//!     Err(_) => panic!(),
//! };
//! static MEMORY: StaticMemory<{ Storage::bytes_for(&GEOMETRY) }> = StaticMemory::new();
//! static UUID: Uuid = Uuid::new();
//! static PACKETS: Packets = Packets::new(1, &UUID);
//! static CHANNEL: Channel<OneCpu, 1> = Channel::new(OneCpu, &PACKETS);
//!
//! CHANNEL.start(0, MEMORY.take().unwrap(), GEOMETRY).unwrap();
//! CHANNEL.write(&[0; 16]).unwrap();
//! CHANNEL.flush();
//! let taken = CHANNEL.reader(0).unwrap().next_subbuf().unwrap();
//! let bytes = ctf::packet_bytes(&taken);
//! assert_eq!(bytes.len(), ctf::HEADER + 16);
//! assert_eq!(bytes[..4], ctf::MAGIC.to_le_bytes());
//! ```

pub mod metadata;
pub mod packet;
pub mod salvage;

pub use packet::{HEADER, MAGIC, Packets, Uuid, packet_bytes};
