//! What classes say about threads, by their names, which are LTTng's or the kernel's own.

use std::collections::HashMap;

use super::names::{name_of_entry, name_of_exit};
use crate::records::{Channel, Event};

/// What records of a class say about threads. Numbers are places of fields, but for those of calls,
/// which tell one call from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A CPU leaves a thread, and goes on with another.
    Switch { prev: usize, next: usize },
    /// A thread is being woken.
    Waking(usize),
    /// A thread was woken, and waits for its CPU.
    Woken(usize),
    /// A thread ends.
    End(usize),
    /// The thread of the CPU enters a call.
    Entry(u32),
    /// It leaves one.
    Exit(u32),
    /// A thread sends a message, and waits for the answer.
    Send(usize),
    /// Somebody takes the message of a thread.
    Receive(usize),
    /// Somebody answers it.
    Reply(usize),
}

/// The roles of the classes of a channel.
#[derive(Clone, Debug, Default)]
pub(super) struct Roles(HashMap<u16, Role>);

/// The class that tells which threads run.
const SWITCH: &str = "sched_switch";

/// Whether a channel tells which threads run: then calls are those of threads.
pub(super) fn tells_threads(channel: &Channel) -> bool {
    !channel.is_global && channel.events().any(|event| switch(event).is_some())
}

/// The role of a switch.
fn switch(event: &Event) -> Option<Role> {
    let field = |name| event.field(name);
    match event.name == SWITCH {
        true => Some(Role::Switch {
            prev: field("prev_tid")?,
            next: field("next_tid")?,
        }),
        false => None,
    }
}

impl Roles {
    /// Those of a channel that tells which threads run.
    pub(super) fn of(channel: &Channel) -> Option<Self> {
        if !tells_threads(channel) {
            return None;
        }
        let roles = channel.events().filter_map(|event| {
            let tid = event.field("tid");
            let client = event.field("client");
            let role = match event.name.as_str() {
                SWITCH => switch(event)?,
                "sched_waking" => Role::Waking(tid?),
                "sched_wakeup" | "sched_wakeup_new" => Role::Woken(tid?),
                "sched_process_exit" => Role::End(tid?),
                "message_send" => Role::Send(client?),
                "message_receive" => Role::Receive(client?),
                "message_reply" => Role::Reply(client?),
                _ => return None,
            };
            Some((event.id, role))
        });
        let mut roles: HashMap<_, _> = roles.collect();
        let is_call = |(first, _): &(&str, &str)| *first == "syscall";
        let exits = channel.events();
        let exits =
            exits.filter_map(|event| Some((name_of_exit(&event.name).filter(is_call)?, event.id)));
        let exits: HashMap<_, _> = exits.collect();
        let entries = channel.events();
        let entries = entries
            .filter_map(|event| Some((name_of_entry(&event.name).filter(is_call)?, event.id)));
        for (kind, (name, entry)) in (0..).zip(entries) {
            if let Some(exit) = exits.get(&name) {
                roles.insert(entry, Role::Entry(kind));
                roles.insert(*exit, Role::Exit(kind));
            }
        }
        Some(Self(roles))
    }

    /// The role of a class, if it has one.
    pub(super) fn of_class(&self, class: u16) -> Option<Role> {
        self.0.get(&class).copied()
    }

    /// These roles.
    #[cfg(test)]
    pub(super) fn new(roles: impl IntoIterator<Item = (u16, Role)>) -> Self {
        Self(roles.into_iter().collect())
    }
}
