//! klog behind `log::info!`.

use super::class::Place;
use super::write::write;
use crate::channel::Channel;
use crate::event::Severity;
use crate::platform::Platform;
use crate::sync::{PerCpu, Usage};
use core::fmt;

/// klog as the backend of the [`log`] facade.
///
/// ```
/// use relay::clients::klog::{self, Klog, Severity};
/// use relay::{Channel, Geometry, Platform, StaticMemory, Storage, record::Framed};
/// # struct OneCpu;
/// # // SAFETY: there is one CPU, and this program has one thread.
/// # unsafe impl Platform for OneCpu {
/// #     type Pinned = ();
/// #     fn pin(&self) -> (usize, ()) { (0, ()) }
/// #     unsafe fn unpin(&self, (): ()) {}
/// #     fn now(&self) -> u64 { 7 }
/// # }
/// # const GEOMETRY: Geometry = match Geometry::new(1024, 4) { Ok(g) => g, Err(_) => panic!() };
/// # static MEMORY: StaticMemory<{ Storage::bytes_for(&GEOMETRY) }> = StaticMemory::new();
///
/// static CHANNEL: Channel<OneCpu, 1> = Channel::new(OneCpu, &Framed);
/// static KLOG: Klog<OneCpu, 1> = Klog::new(&CHANNEL);
///
/// CHANNEL.start(0, MEMORY.take().unwrap(), GEOMETRY).unwrap();
/// log::set_logger(&KLOG).unwrap();
/// log::set_max_level(log::LevelFilter::Info);
///
/// log::info!("{} CPUs", 1);
/// log::debug!("not logged");
///
/// CHANNEL.flush();
/// let taken = CHANNEL.reader(0).unwrap().next_subbuf().unwrap();
/// let mut records = klog::records(taken.records(), taken.packet().begin_ticks);
/// let record = records.next().unwrap().unwrap();
/// assert_eq!(record.message.to_string(), "1 CPUs");
/// assert_eq!(record.severity, Severity::Info);
/// assert!(records.next().is_none());
/// ```
pub struct Klog<P: Platform + 'static, const CPUS: usize, U: Usage = PerCpu> {
    channel: &'static Channel<P, CPUS, U>,
}

impl<P: Platform + 'static, const CPUS: usize, U: Usage> Klog<P, CPUS, U> {
    /// The backend that writes to `channel`, for a `static`. The channel may be started later:
    /// until then its records are counted as lost ([`Channel::lost_no_ring`]).
    #[must_use]
    pub const fn new(channel: &'static Channel<P, CPUS, U>) -> Self {
        Self { channel }
    }

    /// Logs a record without a look at its level, for a logger around this one that has looked.
    /// Any context. A record that is lost is counted by the channel.
    pub fn write(&self, record: &log::Record<'_>) {
        let severity = match record.level() {
            log::Level::Error => Severity::Error,
            log::Level::Warn => Severity::Warn,
            log::Level::Info => Severity::Info,
            log::Level::Debug => Severity::Debug,
            log::Level::Trace => Severity::Trace,
        };
        let place = Place {
            module: record.module_path().unwrap_or(record.target()),
            file: record.file().unwrap_or("?"),
            line: record.line().unwrap_or(0),
        };
        // The channel has counted it.
        let _ = write(self.channel, severity, place, *record.args());
    }
}

impl<P: Platform + 'static, const CPUS: usize, U: Usage> log::Log for Klog<P, CPUS, U> {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    /// Any context. A record that is lost is counted by the channel.
    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            self.write(record);
        }
    }

    fn flush(&self) {
        self.channel.flush();
    }
}

impl<P: Platform + 'static, const CPUS: usize, U: Usage> fmt::Debug for Klog<P, CPUS, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Klog")
            .field("channel", self.channel)
            .finish()
    }
}
