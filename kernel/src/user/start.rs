//! Starting programs, and what is told of their lives.

use alloc::sync::Arc;
use alloc::vec::Vec;

use relay_abi::{Error, ThreadOptions};

use super::archive;
use super::handles::{Entry, Object};
use super::loader::{self, LoadError};
use super::process::{self, Process};
use crate::cpu::percpu;
use crate::sched::events::{self, Task};

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
    // What there is before any program: viewers know from here on whose each thread is.
    events::states_begin();
    for cpu in percpu::online().iter() {
        events::state(&Task::of_cpu(cpu), 0, cpu);
    }
    events::states_end();
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
