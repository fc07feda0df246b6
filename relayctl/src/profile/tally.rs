//! Samples, counted by what they have in common.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;

use super::label::Label;
use super::samples::{Profile, Taken};
use crate::symbols::Frame;

/// How many samples have something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Where it was what ran.
    pub(crate) own: u64,
    /// Where it ran, or what it had called: a sample counts once, however often it is there.
    pub(crate) total: u64,
}

/// Counts samples by what their functions have in common: `key` says it of one function at a
/// place. `counts` are those of the stacks.
#[must_use]
pub(crate) fn by_frame<K: Clone + Eq + Hash + Ord>(
    profile: &Profile,
    counts: &[u64],
    key: impl Fn(&Frame) -> K,
) -> Vec<(K, Count)> {
    let keys: Vec<K> = profile.frames.all().iter().map(key).collect();
    let mut tally: HashMap<&K, Count> = HashMap::new();
    let mut seen = BTreeSet::new();
    for (stack, count) in counted(profile, counts) {
        seen.clear();
        for (depth, frame) in stack.iter().enumerate() {
            let key = &keys[*frame];
            let sum = tally.entry(key).or_default();
            if depth == 0 {
                sum.own += count;
            }
            if seen.insert(key) {
                sum.total += count;
            }
        }
    }
    let rows = tally.into_iter().map(|(key, count)| (key.clone(), count));
    sorted(rows.collect())
}

/// Counts samples by something that each of those has that are wanted.
#[must_use]
pub(crate) fn by_sample<K: Ord>(
    profile: &Profile,
    is_wanted: impl Fn(&Taken) -> bool,
    key: impl Fn(&Taken) -> K,
) -> Vec<(K, Count)> {
    let mut tally: BTreeMap<K, Count> = BTreeMap::new();
    for taken in profile.samples.iter().filter(|taken| is_wanted(taken)) {
        let sum = tally.entry(key(taken)).or_default();
        sum.own += 1;
        sum.total += 1;
    }
    sorted(tally.into_iter().collect())
}

/// What is next to a function.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Next {
    /// Another function, or itself if it calls itself.
    Function(Label),
    /// Nothing: it is what ran, or nothing is known of what called it.
    End,
}

/// The functions that have called one, each with the samples in which it has; and all samples with
/// that one. A sample counts once for each caller, so that where a function calls itself they may
/// be more together.
#[must_use]
pub(crate) fn callers(profile: &Profile, counts: &[u64], of: &Label) -> (Vec<(Next, u64)>, u64) {
    neighbours(profile, counts, of, |at| at.checked_add(1))
}

/// The functions that one has called, in the same way.
#[must_use]
pub(crate) fn callees(profile: &Profile, counts: &[u64], of: &Label) -> (Vec<(Next, u64)>, u64) {
    neighbours(profile, counts, of, |at| at.checked_sub(1))
}

/// What is at the place that `step` says, beside a function.
fn neighbours(
    profile: &Profile,
    counts: &[u64],
    of: &Label,
    step: impl Fn(usize) -> Option<usize>,
) -> (Vec<(Next, u64)>, u64) {
    let labels: Vec<Label> = profile.frames.all().iter().map(Label::of).collect();
    let mut tally: HashMap<Option<&Label>, u64> = HashMap::new();
    let (mut seen, mut all) = (BTreeSet::new(), 0);
    for (stack, count) in counted(profile, counts) {
        seen.clear();
        for (at, _) in stack
            .iter()
            .enumerate()
            .filter(|(_, it)| labels[**it] == *of)
        {
            let next = step(at).and_then(|at| stack.get(at));
            seen.insert(next.map(|frame| &labels[*frame]));
        }
        for next in &seen {
            *tally.entry(*next).or_default() += count;
        }
        all += if seen.is_empty() { 0 } else { count };
    }
    let mut rows: Vec<_> = tally
        .into_iter()
        .map(|(next, count)| match next {
            Some(label) => (Next::Function(label.clone()), count),
            None => (Next::End, count),
        })
        .collect();
    rows.sort_by(|(a, x), (b, y)| y.cmp(x).then_with(|| a.cmp(b)));
    (rows, all)
}

/// The stacks that samples have, and how many.
fn counted<'a>(
    profile: &'a Profile,
    counts: &'a [u64],
) -> impl Iterator<Item = (&'a [usize], u64)> {
    let stacks = profile.stacks.iter().zip(counts);
    stacks.filter_map(|(stack, count)| (*count > 0).then_some((&**stack, *count)))
}

