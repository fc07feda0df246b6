//! What was interrupted where, as the scenario `stress` says it in its log.

use std::collections::BTreeMap;

use crate::report;

/// Where in a write something came, in the order in which the kernel tells it.
const PLACES: [&str; 4] = [
    "between load and swap",
    "between reserve and commit",
    "in a switch",
    "in delivery",
];

/// How often NMIs should have come there, and how many swaps should have failed, for a proof to be
/// one.
const WANTED: [u64; PLACES.len()] = [1000, 100, 100, 100];
const WANTED_FAILURES: u64 = 1000;

/// How often something was interrupted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Nestings {
    /// By what interrupted what (`nmi in irq`): how often in all, and at each place.
    counts: BTreeMap<String, [u64; 1 + PLACES.len()]>,
    /// Swaps that failed.
    failed: u64,
}

impl Nestings {
    /// Takes a message of the log, if it is about that.
    pub(super) fn take(&mut self, message: &str) {
        if let Some(failed) = message.strip_suffix(" swaps failed") {
            self.failed += failed.parse().unwrap_or(0);
        } else if let Some((name, counts)) = read(message) {
            let sums = self.counts.entry(name.to_owned()).or_default();
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
        }
    }

    /// Adds others.
    pub(super) fn add(&mut self, other: &Self) {
        self.failed += other.failed;
        for (name, counts) in &other.counts {
            let sums = self.counts.entry(name.clone()).or_default();
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
        }
    }

    /// How often NMIs came at each place.
    fn nmis(&self) -> [u64; PLACES.len()] {
        let nmis = self
            .counts
            .iter()
            .filter(|(name, _)| name.starts_with("nmi "));
        let mut sums = [0; PLACES.len()];
        for (_, counts) in nmis {
            for (sum, count) in sums.iter_mut().zip(&counts[1..]) {
                *sum += count;
            }
        }
        sums
    }

    /// Whether no NMI came at one of the places, or no swap failed.
    pub(super) fn lacks_one(&self) -> bool {
        self.failed == 0 || self.nmis().contains(&0)
    }

    /// What came too rarely for a proof.
    pub(super) fn lacking(&self) -> Vec<String> {
        let places = PLACES.iter().zip(self.nmis().into_iter().zip(WANTED));
        let mut lacking: Vec<_> = places
            .filter(|(_, (count, wanted))| count < wanted)
            .map(|(place, (count, wanted))| format!("{count} of {wanted} NMIs {place}"))
            .collect();
        if self.failed < WANTED_FAILURES {
            let failed = self.failed;
            lacking.push(format!("{failed} of {WANTED_FAILURES} failed swaps"));
        }
        lacking
    }

    /// A table for people.
    pub(super) fn table(&self) -> String {
        let heads = ["interrupted", "times"].into_iter().chain(PLACES);
        let mut rows = vec![heads.map(str::to_owned).collect::<Vec<_>>()];
        for (name, counts) in &self.counts {
            let counts = counts.iter().map(u64::to_string);
            rows.push(std::iter::once(name.clone()).chain(counts).collect());
        }
        format!("{}{} swaps failed\n", report::align(&rows), self.failed)
    }

    /// The same for programs.
    pub(super) fn json(&self) -> serde_json::Value {
        let counts = self.counts.iter().map(|(name, counts)| {
            let names = ["times"].into_iter().chain(PLACES);
            let named = names
                .zip(counts)
                .map(|(name, count)| (name.to_owned(), (*count).into()));
            (name.clone(), serde_json::Value::Object(named.collect()))
        });
        serde_json::json!({
            "failed_swaps": self.failed,
            "interrupted": serde_json::Value::Object(counts.collect()),
        })
    }
}

/// Reads `nmi in task: 9, of these 1 between load and swap, 2 between ...`.
fn read(message: &str) -> Option<(&str, [u64; 1 + PLACES.len()])> {
    let (name, rest) = message.split_once(": ")?;
    let (all, places) = rest.split_once(", of these ")?;
    let mut counts = [0; 1 + PLACES.len()];
    counts[0] = all.parse().ok()?;
    let mut places = places.split(", ");
    for (count, name) in counts[1..].iter_mut().zip(PLACES) {
        *count = places.next()?.strip_suffix(name)?.trim_end().parse().ok()?;
    }
    places.next().is_none().then_some((name, counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "nmi in task: 9, of these 1 between load and swap, 2 between reserve and \
                        commit, 3 in a switch, 4 in delivery";

    #[test]
    fn what_the_kernel_says_is_added_up() {
        let mut one = Nestings::default();
        for message in [
            LINE,
            "7 swaps failed",
            "cpu 1 up",
            "nmi in task: 9, of these x",
        ] {
            one.take(message);
        }
        assert_eq!(one.counts["nmi in task"], [9, 1, 2, 3, 4]);
        let mut sum = one.clone();
        sum.add(&one);
        assert_eq!((sum.failed, sum.counts["nmi in task"][0]), (14, 18));
        let table = sum.table();
        assert!(
            table.contains("nmi in task") && table.contains("14 swaps failed"),
            "{table}"
        );
        assert_eq!(sum.json()["interrupted"]["nmi in task"]["in a switch"], 6);
    }

    #[test]
    fn what_came_too_rarely_is_named() {
        let mut nestings = Nestings::default();
        assert_eq!(nestings.lacking().len(), PLACES.len() + 1);
        for _ in 0..100 {
            nestings.take(LINE);
        }
        let lacking = nestings.lacking();
        assert_eq!(
            lacking,
            [
                "100 of 1000 NMIs between load and swap",
                "0 of 1000 failed swaps"
            ]
        );
    }
}
