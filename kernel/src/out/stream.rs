//! A stream on its way to a sink.

use core::sync::atomic::{AtomicBool, Ordering};

use relay::{Reader, SubBuffer};

use super::intake;
use crate::logs::registry::NAMES;

/// Nothing but klog is sent for now: see [`pause`].
static PAUSED: AtomicBool = AtomicBool::new(false);

/// Stops sending what the CPUs write to `flood`, or goes on with it: to measure the drain alone,
/// and writers without it. Any context.
pub(crate) fn pause(paused: bool) {
    PAUSED.store(paused, Ordering::Release);
}

/// A stream of a CPU.
pub(super) struct Stream {
    pub(super) cpu: usize,
    /// The path of its channel.
    pub(super) path: &'static str,
    source: Source,
    pub(super) ended: bool,
}

/// Where its packets come from.
enum Source {
    /// It is read here.
    Read(Reader<'static>),
    /// klog: the [intake] reads it, for the console too.
    Intake,
}

impl Stream {
    /// The streams of `cpu` that there are, in the order of the registry, but for the metadata:
    /// that is [sent](super::description) by itself.
    pub(super) fn all_of(cpu: usize) -> impl Iterator<Item = Self> {
        NAMES.channels().filter_map(move |mount| {
            let file = mount.file(cpu).ok()?;
            let source = match mount.path() {
                "/metadata" => return None,
                "/klog" => Source::Intake,
                _ => Source::Read(file.open().ok()?),
            };
            Some(Self {
                cpu,
                path: mount.path(),
                source,
                ended: false,
            })
        })
    }

    /// The next sub-buffer, if there is one.
    pub(super) fn next(&mut self) -> Option<SubBuffer<'static>> {
        if self.ended {
            return None;
        }
        let Source::Read(reader) = &mut self.source else {
            let next = intake::next(self.cpu);
            self.ended = next.as_ref().is_some_and(|next| next.packet().is_final);
            return next;
        };
        if PAUSED.load(Ordering::Acquire) {
            return None;
        }
        let next = reader.next_subbuf();
        if next.is_none() {
            self.ended = reader.is_at_end();
            if !self.ended {
                reader.request_flush();
            }
        }
        next
    }

    /// Packets that were left out because the sink stood still for too long.
    pub(super) fn left_out(&self) -> u64 {
        match self.source {
            Source::Read(_) => 0,
            Source::Intake => intake::left_out(self.cpu),
        }
    }

    /// Nothing of it will be sent any more.
    pub(super) fn give_up(&self) {
        if matches!(self.source, Source::Intake) {
            intake::give_up(self.cpu);
        }
    }
}
