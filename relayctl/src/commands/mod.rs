//! The commands that work with captures.

mod cat;
mod cat_args;
mod cat_error;
mod filter;
mod follow;
mod format;
mod merge;
mod printer;
mod record;
mod source;
mod stat;
mod verify;

pub use cat::cat;
pub use cat_args::CatArgs;
pub use filter::{CpuSet, Filter};
pub use format::{Format, FormatError};
pub use merge::{Merge, Next, Shown};
pub(crate) use record::unix_ms;
pub use record::{CaptureArgs, Origin, RecordArgs, record};
pub use source::{Source, SourceError};
pub use stat::{StatArgs, stat};
pub use verify::{VerifyArgs, verify};
