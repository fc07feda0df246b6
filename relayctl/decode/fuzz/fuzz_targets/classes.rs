//! Any description of a class, and any record of it: what is read can be shown, within bounds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use relay_decode::records::{Line, Records, Schema, json_record, text_record};
use relay_decode::wire::{HEADER_SIZE, Header, MAGIC};
use relay_format::packet;

/// What stands before the class.
const METADATA: &str = include_str!("../../../tests/data/metadata");

/// The longest text that is made of a record by its template.
const MAX_SENTENCE: usize = (1 << 16) + 5;

/// A packet of channel 1 with one record of class 1000.
fn packet_of(fields: &[u8]) -> Vec<u8> {
    let stamp = 1000u64 << 40;
    let body = [&stamp.to_le_bytes()[..7], fields].concat();
    let content = HEADER_SIZE + body.len();
    let header = packet::Header {
        magic: MAGIC,
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

fuzz_target!(|input: (&str, &str, &str, &[u8])| {
    let (template, uri, fields, payload) = input;
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let (template, uri) = (quoted(template), quoted(uri));
    let class = format!(
        "event {{ name = \"{template}\"; id = 1000; stream_id = 1; loglevel = 6; \
         model.emf.uri = \"relay:{uri}\"; fields := struct {{ {fields} }}; }};"
    );
    let text = [METADATA, &class].concat();
    let Ok(schema) = Schema::read(text.as_bytes()) else {
        return;
    };
    let channel = schema.channel(1).expect("it was there before");
    let packet = packet_of(payload);
    let header = Header::of(&packet).expect("whole").expect("sound");
    let mut records = Records::new(channel, &header, &packet);
    while let Ok(Some((record, values))) = records.next_record() {
        let line = Line::new(record.event, values);
        let _ = (line.severity(), line.module(), line.file(), line.number());
        let message = line.message().unwrap_or_default();
        assert!(message.len() <= MAX_SENTENCE || line.is_log());
        let (mut text, mut json) = (String::new(), Vec::new());
        text_record(&mut text, record.event, values, true);
        json_record(&mut json, record.event, values);
        assert!(!text.contains(|c: char| c.is_control() && c != '\t'));
        serde_json::from_slice::<serde_json::Value>(&json).expect("it is JSON");
    }
});
