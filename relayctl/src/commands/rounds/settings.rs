//! What a seed chooses for the scenario `stress`.

use fastrand::Rng;

/// What drives the machine's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Instructions: everything is the same each time.
    Instructions,
    /// The host's time.
    Host,
}

/// Settings of the scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice(Vec<(&'static str, String)>);

impl Choice {
    /// What a seed chooses where `is_set` says that nobody else has.
    pub(crate) fn of(seed: u64, clock: Clock, is_set: impl Fn(&str) -> bool) -> Self {
        // All are drawn, whoever sets some of them: what is set does not change the others.
        let mut all = draw(&mut Rng::with_seed(seed), clock);
        all.push(("seed", seed.to_string()));
        // Not all go together: who sets one of these sets the others that matter, too.
        let shape = [
            "mode", "subbuf", "count", "usage", "delivery", "begin", "resize", "adapt",
        ];
        let is_shaped = shape.iter().any(|key| is_set(key));
        let depends =
            |key: &str| matches!(key, "usage" | "delivery" | "begin" | "resize" | "spares");
        all.retain(|(key, _)| !(is_set(key) || is_shaped && depends(key)));
        Self(all)
    }

    /// The arguments of `run`.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = String> {
        let settings = self.0.iter();
        settings.flat_map(|(key, value)| ["--set".to_owned(), format!("{key}={value}")])
    }
}

/// One of some words or numbers.
fn one_of<T: ToString>(random: &mut Rng, some: &[T]) -> String {
    let chosen = some.get(random.usize(0..some.len().max(1)));
    chosen.map(T::to_string).unwrap_or_default()
}

/// Draws what there is to choose.
fn draw(random: &mut Rng, clock: Clock) -> Vec<(&'static str, String)> {
    let timer = match clock {
        Clock::Instructions => random.u64(15..100),
        Clock::Host => random.u64(20..2000),
    };
    let mode = one_of(random, &["discard", "discard", "overwrite"]);
    let is_overwritten = mode == "overwrite";
    let usage = one_of(random, &["percpu", "percpu", "percpu", "global"]);
    // CPUs that take turns would always be found looking for what is to be overwritten in rings of
    // all, so that none is freed.
    let keeps_rings = is_overwritten && usage == "global";
    let mut all = vec![
        ("timer", timer.to_string()),
        ("mode", mode),
        ("subbuf", one_of(random, &[1024, 2048, 4096, 16384])),
        ("count", one_of(random, &[4, 8, 64, 256])),
        ("usage", usage),
        ("begin", one_of(random, &["heap", "heap", "static"])),
    ];
    let delivery = one_of(random, &["bulk", "bulk", "record"]);
    let spares = one_of(random, &[0, 2]);
    match is_overwritten {
        true => all.push(("spares", spares)),
        false => all.push(("delivery", delivery)),
    }
    let resize = random.u32(10..500).to_string();
    if random.u8(0..3) == 0 && !keeps_rings {
        all.push(("resize", resize));
    }
    let rate = random.u64(5_000..100_000).to_string();
    if random.bool() {
        all.push(("rate", rate));
    }
    let writers = ["task", "irq", "ipi", "nmi"];
    let some: Vec<_> = writers.into_iter().filter(|_| random.bool()).collect();
    if random.u8(0..4) == 0 && !some.is_empty() {
        all.push(("contexts", some.join(",")));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_chooses_the_same_each_time_and_what_is_set_stays() {
        let all = Choice::of(7, Clock::Instructions, |_| false);
        assert_eq!(all, Choice::of(7, Clock::Instructions, |_| false));
        assert!(all.arguments().any(|argument| argument == "seed=7"));
        let mut without = all.clone();
        without.0.retain(|(key, _)| *key != "rate");
        let set = Choice::of(7, Clock::Instructions, |key| key == "rate");
        assert_eq!(without, set);
        let shaped = Choice::of(7, Clock::Instructions, |key| key == "mode");
        let keys = ["mode", "usage", "delivery", "begin", "resize"];
        assert!(
            shaped.0.iter().all(|(key, _)| !keys.contains(key)),
            "{shaped:?}"
        );
    }

    #[test]
    fn seeds_choose_everything_at_times() {
        let seeds = 1..200;
        let all = seeds.flat_map(|seed| Choice::of(seed, Clock::Host, |_| false).0);
        let mut words: Vec<_> = all.collect();
        words.sort();
        words.dedup();
        for wanted in [
            "mode", "contexts", "rate", "timer", "subbuf", "count", "usage", "begin", "delivery",
            "resize", "spares",
        ] {
            assert!(
                words.iter().filter(|(key, _)| *key == wanted).count() > 1,
                "{wanted}"
            );
        }
    }
}
