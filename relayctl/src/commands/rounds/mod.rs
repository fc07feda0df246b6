//! Runs of the kernel, one after another, each in a process of its own and judged by what its
//! capture holds: what `stress` and `soak` are made of.

mod nestings;
mod pause;
mod play;
mod settings;
mod stop;
mod sweep;
mod totals;

pub(super) use pause::Pause;
pub(super) use play::Round;
use play::RoundError;
pub(super) use settings::{Choice, Clock};
use stop::Stop;
pub(super) use sweep::{Sweep, SweepError};
use totals::Totals;
