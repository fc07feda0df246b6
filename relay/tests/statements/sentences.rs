//! A statement's text is that of `format!`.

use crate::{LOG, Log};
use std::fmt;

/// Logs, and compares what a reader sees with what `format!` says; twice, since what is evaluated
/// once must be evaluated once.
macro_rules! same {
    ($log:ident, $($tokens:tt)*) => {{
        relay::info!($($tokens)*);
        let record = $log.one();
        let expected = format!($($tokens)*);
        assert_eq!(record.sentence(), expected, "{}", record.site.name());
        record
    }};
}

/// What only its program can print: with its own idea of width.
struct Own(u32);

impl fmt::Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("own {}", self.0))
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").field("number", &self.0).finish()
    }
}

impl fmt::LowerHex for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, f)
    }
}

#[test]
fn values_of_all_types_are_those_of_format() {
    let log = Log::start();
    same!(log, "nothing but {{braces}} and é\n\"quotes\"");
    same!(log, "");
    same!(
        log,
        "{} {} {} {} {}",
        200u8,
        60_000u16,
        u32::MAX,
        u64::MAX,
        usize::MAX
    );
    same!(
        log,
        "{} {} {} {} {}",
        i8::MIN,
        i16::MIN,
        i32::MIN,
        i64::MIN,
        isize::MIN
    );
    same!(
        log,
        "{:x} {:X} {:o} {:b} {:#x}",
        i8::MIN,
        -1i16,
        -1i32,
        -2i64,
        isize::MAX
    );
    same!(log, "{:e} {:E} {:?} {:x?}", 1500u32, -15i64, -1i8, -1i8);
    same!(
        log,
        "{} {:?} {:.3} {:+08.2e}",
        0.1f32,
        0.1f64,
        -1.0f64 / 3.0,
        12345.6f32
    );
    same!(
        log,
        "{} {:?} {:>8}|{:<8}|{:^8}|",
        true,
        false,
        true,
        'x',
        'é'
    );
    same!(log, "{:?} {:?} {}", '\'', '\u{0}', '👍');
    same!(
        log,
        "{} {:?} {:*^9} {:.2}",
        "text",
        "te\"xt\n",
        "mid",
        "cut"
    );
    same!(log, "{}", "a\0b");
    let text = String::from("owned");
    same!(log, "{text} {text:?} {}", &text[1..]);
    let pointer = std::ptr::without_provenance::<u32>(0x1234);
    same!(
        log,
        "{pointer:p} {pointer:?} {:#p} {:p}",
        pointer,
        pointer.cast_mut()
    );
    same!(log, "{:p}", &log);
    same!(
        log,
        "{} {:?} {:>12}|{:#?} {:#x}",
        Own(1),
        Own(2),
        Own(3),
        Own(4),
        Own(255)
    );
    same!(log, "{} {:?}", u128::MAX, i128::MIN);
    same!(log, "{:?} {:02x?} {:#?}", [1u8, 2], [3u8, 255], Some("x"));
    same!(log, "{:?} {:?}", (), Some(1.5f32));
    same!(log, "{:?}", std::time::Duration::from_millis(1500));
    let references = (&&1u32, &&&"deep", &mut 3i8);
    same!(log, "{} {} {}", references.0, references.1, references.2);
}

