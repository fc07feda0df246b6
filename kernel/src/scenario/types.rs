//! `types`: an event with fields of every type, with values at the ends of their ranges and texts
//! that mean something elsewhere; and statements with every kind of placeholder, each of which is
//! said again as a text that the kernel has formatted itself. Who reads the capture compares.

use core::fmt;

use relay::clients::klog::{Place, Severity};

use super::definition::{Scenario, Verdict};
use crate::base::cmdline::Options;
use crate::base::settings::{About, TRACE};
use crate::logs::{klog, switches, trace};

pub(super) static SCENARIO: Scenario = Scenario {
    about: About {
        name: "types",
        about: "writes fields of every type, and lines with every kind of placeholder",
        settings: &[],
    },
    boot_cpu,
    other_cpu: |_| {},
    on_timer: |_| {},
    on_ipi: |_| {},
    on_nmi: |_| {},
};

/// What a task does.
#[derive(Clone, Copy, relay::Enum)]
#[repr(i8)]
enum State {
    Gone = -128,
    Idle = 0,
    Busy = 127,
}

relay::event! {
    /// Fields of every type that is a number, a truth or a character.
    #[event(
        channel = "trace",
        facility = "types",
        severity = Notice,
        enabled = false,
        text = "{a} {b} {hex64} {flags} {state} {letter:?}"
    )]
    struct Numbers {
        a: u8,
        b: u16,
        c: u32,
        d: u64,
        e: usize,
        f: i8,
        g: i16,
        h: i32,
        i: i64,
        j: isize,
        #[hex]
        hex8: u8,
        #[hex]
        hex16: u16,
        #[hex]
        hex32: u32,
        #[hex]
        hex64: u64,
        #[flags(READ = 1, WRITE = 2, ALL = 0xF000_0000)]
        flags: u32,
        f32_single: f32,
        double: f64,
        yes: bool,
        letter: char,
        state: State,
        address: *const u8,
    }

    /// Texts, bytes and lists of them.
    #[event(channel = "trace", facility = "types", enabled = false)]
    struct Lists<'a> {
        text: &'a str,
        bytes: &'a [u8],
        four: [u8; 4],
        signed: [i16; 3],
        many: &'a [u32],
        states: &'a [State],
        names: &'a [&'a str],
        pairs: &'a [[u16; 2]],
        maybe_number: Option<u64>,
        maybe_name: Option<&'a str>,
        event: u8,
    }

    /// No field at all.
    #[event(channel = "trace", facility = "types", enabled = false)]
    struct Nothing;
}

/// Texts that mean something to a terminal, to JSON, to TSDL, to a template, to C.
const STRANGE: [&str; 7] = [
    "",
    "plain",
    "\"quoted\" \\ back",
    "{braces} {{}} %d",
    "line\nbreak\ttab\r",
    "größer 日本 🦀",
    "*/ event { name = \"x\"; };",
];

/// Says a line as a statement, and again as a text.
macro_rules! both {
    ($($said:tt)*) => {
        relay::info!($($said)*);
        in_place(format_args!($($said)*));
    };
}

/// Logs a text that is formatted here, in the severity above that of statements.
fn in_place(message: fmt::Arguments<'_>) {
    let place = Place {
        module: module_path!(),
        file: file!(),
        line: line!(),
    };
    klog::write(Severity::Notice, place, message);
}

fn boot_cpu(options: &Options<'static>) -> Verdict {
    // The events are what it is for: they are on, unless the command line says which are.
    if options.text(&TRACE).is_none()
        && let Err(error) = switches::set(TRACE.key, "types")
    {
        relay::error!("trace=types: {error}");
        return Verdict::Fail;
    }
    for numbers in numbers() {
        trace::emit(|| numbers);
    }
    for text in STRANGE {
        lists(text);
    }
    trace::emit(|| Nothing);
    integers();
    floats();
    texts();
    arguments();
    Verdict::Pass
}

