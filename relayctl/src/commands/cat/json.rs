//! Makes a line of JSON of a record.

use std::io::Write as _;

use relay_decode::escape::json;
use relay_decode::merge::Shown;
use relay_decode::records::{Event, Line, Value, json_record};

/// Appends a record as a line of JSON.
pub(in crate::commands) fn push_json(
    out: &mut Vec<u8>,
    boot: u32,
    shown: &Shown<'_>,
    values: &[Value<'_>],
) {
    let (record, event) = (&shown.record, shown.record.event);
    // Writing to a `Vec` cannot fail. The channel's name needs no escapes.
    let _ = write!(
        out,
        "{{\"boot\":{boot},\"ts_ns\":{},\"ticks\":{},\"cpu\":{},\"channel\":\"{}\",\"event\":",
        shown.ns, record.stamp.ticks, shown.cpu, shown.channel.name
    );
    let _ = json(&mut *out, &event.name);
    let context = record.stamp.context.name();
    let _ = write!(
        out,
        ",\"number\":{},\"packet\":{},\"context\":\"{context}\",\"severity\":",
        record.number, shown.packet
    );
    let _ = match shown.severity {
        Some(severity) => write!(out, "\"{}\"", severity.name()),
        None => write!(out, "null"),
    };
    if shown.is_late {
        let _ = write!(out, ",\"late\":true");
    }
    let line = Line::new(event, values);
    if let Some(message) = line.message() {
        let _ = write!(out, ",\"msg\":");
        let _ = json(&mut *out, String::from_utf8_lossy(&message).as_ref());
    }
    if let Some(facility) = &event.facility {
        let _ = write!(out, ",\"facility\":");
        let _ = json(&mut *out, facility);
    }
    push_origin(out, event, &line);
    let _ = write!(out, ",\"fields\":");
    json_record(out, event, values);
    out.extend_from_slice(b"}\n");
}

/// Appends where in the source a record comes from, if that is known: the file as the class has it,
/// or as a line of the log does.
fn push_origin(out: &mut Vec<u8>, event: &Event, line: &Line<'_>) {
    let file = event.origin.as_ref().map(|origin| origin.file.as_bytes());
    let texts = [("module", line.module()), ("file", file.or(line.file()))];
    for (name, text) in texts {
        if let Some(text) = text {
            // Writing to a `Vec` cannot fail.
            let _ = write!(out, ",\"{name}\":");
            let _ = json(&mut *out, String::from_utf8_lossy(text).as_ref());
        }
    }
    if let Some(number) = line.number() {
        let _ = write!(out, ",\"line\":{number}");
    }
}
