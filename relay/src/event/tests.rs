//! Tests of events that a client has.

extern crate std;

mod nesting;

use std::borrow::ToOwned;
use std::string::ToString;

use super::*;
use crate::host::{Cpu, Host};
use crate::record::{Fields, Framed, STAMP};
use crate::{Channel, Context, Geometry, Loss, Platform, Storage, WriteError};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Fields of every width, and bytes at the end; what it does while it is stored.
struct Sample<F: Fn()> {
    data: &'static [u8],
    meanwhile: F,
}

impl<F: Fn()> Event for Sample<F> {
    const CLASS: EventClass = EventClass {
        id: 9,
        name: "sample",
        fields: &[
            Field::new("a", Kind::U8),
            Field::new("b", Kind::U16),
            Field::new("c", Kind::U32),
            Field::new("d", Kind::U64),
            Field::new("n", Kind::U16),
            Field::new("data", Kind::Bytes("n")),
        ],
    };

    fn size(&self) -> usize {
        17usize.saturating_add(self.data.len())
    }

    fn store(&self, fields: &mut FieldsMut<'_>) {
        fields.u8(1);
        fields.u16(0x0203);
        fields.u32(0x0405_0607);
        (self.meanwhile)();
        fields.u64(0x0809_0a0b_0c0d_0e0f);
        fields.u16(self.data.len() as u16);
        fields.bytes(self.data);
        assert_eq!(fields.left(), 0);
    }
}

fn plain(data: &'static [u8]) -> Sample<impl Fn()> {
    Sample {
        data,
        meanwhile: || {},
    }
}

/// Starts a channel on a CPU of this thread.
fn start(channel: &'static Channel<Host, 64>) -> Cpu {
    let cpu = Cpu::claim();
    let geometry = Geometry::new(256, 4).unwrap();
    let storage = Storage::allocate(&geometry).unwrap();
    channel.start(cpu.number(), storage, geometry).unwrap();
    cpu
}

#[test]
fn fields_are_stored_in_order_behind_the_stamp() {
    static CHANNEL: Channel<Host, 64> = Channel::new(Host, &Framed);
    let cpu = start(&CHANNEL);
    CHANNEL.emit(&plain(b"xyz")).unwrap();
    CHANNEL.emit(&plain(b"")).unwrap();
    CHANNEL.flush();
    let taken = CHANNEL.reader(cpu.number()).unwrap().next_subbuf().unwrap();
    let mut fields = Fields::new(taken.records());
    for data in [&b"xyz"[..], b""] {
        let stamp = fields.next_stamp().unwrap().unwrap();
        assert_eq!((stamp.id(), stamp.context()), (9, Some(Host.context())));
        assert_eq!((fields.u8(), fields.u16()), (Some(1), Some(0x0203)));
        assert_eq!(fields.u32(), Some(0x0405_0607));
        let rest = fields.bytes(8).map(|bytes| bytes.try_into().unwrap());
        assert_eq!(rest.map(u64::from_le_bytes), Some(0x0809_0a0b_0c0d_0e0f));
        assert_eq!(fields.u16(), Some(data.len() as u16));
        assert_eq!(fields.bytes(data.len()), Some(data));
    }
    assert_eq!(fields.next_stamp(), Ok(None));
    assert_eq!(Host.context(), Context::Task);
}

