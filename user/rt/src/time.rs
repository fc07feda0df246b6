//! The clock, and sleep.

use core::time::Duration;

use crate::sys;

/// Time since the machine was started.
#[must_use]
pub fn now() -> Duration {
    Duration::from_nanos(sys::time())
}

/// Sleeps at least so long.
pub fn sleep(time: Duration) {
    sys::sleep(nanos(time));
}

/// Nanoseconds as the kernel takes them; what is too long for that is for ever.
#[must_use]
pub fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The CPU's counter of ticks, which records are stamped with.
#[must_use]
#[inline(always)]
pub fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every CPU that this kernel runs on has the instruction, and it is not forbidden in
    // ring 3.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    0
}
