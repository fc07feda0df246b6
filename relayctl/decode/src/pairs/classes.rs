//! Which classes are the two ends of something.

use std::collections::HashMap;

use super::names::{name_of_entry, name_of_exit};
use super::roles::tells_threads;
use super::stack::{End, Pairing};
use crate::records::{Channel, Event};

impl Pairing {
    /// For the records of a stream of a channel. Of one that all CPUs write to it pairs nothing:
    /// what they do does not lie in each other. System calls are left to [`Threads`](super::Threads)
    /// where it is told which threads run.
    #[must_use]
    pub fn of(channel: &Channel) -> Self {
        let mut ends = HashMap::new();
        if !channel.is_global {
            let is_left = tells_threads(channel);
            let is_own = |(first, _): &(&str, &str)| !is_left || *first != "syscall";
            let exits: HashMap<_, _> = channel
                .events()
                .filter_map(|event| Some((name_of_exit(&event.name).filter(is_own)?, event)))
                .collect();
            let entries = channel.events();
            let entries = entries
                .filter_map(|event| Some((name_of_entry(&event.name).filter(is_own)?, event)));
            for (kind, (name, entry)) in (0..).zip(entries) {
                let Some(exit) = exits.get(&name) else {
                    continue;
                };
                let has_key = has_key(entry, exit);
                for (event, is_entry) in [(entry, true), (*exit, false)] {
                    ends.insert(
                        event.id,
                        End {
                            kind,
                            is_entry,
                            has_key,
                        },
                    );
                }
            }
        }
        Self::with(ends)
    }
}

/// Whether both ends begin with the same number, such as that of an interrupt: then only what has
/// the same one belongs together.
fn has_key(entry: &Event, exit: &Event) -> bool {
    let firsts = [entry, exit].map(|event| {
        let first = event.fields.fields.first();
        first.filter(|field| field.kind.as_int().is_some())
    });
    matches!(firsts, [Some(entry), Some(exit)] if entry.name == exit.name)
}
