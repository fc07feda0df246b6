//! Templates that no compiler has seen: they are read to their end, and what is wrong stays.

#![forbid(unsafe_code)]

use proptest::prelude::*;
use relay_text::parse::{ErrorKind, Piece, pieces};
use relay_text::{Argument, Fields, write};
use std::fmt;

/// All values that there are, under short names.
fn filled(template: &str) -> String {
    let seven = Argument::Unsigned { value: 7, bits: 8 };
    let fields = [
        ("a", seven),
        ("b", Argument::Text("b")),
        ("c", Argument::Pointer(u64::MAX)),
        ("d", Argument::F64(f64::NAN)),
        (
            "e",
            Argument::Label {
                label: &"run",
                value: 3,
            },
        ),
        ("f", Argument::Formatted("{a}")),
        ("g", Argument::Option(Some(&seven))),
        (
            "h",
            Argument::Signed {
                value: -1,
                bits: 200,
            },
        ),
        (
            "i",
            Argument::Unsigned {
                value: u64::MAX,
                bits: 0,
            },
        ),
    ];
    let mut text = String::new();
    write(&mut text, template, &fields).expect("a text takes all");
    text
}

#[test]
fn what_cannot_be_filled_in_stays_as_it_stands() {
    for (template, expected) in [
        ("{nobody}", "{nobody}"),
        ("{} {0} {a}", "{} {0} 7"),
        ("{a:nobody$}", "{a:nobody$}"),
        ("{a:b$}", "{a:b$}"),
        ("{a:.i$}", "{a:.i$}"),
        ("{a:.*}", "{a:.*}"),
        ("{a:0$}", "{a:0$}"),
        ("{a:a$}|{b:a$}|", "      7|b      |"),
        ("{a:65536} {a", "{a:65536} {a"),
        ("50 % } of {a!} {a}", "50 % } of {a!} 7"),
        ("{f:>20}", "{a}"),
        // A style that the value does not have.
        ("{b:x}{d:#b}{a:p}", "bNaN7"),
        (
            "{e} {e:?} {e:>5}|{e:^5}|{e:#04x}",
            "run run   run| run |0x03",
        ),
        ("{g} {g:03x}", "Some(7) Some(007)"),
        ("{h:x} {h}", "ffffffffffffffff -1"),
    ] {
        assert_eq!(filled(template), expected, "{template}");
    }
}

#[test]
fn a_full_sink_is_the_only_error_and_ends_the_work() {
    /// Takes so many characters.
    struct Sink(usize);
    impl fmt::Write for Sink {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let length = text.chars().count();
            self.0 = self.0.checked_sub(length).ok_or(fmt::Error)?;
            Ok(())
        }
    }
    let fields = [("a", Argument::Bool(true))];
    let template = "{a:65535}".repeat(1000);
    assert_eq!(write(&mut Sink(100), &template, &fields), Err(fmt::Error));
    assert_eq!(write(&mut Sink(65535), "{a:65535}", &fields), Ok(()));
}

#[test]
fn fields_that_give_two_values_give_one() {
    struct Twice;
    impl Fields for Twice {
        fn find(&self, _: &str, found: &mut dyn FnMut(Argument<'_>) -> fmt::Result) -> fmt::Result {
            found(Argument::Char('1'))?;
            found(Argument::Char('2'))
        }
    }
    let mut text = String::new();
    write(&mut text, "{x}", &Twice).expect("a text takes all");
    assert_eq!(text, "1");
}

/// Strings that look like templates.
fn template() -> impl Strategy<Value = String> {
    let parts = [
        "{", "}", "{{", "}}", ":", "a", "b", "c", "d", "e", "g", "h", "i", "0", "9", "$", ".", "*",
        "#", "+", "-", "<", "^", ">", "?", "x", "X", "o", "p", "_", " ", "\n", "é", "👍", "65535",
        "{a}", "{b:", "99999",
    ];
    prop_oneof![
        any::<String>(),
        proptest::collection::vec(proptest::sample::select(parts.to_vec()), 0..24)
            .prop_map(|parts| parts.concat()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn any_string_is_read_to_its_end_and_bounded(template in template()) {
        let mut source = String::new();
        for piece in pieces(&template) {
            match piece {
                // The first of two braces is left out.
                Ok(Piece::Text(text)) => {
                    if let Some(brace @ ('{' | '}')) = text.chars().next() {
                        source.push(brace);
                    }
                    source.push_str(text);
                }
                Ok(Piece::Placeholder(placeholder)) => source.push_str(placeholder.source),
                Err(error) => source.push_str(error.source),
            }
        }
        prop_assert_eq!(&source, &template);
        // A placeholder of three bytes at least; 1100 digits at most, 65535 more after the point.
        let bound = template.len() + template.len() / 3 * (2 * 65_535 + 1200) * 'é'.len_utf8() * 2;
        prop_assert!(filled(&template).len() <= bound);
    }

    #[test]
    fn what_is_written_back_reads_the_same(template in template()) {
        for piece in pieces(&template) {
            let Ok(Piece::Placeholder(placeholder)) = piece else { continue };
            let again = format!("{{:{}}}", placeholder.spec);
            let read: Vec<_> = pieces(&again).collect();
            let [Ok(Piece::Placeholder(second))] = read.as_slice() else {
                panic!("{again}: {read:?}")
            };
            prop_assert_eq!(second.spec, placeholder.spec, "{}", again);
        }
    }

    #[test]
    fn errors_say_what_is_wrong(template in template()) {
        for error in pieces(&template).filter_map(Result::err) {
            let ErrorKind::Unexpected(character) = error.kind else { continue };
            prop_assert!(error.source.contains(character) || template.contains(character));
            prop_assert!(error.to_string().contains(error.source));
        }
    }
}