#[test]
fn an_event_that_nests_unwinds_or_is_too_long_is_accounted_for() {
    static CHANNEL: Channel<Host, 64> = Channel::new(Host, &Framed);
    static LONG: [u8; 512] = [7; 512];
    let cpu = start(&CHANNEL);
    let lost = |loss| CHANNEL.stats(cpu.number()).unwrap().lost.get(loss);
    let nests = Sample {
        data: b"outer",
        meanwhile: || CHANNEL.emit(&plain(b"inner")).unwrap(),
    };
    CHANNEL.emit(&nests).unwrap();
    let unwinds = Sample {
        data: b"",
        meanwhile: || panic!("in the middle"),
    };
    let unwound = catch_unwind(AssertUnwindSafe(|| CHANNEL.emit(&unwinds)));
    assert!(unwound.is_err());
    assert_eq!(lost(Loss::Discarded), 1);
    assert_eq!(
        CHANNEL.emit(&plain(&LONG)),
        Err(WriteError::Lost(Loss::TooBig))
    );
    assert_eq!(lost(Loss::TooBig), 1);
    CHANNEL.emit(&plain(b"after")).unwrap();
    CHANNEL.flush();
    let taken = CHANNEL.reader(cpu.number()).unwrap().next_subbuf().unwrap();
    let mut fields = Fields::new(taken.records());
    for data in [b"outer", b"inner", b"after"] {
        assert_eq!(fields.next_stamp().unwrap().unwrap().id(), 9);
        assert_eq!(fields.bytes(17 + data.len()).unwrap()[17..], data[..]);
    }
    assert_eq!(taken.packet().records, 3);
    assert_eq!(fields.next_stamp(), Ok(None));
}

#[test]
fn what_does_not_fit_is_left_out_whole() {
    let mut bytes = [0; 3];
    let mut fields = FieldsMut::new(&mut bytes);
    fields.u16(0x0201);
    assert_eq!(fields.left(), 1);
    let told = catch_unwind(AssertUnwindSafe(|| fields.u32(7)));
    assert_eq!(told.is_err(), cfg!(debug_assertions));
    assert_eq!(bytes, [1, 2, 0]);
}

/// An event that says that it has eight bytes, and stores one.
struct Short;

impl Event for Short {
    const CLASS: EventClass = EventClass {
        id: 3,
        name: "short",
        fields: &[],
    };

    fn size(&self) -> usize {
        8
    }

    fn store(&self, fields: &mut FieldsMut<'_>) {
        fields.u8(1);
    }
}

#[test]
fn what_is_not_stored_is_told_and_shows_nothing_old() {
    static CHANNEL: Channel<Host, 64> = Channel::new(Host, &Framed);
    let cpu = start(&CHANNEL);
    // A whole lap of other bytes.
    for _ in 0..4 {
        CHANNEL.write(&[0xEE; 256]).unwrap();
        CHANNEL.flush();
        drop(CHANNEL.reader(cpu.number()).unwrap().next_subbuf());
    }
    let told = catch_unwind(AssertUnwindSafe(|| CHANNEL.emit(&Short)));
    assert_eq!(told.is_err(), cfg!(debug_assertions));
    CHANNEL.flush();
    if let Some(taken) = CHANNEL.reader(cpu.number()).unwrap().next_subbuf() {
        assert!(cfg!(debug_assertions) || taken.records()[STAMP..] == [1, 0, 0, 0, 0, 0, 0, 0]);
    }
}

/// The fields of a record with a value, and one on each side.
struct Neighbours<T: ?Sized>(core::marker::PhantomData<T>);

impl<T: Value + ?Sized> Neighbours<T> {
    const FIELDS: &'static [Field] = &[
        Field::new("before", Kind::U8),
        Field::new("x", T::KIND),
        Field::new("after", Kind::U8),
    ];
}

/// Stores a value, reads it by its kind, and shows it as `{x:spec}` says.
fn shown<T: Value + ?Sized>(value: &T, template: &str) -> std::string::String {
    let mut bytes = std::vec![0xEE; value.size()];
    let mut fields = FieldsMut::new(&mut bytes);
    value.store(&mut fields);
    assert_eq!(fields.left(), 0, "as many as `size` said");
    assert!(T::SIZE.is_none_or(|size| size == bytes.len()));
    // The field has a neighbour on each side.
    bytes.insert(0, 7);
    bytes.push(9);
    let fields = Neighbours::<T>::FIELDS;
    for cut in (0..bytes.len()).step_by(bytes.len() / 64 + 1) {
        assert_eq!(Values::take(fields, &mut Fields::new(&bytes[..cut])), None);
    }
    let mut from = Fields::new(&bytes);
    let values = Values::take(fields, &mut from).expect("it is all there");
    assert!(from.is_empty());
    let mut out = std::string::String::new();
    values.write(&mut out, template).unwrap();
    let mut neighbours = std::string::String::new();
    values.write(&mut neighbours, "{before} {after}").unwrap();
    assert_eq!(neighbours, "7 9");
    out
}

