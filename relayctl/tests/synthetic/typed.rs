//! Classes of statements and events, as `docs/FORMAT.md` has them, and records of them.

use super::{Stream, metadata};

/// The channel of events.
pub(crate) const SCHED: u32 = 9;

/// Every kind of field, as a statement or an event may have it.
pub(crate) const KINDS: &str = r#"
    uint8_t _u8; uint16_t _u16; uint32_t _u32; uint64_t _u64;
    int8_t _i8; int16_t _i16; int32_t _i32; int64_t _i64;
    integer { size = 8; align = 8; signed = false; base = 16; } _hex8;
    integer { size = 64; align = 8; signed = false; base = 16; } _hex64;
    enum : uint8_t { "false" = 0, "true" = 1 } _bool_no;
    enum : uint8_t { "false" = 0, "true" = 1 } _bool_yes;
    utf8_t _char[4];
    floating_point { exp_dig = 8; mant_dig = 24; align = 8; } _f32;
    floating_point { exp_dig = 11; mant_dig = 53; align = 8; } _f64;
    enum : integer { size = 8; align = 8; signed = false; } { "Idle" = 0, "Run" = 1 } _state;
    enum : integer { size = 16; align = 8; signed = true; } { "Under" = -2, "Over" = 32767 } _signed;
    enum : integer { size = 32; align = 8; signed = false; base = 16; } { "READ" = 1, "WRITE" = 2 } _flags;
    uint16_t ___str_length; utf8_t _str[___str_length];
    string _string;
    uint16_t ___blob_length; uint8_t _blob[___blob_length];
    int16_t _array[3];
    uint8_t _bytes[2];
    uint16_t ___list_length; uint32_t _list[___list_length];
    uint8_t ___maybe_none_length; uint16_t _maybe_none[___maybe_none_length];
    uint8_t ___maybe_u16_length; uint16_t _maybe_u16[___maybe_u16_length];
    uint8_t ___maybe_u8_length; uint8_t _maybe_u8[___maybe_u8_length];
    uint8_t ___maybe_char_length; struct { utf8_t _v[4]; } align(8) _maybe_char[___maybe_char_length];
    uint16_t ___names_length;
    struct { uint16_t ___v_length; utf8_t _v[___v_length]; } align(8) _names[___names_length];
    uint8_t ___maybe_name_length;
    struct { uint16_t ___v_length; utf8_t _v[___v_length]; } align(8) _maybe_name[___maybe_name_length];
"#;

/// The metadata of a machine with one CPU, a channel `sched`, and these classes.
pub(crate) fn with_classes(classes: &str) -> String {
    let text = metadata(1);
    let name = "channel_3 = \"flood\";";
    assert!(text.contains(name));
    let text = text.replace(name, &format!("{name}\n    channel_{SCHED} = \"sched\";"));
    let stream = format!(
        "stream {{
    id = {SCHED};
    packet.context := struct packet_context;
    event.header := struct event_header;
    event.context := struct event_context;
}};
"
    );
    text + &stream + classes
}

/// A text in quotes.
pub(crate) fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace('\n', "\\n"))
}

/// The class of a statement of the log, at info.
pub(crate) fn statement(id: u16, template: &str, fields: &str) -> String {
    format!(
        "/* What it is about. */
event {{
    name = {};
    id = {id};
    stream_id = 1;
    loglevel = 6;
    model.emf.uri = \"relay:statement?module=kernel::sched&file=kernel/src/sched.rs&line=42\";
    fields := struct {{ {fields} }};
}};
",
        quoted(template)
    )
}

/// The class of an event of the channel `sched`, at debug; `more` is behind the line.
pub(crate) fn event(id: u16, name: &str, more: &str, fields: &str) -> String {
    format!(
        "event {{
    name = {};
    id = {id};
    stream_id = {SCHED};
    loglevel = 7;
    model.emf.uri = {};
    fields := struct {{ {fields} }};
}};
",
        quoted(name),
        quoted(&format!(
            "relay:event?module=kernel::sched::switch&file=kernel/src/switch.rs&line=57{more}"
        ))
    )
}

/// Bytes of fields that follow each other.
#[derive(Default)]
pub(crate) struct Payload(pub(crate) Vec<u8>);

impl Payload {
    pub(crate) fn bytes(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend(bytes.as_ref());
        self
    }

    /// A text with its length in two bytes.
    pub(crate) fn text(self, text: impl AsRef<[u8]>) -> Self {
        let length = u16::try_from(text.as_ref().len()).expect("it is short");
        self.bytes(length.to_le_bytes()).bytes(text)
    }
}

/// Fields of all [`KINDS`], with the largest and least numbers and these texts.
pub(crate) fn kinds(string: &str, f32: f32, f64: f64, flags: u32) -> Vec<u8> {
    let mut character = [0; 4];
    '\u{1f600}'.encode_utf8(&mut character);
    Payload::default()
        .bytes(u8::MAX.to_le_bytes())
        .bytes(u16::MAX.to_le_bytes())
        .bytes(u32::MAX.to_le_bytes())
        .bytes(u64::MAX.to_le_bytes())
        .bytes(i8::MIN.to_le_bytes())
        .bytes(i16::MIN.to_le_bytes())
        .bytes(i32::MIN.to_le_bytes())
        .bytes(i64::MIN.to_le_bytes())
        .bytes([0xA5])
        .bytes(0xFFFF_8000_0000_1234u64.to_le_bytes())
        .bytes([0, 1])
        .bytes(character)
        .bytes(f32.to_le_bytes())
        .bytes(f64.to_le_bytes())
        .bytes([1])
        .bytes((-2i16).to_le_bytes())
        .bytes(flags.to_le_bytes())
        .text(string)
        .bytes(string.replace('\0', "0"))
        .bytes([0])
        .text([0, 1, 255])
        .bytes([-1i16, 0, 1].map(i16::to_le_bytes).concat())
        .bytes([7, 8])
        .bytes(2u16.to_le_bytes())
        .bytes([1u32, u32::MAX].map(u32::to_le_bytes).concat())
        .bytes([0])
        .bytes([1, 0x34, 0x12])
        .bytes([1, 9])
        .bytes([1, b'x', 0, 0, 0])
        .bytes(2u16.to_le_bytes())
        .text("one")
        .text("")
        .bytes([1])
        .text("name")
        .0
}

/// A machine's streams but its log and `sched`: closed, and they fit if those have so many records
/// in task context.
pub(crate) fn others(klog: u64, sched: u64) -> Vec<Vec<u8>> {
    let mut claims = Stream::new(2, 0, 0);
    claims.claim(2000, 1, super::TASK, klog);
    claims.claim(2000, SCHED as u16, super::TASK, sched);
    vec![Stream::new(3, 0, 0).packet(1, 1), claims.packet(2001, 1)]
}
