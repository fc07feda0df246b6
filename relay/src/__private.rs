//! What macros of relay write into programs, and others have no use for: `$crate::__private`.

pub use crate::event::probe::*;
pub use crate::event::shown::*;
pub use crate::event::{say, send, sum, sum_of_statement};
pub use relay_macros::{event, statement};