#[test]
fn values_of_every_type_are_read_as_they_were_stored() {
    assert_eq!(shown(&u8::MAX, "{x}"), "255");
    assert_eq!(shown(&u16::MAX, "{x:#x}"), "0xffff");
    assert_eq!(shown(&u32::MAX, "{x}"), "4294967295");
    assert_eq!(shown(&u64::MAX, "{x}"), u64::MAX.to_string());
    assert_eq!(
        shown(&usize::MAX, "{x:>22}"),
        std::format!("{:>22}", usize::MAX)
    );
    assert_eq!(shown(&i8::MIN, "{x} {x:x}"), "-128 80");
    assert_eq!(shown(&i16::MIN, "{x}"), "-32768");
    assert_eq!(shown(&i32::MIN, "{x:+}"), "-2147483648");
    assert_eq!(shown(&i64::MIN, "{x}"), i64::MIN.to_string());
    assert_eq!(shown(&Hex(0xABu8), "{x}"), "0xab");
    assert_eq!(shown(&Hex(u64::MAX), "{x}"), "0xffffffffffffffff");
    assert_eq!(
        shown(&f32::MIN_POSITIVE, "{x:e}"),
        std::format!("{:e}", f32::MIN_POSITIVE)
    );
    assert_eq!(shown(&f64::NAN, "{x}"), "NaN");
    assert_eq!(shown(&true, "{x}"), "true");
    assert_eq!(shown(&'é', "{x}{x:?}"), "é'é'");
    assert_eq!(shown(&'\0', "{x:?}"), "'\\0'");
    assert_eq!(shown(&char::MAX, "{x}"), char::MAX.to_string());
    assert_eq!(shown("a\0\"{}é", "{x}"), "a\0\"{}é");
    assert_eq!(shown(&"", "<{x}>"), "<>");
    assert_eq!(shown(&[1u8, 2][..], "{x:?}"), "[1, 2]");
    assert_eq!(shown(&[-1i16, 2, 3], "{x:?}"), "[-1, 2, 3]");
    assert_eq!(shown(&["a", ""], "{x:?}"), "[\"a\", \"\"]");
    assert_eq!(shown(&[[1u8, 2], [3, 4]][..], "{x:?}"), "[[1, 2], [3, 4]]");
    assert_eq!(shown(&Some(5u32), "{x:?}"), "Some(5)");
    assert_eq!(shown(&None::<u32>, "{x:?}"), "None");
    assert_eq!(shown(&Some("text"), "{x:?}"), "Some(\"text\")");
    let nowhere = core::ptr::without_provenance::<u8>(0x1000);
    assert_eq!(shown(&nowhere, "{x:?}"), std::format!("{nowhere:?}"));
    let long = "é".repeat(40_000);
    assert_eq!(shown(&*long, "{x}").len(), 65_534, "cut between characters");
}

#[test]
fn names_of_values_and_bits_are_shown() {
    const STATES: EnumClass = EnumClass {
        stored: &Kind::I8,
        values: &[("Idle", -1), ("Busy", 1)],
    };
    const BITS: EnumClass = EnumClass {
        stored: &Kind::U16,
        values: &[("READ", 1), ("WRITE", 2), ("ALL", 0xF0)],
    };
    struct Of<const BITS: bool>(i16);
    impl<const IS_BITS: bool> Value for Of<IS_BITS> {
        const KIND: Kind = match IS_BITS {
            true => Kind::Flags(&BITS),
            false => Kind::Enum(&STATES),
        };

        fn size(&self) -> usize {
            if IS_BITS { 2 } else { 1 }
        }

        fn store(&self, fields: &mut FieldsMut<'_>) {
            fields.bytes(&self.0.to_le_bytes()[..self.size()]);
        }
    }
    let state = |value| shown(&Of::<false>(value), "{x}");
    assert_eq!(
        (state(-1), state(1), state(2)),
        ("Idle".into(), "Busy".into(), "2".into())
    );
    let bits = |value| shown(&Of::<true>(value), "{x}");
    assert_eq!(bits(0), "0");
    assert_eq!(bits(3), "READ|WRITE");
    assert_eq!(bits(0xF6), "WRITE|ALL|0x4");
    assert_eq!(bits(8), "0x8");
}

