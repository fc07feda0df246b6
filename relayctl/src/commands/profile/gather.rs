//! All samples of a boot, and what is known about those that are not there.

use std::fmt;
use std::path::{Path, PathBuf};

use relay_decode::audit::{Audit, StreamAudit};
use relay_decode::balance::{Balance, Verdict};
use relay_decode::capture::{BootFolder, OpenError, Stored, Uuid};
use relay_decode::merge::{Filter, FilterError, Merge, Next};
use relay_decode::profile::{self, CHANNEL, Fault, SAMPLE, SOURCE, Told};

use super::elf::{self, WrongElf};
use crate::commands::source::{Source, SourceError};
use crate::commands::walk::say_unknown_fields;
use crate::exit::Exit;
use crate::profile::{Frames, Profile};
use crate::symbols::Programs;
use crate::terminal::say;

/// Why there is no profile.
#[derive(Debug)]
pub(in crate::commands) enum ProfileError {
    /// There is nothing to read.
    Source(SourceError),
    /// What is wanted is not there.
    Filter(FilterError),
    /// Records of another channel are wanted.
    Channel(String),
    /// The ELF file is not the right one.
    Elf(WrongElf),
}

impl ProfileError {
    /// How a command ends that has no profile.
    pub(in crate::commands) fn exit(&self) -> Exit {
        match self {
            Self::Source(error) => error.exit(),
            Self::Filter(_) | Self::Channel(_) | Self::Elf(_) => Exit::Usage,
        }
    }
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(error) => error.fmt(f),
            Self::Filter(error @ FilterError::Channel { name, .. }) if name == CHANNEL => write!(
                f,
                "{error}: it is there if the kernel takes samples, 'relayctl run --set \
                 profile=1000'"
            ),
            Self::Filter(error) => error.fmt(f),
            Self::Channel(name) => write!(
                f,
                "a profile is made of the samples in the channel {CHANNEL}, not of '{name}'"
            ),
            Self::Elf(error) => error.fmt(f),
        }
    }
}

impl From<SourceError> for ProfileError {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<OpenError> for ProfileError {
    fn from(error: OpenError) -> Self {
        Self::Source(SourceError::Open(error))
    }
}

impl From<WrongElf> for ProfileError {
    fn from(error: WrongElf) -> Self {
        Self::Elf(error)
    }
}

/// The ELF files that somebody named.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) struct Elves<'a> {
    /// The kernel's.
    pub(in crate::commands) kernel: Option<&'a Path>,
    /// The folder of the programs'.
    pub(in crate::commands) programs: Option<&'a Path>,
}

/// The ledger of one CPU's samples: of the whole boot, whatever is wanted of it.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) struct Stream {
    /// The CPU.
    pub(in crate::commands) cpu: u32,
    /// Its records, some of which say where samples come from.
    pub(in crate::commands) balance: Balance,
}

impl From<&StreamAudit> for Stream {
    fn from(audit: &StreamAudit) -> Self {
        Self {
            cpu: audit.cpu,
            balance: audit.balance(),
        }
    }
}

/// A boot's samples.
#[derive(Debug)]
pub(in crate::commands) struct Gathered {
    /// The boot's number.
    pub(in crate::commands) boot: u32,
    /// What names it.
    pub(in crate::commands) uuid: Uuid,
    /// The samples that are wanted.
    pub(in crate::commands) profile: Profile,
    /// The ledgers of the wanted CPUs.
    pub(in crate::commands) streams: Vec<Stream>,
    /// The ELF file that names are from.
    pub(in crate::commands) elf: Option<PathBuf>,
    /// Whether something is not as it was written.
    pub(in crate::commands) is_damaged: bool,
}

