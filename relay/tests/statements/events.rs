//! Events with fields of every type.

use crate::decode::Value;
use crate::{LOG, Log};
use relay::event::{Event, Kind, Severity, StreamClass};

#[derive(Clone, Copy, Debug, relay::Enum)]
enum State {
    Idle,
    Runs = 5,
}

#[derive(Debug, relay::Enum)]
#[repr(i16)]
enum Signed {
    Low = -300,
    High = 7,
}

#[derive(Debug, relay::Enum)]
enum Wide {
    Small = 1,
    Large = 70_000,
}

relay::event! {
    ///
    /// A task goes, another comes.
    ///
    /// More about it.
    #[event(channel = "sched", name = "sched_switch", severity = Notice, facility = "sched")]
    #[event(text = "from {from:>3} to {name:?}, {state} {mode} at {address}, {regs:?} {maybe:?}")]
    #[derive(Debug)]
    struct Switch<'a> {
        /// The one that goes.
        from: u32,
        #[hex]
        address: u64,
        #[flags(READ = 1, WRITE = 1 << 1, r#type = 4)]
        mode: u16,
        state: State,
        signed: Signed,
        wide: Wide,
        name: &'a str,
        regs: [u64; 2],
        all: &'a [u32],
        raw: &'a [u8],
        texts: [&'a str; 2],
        maybe: Option<u16>,
        nothing: Option<&'a str>,
        is_last: bool,
        letter: char,
        share: f32,
        precise: f64,
        offset: isize,
    }

    #[event(channel = "sched", enabled = false)]
    struct SchedIdle;

    #[event(channel = "sched", id = 7)]
    struct ByHand { number: u8 }

    #[event(channel = "other")]
    #[cfg(any())]
    struct NotThere { number: NoType }
}

#[test]
fn all_fields_are_what_they_were() {
    let log = Log::start();
    let event = Switch {
        from: 7,
        address: 0xdead_beef,
        mode: 5,
        state: State::Runs,
        signed: Signed::Low,
        wide: Wide::Large,
        name: "in\"it",
        regs: [1, u64::MAX],
        all: &[1, 2, 3],
        raw: b"ab",
        texts: ["a", "bcd"],
        maybe: Some(3),
        nothing: None,
        is_last: true,
        letter: 'é',
        share: 0.1,
        precise: -0.5,
        offset: -9,
    };
    assert!(format!("{event:?}").starts_with("Switch"));
    LOG.emit(&event).expect("there is room");
    let record = log.one();
    let unsigned = Value::Unsigned;
    let expected = [
        ("from", unsigned(7, 32)),
        ("address", Value::Hex(0xdead_beef)),
        ("mode", Value::Named("READ|type".to_owned(), 5)),
        ("state", Value::Named("Runs".to_owned(), 5)),
        (
            "signed",
            Value::Named("Low".to_owned(), (-300i64).cast_unsigned()),
        ),
        ("wide", Value::Named("Large".to_owned(), 70_000)),
        ("name", Value::Text("in\"it".to_owned())),
        (
            "regs",
            Value::List(vec![unsigned(1, 64), unsigned(u64::MAX, 64)]),
        ),
        (
            "all",
            Value::List(vec![unsigned(1, 32), unsigned(2, 32), unsigned(3, 32)]),
        ),
        ("raw", Value::List(vec![unsigned(97, 8), unsigned(98, 8)])),
        (
            "texts",
            Value::List(vec![
                Value::Text("a".to_owned()),
                Value::Text("bcd".to_owned()),
            ]),
        ),
        ("maybe", Value::Option(Some(Box::new(unsigned(3, 16))))),
        ("nothing", Value::Option(None)),
        ("is_last", Value::Bool(true)),
        ("letter", Value::Char('é')),
        ("share", Value::F32(0.1)),
        ("precise", Value::F64(-0.5)),
        ("offset", Value::Signed(-9, 64)),
    ];
    assert_eq!(record.values, expected);
    assert_eq!(
        record.sentence(),
        "from   7 to \"in\\\"it\", Runs READ|type at 0xdeadbeef, [1, 18446744073709551615] Some(3)"
    );
}

#[test]
fn an_event_says_what_it_is() {
    let site = Switch::site().expect("it has one");
    assert_eq!((site.channel(), site.name()), ("sched", "sched_switch"));
    assert_eq!(
        (site.severity(), site.facility()),
        (Severity::Notice, Some("sched"))
    );
    assert_eq!(site.doc(), "A task goes, another comes.");
    assert_eq!(site.source().module, module_path!());
    assert_eq!(site.source().file, file!());
    let text = include_str!("events.rs");
    let line = text
        .lines()
        .position(|line| line.contains("struct Switch<'a>"));
    assert_eq!(
        line.map(|line| line + 1),
        usize::try_from(site.source().line).ok()
    );
    assert!(Switch::is_enabled() && !site.is_statement());
    assert!(Switch::id() >= relay::event::FIRST);
    let class = relay::event::find(Switch::id()).expect("it is collected");
    assert_eq!(class.class.fields, Switch::CLASS.fields);
    let stored = Switch::CLASS
        .fields
        .iter()
        .filter_map(|field| match field.kind {
            Kind::Enum(class) | Kind::Flags(class) => Some(*class.stored),
            _ => None,
        });
    let stored: Vec<_> = stored.collect();
    assert_eq!(stored, [Kind::U16, Kind::U8, Kind::I16, Kind::U32]);
}

#[test]
fn an_event_that_is_off_is_not_written_until_it_is_on() {
    let log = Log::start();
    LOG.emit(&SchedIdle).expect("nothing is wrong");
    assert!(log.take().is_empty());
    SchedIdle::site().expect("it has one").set_enabled(true);
    LOG.emit(&SchedIdle).expect("there is room");
    let record = log.one();
    assert_eq!(record.site.name(), "sched_idle");
    assert!(record.values.is_empty());
}

#[test]
fn an_id_by_hand_is_kept_and_not_collected() {
    const SCHED: StreamClass = StreamClass {
        id: 3,
        name: "sched",
        is_global: false,
        overwrites: false,
        is_taken: false,
        events: &[ByHand::CLASS],
    };
    assert_eq!((ByHand::id(), SCHED.events[0].id), (7, 7));
    let mut collected = relay::event::registered();
    assert!(collected.all(|class| class.site.name() != "by_hand"));
    assert_eq!(ByHand { number: 1 }.size(), 1);
    assert!(ByHand::site().is_some());
}
