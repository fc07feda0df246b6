//! Starting programs, and what is told of their lives.

use alloc::sync::Arc;
use alloc::vec::Vec;

use relay::event::Severity;
use relay_abi::{Ended, Error, ThreadOptions};

use super::handles::{Entry, Object};
use super::loader::{self, LoadError};
use super::process::{self, Member, Process};
use super::archive;
use crate::logs::user::{self, Writer};
use crate::sched;

/// Starts the program `name` of the archive, with these handles, and tells of it. Task context.
///
/// # Errors
/// [`Error::NotFound`]: there is none; [`Error::BadArgument`]: it cannot be loaded, or its options are
/// wrong; [`Error::NoRoom`].
pub(super) fn start(
    name: &str,
    arguments: &str,
    handles: Vec<Option<Entry>>,
    options: ThreadOptions,
) -> Result<Arc<Process>, Error> {
    let file = archive::find(name).ok_or(Error::NotFound)?;
    let loaded = loader::load(file, arguments.as_bytes()).map_err(|error| {
        relay::warn!("program {name} is not started: {error}");
        match error {
            LoadError::NoRoom => Error::NoRoom,
            _ => Error::BadArgument,
        }
    })?;
    let process = Process::new(name, handles)?;
    let begin = [loaded.entry, loaded.stack];
    process::start_thread(&process, &loaded.space, begin, loaded.arguments, options)?;
    Ok(process)
}

/// Starts the first program, which may do everything. Task context.
///
/// # Errors
/// As [`start`].
pub(crate) fn first(name: &str, arguments: &str) -> Result<Arc<Process>, Error> {
    let files = Entry {
        object: Object::Files,
        rights: relay_abi::rights::ALL,
    };
    let options = ThreadOptions {
        priority: relay_abi::NORMAL_PRIORITY,
        cpus: 0,
    };
    start(name, arguments, Vec::from([Some(files)]), options)
}

/// Ends a process. Task context.
pub(crate) fn kill(process: &Process) {
    process.end(Ended::Killed);
}

/// Writes what a program says.
pub(super) fn write(me: &Member, severity: u64, text: &[u8]) -> Result<u64, Error> {
    let severity = u8::try_from(severity).ok().and_then(Severity::from_number);
    let severity = severity.ok_or(Error::BadArgument)?;
    let writer = Writer {
        pid: me.process.pid(),
        tid: sched::current().tid(),
        comm: me.process.name(),
    };
    match user::write(writer, severity, text) {
        Ok(()) => Ok(text.len() as u64),
        Err(_) => Err(Error::Refused),
    }
}
