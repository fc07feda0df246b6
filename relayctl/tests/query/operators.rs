//! Queries for what operators are told.

use super::*;

/// An event for operators, or one that says the same in fields of its own.
#[derive(Clone, Copy)]
struct Told {
    class: u16,
    process: i32,
    thread: i32,
    lba: u32,
}

impl Told {
    /// The class's facility, and the type in it.
    fn kind(&self) -> (&'static str, u32) {
        match self.class {
            300 => ("disk", 3),
            301 => ("net", 3),
            302 => ("disk", 4),
            _ => ("disk", 9),
        }
    }

    fn payload(&self) -> Vec<u8> {
        let who = Payload::default()
            .bytes(self.process.to_le_bytes())
            .bytes(self.thread.to_le_bytes());
        let lba = self.lba.to_le_bytes();
        match self.class {
            300 => who.bytes(lba).text("sda"),
            // The context has a text of another length before the thread.
            301 => Payload::default()
                .bytes(self.process.to_le_bytes())
                .bytes([3, b'i', b'r', b'q'])
                .bytes(self.thread.to_le_bytes())
                .bytes(b"eth0\0")
                .bytes(lba),
            302 => who.bytes(2u16.to_le_bytes()).text("a").text("b").bytes(lba),
            _ => who.text("disk").bytes([9]).bytes(lba),
        }
        .0
    }
}

/// Classes of events for operators: who wrote them lies before their fields. The last one has all
/// that as fields.
fn operators() -> String {
    let who = "int32_t _pid; int32_t _tid;";
    let with_name =
        "int32_t _pid; uint8_t ___name_length; utf8_t _name[___name_length]; int32_t _tid;";
    let text = "uint16_t ___device_length; utf8_t _device[___device_length];";
    let list = "uint16_t ___all_length; struct { uint16_t ___v_length; utf8_t _v[___v_length]; } \
                align(8) _all[___all_length];";
    let behind = |class: String, context: &str| {
        let context = format!("context := struct {{ {context} }};\n    fields :=");
        class.replace("fields :=", &context)
    };
    [
        behind(
            event(
                300,
                "timed_out",
                "&facility=disk&code=7&type=3&text=sector {lba} of {device}",
                &format!("uint32_t _lba; {text}"),
            ),
            who,
        ),
        behind(
            event(
                301,
                "down",
                "&facility=net&code=8&type=3",
                "string _port; uint32_t _lba;",
            ),
            with_name,
        ),
        behind(
            event(
                302,
                "replaced",
                "&facility=disk&code=7&type=4",
                &format!("{list} uint32_t _lba;"),
            ),
            who,
        ),
        event(
            303,
            "foreign",
            "",
            "int32_t _process; int32_t _thread; uint16_t ___facility_length; \
             utf8_t _facility[___facility_length]; uint8_t _type; uint32_t _lba;",
        ),
    ]
    .concat()
}

/// Whether a record is one that is wanted.
type Judge<'j> = &'j dyn Fn(&Told) -> bool;

#[test]
fn events_for_operators_are_found_by_who_and_what() {
    let all: Vec<Told> = (0..120u32)
        .map(|n| Told {
            class: 300 + (n * 7 % 11 % 4) as u16,
            process: (n / 3 % 5) as i32 - 1,
            thread: (n * n % 7) as i32,
            lba: n * 13 % 50,
        })
        .collect();
    let mut packets = metadata_packets(&with_classes(&operators()), 1 << 12);
    packets.extend(others(0, all.len() as u64));
    packets.push(Stream::new(1, 0, 0).packet(1, 1));
    let mut stream = Stream::new(SCHED, 0, 0);
    for (told, n) in all.iter().zip(1..) {
        stream.record(told.class, n * MS, synthetic::TASK, &told.payload());
        if n % 50 == 0 {
            packets.push(stream.packet(n * MS, 0));
        }
    }
    packets.push(stream.packet(200 * MS, 1));
    let out = capture("operators", &packets);
    let is_right: [(&str, Judge<'_>); 14] = [
        ("type == 3", &|it| it.kind().1 == 3),
        ("facility == disk", &|it| it.kind().0 == "disk"),
        ("facility == net && type == 3", &|it| it.class == 301),
        ("facility =~ \"^d\" && type >= 4", &|it| it.class >= 302),
        ("process == 2", &|it| it.process == 2),
        ("process != 2", &|it| it.process != 2),
        ("thread & 4", &|it| it.thread & 4 != 0),
        ("!(thread == 1 || process == 0)", &|it| {
            it.thread != 1 && it.process != 0
        }),
        ("facility == net && thread == 2", &|it| {
            it.class == 301 && it.thread == 2
        }),
        ("event == replaced && lba > 25", &|it| {
            it.class == 302 && it.lba > 25
        }),
        ("type == 3 && process == 1 && lba < 30", &|it| {
            it.kind().1 == 3 && it.process == 1 && it.lba < 30
        }),
        ("msg =~ \"^sector 1. of sda$\"", &|it| {
            it.class == 300 && (10..20).contains(&it.lba)
        }),
        ("field.process < 0", &|it| it.class == 303 && it.process < 0),
        ("number >= 49 && port contains th", &|it| it.class == 301),
    ];
    for (expr, is_right) in is_right {
        let wanted: Vec<u64> = (0..)
            .zip(&all)
            .filter(|(n, told)| is_right(told) && (*n >= 49 || !expr.contains("number")))
            .map(|(n, _)| n)
            .collect();
        assert!(!wanted.is_empty() && wanted.len() < all.len(), "{expr}");
        let wanted_by = ["--channel", "sched", "--where", expr];
        for args in [
            &["--json"][..],
            &["--json", "--spans"],
            &["--json", "--follow"],
        ] {
            let args = [&wanted_by[..], args].concat();
            let found = lines(&cat(&out, &args).join("\n"));
            let number = |record: &Value| record["number"].as_u64().expect("it has one");
            assert_eq!(
                found.iter().map(number).collect::<Vec<_>>(),
                wanted,
                "{expr}"
            );
            for record in found {
                // What was skipped has not moved what is behind it.
                let told = all[number(&record) as usize];
                assert_eq!(record["fields"]["lba"], told.lba, "{expr}");
            }
        }
        let count = on(&out, "stat", &[&wanted_by[..], &["--json"]].concat());
        let count: Value = serde_json::from_str(&count.out).expect("it is JSON");
        assert_eq!(count["matching"], wanted.len(), "{expr}");
        let left = on(&out, "export", &[&wanted_by[..], &["-f", "jsonl"]].concat());
        assert_eq!(left.out.lines().count(), wanted.len(), "{expr}");
        let left = on(&out, "watch", &wanted_by);
        assert_eq!(left.out.lines().count(), wanted.len(), "{expr}");
    }
}
