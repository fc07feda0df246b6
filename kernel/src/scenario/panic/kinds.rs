//! The ways to fail, and what the command line calls them.

use super::ambush::Moment;
use crate::base::choice::Choice;
use crate::base::cmdline::Options;
use crate::base::settings::{Preset, Setting, Takes};
use crate::scenario::stress::nestings::Place;

/// How the CPU fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Panic,
    Fault,
    Overflow,
    DoubleFault,
    TripleFault,
    Together,
    Halfway,
    Relay,
    Heap,
    /// By an explicit panic, at a moment that an interrupt chooses.
    At(Moment),
}

/// What the command line calls them.
static KINDS: [(Kind, Choice); 17] = [
    (Kind::Panic, Choice::new("panic", "an explicit panic")),
    (
        Kind::Fault,
        Choice::new("fault", "a write to an unmapped page"),
    ),
    (
        Kind::Overflow,
        Choice::new(
            "overflow",
            "endless recursion into the guard page of the stack",
        ),
    ),
    (
        Kind::DoubleFault,
        Choice::new("double", "an exception for which there is no stack"),
    ),
    (
        Kind::TripleFault,
        Choice::new(
            "triple",
            "an exception that nobody can take: the machine resets",
        ),
    ),
    (
        Kind::Together,
        Choice::new("together", "an explicit panic on every CPU at once"),
    ),
    (
        Kind::Halfway,
        Choice::new(
            "halfway",
            "a panic while every CPU is in the middle of a record",
        ),
    ),
    (
        // The report itself fails, and only the fallback is left.
        Kind::Relay,
        Choice::new(
            "relay",
            "a panic whose message panics while it is being logged",
        ),
    ),
    (
        Kind::Heap,
        Choice::new("heap", "a panic in the allocator, which is locked"),
    ),
    (
        Kind::At(Moment::Irq),
        Choice::new("irq", "a panic in the timer interrupt"),
    ),
    (
        Kind::At(Moment::Nmi),
        Choice::new("nmi", "a panic in an NMI"),
    ),
    (
        Kind::At(Moment::Drain),
        Choice::new("drain", "a panic in an NMI while packets are being sent"),
    ),
    (
        Kind::At(Moment::Resize),
        Choice::new("resize", "a panic in an NMI while a ring is being replaced"),
    ),
    (
        Kind::At(Moment::Write(Place::Loaded)),
        Choice::new(
            "swap",
            "a panic in an NMI before a swap (kernels with the feature stress)",
        ),
    ),
    (
        Kind::At(Moment::Write(Place::Reserved)),
        Choice::new(
            "reserved",
            "a panic in an NMI between reserve and commit (the same kernels)",
        ),
    ),
    (
        Kind::At(Moment::Write(Place::Switch)),
        Choice::new(
            "switch",
            "a panic in an NMI while a packet is closed or opened (the same)",
        ),
    ),
    (
        Kind::At(Moment::Write(Place::Delivery)),
        Choice::new(
            "delivery",
            "a panic in an NMI while a packet is made readable (the same)",
        ),
    ),
];

/// Their names.
static CHOICES: [Choice; KINDS.len()] = {
    let mut choices = [KINDS[0].1; KINDS.len()];
    let mut at = 0;
    while at < KINDS.len() {
        choices[at] = KINDS[at].1;
        at += 1;
    }
    choices
};

/// How the CPU fails.
pub(super) const KIND: Setting = Setting {
    key: "kind",
    about: "how the CPU fails",
    takes: Takes::OneOf(&CHOICES),
    default: Preset::Value(0),
};

impl Kind {
    /// The one that was asked for.
    pub(super) fn of(options: &Options<'_>) -> Self {
        let place = options.value(&KIND).unwrap_or_default();
        let kind = KINDS.get(place as usize);
        kind.map_or(Self::Panic, |(kind, _)| *kind)
    }

    /// Whether this kernel can fail so: the places in a write are told by relay's phases alone.
    pub(super) fn is_possible(self) -> bool {
        cfg!(feature = "stress") || !matches!(self, Self::At(Moment::Write(_)))
    }

    /// Whether all CPUs write as fast as they can, in all contexts, and interrupt each other. In
    /// the other kinds they write what the way out can take, so that nothing is lost.
    pub(super) fn is_in_a_storm(self) -> bool {
        matches!(self, Self::At(_) | Self::Heap | Self::DoubleFault)
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Moment};
    use crate::base::cmdline;
    use crate::base::settings::About;
    use crate::scenario::panic::SCENARIO;

    #[test]
    fn kinds_are_known_by_name() {
        static ABOUTS: [About; 1] = [SCENARIO.about];
        let kind = |text| Kind::of(&cmdline::parse(text, &ABOUTS, |_| {}));
        assert_eq!(kind(""), Kind::Panic);
        assert_eq!(kind("kind=overflow"), Kind::Overflow);
        assert_eq!(kind("kind=relay"), Kind::Relay);
        assert_eq!(kind("kind=drain"), Kind::At(Moment::Drain));
    }

    #[test]
    fn what_needs_the_feature_is_known() {
        static ABOUTS: [About; 1] = [SCENARIO.about];
        let is_possible = |text| Kind::of(&cmdline::parse(text, &ABOUTS, |_| {})).is_possible();
        assert!(is_possible("kind=panic") && is_possible("kind=nmi"));
        assert_eq!(is_possible("kind=switch"), cfg!(feature = "stress"));
    }
}
