//! A record as JSON.

use std::io::Write as _;

use relay_decode::escape::json;
use relay_decode::merge::Shown;
use relay_decode::pairs::{Fit, Link, Pair, Since};
use relay_decode::records::{Event, Line, Value, json_record};

/// Appends a record as a JSON object.
pub(crate) fn push_json(out: &mut Vec<u8>, boot: u32, shown: &Shown<'_>, values: &[Value<'_>]) {
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
    push_span(out, shown);
    let line = Line::new(event, values);
    if let Some(message) = line.message() {
        let _ = write!(out, ",\"msg\":");
        let _ = json(&mut *out, String::from_utf8_lossy(&message).as_ref());
    }
    if let Some(facility) = &event.facility {
        let _ = write!(out, ",\"facility\":");
        let _ = json(&mut *out, facility);
    }
    let numbers = [
        ("facility_code", event.facility_code.map(i64::from)),
        ("type", event.kind.map(i64::from)),
        ("process", record.who.process),
        ("thread", record.who.thread),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            let _ = write!(out, ",\"{name}\":{number}");
        }
    }
    push_origin(out, event, &line);
    let _ = write!(out, ",\"fields\":");
    json_record(out, event, values);
    out.push(b'}');
}

/// Appends what an exit belongs to, if entries and exits are paired.
fn push_span(out: &mut Vec<u8>, shown: &Shown<'_>) {
    match shown.fit {
        None => {}
        Some(Fit::Exit(pair)) => {
            let Pair { entry, depth, .. } = pair;
            let begin = shown.begin_ns.unwrap_or(shown.ns);
            let ns = shown.ns.saturating_sub(begin);
            let _ = write!(
                out,
                ",\"span\":{{\"entry\":{entry},\"begin_ns\":{begin},\"ns\":{ns},\"depth\":{depth}}}"
            );
        }
        Some(Fit::Since(link, since)) => {
            let link = match link {
                Link::Call => "call",
                Link::Waking => "waking",
                Link::Sent => "sent",
                Link::Asked => "asked",
            };
            let _ = write!(out, ",\"span\":{{\"{link}\":");
            push_since(out, shown, since);
            out.push(b'}');
        }
        Some(Fit::Switch { ran, woken }) => {
            let _ = write!(out, ",\"span\":{{");
            let both = [("ran", ran), ("woken", woken)];
            let both = both.into_iter().filter_map(|(name, it)| Some((name, it?)));
            for (at, (name, since)) in both.enumerate() {
                let comma = if at > 0 { "," } else { "" };
                let _ = write!(out, "{comma}\"{name}\":");
                push_since(out, shown, since);
            }
            out.push(b'}');
        }
        Some(fit) => {
            let _ = write!(out, ",\"span\":{{\"unpaired\":");
            let _ = json(&mut *out, &fit.to_string());
            out.push(b'}');
        }
    }
}

/// Appends the record that something lasts since, and how long it has lasted.
fn push_since(out: &mut Vec<u8>, shown: &Shown<'_>, since: Since) {
    let Since { cpu, number, ns } = since;
    let lasts = shown.ns.saturating_sub(ns);
    // Writing to a `Vec` cannot fail.
    let _ = write!(
        out,
        "{{\"cpu\":{cpu},\"number\":{number},\"begin_ns\":{ns},\"ns\":{lasts}}}"
    );
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
