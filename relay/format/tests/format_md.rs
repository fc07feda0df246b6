//! `docs/FORMAT.md` says of the packet header, the stamp and the fillers what the code says.

use relay_format::packet::{FIELDS, FieldType, SIZE};
use relay_format::{Context, Severity, VERSION, filler, stamp};

const TEXT: &str = include_str!("../../../docs/FORMAT.md");

#[test]
fn every_field_of_the_packet_header_is_in_the_table() {
    let mut rows = TEXT
        .lines()
        .skip_while(|line| !line.starts_with("| offset | type | field"));
    let rows: Vec<_> = rows
        .by_ref()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert_eq!(rows.len(), FIELDS.len());
    for (row, field) in rows.into_iter().zip(FIELDS) {
        let kind = match field.kind {
            FieldType::U32 => "u32",
            FieldType::U64 | FieldType::Ticks => "u64",
            FieldType::Uuid => "u8[16]",
        };
        let begin = format!("| {} | {kind} | `{}` |", field.offset, field.name);
        assert!(row.starts_with(&begin), "{row}\nshould begin with\n{begin}");
    }
    assert!(TEXT.contains(&format!("### Packet header ({SIZE} bytes)")));
}

#[test]
fn numbers_in_the_text_are_those_of_the_code() {
    let severities: Vec<_> = Severity::ALL
        .iter()
        .map(|severity| (*severity as u8, severity.name()))
        .collect();
    for (number, name) in severities {
        assert!(TEXT.contains(&format!("{number} {name}")), "{name}");
    }
    for (number, context) in Context::ALL.iter().enumerate() {
        assert!(TEXT.contains(&format!("{number} {}", context.name())));
    }
    for id in [filler::EMPTY, filler::SHORT, filler::LONG] {
        assert!(TEXT.contains(&format!("| 0x{id:X} |")), "{id:#x}");
    }
    for (bits, name) in [
        (stamp::TIME_BITS, "timestamp"),
        (stamp::ID_BITS, "id"),
        (stamp::CONTEXT_BITS, "context"),
    ] {
        assert!(
            TEXT.contains(&format!("| {bits} bits | `{name}` |")),
            "{name}"
        );
    }
    assert!(TEXT.contains(&format!("| `relay_format` | {VERSION} |")));
}

#[cfg(feature = "frame")]
#[test]
fn messages_are_in_the_text_as_in_the_code() {
    use relay_format::control::{
        BEGIN, DONE, GET, HEADER, LIST, MAGIC, MAX_MESSAGE, MAX_PIECES, MAX_TEXT, MORE, REFUSED,
        SET, UNDELIVERED,
    };
    let hex = |bytes: &[u8]| {
        let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        format!("`{}`", bytes.join(" "))
    };
    let rows = [
        format!("| {SET} | set |"),
        format!("| {GET} | get |"),
        format!("| {LIST} | list |"),
        format!("| {MORE} | an answer, and another"),
        format!("| {DONE} | an answer, the last piece: it was done"),
        format!("| {REFUSED} | the same: it was refused"),
        format!("| {UNDELIVERED} | the same, but not from the machine"),
        format!("| {HEADER} | | `text` |"),
        format!("at most {MAX_MESSAGE} bytes: {MAX_TEXT} of text"),
        format!("at most {MAX_PIECES}; what is longer"),
        format!("| `magic` | {}", hex(&MAGIC)),
        format!("begin with {} have no packet", hex(&BEGIN)),
    ];
    for row in rows {
        assert!(TEXT.contains(&row), "{row}");
    }
}
