//! The commands.

mod bench;
mod boots;
mod captures;
mod cat;
mod ctl;
mod export;
mod filter;
mod profile;
mod record;
mod rounds;
mod run;
mod soak;
mod source;
mod stat;
mod stress;
mod verify;
mod walk;
mod watch;

pub(crate) use bench::{BenchArgs, bench};
pub(crate) use cat::{CatArgs, cat};
pub(crate) use ctl::{CtlArgs, ctl};
pub(crate) use export::{ExportArgs, export};
pub(crate) use profile::{ProfileArgs, profile};
pub(crate) use record::{RecordArgs, record};
pub(crate) use run::{RunArgs, help as run_help, run};
pub(crate) use soak::{SoakArgs, soak};
pub(crate) use source::ReportArgs;
pub(crate) use stat::{StatArgs, stat};
pub(crate) use stress::{StressArgs, stress};
pub(crate) use verify::verify;
pub(crate) use watch::{WatchArgs, watch};