/// Puts those first that ran most, then those that are in most samples.
fn sorted<K: Ord>(mut rows: Vec<(K, Count)>) -> Vec<(K, Count)> {
    rows.sort_by(|(a, x), (b, y)| {
        let order = y.own.cmp(&x.own).then(y.total.cmp(&x.total));
        order.then_with(|| a.cmp(b))
    });
    rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use relay_decode::profile::Sample;

    use super::*;
    use crate::profile::Frames;
    use crate::symbols::Programs;

    /// A profile without symbols: functions are called by their addresses.
    fn profile(stacks: &[Vec<u64>]) -> Profile {
        let mut profile = Profile::new(Frames::new(None, Programs::of(None)));
        for (stack, ns) in stacks.iter().zip(0..) {
            let (ip, stack) = stack.split_first().expect("something ran");
            let (from, thread) = (None, 0);
            let stack = stack.to_vec();
            let sample = Sample {
                ip: *ip,
                from,
                thread,
                process: 0,
                name: String::new(),
                stack,
            };
            profile.add(0, ns, sample);
        }
        profile
    }

    /// Own and total samples of every function.
    fn functions(profile: &Profile) -> Vec<(String, u64, u64)> {
        let counts = profile.counts(|_| true);
        let rows = by_frame(profile, &counts, Label::of).into_iter();
        rows.map(|(label, count)| (label.name, count.own, count.total))
            .collect()
    }

    fn label(address: u64) -> Label {
        Label {
            name: format!("{address:#x}"),
            file: None,
        }
    }

    /// What is next to a function, with `end` for nothing.
    fn named((rows, all): (Vec<(Next, u64)>, u64)) -> (Vec<(String, u64)>, u64) {
        let rows = rows.into_iter().map(|(next, count)| match next {
            Next::Function(label) => (label.name, count),
            Next::End => ("end".to_owned(), count),
        });
        (rows.collect(), all)
    }

    #[test]
    fn a_function_counts_once_in_a_sample() {
        // 1 calls 2, 2 calls itself and 3.
        let stacks = [vec![3, 2, 2, 1], vec![2, 2, 1], vec![3, 2, 1], vec![1]];
        let profile = profile(&stacks);
        let text = |address: u64| format!("{address:#x}");
        assert_eq!(
            functions(&profile),
            [(text(3), 2, 2), (text(1), 1, 4), (text(2), 1, 3)]
        );
        let counts = profile.counts(|_| true);
        assert_eq!(
            named(callers(&profile, &counts, &label(2))),
            (vec![(text(1), 3), (text(2), 2)], 3)
        );
        assert_eq!(
            named(callees(&profile, &counts, &label(2))),
            (vec![(text(2), 2), (text(3), 2), ("end".to_owned(), 1)], 3)
        );
        assert_eq!(
            named(callers(&profile, &counts, &label(1))),
            (vec![("end".to_owned(), 4)], 4)
        );
        assert_eq!(named(callees(&profile, &counts, &label(9))), (vec![], 0));
        // Only of the samples that are wanted.
        let counts = profile.counts(|taken| taken.ns == 1);
        assert_eq!(
            named(callees(&profile, &counts, &label(2))),
            (vec![(text(2), 1), ("end".to_owned(), 1)], 1)
        );
    }

    proptest! {
        /// The same as counting each sample by itself.
        #[test]
        fn counts_are_those_of_each_sample(
            stacks in prop::collection::vec(prop::collection::vec(0u64..5, 1..6), 0..40),
            of in 0u64..5
        ) {
            let profile = profile(&stacks);
            let counts = profile.counts(|_| true);
            let found = functions(&profile);
            for address in 0..5 {
                let name = format!("{address:#x}");
                let own = stacks.iter().filter(|stack| stack[0] == address).count() as u64;
                let total = stacks.iter().filter(|stack| stack.contains(&address)).count() as u64;
                let row = (total > 0).then_some((name.clone(), own, total));
                prop_assert_eq!(found.iter().find(|(it, ..)| *it == name).cloned(), row);
                let called = |stack: &&Vec<u64>| stack.windows(2).any(|pair| pair == [address, of]);
                let calls = stacks.iter().filter(called).count() as u64;
                let (rows, _) = named(callees(&profile, &counts, &label(of)));
                let is = rows.iter().find(|(it, _)| *it == name).map_or(0, |(_, count)| *count);
                prop_assert_eq!(is, calls);
                let called = |stack: &&Vec<u64>| stack.windows(2).any(|pair| pair == [of, address]);
                let calls = stacks.iter().filter(called).count() as u64;
                let (rows, all) = named(callers(&profile, &counts, &label(of)));
                let is = rows.iter().find(|(it, _)| *it == name).map_or(0, |(_, count)| *count);
                prop_assert_eq!(is, calls);
                prop_assert_eq!(all, stacks.iter().filter(|it| it.contains(&of)).count() as u64);
            }
        }
    }
}
