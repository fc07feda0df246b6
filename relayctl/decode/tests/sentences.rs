//! What relay writes is what is read: values of Rust become fields by relay's own code, their
//! description is relay's own metadata, and the sentence is what `format!` makes of the values.

use proptest::prelude::*;
use relay::ctf::metadata::Trace;
use relay::event::{
    EnumClass, EventClass, Field, FieldsMut, Hex, Kind, StreamClass, Value, Values,
};
use relay::record::Fields;
use relay_decode::records::{Line, Records, Schema, Who, json_record};
use relay_decode::wire::{HEADER_SIZE, Header, MAGIC};
use relay_format::packet;
use serde_json::json;

/// The class's number.
const ID: u16 = 300;

/// The metadata of a statement with this template, whose only field is `x` of this kind.
fn metadata(template: &str, kind: Kind) -> String {
    // A few of them, once for each test.
    let fields: &'static [Field] = Box::leak(Box::new([Field::new("x", kind)]));
    let events: &'static [EventClass] = Box::leak(Box::new([EventClass {
        id: ID,
        name: "NAME",
        fields,
    }]));
    let streams = [StreamClass {
        id: 1,
        name: "klog",
        is_global: false,
        overwrites: false,
        is_taken: false,
        events,
    }];
    let trace = Trace {
        uuid: [7; 16],
        clock_hz: 1_000_000_000,
        cpus: 1,
        streams: &streams,
        env: &[],
    };
    let name = "name = \"NAME\";";
    let said =
        format!("name = {template:?}; model.emf.uri = \"relay:statement?module=m&file=f&line=1\";");
    let text = trace.to_string();
    assert!(text.contains(name), "{text}");
    text.replace(name, &said)
}

/// A packet with one record, whose only field has this value.
fn packet<T: Value + ?Sized>(value: &T) -> Vec<u8> {
    let mut fields = vec![0; value.size()];
    value.store(&mut FieldsMut::new(&mut fields));
    let stamp = u64::from(ID) << 40;
    let body = [&stamp.to_le_bytes()[..7], &fields].concat();
    let content = HEADER_SIZE + body.len();
    let header = packet::Header {
        magic: MAGIC,
        uuid: [7; 16],
        stream_id: 1,
        content_size: content as u64 * 8,
        packet_size: content.next_multiple_of(8) as u64 * 8,
        records: 1,
        ..packet::Header::from_bytes(&[0; HEADER_SIZE])
    };
    let mut packet = header.to_bytes().to_vec();
    packet.extend(body);
    packet.resize(content.next_multiple_of(8), 0);
    packet
}

/// The sentence that the kernel's console makes of the value.
fn on_the_console<T: Value + ?Sized>(template: &str, value: &T) -> String {
    let mut bytes = vec![0; value.size()];
    value.store(&mut FieldsMut::new(&mut bytes));
    let fields: &'static [Field] = Box::leak(Box::new([Field::new("x", T::KIND)]));
    let mut text = String::new();
    let values = Values::take(fields, &mut Fields::new(&bytes)).expect("it is whole");
    values.write(&mut text, template).expect("a text takes all");
    text
}

