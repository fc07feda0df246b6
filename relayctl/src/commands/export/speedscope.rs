//! The JSON of speedscope, <https://www.speedscope.app>: a sampled profile for each CPU.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::rc::Rc;

use relay_decode::profile::Source;
use serde::Serialize;

use super::error::ExportError;
use super::format::{Format, Job};
use super::samples;
use crate::commands::profile::Gathered;
use crate::exit::Exit;
use crate::profile::Label;

/// The format.
pub(super) const FORMAT: Format = Format {
    name: "speedscope",
    about: "the profile for speedscope.app, CPU by CPU, in the order of time",
    write,
};

/// What the file has to name.
const SCHEMA: &str = "https://www.speedscope.app/file-format-schema.json";

/// The file.
#[derive(Debug, Serialize)]
struct Document {
    #[serde(rename = "$schema")]
    schema: &'static str,
    name: &'static str,
    exporter: &'static str,
    shared: Shared,
    profiles: Vec<Sampled>,
}

/// What all profiles have in common.
#[derive(Debug, Default, Serialize)]
struct Shared {
    frames: Vec<Function>,
}

/// A function.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
struct Function {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

/// The samples of a CPU.
#[derive(Debug, Serialize)]
struct Sampled {
    #[serde(rename = "type")]
    kind: &'static str,
    name: String,
    unit: &'static str,
    #[serde(rename = "startValue")]
    start_value: u64,
    #[serde(rename = "endValue")]
    end_value: u64,
    samples: Samples,
    weights: Vec<u64>,
}

/// Stacks, each of which many samples may have: places in the list of functions, the outermost
/// first.
#[derive(Debug)]
struct Samples {
    stacks: Rc<Vec<Vec<usize>>>,
    of: Vec<usize>,
}

impl Serialize for Samples {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.of.iter().map(|at| &self.stacks[*at]))
    }
}

fn write(job: &Job<'_>, out: &mut dyn Write) -> Result<Exit, ExportError> {
    let mut shared = Shared::default();
    let (mut places, mut profiles) = (HashMap::new(), Vec::new());
    let exit = samples::each(job, |gathered| {
        let of = job.selection.of;
        profiles.extend(sampled(&mut shared, &mut places, gathered, of));
    })?;
    let document = Document {
        schema: SCHEMA,
        name: "relay",
        exporter: concat!("relayctl ", env!("CARGO_PKG_VERSION")),
        shared,
        profiles,
    };
    let written = serde_json::to_writer(&mut *out, &document).map_err(io::Error::from);
    written
        .and_then(|()| out.write_all(b"\n"))
        .map_err(ExportError::Output)?;
    Ok(exit)
}

/// The profiles of a boot, one of so many: one for each CPU that has samples.
fn sampled(
    shared: &mut Shared,
    places: &mut HashMap<Function, usize>,
    gathered: &Gathered,
    of: usize,
) -> Vec<Sampled> {
    let profile = &gathered.profile;
    let frames = profile.frames.all();
    let mut place = |at: &usize| {
        let Label { name, .. } = Label::of(&frames[*at]);
        let file = frames[*at].file.clone();
        let function = Function { name, file };
        *places.entry(function.clone()).or_insert_with(|| {
            shared.frames.push(function);
            shared.frames.len() - 1
        })
    };
    let stacks = profile.stacks.iter();
    let stacks = stacks.map(|stack| stack.iter().rev().map(&mut place).collect());
    let stacks: Rc<Vec<Vec<usize>>> = Rc::new(stacks.collect());
    let (unit, weight) = weight(&profile.sources);
    let mut cpus: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for taken in &profile.samples {
        cpus.entry(taken.cpu).or_default().push(taken.stack);
    }
    let profiles = cpus.into_iter().map(|(cpu, of_cpu)| Sampled {
        kind: "sampled",
        name: match of {
            1 => format!("cpu {cpu}"),
            _ => format!("boot {}, cpu {cpu}", gathered.boot),
        },
        unit,
        start_value: 0,
        end_value: weight.saturating_mul(of_cpu.len() as u64),
        weights: vec![weight; of_cpu.len()],
        samples: Samples {
            stacks: Rc::clone(&stacks),
            of: of_cpu,
        },
    });
    profiles.collect()
}

/// What a sample stands for: the time from one to the next, if one rate is told, else itself.
fn weight(sources: &[(u64, Source)]) -> (&'static str, u64) {
    let mut rates = sources.iter().map(|(_, source)| source.hertz);
    match rates.next() {
        Some(hertz) if hertz > 0 && rates.all(|other| other == hertz) => {
            ("nanoseconds", 1_000_000_000 / u64::from(hertz))
        }
        _ => ("none", 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_a_time_where_one_rate_is_told() {
        let source = |hertz| {
            let name = "hpet".to_owned();
            (0, Source { name, hertz })
        };
        assert_eq!(
            weight(&[source(1000), source(1000)]),
            ("nanoseconds", 1_000_000)
        );
        for sources in [&[][..], &[source(0)], &[source(1000), source(100)]] {
            assert_eq!(weight(sources), ("none", 1));
        }
    }
}