#[test]
fn every_way_to_name_an_argument_is_that_of_format() {
    let log = Log::start();
    let (x, width, precision) = (2.345_678f64, 12usize, 3usize);
    same!(log, "{x} {0} {n} {1} {0}", 1, 2, n = "named");
    same!(log, "{x:width$.precision$}|{x:<width$}|{:>1$}", 7, width);
    same!(log, "{:.*}|{:2$.*}|{:>w$.p$}", 2, x, 4, x, x, w = 9, p = 1);
    same!(log, "{width} {width:#x} {x:width$}");
    same!(log, "{:?} {0:#06x} {0}", 255);
    same!(log, "{x} {x} {x:e}",);
    let own = Own(7);
    same!(log, "{own:>width$}|{own:?}|{own}");
    let r#type = 5;
    same!(log, "{type} {}", r#type);
    same!(
        log,
        "{}{}{}{}{}{}{}{}{}{}{}{}{}{}",
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        10,
        11,
        12,
        13,
        14
    );
    same!(log, concat!("a ", "literal {}"), 1);
    same!(log, "{}", {
        let inner = 4;
        inner * 2
    });
}

#[test]
fn names_inside_of_macros_are_those_of_their_caller() {
    // A macro of somebody else's around the statement, with names of its own.
    macro_rules! around {
        ($format:literal, $value:expr) => {{
            let a0 = "mine";
            let fields = 1;
            relay::info!($format, $value, a0, fields);
        }};
    }
    let log = Log::start();
    let a0 = "outer";
    around!("{} {} {}", a0);
    assert_eq!(log.one().sentence(), "outer mine 1");
    let (b0, fields, message) = (1, 2, 3);
    same!(log, "{b0} {fields} {message} {a0}");
}

#[test]
fn what_is_generic_is_formatted_in_place() {
    fn generic<T: fmt::Display, D: fmt::Debug + ?Sized>(value: T, shown: &D) {
        relay::info!("{value:>5} {shown:?}");
    }
    let log = Log::start();
    generic(7u8, "text");
    let record = log.one();
    assert_eq!(record.sentence(), "    7 \"text\"");
    let strings = record.kinds();
    assert!(
        strings
            .iter()
            .all(|(_, kind)| *kind == relay::event::Kind::String)
    );
    // Not the same class: other types.
    generic(1.5f64, &[1]);
    assert_eq!(log.one().sentence(), "  1.5 [1]");
}

#[test]
fn an_argument_that_logs_and_one_that_returns_are_what_they_are() {
    fn inner() -> u32 {
        relay::info!("inner");
        7
    }
    fn early(number: Option<u32>) -> Option<u32> {
        relay::info!("early {}", number?);
        number
    }
    let log = Log::start();
    relay::info!("outer {}", inner());
    let sentences: Vec<_> = log
        .take()
        .iter()
        .map(crate::decode::Record::sentence)
        .collect();
    assert_eq!(sentences, ["inner", "outer 7"]);
    assert_eq!((early(None), early(Some(1))), (None, Some(1)));
    assert_eq!(log.one().sentence(), "early 1");
}

#[test]
fn what_fails_to_print_says_so_and_what_is_too_long_is_cut() {
    struct Fails;
    impl fmt::Display for Fails {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("half")?;
            Err(fmt::Error)
        }
    }
    let log = Log::start();
    relay::info!("{} {}", Fails, 1);
    let sentence = log.one().sentence();
    assert_eq!(sentence, "half...[an argument failed to print] 1");
    // Above what a packet takes, and above what 16 bits count.
    for count in [600, 3000, 50_000] {
        let long = "é".repeat(count);
        for statement in [
            (|long| relay::info!("{long} {} {}", 7, Own(8))) as fn(&str),
            |long| relay::info!("{0} {1} {2}", format_args!("{long}"), 7, Own(8)),
            |long| relay::info!("{long} {long:?} {} {}", 7, Own(8)),
        ] {
            statement(&long);
            let sentence = log.one().sentence();
            assert!(sentence.starts_with("éééé"), "{sentence}");
            assert!(sentence.contains(" bytes cut]"), "{sentence}");
            assert!(sentence.ends_with(" 7 own 8"), "{sentence}");
        }
    }
    relay::info!("{} {}", "x".repeat(2000), Fails);
    let sentence = log.one().sentence();
    assert!(
        sentence.ends_with("half...[an argument failed to print]"),
        "{sentence}"
    );
}

#[test]
fn what_prints_otherwise_each_time_is_a_whole_record() {
    /// Longer whenever it is printed.
    struct Grows(std::cell::Cell<usize>);
    impl fmt::Display for Grows {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.set(self.0.get() * 2);
            write!(f, "{:g$}", "", g = self.0.get())
        }
    }
    let log = Log::start();
    for first in [10, 40, 60, 100, 270, 500] {
        let [a, b, c] = [first, first, first].map(|first| Grows(std::cell::Cell::new(first)));
        relay::info!("{a} {b} {c} {} {}", "x".repeat(2000), 7);
        let sentence = log.one().sentence();
        assert!(sentence.ends_with("bytes cut] 7"), "{first}: {sentence}");
    }
    // As many as there may be, of nothing but arguments that have hardly any room.
    let [long, fails] = ["y".repeat(90), "z".repeat(2000)];
    struct Fails<'a>(&'a str);
    impl fmt::Display for Fails<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)?;
            Err(fmt::Error)
        }
    }
    let (a, b) = (Fails(&long), Fails(&fails));
    relay::info!(
        "{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{}{} {a} {b} {}",
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        long,
        7
    );
    let sentence = log.one().sentence();
    assert!(sentence.ends_with(" 7"), "{sentence}");
    assert_eq!(LOG.stats(log.cpu.number()).expect("a ring").lost.total(), 0);
}

#[test]
fn arguments_are_evaluated_once_and_only_where_the_statement_is_on() {
    let log = Log::start();
    let mut count = 0;
    let mut next = || {
        count += 1;
        count
    };
    for _ in 0..3 {
        relay::debug!("off at first {}", next());
    }
    assert!(log.take().is_empty());
    for number in 1..4 {
        relay::notice!("{0} {0} {0:?}", next());
        assert_eq!(log.one().sentence(), format!("{number} {number} {number}"));
    }
    assert_eq!(LOG.stats(log.cpu.number()).expect("a ring").lost.total(), 0);
}
