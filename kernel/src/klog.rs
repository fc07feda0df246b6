//! The log: the front of the channel `klog`.

use relay::clients::klog::Klog;

use crate::arch::platform::Machine;
use crate::channels;
use crate::claims::{self, Claimed};
use crate::cpuset::MAX_CPUS;

static BACKEND: Klog<Machine, MAX_CPUS> = Klog::new(&channels::KLOG);

/// Counts what is to be logged, then logs it.
struct Counted;

impl log::Log for Counted {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        BACKEND.enabled(metadata)
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            claims::count(Claimed::Klog);
            BACKEND.log(record);
        }
    }

    fn flush(&self) {
        BACKEND.flush();
    }
}

/// Starts the log on the boot CPU. From here on, everything can be logged.
pub(crate) fn init() {
    let started = channels::start_early();
    debug_assert!(started, "the log was started before");
    log::set_max_level(log::LevelFilter::Info);
    // Fails only if there is a logger already, which can only be this one.
    let _ = log::set_logger(&Counted);
}
