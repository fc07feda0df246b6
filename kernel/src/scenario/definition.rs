//! What a scenario is.

use core::fmt;

use crate::arch::frame::Interrupted;
use crate::base::cmdline::Options;
use crate::base::settings::About;

/// How a scenario ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Everything was as it should be.
    Pass,
    /// Something was not; it has been logged.
    Fail,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
        })
    }
}

/// One scenario: what each kind of CPU does in it, and in which interrupts.
#[derive(Debug)]
pub(super) struct Scenario {
    /// What the command line has to know of it.
    pub(super) about: About,
    /// CPU 0's part, in task context. The scenario ends when it returns.
    pub(super) boot_cpu: fn(&Options<'static>) -> Verdict,
    /// Every other CPU's part, in task context.
    pub(super) other_cpu: fn(&Options<'static>),
    /// Called in every CPU's timer interrupts.
    pub(super) on_timer: fn(&Interrupted),
    /// Called in the handler of wake-ups from other CPUs.
    pub(super) on_ipi: fn(&Interrupted),
    /// Called in every CPU's NMIs.
    pub(super) on_nmi: fn(&Interrupted),
}