/// The ends of all ranges, and something between them. babeltrace2 shows six digits of floating point
/// numbers: these have no more.
fn numbers() -> [Numbers; 3] {
    let least = Numbers {
        a: 0,
        b: 0,
        c: 0,
        d: 0,
        e: 0,
        f: i8::MIN,
        g: i16::MIN,
        h: i32::MIN,
        i: i64::MIN,
        j: isize::MIN,
        hex8: 0,
        hex16: 0,
        hex32: 0,
        hex64: 0,
        flags: 0,
        f32_single: -3.25e38,
        double: -1.5e300,
        yes: false,
        letter: 'a',
        state: State::Gone,
        address: core::ptr::null(),
    };
    let most = Numbers {
        a: u8::MAX,
        b: u16::MAX,
        c: u32::MAX,
        d: u64::MAX,
        e: usize::MAX,
        f: i8::MAX,
        g: i16::MAX,
        h: i32::MAX,
        i: i64::MAX,
        j: isize::MAX,
        hex8: u8::MAX,
        hex16: u16::MAX,
        hex32: u32::MAX,
        hex64: u64::MAX,
        flags: u32::MAX,
        f32_single: 3.25e38,
        double: 1.5e300,
        yes: true,
        letter: char::MAX,
        state: State::Busy,
        address: core::ptr::without_provenance(usize::MAX),
    };
    let middle = Numbers {
        a: 7,
        f: -1,
        g: -1,
        h: -1,
        i: -1,
        j: -1,
        hex64: 0xffff_ffff_8020_0000,
        flags: 3,
        f32_single: 0.1,
        double: -0.0,
        letter: 'é',
        state: State::Idle,
        ..least
    };
    [least, middle, most]
}

/// Lists that are empty, and some that are not, around a text.
fn lists(text: &str) {
    let many: [u32; 5] = core::array::from_fn(|at| u32::MAX >> (8 * at.min(3)));
    let len = text.len() % (many.len() + 1);
    let event = Lists {
        text,
        bytes: text.as_bytes(),
        four: [0, 1, 254, 255],
        signed: [i16::MIN, -1, i16::MAX],
        many: &many[..len],
        states: &[State::Busy, State::Gone][..len.min(2)],
        names: &[text, "", text][..len.min(3)],
        pairs: &[[1, 2], [3, 4]][..len.min(2)],
        maybe_number: len.is_multiple_of(2).then_some(u64::MAX),
        maybe_name: (len % 2 == 1).then_some(text),
        event: 255,
    };
    trace::emit(|| event);
}

fn integers() {
    for number in [0_u64, 1, 255, u64::MAX] {
        both!("{number} {number:?} {number:x} {number:#X} {number:#o} {number:#b} {number:e}");
        both!("<{number:5}> <{number:<5}> <{number:^5}> <{number:>5}> <{number:05}> <{number:+}>");
        both!("<{number:*^30}> <{number:#018x}> <{number:é<8}> <{number:#?}> <{number:x?}>");
    }
    for number in [i8::MIN, -1, 0, i8::MAX] {
        both!("{number} {number:+} {number:x} {number:#b} {number:#06x} {number:E}");
    }
    for number in [i64::MIN, i64::MAX] {
        both!("{number} {number:25} {number:<+25} {number:o}");
    }
    let wide = u128::MAX;
    both!("{wide} {wide:#x} {:>42}", i128::MIN);
}

fn floats() {
    for number in [
        0.0,
        -0.0,
        1.5,
        -2.25e10,
        1.5e300,
        f64::MIN_POSITIVE,
        f64::NAN,
        f64::INFINITY,
    ] {
        both!("{number} {number:?} {number:e}");
        both!("{number:.3} {number:+.0}");
        both!("<{number:12.2}>");
    }
    for number in [0.1_f32, 3.25e38, f32::MIN_POSITIVE, -1.0] {
        both!("{number} {number:?} {number:.10} {number:E} <{number:012.3}>");
    }
}

fn texts() {
    for text in STRANGE {
        both!("{text} {text:?} <{text:12}> <{text:>12}> <{text:-^12}> <{text:.3}> <{text:8.2}>");
    }
    for letter in ['a', '\'', '"', '\n', 'é', '🦀', '\u{301}'] {
        both!("{letter} {letter:?} <{letter:4}> <{letter:>4}>");
    }
    both!("{} {:?} <{:7}> <{:>7}>", true, false, true, false);
}

fn arguments() {
    let (width, precision, name) = (9, 2, "name");
    let place = core::ptr::without_provenance::<u32>(0xdead_b000);
    both!("{place:p} {place:?} <{place:20p}> <{place:#p}>");
    both!("{0} {1} {0} {name} {named}", 1, 2, named = 3);
    both!("<{:1$}> <{:.*}> <{:width$.precision$}>", 7, 5, 1.23456, 2.5);
    both!("{{}} {{{}}} 100% \\ \"", 1);
    both!("{:?} {:?} {:?}", Some(1), None::<u8>, [1, 2]);
    both!("{:?}", ("a pair", 2));
    let verdict: Result<u8, fmt::Error> = Err(fmt::Error);
    both!("{verdict:?} {:#?}", Some(Some(1)));
    both!("nothing");
    both!("{}", format_args!("nested {}", 1));
}
