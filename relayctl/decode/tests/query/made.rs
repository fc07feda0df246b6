//! Records that are made for queries.

use relay_decode::query::{Head, Query};
use relay_decode::records::{Records, Schema};
use relay_decode::wire::{HEADER_SIZE, Header, MAGIC};
use relay_format::{Context, packet};

/// What stands before the class.
const METADATA: &str = include_str!("../../../tests/data/metadata");

/// The class.
const CLASS: &str = r#"
event {
    name = "disk_error";
    id = 300;
    stream_id = 5;
    loglevel = 3;
    model.emf.uri = "relay:event?module=kernel::disk&file=kernel/src/disk.rs&line=57&facility=disk&text=lba {lba} timed out after {us} us";
    fields := struct {
        uint64_t _lba;
        int32_t _code;
        uint32_t _us;
        uint32_t _cpu;
        floating_point { exp_dig = 11; mant_dig = 53; align = 8; } _ratio;
        floating_point { exp_dig = 8; mant_dig = 24; align = 8; } _single;
        enum : integer { size = 8; align = 8; signed = false; } { "Idle" = 0, "Run" = 1 } _state;
        enum : integer { size = 32; align = 8; signed = false; base = 16; } { "READ" = 1, "WRITE" = 2, "SYNC" = 4 } _flags;
        enum : uint8_t { "false" = 0, "true" = 1 } _dirty;
        utf8_t _letter[4];
        ticks_t _since;
        struct { uint16_t _x; struct { int8_t _z; } align(8) _y; } align(8) _inner;
        uint16_t ___name_length; utf8_t _name[___name_length];
        string _path;
        uint16_t ___list_length; uint16_t _list[___list_length];
        uint8_t _bytes[2];
        uint8_t ___maybe_length; uint16_t _maybe[___maybe_length];
        uint8_t ___maybe_not_length; uint16_t _maybe_not[___maybe_not_length];
        uint16_t ___names_length;
        struct { uint16_t ___v_length; utf8_t _v[___v_length]; } align(8) _names[___names_length];
    };
};
"#;

/// The clock's frequency, by the metadata.
const HZ: u64 = 2_611_200_000;

/// What can be different in a record.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) lba: u64,
    pub(crate) code: i32,
    pub(crate) ratio: f64,
    pub(crate) state: u8,
    pub(crate) flags: u32,
    pub(crate) name: String,
    pub(crate) list: Vec<u16>,
    pub(crate) maybe: Option<u16>,
    pub(crate) cpu: u32,
    pub(crate) context: Context,
    /// Its time in milliseconds.
    pub(crate) ms: u64,
}

impl Made {
    pub(crate) fn sample() -> Self {
        Self {
            lba: 200,
            code: -5,
            ratio: 0.1,
            state: 1,
            flags: 3,
            name: "sda \"1\"".to_owned(),
            list: vec![10, 20],
            maybe: Some(9),
            cpu: 2,
            context: Context::Irq,
            ms: 1,
        }
    }

    /// Its fields.
    fn payload(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let text = |bytes: &mut Vec<u8>, text: &str| {
            bytes.extend(
                u16::try_from(text.len())
                    .expect("it is short")
                    .to_le_bytes(),
            );
            bytes.extend(text.as_bytes());
        };
        bytes.extend(self.lba.to_le_bytes());
        bytes.extend(self.code.to_le_bytes());
        bytes.extend(1500u32.to_le_bytes());
        bytes.extend(7u32.to_le_bytes());
        bytes.extend(self.ratio.to_le_bytes());
        bytes.extend(0.1f32.to_le_bytes());
        bytes.push(self.state);
        bytes.extend(self.flags.to_le_bytes());
        bytes.push(1);
        bytes.extend([b'x', 0, 0, 0]);
        bytes.extend((HZ / 500).to_le_bytes());
        bytes.extend(3u16.to_le_bytes());
        bytes.extend((-1i8).to_le_bytes());
        text(&mut bytes, &self.name);
        bytes.extend("/dev/gr\u{fc}n\0".as_bytes());
        bytes.extend(
            u16::try_from(self.list.len())
                .expect("it is short")
                .to_le_bytes(),
        );
        bytes.extend(self.list.iter().flat_map(|element| element.to_le_bytes()));
        bytes.extend([255, 0]);
        bytes.push(self.maybe.is_some().into());
        bytes.extend(self.maybe.iter().flat_map(|value| value.to_le_bytes()));
        bytes.push(0);
        bytes.extend(2u16.to_le_bytes());
        text(&mut bytes, "one");
        text(&mut bytes, "two");
        bytes
    }
}

/// What is known of the channels and classes.
pub(crate) fn schema() -> Schema {
    Schema::read([METADATA, CLASS].concat().as_bytes()).expect("it is good")
}

/// Whether a query is true of a record of a channel and class, whose fields are these bytes.
fn record_holds(query: &Query, (channel, id): (u32, u16), fields: &[u8], made: &Made) -> bool {
    let schema = schema();
    let channel = schema.channel(channel).expect("it is there");
    let ticks = HZ / 1000 * made.ms;
    let word = ticks | u64::from(id) << 40 | (made.context as u64) << 54;
    let body = [&word.to_le_bytes()[..7], fields].concat();
    let content = HEADER_SIZE + body.len();
    let header = packet::Header {
        magic: MAGIC,
        stream_id: channel.number,
        timestamp_end: ticks,
        content_size: content as u64 * 8,
        packet_size: content.next_multiple_of(8) as u64 * 8,
        packet_seq_num: 3,
        stream_instance_id: made.cpu.into(),
        cpu_id: made.cpu,
        ordinal: 12,
        records: 1,
        ..packet::Header::from_bytes(&[0; HEADER_SIZE])
    };
    let mut packet = header.to_bytes().to_vec();
    packet.extend(body);
    packet.resize(content.next_multiple_of(8), 0);
    let header = Header::of(&packet).expect("whole").expect("sound");
    let mut records = Records::new(channel, &header, &packet);
    let found = records.next_record().expect("it can be read");
    let (record, values) = found.expect("it is there");
    let head = Head {
        ticks: record.stamp.ticks,
        cpu: header.cpu,
        number: record.number,
        packet: header.number,
        context: record.stamp.context,
    };
    let plan = query.plan(&schema, channel, record.event);
    let holds = plan.holds(&head, record.who, values);
    let before = plan.before_fields(&head);
    assert!(before.is_none_or(|before| before == holds), "{query}");
    holds
}

/// Whether a query is true of a record.
pub(crate) fn holds(query: &Query, made: &Made) -> bool {
    record_holds(query, (5, 300), &made.payload(), made)
}

/// Whether a query is true of a line of the log: a warning.
pub(crate) fn line_holds(query: &Query) -> bool {
    let texts = ["kernel::x", "x.rs", "hello"];
    let mut fields = vec![4, 7, 0, 0, 0];
    for text in texts {
        fields.extend(
            u16::try_from(text.len())
                .expect("it is short")
                .to_le_bytes(),
        );
    }
    fields.extend(texts.concat().as_bytes());
    record_holds(query, (1, 1), &fields, &Made::sample())
}
