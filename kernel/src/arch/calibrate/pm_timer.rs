//! The ACPI power management timer (ACPI 6.5, section 4.8.3.3): a counter behind one port.

use x86_64::instructions::port::Port;

use super::measure::Reference;

/// Where the timer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PmTimer {
    /// Its port.
    pub(crate) port: u16,
    /// It has 32 bits, not 24.
    pub(crate) is_wide: bool,
}

impl Reference for PmTimer {
    fn hz(&self) -> u64 {
        3_579_545
    }

    fn mask(&self) -> u64 {
        if self.is_wide { 0xffff_ffff } else { 0xff_ffff }
    }

    fn count(&self) -> u64 {
        // SAFETY: the firmware says that the timer is there; reading it changes nothing.
        u64::from(unsafe { Port::<u32>::new(self.port).read() })
    }
}
