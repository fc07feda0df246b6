//! Reads what relay writes.
//!
//! A capture is a folder of packets as they came from a machine. [`wire`] finds packets in a stream
//! of bytes, [`tsdl`] reads the metadata, [`records`] the records of a packet. [`capture`] writes
//! and reads the folder, [`query`] says which records are wanted, [`merge`] makes one sequence of
//! all its streams, with [`pairs`] of entries and exits, and [`audit`] proves from its bytes that
//! nothing is missing, or says what is. [`profile`] knows the samples of a profiler. [`console`]
//! reads the text of a serial console, and keeps the same ledger of it. [`balance`] has the words of
//! the ledger, and [`escape`] makes bytes safe to show.
//!
//! Nothing here trusts what it reads: it gives a clear error, keeps what is good, and never panics,
//! hangs, or uses memory without bound. Nothing here prints, installs, or looks for a checkout.
//!
//! # Example
//!
//! The packets of a stream of bytes; what is no packet is a fragment, and is not lost either.
//!
//! ```
//! use relay_decode::wire::{Kind, Piece, Splitter};
//!
//! let mut splitter = Splitter::new(Kind::Live);
//! let mut fragments = 0;
//! let mut found = |piece: Piece<'_>| {
//!     if let Piece::Fragment(bytes) = piece {
//!         fragments += bytes.len();
//!     }
//!     Ok::<_, std::convert::Infallible>(())
//! };
//! splitter.push(b"line noise", &mut found)?;
//! splitter.finish(&mut found)?;
//! assert_eq!(fragments, 10);
//! # Ok::<_, std::convert::Infallible>(())
//! ```

#![forbid(unsafe_code)]

pub mod audit;
pub mod balance;
pub mod capture;
pub mod console;
pub mod escape;
pub mod merge;
pub mod pairs;
pub mod profile;
pub mod query;
pub mod records;
pub mod tsdl;
pub mod wire;
