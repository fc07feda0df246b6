//! profile: what CPUs do, by looking at them many times a second.
//!
//! A kernel interrupts its CPUs at a [rate](Source), best with NMIs, which come into code that has
//! interrupts off, too. Each time it writes a [`Sample`]: the address of the instruction that was
//! next, the context that it belongs to, and who called it. [`walk`](mod@walk) finds the callers, by
//! frame pointers, from within an NMI and without a fault, whatever the stack looks like. Where the
//! interrupts come from, and which memory may be read, is the kernel's to say.
//!
//! Names and lines are not looked up here: who reads the capture has the program's file.
//!
//! ```
//! use relay::Context;
//! use relay::clients::profile::walk::{Memory, Registers};
//! use relay::clients::profile::{Sample, Stack};
//! use relay::event::Chars;
//!
//! /// A stack of four words at address 0x1000.
//! struct Words([u64; 4]);
//!
//! impl Memory for Words {
//!     fn word(&mut self, address: u64) -> Option<u64> {
//!         let offset = usize::try_from(address.checked_sub(0x1000)?).ok()?;
//!         self.0.get(offset / 8).copied()
//!     }
//! }
//!
//! // Two frames: that of the function that was interrupted, and that of its caller.
//! let mut stack = Words([0x1010, 0xAAAA, 0, 0xBBBB]);
//! let at = Registers { ip: 0x9999, sp: 0x1000, fp: 0x1000 };
//! let stack = Stack::of(&mut stack, at);
//! let (ip, comm) = (at.ip, Chars::new("writer"));
//! let sample = Sample { ip, from: Context::Task, tid: 1, pid: 1, comm, stack: stack.frames() };
//! assert_eq!(sample.stack.iter().map(|frame| frame.0).collect::<Vec<_>>(), [0xAAAA, 0xBBBB]);
//! ```

mod class;
pub mod walk;

pub use class::{Sample, Source, Stack};
pub use walk::MAX_FRAMES;
