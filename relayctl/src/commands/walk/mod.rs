//! Walks through the records of captures, those that are there and those that grow, and shows them
//! to a viewer.

mod error;
mod follow;
mod follow_boots;
mod json;
mod stored;
mod viewer;
mod wait;

use std::io;

pub(crate) use error::WalkError;
pub(crate) use follow::{follow, is_packed};
pub(crate) use json::push_json;
pub(crate) use stored::{boots, stored};
pub(crate) use viewer::{Viewer, Walk, Walked, say_unknown_fields};

use crate::exit::Exit;
use crate::terminal::say;

/// How a command ends whose walk is over.
pub(crate) fn exit(walked: Result<Exit, WalkError>) -> Exit {
    match walked {
        Ok(exit) => exit,
        Err(WalkError::Stopped) => Exit::Good,
        // Whoever has read enough has read enough.
        Err(WalkError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Good,
        Err(error) => {
            say(error.to_string());
            error.exit()
        }
    }
}
