//! A stream on its way to a sink.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use relay::fs::File;
use relay::{Delivery, Reader, SubBuffer};

use super::events::{Asking, Parcel, Step};
use super::intake;
use super::recorder::Recorder;
use super::shown::Shown;
use crate::logs::registry::{self, NAMES};
use crate::logs::trace;

/// Nothing but klog is sent for now: see [`pause`].
static PAUSED: AtomicBool = AtomicBool::new(false);

/// Stops sending what the CPUs write to `flood`, or goes on with it: to measure the drain alone,
/// and writers without it. Any context.
pub(crate) fn pause(paused: bool) {
    PAUSED.store(paused, Ordering::Release);
}

/// The streams of a pump.
///
/// Those of one channel take turns, so that a CPU that writes more than the sink takes leaves room
/// for the others; the channels do not: the log goes before what may be much.
pub(super) struct Streams(Vec<Vec<Stream>>);

impl Streams {
    /// The streams of these CPUs, by channel, in the order of the registry.
    pub(super) fn of(cpus: impl Iterator<Item = usize>) -> Self {
        let mut streams: Vec<_> = cpus.flat_map(Stream::all_of).collect();
        let mut channels: Vec<Vec<Stream>> = Vec::new();
        for mount in NAMES.channels() {
            let (of_this, others) = streams
                .into_iter()
                .partition(|stream: &Stream| stream.path == mount.path());
            streams = others;
            channels.push(of_this);
        }
        Self(channels)
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Stream> {
        self.0.iter().flatten()
    }

    /// The next sub-buffer, if there is one.
    pub(super) fn next(&mut self) -> Option<SubBuffer<'static>> {
        self.0.iter_mut().find_map(|channel| {
            let mut streams = channel.iter_mut().enumerate();
            let (at, next) = streams.find_map(|(at, stream)| Some((at, stream.next()?)))?;
            // It is the last of them next time.
            channel[at..].rotate_left(1);
            Some(next)
        })
    }

    /// The sink has moved something.
    pub(super) fn note_move(&self) {
        self.all().for_each(Stream::note_move);
    }
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
    /// It is read here, and its records are looked at before.
    Shown(Shown),
    /// The trace, likewise, when it is asked for.
    Trace(Reader<'static>, Asking),
    /// The trace as a flight recorder: it is read for snapshots.
    Recorder(Reader<'static>, Recorder),
    /// klog: the [intake] reads it, for the console too.
    Intake,
}

impl Stream {
    /// The streams of `cpu` that leave the machine, in the order of the registry, but for the
    /// metadata: that is [sent](super::description) by itself. Not those that programs take.
    fn all_of(cpu: usize) -> impl Iterator<Item = Self> {
        let carried = NAMES.channels();
        let carried =
            carried.filter(|mount| registry::is_carried(mount) && !registry::is_taken(mount));
        carried.filter_map(move |mount| {
            let file = mount.file(cpu).ok()?;
            let source = match mount.path() {
                "/metadata" => return None,
                "/klog" => Source::Intake,
                "/trace" if trace::is_recorder() => {
                    Source::Recorder(file.open().ok()?, Recorder::new(cpu, file))
                }
                "/trace" => Source::Trace(file.open().ok()?, Asking::new(cpu)),
                _ if is_by_record(file) => Source::Shown(Shown::new(file.open().ok()?)),
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
    fn next(&mut self) -> Option<SubBuffer<'static>> {
        let next = self.take();
        if let Some(next) = &next {
            Parcel::of(next).tell(Step::Take);
        }
        next
    }

    /// Takes it.
    fn take(&mut self) -> Option<SubBuffer<'static>> {
        if self.ended {
            return None;
        }
        if matches!(self.source, Source::Intake) {
            let next = intake::next(self.cpu);
            self.ended = next.as_ref().is_some_and(|next| next.packet().is_final);
            return next;
        }
        if PAUSED.load(Ordering::Acquire) {
            return None;
        }
        let (next, reader, is_asked) = match &mut self.source {
            Source::Read(reader) => (reader.next_subbuf(), &*reader, true),
            Source::Shown(shown) => (shown.next(), shown.reader(), true),
            Source::Trace(reader, asking) => match reader.next_subbuf() {
                Some(next) => return Some(next),
                None => (None, &*reader, asking.is_due()),
            },
            // It asks by itself.
            Source::Recorder(reader, recorder) => (recorder.next(reader), &*reader, false),
            Source::Intake => return None,
        };
        if next.is_none() {
            self.ended = reader.is_at_end();
            if !self.ended && is_asked {
                reader.request_flush();
            }
        }
        next
    }

    /// Packets that were left out because the sink stood still for too long.
    pub(super) fn left_out(&self) -> u64 {
        match self.source {
            Source::Intake => intake::left_out(self.cpu),
            _ => 0,
        }
    }

    /// Whether it is one of klog.
    pub(super) fn is_klog(&self) -> bool {
        matches!(self.source, Source::Intake)
    }

    /// Its sink has moved something.
    fn note_move(&self) {
        if self.is_klog() {
            intake::note_move(self.cpu);
        }
    }

    /// Nothing of it will be sent any more.
    pub(super) fn give_up(&self) {
        if self.is_klog() {
            intake::give_up(self.cpu);
        }
    }
}

/// Whether records of a stream can be read before their sub-buffer is complete.
fn is_by_record(file: File) -> bool {
    let geometry = file.geometry();
    geometry.is_some_and(|geometry| geometry.delivery() == Delivery::Record)
}
