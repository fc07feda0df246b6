//! What is to be known about samples beside where they were: where they come from, how many are
//! not there, and on which CPUs.

use std::fmt::Write as _;

use relay_decode::balance::Balance;
use relay_decode::profile::Source;
use serde::Serialize;

use super::gather::Gathered;
use crate::report::{Reasons, Sums};

/// The samples of one CPU.
#[derive(Debug, Serialize)]
pub(super) struct Cpu {
    /// The CPU.
    pub(super) cpu: u32,
    /// How many samples of it are wanted.
    pub(super) samples: u64,
    /// How often they came, if that can be told.
    pub(super) hertz: Option<f64>,
    /// The ledger of its stream, all of it.
    #[serde(flatten)]
    sums: Sums<Reasons>,
}

/// Where samples come from, and since when.
#[derive(Debug, Serialize)]
pub(super) struct Since<'a> {
    ns: u64,
    source: &'a str,
    hertz: u32,
}

/// What is known about the samples of a boot.
#[derive(Debug)]
pub(in crate::commands) struct Facts {
    /// CPU by CPU.
    pub(super) cpus: Vec<Cpu>,
    /// The times of the first and the last sample, in nanoseconds.
    times: Option<(u64, u64)>,
    /// The sums over all CPUs.
    balance: Balance,
}

impl Facts {
    /// Looks at samples.
    pub(in crate::commands) fn of(gathered: &Gathered) -> Self {
        // Samples, and the times of the first and the last, by the place of the CPU's stream.
        let mut found = vec![(0u64, u64::MAX, 0u64); gathered.streams.len()];
        let streams = &gathered.streams;
        for taken in &gathered.profile.samples {
            // Streams are sorted by their CPUs.
            let at = streams.binary_search_by_key(&taken.cpu, |stream| stream.cpu);
            if let Some((count, first, last)) = at.ok().and_then(|at| found.get_mut(at)) {
                *count += 1;
                *first = taken.ns.min(*first);
                *last = taken.ns.max(*last);
            }
        }
        let cpus = streams
            .iter()
            .zip(&found)
            .map(|(stream, (count, first, last))| Cpu {
                cpu: stream.cpu,
                samples: *count,
                hertz: rate(*count, last.saturating_sub(*first)),
                sums: stream.balance.into(),
            });
        let times = found.iter().filter(|(count, ..)| *count > 0);
        let times = times.fold(None, |times: Option<(u64, u64)>, (_, from, to)| {
            Some(times.map_or((*from, *to), |(first, last)| {
                (first.min(*from), last.max(*to))
            }))
        });
        Self {
            cpus: cpus.collect(),
            times,
            balance: streams.iter().map(|stream| stream.balance).sum(),
        }
    }

    /// What JSON says of the sources.
    pub(super) fn sources(gathered: &Gathered) -> Vec<Since<'_>> {
        let sources = gathered.profile.sources.iter();
        let sources = sources.map(|(ns, Source { name, hertz })| Since {
            ns: *ns,
            source: name,
            hertz: *hertz,
        });
        sources.collect()
    }

    /// Lines for people.
    pub(in crate::commands) fn text(&self, gathered: &Gathered) -> String {
        let mut text = String::new();
        let samples: u64 = self.cpus.iter().map(|cpu| cpu.samples).sum();
        let with: Vec<_> = self.cpus.iter().filter(|cpu| cpu.samples > 0).collect();
        // Writing to a `String` cannot fail, here and below.
        let _ = write!(text, "{samples} samples of {} CPUs", with.len());
        if let Some((first, last)) = self.times {
            let seconds = |ns: u64| format!("{}.{:06}", ns / 1_000_000_000, ns / 1000 % 1_000_000);
            let _ = write!(text, ", {} to {}", seconds(first), seconds(last));
        }
        let sources: Vec<_> = gathered.profile.sources.iter().map(|(_, it)| it).collect();
        match sources[..] {
            [] => text += "; what took them is not told",
            [Source { name, hertz }, ..] => {
                let name = relay_decode::escape::printable(name.as_bytes());
                let _ = write!(text, "; by {name} at {hertz} Hz");
            }
        }
        if sources.windows(2).any(|pair| pair[0] != pair[1]) {
            text += ", then others";
        }
        let rates = with.iter().filter_map(|cpu| cpu.hertz);
        let range = rates.fold(None, |range: Option<(f64, f64)>, rate| {
            Some(range.map_or((rate, rate), |(low, high)| (low.min(rate), high.max(rate))))
        });
        if let Some((low, high)) = range {
            let _ = write!(text, "; came at {low:.1} to {high:.1} Hz");
        }
        text.push('\n');
        self.missing(&mut text);
        if gathered.profile.full > 0 {
            let _ = writeln!(
                text,
                "{} samples have {} return addresses, the most that there can be: who called them \
                 may be missing",
                gathered.profile.full,
                relay_decode::profile::MAX_STACK
            );
        }
        text
    }

    /// Says which samples are not there.
    fn missing(&self, text: &mut String) {
        let Balance {
            attempted,
            lost,
            overwritten,
            uncommitted,
            unaccounted,
            ..
        } = self.balance;
        let reasons = lost.named().into_iter().chain([
            ("overwritten", overwritten),
            ("uncommitted", uncommitted),
            ("unaccounted", unaccounted),
        ]);
        let reasons: Vec<_> = reasons
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| format!("{reason} {count}"))
            .collect();
        let gone = attempted.saturating_sub(self.balance.delivered);
        // Writing to a `String` cannot fail, here and below.
        let _ = match reasons[..] {
            [] => writeln!(text, "lost: none of {attempted} records"),
            _ => writeln!(
                text,
                "lost: {gone} of {attempted} records ({})",
                reasons.join(", ")
            ),
        };
        let without: Vec<u32> = self
            .cpus
            .iter()
            .filter(|cpu| cpu.samples == 0)
            .map(|cpu| cpu.cpu)
            .collect();
        if !without.is_empty() {
            let _ = writeln!(text, "no sample of CPU {}", ranges(&without));
        }
    }
}

/// How often something came that came so many times, from the first to the last time.
fn rate(count: u64, span_ns: u64) -> Option<f64> {
    let between = count.checked_sub(1).filter(|between| *between > 0)?;
    let rate = between as f64 * 1e9 / span_ns as f64;
    rate.is_finite().then(|| (rate * 1000.0).round() / 1000.0)
}

/// Numbers that ascend, as `0,2-4`.
fn ranges(numbers: &[u32]) -> String {
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match parts.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*number) => *last = *number,
            _ => parts.push((*number, *number)),
        }
    }
    let parts: Vec<_> = parts
        .into_iter()
        .map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        })
        .collect();
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ranges() {
        assert_eq!(ranges(&[0, 2, 3, 4, 7, u32::MAX]), "0,2-4,7,4294967295");
        assert_eq!(ranges(&[]), "");
    }

    #[test]
    fn a_rate_needs_two_samples() {
        assert_eq!(rate(0, 0), None);
        assert_eq!(rate(1, 0), None);
        assert_eq!(rate(2, 0), None);
        assert_eq!(rate(1001, 1_000_000_000), Some(1000.0));
    }
}