/// Reads a boot's samples, as far as `filter` lets them through. What is wrong with the capture is
/// said.
///
/// # Errors
///
/// When it cannot be read, has no samples by its metadata, or the ELF file is a wrong one.
pub(in crate::commands) fn gather(
    source: &Source,
    boot: &BootFolder,
    filter: &Filter,
    named: Elves<'_>,
) -> Result<Gathered, ProfileError> {
    let mut channels = filter.channels.iter();
    if let Some(name) = channels.find(|name| *name != CHANNEL) {
        return Err(ProfileError::Channel(name.clone()));
    }
    let filter = Filter {
        channels: vec![CHANNEL.to_owned()],
        ..filter.clone()
    };
    let (stored, audit) = source.audited(boot)?;
    filter.check(&stored.schema).map_err(ProfileError::Filter)?;
    say_unknown_fields(&filter, &stored.schema);
    let known = elf::symbols(named.kernel, &stored.kernel)?;
    let (symbols, elf) = known.map(|known| (known.symbols, known.path)).unzip();
    let told = stored.kernel.path.as_deref().map(Path::new);
    let programs = match (named.programs, elf.as_deref().or(told)) {
        (Some(folder), _) => Programs::of(Some(folder.to_owned())),
        (None, Some(kernel)) => Programs::beside(kernel),
        (None, None) => Programs::of(None),
    };
    let mut profile = Profile::new(Frames::new(symbols, programs));
    let mut faults = Vec::new();
    each_told(&stored, &filter, SAMPLE, &mut faults, |cpu, ns, told| {
        if let Told::Sample(sample) = told {
            profile.add(cpu, ns, sample);
        }
    })?;
    profile.sources = sources(&stored, &filter, &mut faults)?;
    if let Some(fault) = faults.first() {
        say(format!("{} records cannot be used: {fault}", faults.len()));
    }
    let is_sound = is_sound(&audit) && faults.is_empty();
    let streams = audit.streams.iter();
    let streams = streams.filter(|stream| filter.has_stream(&stream.channel, stream.cpu));
    Ok(Gathered {
        boot: boot.number,
        uuid: Uuid(stored.schema.uuid),
        profile,
        streams: streams.map(Stream::from).collect(),
        elf,
        is_damaged: !is_sound,
    })
}

/// What takes the samples that are wanted. It is told once, by one CPU and before the first sample:
/// so it counts whatever else is wanted, if it was told before the time that is.
fn sources(
    stored: &Stored,
    filter: &Filter,
    faults: &mut Vec<Fault>,
) -> Result<Vec<(u64, profile::Source)>, OpenError> {
    let all = Filter {
        channels: filter.channels.clone(),
        until: filter.until,
        query: format!("event == {SOURCE}").parse().ok(),
        ..Filter::default()
    };
    let mut sources = Vec::new();
    each_told(stored, &all, SOURCE, faults, |_, ns, told| {
        if let Told::Source(source) = told {
            sources.push((ns, source));
        }
    })?;
    let since = filter.since.map_or(0, |since| since.as_nanos());
    let is_before = |(ns, _): &(u64, _)| u128::from(*ns) <= since;
    // Those that another had followed by then took none of the samples.
    if let Some(last) = sources.iter().rposition(is_before) {
        sources.drain(..last);
    }
    Ok(sources)
}

/// Gives what the wanted records of a class say to `take`, with their CPUs and times.
fn each_told(
    stored: &Stored,
    filter: &Filter,
    class: &str,
    faults: &mut Vec<Fault>,
    mut take: impl FnMut(u32, u64, Told),
) -> Result<(), OpenError> {
    Merge::of(stored, filter)?.each(|next| {
        // What is lost or damaged the audit knows; others may have events there.
        if let Next::Record(shown, values) = next
            && shown.record.event.name == class
        {
            match profile::told(shown.record.event, values) {
                Ok(Some(told)) => take(shown.cpu, shown.ns, told),
                Ok(None) => {}
                Err(fault) => faults.push(fault),
            }
        }
        Ok(())
    })
}

/// Whether the streams of samples are as they were written, and nothing is wrong beside the
/// streams; what is wrong, or cannot be proven, is said.
fn is_sound(audit: &Audit) -> bool {
    audit.unproven.iter().for_each(say);
    let streams = audit.streams.iter();
    let of_samples = streams.filter(|stream| stream.channel == CHANNEL);
    let verdicts = of_samples.map(StreamAudit::verdict);
    let problems = Verdict::of_all(audit.problems.clone(), verdicts).problems();
    problems.iter().for_each(say);
    problems.is_empty()
}
