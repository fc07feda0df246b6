//! `relayctl watch`: tells of records as they come, one by one or with a command for each.

mod args;
mod limit;
mod runner;
mod threshold;
mod watcher;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) use args::WatchArgs;
use watcher::Watcher;

use super::walk::{self, Walk, WalkError};
use crate::exit::Exit;
use crate::signals;
use crate::terminal::say;

/// Does `relayctl watch`.
pub(crate) fn watch(args: &WatchArgs) -> Exit {
    if args.filter.is_empty() {
        say("which records? --where EXPR says it, or another filter");
        return Exit::Usage;
    }
    let walk = Walk {
        capture: args.capture.clone(),
        boot: args.boot,
        filter: args.filter.filter(),
    };
    let is_packed = args.capture.as_deref().is_some_and(walk::is_packed);
    walk::exit(match is_packed {
        true => packed(args, &walk),
        false => {
            let args = args.clone();
            walk::follow(walk, move |stop| Watcher::new(&args, stop))
        }
    })
}

/// Watches what is packed: it does not grow.
fn packed(args: &WatchArgs, walk: &Walk) -> Result<Exit, WalkError> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    signals::on_end(move || asked.store(true, Ordering::Relaxed)).map_err(WalkError::Signals)?;
    walk::stored(walk, Watcher::new(args, &stop))
}