#[test]
fn texts_that_find_no_room_are_cut_and_say_so() {
    let cut = |most: usize, room: usize| {
        let mut bytes = std::vec![0; room];
        let mut fields = FieldsMut::within(&mut bytes, most);
        fields.text(&"m".repeat(200));
        fields.formatted(format_args!("{}", "n".repeat(200)));
        (
            fields.missing(),
            fields.texts(),
            room - fields.left(),
            bytes,
        )
    };
    let (missing, texts, ..) = cut(200, 1000);
    assert_eq!((missing, texts), (0, (2, 400)));
    let (missing, texts, len, bytes) = cut(100, 1000);
    let each = 64 + "...[136 bytes cut]".len();
    assert_eq!((missing, texts), (0, (2, 2 * each)));
    let length = u16::from_le_bytes([bytes[0], bytes[1]]).into();
    let text = core::str::from_utf8(&bytes[2..][..length]).unwrap();
    assert!(
        text.starts_with("mmm") && text.ends_with("m...[136 bytes cut]"),
        "{text}"
    );
    assert!(text.len() <= 100);
    let formatted = core::str::from_utf8(&bytes[2 + length..len]).unwrap();
    assert!(formatted.ends_with("n...[136 bytes cut]\0"), "{formatted}");
    let (missing, ..) = cut(200, 300);
    assert_eq!(missing, 2 + 200 + 201 - 300);
}

#[test]
fn what_is_formatted_has_no_zero_bytes_and_tells_of_failures() {
    struct Fails;
    impl core::fmt::Display for Fails {
        fn fmt(&self, _: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            Err(core::fmt::Error)
        }
    }
    let said = |message: core::fmt::Arguments<'_>| {
        let mut bytes = [0xEE; 100];
        let mut fields = FieldsMut::within(&mut bytes, 100);
        fields.formatted(message);
        let len = 100 - fields.left();
        core::str::from_utf8(&bytes[..len]).unwrap().to_owned()
    };
    assert_eq!(said(format_args!("a\0b\0")), "a?b?\0");
    assert_eq!(
        said(format_args!("it {} {}", 1, Fails)),
        "it 1 ...[an argument failed to print]\0"
    );
}

/// An event with a switch, which is off.
struct Switched;

static SITE: Site = Site::event(
    "tests",
    "switched",
    Source {
        module: "",
        file: "",
        line: 1,
    },
)
.with_enabled(false);

impl Event for Switched {
    const CLASS: EventClass = EventClass {
        id: 4,
        name: "switched",
        fields: &[],
    };

    fn site() -> Option<&'static Site> {
        Some(&SITE)
    }

    fn size(&self) -> usize {
        0
    }

    fn store(&self, _fields: &mut FieldsMut<'_>) {}
}

#[test]
fn what_is_off_is_not_written_but_by_who_has_looked_before() {
    static CHANNEL: Channel<Host, 64> = Channel::new(Host, &Framed);
    let cpu = start(&CHANNEL);
    let written = || {
        CHANNEL.flush();
        CHANNEL.stats(cpu.number()).unwrap().records
    };
    CHANNEL.emit(&Switched).unwrap();
    CHANNEL
        .emit_with(|| -> Switched { panic!("it is not made") })
        .unwrap();
    assert_eq!(written(), 0);
    CHANNEL.emit_always(&Switched).unwrap();
    assert_eq!(written(), 1);
    SITE.set_enabled(true);
    CHANNEL.emit(&Switched).unwrap();
    CHANNEL.emit_with(|| Switched).unwrap();
    assert_eq!(written(), 3);
}