/// The sentence of a record, which is that of the kernel's console, and its field as JSON.
fn read<T: Value + ?Sized>(template: &str, value: &T) -> (String, serde_json::Value) {
    let text = metadata(template, T::KIND);
    let schema = Schema::read(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
    let channel = schema.channel(1).expect("it is there");
    let packet = packet(value);
    let header = Header::of(&packet).expect("whole").expect("sound");
    let mut records = Records::new(channel, &header, &packet);
    let found = records.next_record().expect("it can be read");
    let (record, values) = found.expect("it is there");
    let message = Line::new(record.event, values).message();
    let message = String::from_utf8(message.expect("it has a sentence").into_owned());
    let mut fields = Vec::new();
    json_record(&mut fields, record.event, values);
    let fields: serde_json::Value = serde_json::from_slice(&fields).expect("it is JSON");
    assert!(matches!(records.next_record(), Ok(None)));
    let message = message.expect("it is UTF-8");
    assert_eq!(message, on_the_console(template, value));
    (message, fields["x"].clone())
}

/// Reads a record whose class has this context before its field `x` of 8 bits: who wrote it, and the
/// field.
fn read_behind<const N: usize>(context: &str, bytes: [u8; N]) -> Result<(Who, u64), String> {
    let text = metadata("{x}", Kind::U8);
    let (before, behind) = text.split_once("uint8_t _x;").expect("the field");
    let at = before.rfind("fields := ").expect("the fields");
    let (before, begin) = before.split_at(at);
    let text = format!("{before}context := struct {{ {context} }}; {begin}uint8_t _x;{behind}");
    let schema = Schema::read(text.as_bytes()).map_err(|error| error.to_string())?;
    let channel = schema.channel(1).expect("it is there");
    let packet = packet(&bytes);
    let header = Header::of(&packet).expect("whole").expect("sound");
    let mut records = Records::new(channel, &header, &packet);
    let found = records.next_record().map_err(|error| error.to_string())?;
    let (record, values) = found.expect("it is there");
    let who = record.who;
    let found = values[0].as_unsigned().expect("a number");
    assert!(matches!(records.next_record(), Ok(None)));
    Ok((who, found))
}

#[test]
fn who_wrote_a_record_lies_before_its_fields() {
    let who = |process, thread| Who { process, thread };
    let bytes = [0xF9, 0xFF, 0xFF, 0xFF, 4, 3, 2, 1, 77];
    let read = read_behind("int32_t _pid; int32_t _tid;", bytes);
    assert_eq!(read, Ok((who(Some(-7), Some(0x0102_0304)), 77)));
    // Other contexts are passed over, in whatever order they come.
    let read = read_behind(
        "uint8_t _n; int16_t _tid; uint8_t _text[_n];",
        [2, 5, 0, 1, 1, 9],
    );
    assert_eq!(read, Ok((who(None, Some(5)), 9)));
    let read = read_behind("utf8_t _pid[4];", *b"init\x08");
    assert_eq!(read, Ok((who(None, None), 8)));
    // It may be cut off, or not understood.
    let read = read_behind("int32_t _pid; int32_t _tid;", [0; 7]);
    assert!(read.is_err_and(|error| error.contains("end within it")));
    let bits = "integer { size = 3; align = 1; signed = false; } _pid;";
    let read = read_behind(bits, [0, 1]);
    assert!(read.is_err_and(|error| error.contains("bit fields are not supported")));
}

/// Compares the sentences of a value with what `format!` makes of it, by these templates.
macro_rules! same {
    ($value:expr, $($template:literal)*) => {{
        let x = $value;
        $(assert_eq!(read($template, &x).0, format!($template, x = x));)*
    }};
}

/// An enumeration as a kernel has it.
#[derive(Debug)]
enum State {
    Idle,
    Run,
    Other(i16),
}

impl Value for State {
    const KIND: Kind = Kind::Enum(&EnumClass {
        stored: &Kind::I16,
        values: &[("Idle", 0), ("Run", -1)],
    });

    fn size(&self) -> usize {
        2
    }

    fn store(&self, fields: &mut FieldsMut<'_>) {
        let number = match self {
            Self::Idle => 0,
            Self::Run => -1,
            Self::Other(number) => *number,
        };
        fields.bytes(&number.to_le_bytes());
    }
}

/// Flags as a kernel has them: some are of several bits, one is of none.
struct Flags(u64);

impl Value for Flags {
    const KIND: Kind = Kind::Flags(&EnumClass {
        stored: &Kind::U64,
        values: &[
            ("NONE", 0),
            ("R", 1),
            ("W", 2),
            ("RW", 3),
            ("TOP", 1 << 63),
            ("PAIR", 0x30),
            ("OTHER", 0x60),
        ],
    });

    fn size(&self) -> usize {
        8
    }

    fn store(&self, fields: &mut FieldsMut<'_>) {
        fields.bytes(&self.0.to_le_bytes());
    }
}

/// A text that was formatted when it was written.
struct Formatted(&'static str);

impl Value for Formatted {
    const KIND: Kind = Kind::String;

    fn size(&self) -> usize {
        self.0.len() + 1
    }

    fn store(&self, fields: &mut FieldsMut<'_>) {
        fields.bytes(self.0.as_bytes());
        fields.bytes(&[0]);
    }
}

#[test]
fn sentences_are_those_of_format() {
    same!(u8::MAX, "{x}" "{x:>+6}" "{x:#x}" "{x:#010b}" "{x:?}" "{{{x}}}" "{x:\u{1f600}^9}\n");
    same!(u64::MAX, "{x}" "{x:e}" "{x:o}" "{x:-<30}|");
    same!(i8::MIN, "{x}" "{x:x}" "{x:b}" "{x:+}" "{x:05}");
    same!(i64::MIN, "{x}" "{x:#X}" "{x:?}");
    same!(usize::MAX, "{x}" "{x:#x?}");
    same!(true, "{x}" "{x:>6}" "{x:?}");
    same!(false, "{x}");
    for character in [
        '\0',
        'a',
        '\n',
        '\'',
        '"',
        '\u{7f}',
        '\u{301}',
        '\u{1f600}',
        char::MAX,
    ] {
        same!(character, "{x}" "{x:?}" "{x:>3}");
    }
    for float in [
        0.1,
        -0.0,
        1e30,
        f32::MIN_POSITIVE,
        f32::NAN,
        f32::NEG_INFINITY,
    ] {
        same!(float, "{x}" "{x:?}" "{x:.3}" "{x:+08.2}" "{x:e}");
        same!(f64::from(float), "{x}" "{x:?}" "{x:.3}");
    }
    for text in ["", "plain", "\"q\" {x} \\ \n", "a\0b", "\u{1f600}\u{202e}"] {
        same!(text, "{x}" "{x:?}" "{x:>8}|" "{x:.2}" "{x:*^12.3}|");
    }
    same!([1u8, 2, 255], "{x:?}" "{x:02x?}" "{x:#?}");
    same!(&[1u8, 2, 255][..], "{x:?}" "{x:#04X?}");
    same!([0u8; 0], "{x:?}");
    same!([-1i32, 7], "{x:?}" "{x:5?}" "{x:#?}");
    same!(["a", "", "\"b\""], "{x:?}" "{x:#?}" "{x:>4?}");
    same!(&["a", "b"][..], "{x:?}");
    same!(['a', '\0', '\u{1f600}'], "{x:?}");
    same!([[1u16, 2], [3, 4]], "{x:?}" "{x:#?}");
    same!(&[&[1u64][..], &[]][..], "{x:?}" "{x:#?}");
    same!([true, false], "{x:?}");
    same!([0.5f32, 1.0], "{x:?}" "{x:.2?}");
    same!(None::<u32>, "{x:?}" "{x:#?}");
    same!(Some(7u32), "{x:?}" "{x:#?}" "{x:04?}");
    same!(Some(7u8), "{x:?}");
    same!(Some('x'), "{x:?}");
    same!(Some("text"), "{x:?}" "{x:#?}");
    same!(Some(Some(1u8)), "{x:?}");
    same!(Some(None::<u8>), "{x:?}");
    same!(Some([1u32, 2]), "{x:?}");
    same!([Some(1u32), None], "{x:?}");
    same!(&[Some("a"), None][..], "{x:?}");
}

#[test]
fn what_has_names_is_shown_by_them() {
    for template in ["{x}", "{x:?}"] {
        assert_eq!(
            read(template, &State::Run),
            ("Run".to_owned(), json!("Run"))
        );
        assert_eq!(
            read(template, &State::Idle),
            ("Idle".to_owned(), json!("Idle"))
        );
        assert_eq!(
            read(template, &State::Other(-7)),
            ("-7".to_owned(), json!(-7))
        );
    }
    assert_eq!(read("{x:>5}|{x:<5}|", &State::Run).0, "  Run|Run  |");
    assert_eq!(
        read("{x:?}", &[State::Run, State::Idle][..]).0,
        "[Run, Idle]"
    );
    for (bits, text, list) in [
        (0, "0", json!([])),
        (1, "R", json!(["R"])),
        (3, "R|W", json!(["R", "W"])),
        (1 << 63 | 2, "W|TOP", json!(["W", "TOP"])),
        (0x30, "PAIR", json!(["PAIR"])),
        (0x10, "0x10", json!([16])),
        (0x12, "W|0x10", json!(["W", 16])),
        (0x70, "PAIR|0x40", json!(["PAIR", 64])),
    ] {
        for template in ["{x}", "{x:?}"] {
            assert_eq!(
                read(template, &Flags(bits)),
                (text.to_owned(), list.clone())
            );
        }
    }
    assert_eq!(read("{x:#x} {x:b}", &Flags(5)).0, "0x5 101");
}

#[test]
fn addresses_and_formatted_texts_are_themselves() {
    let pointer = std::ptr::without_provenance::<u8>(0xFFFF_8000_0000_1234);
    for template in ["{x}", "{x:p}", "{x:?}"] {
        assert_eq!(read(template, &pointer).0, "0xffff800000001234");
        assert_eq!(read(template, &Hex(0x1Fu8)).0, "0x1f");
    }
    assert_eq!(read("{x:X} {x:08b}", &Hex(0x1Fu8)).0, "1F 00011111");
    assert_eq!(read("{x:?}", &[Hex(1u8), Hex(255)]).0, "[0x1, 0xff]");
    assert_eq!(
        read("{x:?}", &[Hex(1u32)][..]),
        ("[0x1]".to_owned(), json!([1]))
    );
    let formatted = Formatted("  as \"it\" is {x}");
    assert_eq!(
        read("<{x:>40?}>", &formatted),
        (
            "<  as \"it\" is {x}>".to_owned(),
            json!("  as \"it\" is {x}")
        )
    );
}

#[test]
fn fields_are_json() {
    assert_eq!(read("", &Some(7u8)).1, json!(7));
    assert_eq!(read("", &None::<u8>).1, json!(null));
    assert_eq!(read("", &Some("x")).1, json!("x"));
    assert_eq!(read("", &['a', '\0']).1, json!(["a", "\0"]));
    assert_eq!(read("", &[[1u8, 2], [3, 4]]).1, json!([[1, 2], [3, 4]]));
    assert_eq!(read("", &[Some(true), None]).1, json!([true, null]));
    assert_eq!(read("", &0.1f32).1, json!(0.1));
    assert_eq!(read("", &f64::NAN).1, json!(null));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the values are.
    #[test]
    fn any_values_are_read_as_they_were(
        number in any::<i64>(), float in any::<f64>(), text in any::<String>(),
        list in prop::collection::vec(any::<u32>(), 0..9),
        texts in prop::collection::vec("\\PC{0,9}", 0..5),
    ) {
        same!(number, "{x}" "{x:#x}");
        same!(float, "{x:?}");
        same!(text.as_str(), "{x}" "{x:?}");
        same!(list.as_slice(), "{x:?}");
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        same!(texts.as_slice(), "{x:?}");
    }
}
