//! Any expression, and any record of a class with every kind of field: it is read or refused, within
//! bounds; what is read is the same when it is written and read again, and can be asked of the
//! record.

#![no_main]

use libfuzzer_sys::fuzz_target;
use relay_decode::query::{Head, Query};
use relay_decode::records::{Records, Schema};
use relay_decode::wire::{HEADER_SIZE, Header, MAGIC};
use relay_format::packet;

/// What stands before the class.
const METADATA: &str = include_str!("../../../tests/data/metadata");

/// The class; names of one letter are found soon.
const CLASS: &str = r#"
event {
    name = "e"; id = 1000; stream_id = 1; loglevel = 4;
    model.emf.uri = "relay:event?module=m&file=f&line=1&facility=d&text={a} {t} {n}";
    fields := struct {
        uint64_t _a; int8_t _b;
        floating_point { exp_dig = 11; mant_dig = 53; align = 8; } _f;
        floating_point { exp_dig = 8; mant_dig = 24; align = 8; } _g;
        enum : uint8_t { "x" = 0, "y" = 1 ... 3 } _e;
        enum : integer { size = 8; align = 8; signed = false; base = 16; } { "R" = 1, "W" = 2 } _h;
        struct { uint16_t _x; } align(8) _s;
        uint8_t ___t_length; utf8_t _t[___t_length];
        uint8_t ___l_length; uint8_t _l[___l_length];
        uint8_t ___o_length; uint16_t _o[___o_length];
        uint8_t ___n_length;
        struct { uint8_t ___v_length; utf8_t _v[___v_length]; } align(8) _n[___n_length];
    };
};
"#;

fuzz_target!(|input: (&str, &[u8])| {
    let (text, fields) = input;
    let query = match text.parse::<Query>() {
        Ok(query) => query,
        Err(error) => {
            assert!(text.is_char_boundary(error.offset()));
            assert_eq!(error.to_string().lines().count(), 4);
            return;
        }
    };
    // Blanks may make it too long.
    let again = query.to_string();
    if again.len() <= 4096 {
        assert_eq!(again.parse().as_ref(), Ok(&query));
    }

    let schema = Schema::read([METADATA, CLASS].concat().as_bytes()).expect("it is good");
    query.unknown_fields(&schema);
    let channel = schema.channel(1).expect("it is there");
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
    let header = Header::of(&packet).expect("whole").expect("sound");
    let mut records = Records::new(channel, &header, &packet);
    while let Ok(Some((record, values))) = records.next_record() {
        let head = Head {
            ticks: record.stamp.ticks,
            cpu: header.cpu,
            number: record.number,
            packet: header.number,
            context: record.stamp.context,
        };
        let plan = query.plan(&schema, channel, record.event);
        let (before, holds) = (plan.before_fields(&head), plan.holds(&head, record.who, values));
        assert!(before.is_none_or(|before| before == holds));
        // It may be too long or too deep for that.
        if let Ok(not) = format!("!({query})").parse::<Query>() {
            let not = not.plan(&schema, channel, record.event);
            assert_ne!(not.holds(&head, record.who, values), holds);
        }
    }
});
