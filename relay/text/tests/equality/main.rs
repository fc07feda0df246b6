//! What this crate writes is what `format!` writes: for random placeholders and values of every
//! kind, `core::fmt` is the oracle.

#![forbid(unsafe_code)]

mod kinds;
mod spellings;

use kinds::Value;
use proptest::prelude::*;
use relay_text::Argument;
use std::fmt::Write as _;

/// A placeholder without its style, and the counts that it may name.
#[derive(Clone, Debug)]
struct Asked {
    flags: String,
    width: Option<u16>,
    precision: Option<u16>,
    /// Whether the template names the counts, or has them as numbers.
    is_named: bool,
}

fn asked() -> impl Strategy<Value = Asked> {
    let flags = (
        proptest::sample::select(spellings::ALIGNS.as_slice()),
        proptest::sample::select(["", "+", "-"].as_slice()),
        proptest::sample::select(["", "#"].as_slice()),
        proptest::sample::select(["", "0"].as_slice()),
    )
        .prop_map(|(align, sign, alternate, zero)| format!("{align}{sign}{alternate}{zero}"));
    let width = proptest::option::of(prop_oneof![8 => 0u16..40, 1 => 0u16..400]);
    let precision = proptest::option::of(prop_oneof![8 => 0u16..12, 1 => 0u16..100]);
    (flags, width, precision, any::<bool>()).prop_map(|(flags, width, precision, is_named)| Asked {
        flags,
        width,
        precision,
        is_named,
    })
}

impl Asked {
    /// As the literals have it.
    fn spelling(&self, style: &str) -> String {
        let width = self.width.map_or("", |_| "w$");
        let precision = self.precision.map_or("", |_| ".p$");
        format!("{}{width}{precision}{style}", self.flags)
    }

    /// As the template has it.
    fn spec(&self, style: &str) -> String {
        // A width of 0 as a number is the flag `0`.
        if self.is_named || self.width == Some(0) {
            return self.spelling(style);
        }
        let mut spec = self.flags.clone();
        if let Some(width) = self.width {
            write!(spec, "{width}").expect("a text takes all");
        }
        if let Some(precision) = self.precision {
            write!(spec, ".{precision}").expect("a text takes all");
        }
        spec + style
    }
}

/// Compares for every style that the value has; returns how many there were.
fn compare(value: &Value, asked: &Asked) -> usize {
    let count = |count: Option<u16>| Argument::Unsigned {
        value: u64::from(count.unwrap_or_default()),
        bits: 64,
    };
    let w = usize::from(asked.width.unwrap_or_default());
    let p = usize::from(asked.precision.unwrap_or_default());
    let mut compared = 0;
    value.with_argument(&mut |argument| {
        let fields = [
            ("value", argument),
            ("w", count(asked.width)),
            ("p", count(asked.precision)),
        ];
        for style in value.styles() {
            let expected = value
                .say(style, &asked.spelling(style), w, p)
                .expect("all spellings are there");
            let template = format!("{{{{{{value:{}}}}}}}", asked.spec(style));
            let mut text = String::new();
            relay_text::write(&mut text, &template, &fields).expect("a text takes all");
            assert_eq!(text, format!("{{{expected}}}"), "{template} of {value:?}");
            compared += 1;
        }
    });
    compared
}

/// How many random pairs of placeholder and value there are for each group of kinds; each is
/// compared in up to ten styles.
const CASES: u32 = 3000;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn numbers_are_those_of_format(value in kinds::number(), asked in asked()) {
        prop_assert_eq!(compare(&value, &asked), 10);
    }

    #[test]
    fn floating_point_numbers_are_those_of_format(value in kinds::float(), asked in asked()) {
        prop_assert_eq!(compare(&value, &asked), 6);
    }

    #[test]
    fn words_are_those_of_format(value in kinds::word(), asked in asked()) {
        prop_assert_eq!(compare(&value, &asked), 4);
    }

    #[test]
    fn addresses_are_those_of_format(value in kinds::address(), asked in asked()) {
        prop_assert_eq!(compare(&value, &asked), 5);
    }

    #[test]
    fn lists_are_those_of_format(value in kinds::several(), asked in asked()) {
        prop_assert_eq!(compare(&value, &asked), 3);
    }
}
