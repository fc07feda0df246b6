//! What is done with the rings of the load while all CPUs write: what the settings ask for, and
//! which of them cannot go together.

use crate::base::cmdline::Options;
use crate::base::settings::{BEGIN, COUNT, DELIVERY, MODE, Preset, Range, SUBBUF, Setting, Takes};

/// Rings are exchanged for others.
pub(super) const RESIZE: Setting = Setting {
    key: "resize",
    about: "how many rings in all are exchanged for larger or smaller ones while all CPUs write",
    takes: Takes::number(0, u64::MAX, ""),
    default: Preset::Value(0),
};

/// Rings grow and shrink by what they need.
pub(super) const ADAPT: Setting = Setting {
    key: "adapt",
    about: "to how many sub-buffers rings grow while the drain stands still; idle, they shrink again",
    takes: Takes::PowerOfTwo(Range {
        least: 4,
        most: 1 << 15,
        unit: "",
    }),
    default: Preset::Else("they stay as they are"),
};

/// The size and count of sub-buffers of rings in static memory.
const EARLY: [u64; 2] = [1024, 2];

/// What is done with the rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RingPlan {
    /// They begin in small static memory.
    pub(super) begins_small: bool,
    /// What becomes of them then.
    pub(super) change: Change,
    /// Records can be read one by one.
    pub(super) by_record: bool,
}

/// What becomes of rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// They stay as they are.
    None,
    /// So many are exchanged for others of random sizes.
    Resize(u64),
    /// They grow to so many sub-buffers when they need to, and shrink when they do not.
    Adapt(usize),
}

impl RingPlan {
    /// What the settings ask for.
    ///
    /// # Errors
    /// Why that cannot be.
    pub(super) fn of(options: &Options<'_>) -> Result<Self, &'static str> {
        let resizes = options.value(&RESIZE).unwrap_or(0);
        let adapt = options.value(&ADAPT);
        let is_overwritten = options.value(&MODE) == Some(1);
        let by_record = options.value(&DELIVERY) == Some(1);
        if by_record && is_overwritten {
            return Err(
                "delivery=record and mode=overwrite cannot go together: a record that can \
                        be read could be overwritten at any time",
            );
        }
        let begins_small = options.value(&BEGIN) == Some(1);
        let full = [options.value(&SUBBUF), options.value(&COUNT)].map(Option::unwrap_or_default);
        if begins_small && full == EARLY {
            return Err(
                "begin=static needs other rings than those in static memory: \
                        subbuf=1024 and count=2",
            );
        }
        let change = match (resizes, adapt) {
            (0, None) => Change::None,
            (number, None) => Change::Resize(number),
            (0, Some(_)) if is_overwritten => {
                return Err(
                    "adapt and mode=overwrite cannot go together: a ring that is \
                            overwritten is always full",
                );
            }
            (0, Some(most)) if Some(most) <= options.value(&COUNT) => {
                return Err("adapt must be more than count: rings grow from one to the other");
            }
            (0, Some(most)) => Change::Adapt(most as usize),
            (_, Some(_)) => return Err("resize and adapt cannot go together"),
        };
        Ok(Self {
            begins_small,
            change,
            by_record,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::cmdline::parse;
    use crate::scenario::ABOUTS;

    fn plan(words: &str) -> Result<RingPlan, &'static str> {
        let line = format!("scenario=stress {words}");
        let complain = |complaint| panic!("{complaint}");
        RingPlan::of(&parse(&line, &ABOUTS, complain))
    }

    #[test]
    fn settings_make_a_plan_or_are_told_why_not() {
        let nothing = RingPlan {
            begins_small: false,
            change: Change::None,
            by_record: false,
        };
        assert_eq!(plan(""), Ok(nothing));
        let all = "begin=static resize=9 delivery=record usage=global";
        let change = Change::Resize(9);
        assert_eq!(
            plan(all),
            Ok(RingPlan {
                begins_small: true,
                change,
                by_record: true
            })
        );
        let change = Change::Adapt(128);
        assert_eq!(plan("adapt=128"), Ok(RingPlan { change, ..nothing }));
        let change = Change::Resize(1);
        assert_eq!(
            plan("resize=1 mode=overwrite"),
            Ok(RingPlan { change, ..nothing })
        );
        for (words, why) in [
            ("delivery=record mode=overwrite", "delivery=record and mode"),
            ("adapt=128 mode=overwrite", "adapt and mode"),
            ("adapt=128 resize=1", "resize and adapt"),
            ("begin=static subbuf=1024 count=2", "begin=static needs"),
            ("adapt=64", "adapt must be more than count"),
        ] {
            let refused = plan(words).expect_err(words);
            assert!(refused.starts_with(why), "{words}: {refused}");
        }
    }
}
