//! The namespace: every stream is a file, `/client/cpu` or `/client/channel/cpu`.
//!
//! Channels of any kind are mounted under a path of one name or two: the top-level folder is the
//! client that writes it, the rest tells its channels apart. The files in there are its streams, by
//! the number of their CPU: `/klog/0`, `/trace/sched/3`. A file appears when its stream starts.
//! Names are made of `a-z`, `0-9` and `-`, and no two channels have the same path.
//!
//! Who reads needs nothing but the files: a drain that uses this module alone could as well run
//! outside the kernel.
//!
//! | to | see |
//! |---|---|
//! | create a channel's folder | [`Mount::new`], [`Namespace::create`] |
//! | list | [`Namespace::list`], [`Namespace::files`], [`Mount::files`] |
//! | find | [`Namespace::file`], [`Namespace::channel`], [`Mount::file`] |
//! | open for consuming; by one at a time | [`File::open`], which gives a [`Reader`](crate::Reader) |
//! | open for copies; by any number | [`File::observe`], which gives an [`Observer`](crate::Observer) |
//! | read bytes, padding left out | [`Records`](crate::Records) of the reader |
//! | map whole sub-buffers where they lie | [`Reader::next_subbuf`](crate::Reader::next_subbuf); by number: [`Window::map`] |
//! | consume: give them back, in any order | drop the [`SubBuffer`](crate::SubBuffer); by number: [`Window::consume`] |
//! | poll | [`Reader::is_readable`](crate::Reader::is_readable), [`Reader::bytes_available`](crate::Reader::bytes_available), [`Reader::prepare_to_sleep`](crate::Reader::prepare_to_sleep) |
//! | ask for what is not handed over yet | [`Reader::request_flush`](crate::Reader::request_flush) |
//! | close | drop the reader, the observer, the window |
//! | know about the stream | [`File::info`], [`File::stats`], [`File::geometry`], [`File::take_peak`], [`File::is_closed`] |
//! | have it resized or ended by its CPU | [`File::resize`], [`File::request_close`] |
//! | begin it anew, on its CPU | [`File::reset`] |
//!
//! ```
//! use relay::fs::{FindError, Mount, Namespace};
//! use relay::{Channel, Geometry, NoHooks, OpenError, Platform, Records, Storage};
//! # struct TwoCpus;
//! # // SAFETY: there is one CPU that does something, and this program has one thread.
//! # unsafe impl Platform for TwoCpus {
//! #     type Pinned = ();
//! #     fn pin(&self) -> (usize, ()) { (0, ()) }
//! #     unsafe fn unpin(&self, (): ()) {}
//! #     fn now(&self) -> u64 { 7 }
//! # }
//!
//! static KLOG: Channel<TwoCpus, 2> = Channel::new(TwoCpus, &NoHooks);
//! static KLOG_FILES: Mount = match Mount::new("/klog", &KLOG) {
//!     Ok(mount) => mount,
//!     Err(_) => panic!("a bad path"),
//! };
//! static NAMES: Namespace<16> = Namespace::new();
//!
//! NAMES.create(&KLOG_FILES)?;
//! let geometry = Geometry::new(1024, 4)?;
//! KLOG.start(0, Storage::allocate(&geometry)?, geometry)?;
//! KLOG.write(b"hello")?;
//! KLOG.flush();
//!
//! let names: Vec<String> = NAMES.files().map(|file| file.to_string()).collect();
//! assert_eq!(names, ["/klog/0"]);
//! assert_eq!(NAMES.list("/")?.next().unwrap().to_string(), "klog/");
//! assert_eq!(NAMES.file("/klog/1").unwrap_err(), FindError::NotStarted(1));
//!
//! let file = NAMES.file("/klog/0")?;
//! let reader = file.open()?;
//! assert_eq!(file.open().unwrap_err(), OpenError::Busy(0));
//! assert_eq!(reader.bytes_available(), 5);
//! let mut bytes = [0; 16];
//! let len = Records::new(reader).read(&mut bytes);
//! assert_eq!(&bytes[..len], b"hello");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod error;
mod mount;
mod namespace;
mod path;
#[cfg(test)]
mod tests;
mod window;

pub use error::{CreateError, FindError};
pub use mount::{File, Mount, Streams};
pub use namespace::{Entry, Namespace};
pub use path::PathError;
pub use window::{Window, WindowError};
