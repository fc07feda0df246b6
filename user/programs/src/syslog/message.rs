//! A record as RFC 5424 has it, framed by its length (RFC 6587, section 3.4.1).
//!
//! ```text
//! LEN SP <PRI>1 TIMESTAMP relay APP-NAME PROCID MSGID [relay@32473 ...][event@32473 ...] MSG
//! ```
//!
//! | of | facility | APP-NAME | PROCID | MSGID | values of `relay@32473` beside those of all |
//! |---|---|---|---|---|---|
//! | klog | kern | the Rust module | `-` | `-` | `source`: file and line |
//! | evlog | that of the event if syslog has it, or else daemon | the event's facility | process | the event's name | `thread` |
//! | user | user | the program | process | `-` | `thread` |
//!
//! All have `cpu`, `context`, `channel`, and `number`: that of the record in its stream. The values
//! of an event are in `event@32473`. 32473 is the number that RFC 5612 keeps for examples.

use alloc::vec::Vec;
use core::fmt::Write as _;

use relay_format::Severity;

use super::date::Clock;
use super::describe::Class;
use super::record::{Record, Said};
use super::text::{Escaped, Place, name, number, value_name};

/// The most bytes of a message, with its length in front.
pub const MOST: usize = 8192;
/// The most bytes of the values of an event, and of one of them.
const VALUES: usize = 3072;
const VALUE: usize = 1024;
/// The most bytes of the text.
const TEXT: usize = 4096;
/// The most characters of APP-NAME and MSGID.
const APP: usize = 48;
const MSGID: usize = 32;

/// Facilities of syslog, times eight.
const KERN: u32 = 0;
const USER: u32 = 1 << 3;
const DAEMON: u32 = 3 << 3;
const SYSLOG: u32 = 5 << 3;
/// The greatest of them.
const LAST: u32 = 23 << 3;

/// Digits that a length mostly has.
const DIGITS: usize = 3;

/// Where a record was found.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The name of its channel.
    pub channel: &'a str,
    /// The CPU that wrote it.
    pub cpu: u64,
    /// Its number in the stream.
    pub number: u64,
    /// When it was written, in ticks.
    pub ticks: u64,
}

/// Appends the message of a record: at most [`MOST`] bytes.
pub fn write(out: &mut Vec<u8>, clock: &mut Clock, found: &Found<'_>, record: &Record<'_>) {
    let begin = out.len();
    out.extend_from_slice(&[b' '; DIGITS + 1]);
    body(out, clock, found, record);
    let length = out.len() - begin - DIGITS - 1;
    frame(out, begin, length);
}

/// Appends a message that says that so many records, from this one on, are not told.
pub fn write_gap(out: &mut Vec<u8>, clock: &mut Clock, found: &Found<'_>, missing: u64) {
    let begin = out.len();
    out.extend_from_slice(&[b' '; DIGITS + 1]);
    out.push(b'<');
    number(out, (SYSLOG | Severity::Warn as u32).into());
    out.extend_from_slice(b">1 ");
    clock.write(out, found.ticks);
    out.extend_from_slice(b" relay logd - missing [relay@32473 cpu=\"");
    number(out, found.cpu);
    out.extend_from_slice(b"\" channel=\"");
    out.extend_from_slice(found.channel.as_bytes());
    out.extend_from_slice(b"\" number=\"");
    number(out, found.number);
    out.extend_from_slice(b"\" count=\"");
    number(out, missing);
    out.extend_from_slice(b"\"] ");
    number(out, missing);
    out.extend_from_slice(b" records are in the capture only: they had left the machine");
    let length = out.len() - begin - DIGITS - 1;
    frame(out, begin, length);
}

/// Puts the length in front of a message, for which there is room from `begin` on.
fn frame(out: &mut Vec<u8>, begin: usize, length: usize) {
    let mut digits = Vec::new();
    let digits = match length {
        100..1000 => {
            let digit = |power: usize| b'0' + (length / power % 10) as u8;
            out[begin..begin + DIGITS].copy_from_slice(&[digit(100), digit(10), digit(1)]);
            return;
        }
        _ => {
            number(&mut digits, length as u64);
            digits
        }
    };
    out.splice(begin..begin + DIGITS, digits);
}

fn body(out: &mut Vec<u8>, clock: &mut Clock, found: &Found<'_>, record: &Record<'_>) {
    let (facility, severity) = match &record.said {
        Said::Line { severity, .. } => (KERN, *severity),
        Said::Written(written) => (USER, written.severity),
        Said::Event { class, .. } if class.is_statement => (KERN, class.severity),
        Said::Event { class, .. } => {
            let own = class.code.filter(|code| *code <= LAST);
            (own.unwrap_or(DAEMON), class.severity)
        }
    };
    // syslog has nothing below debug.
    let severity = (severity as u32).min(Severity::Debug as u32);
    out.push(b'<');
    number(out, (facility | severity).into());
    out.extend_from_slice(b">1 ");
    clock.write(out, found.ticks);
    out.extend_from_slice(b" relay ");
    match &record.said {
        Said::Line { module, .. } => {
            ascii(out, module, APP);
            out.extend_from_slice(b" - -");
        }
        Said::Written(written) => {
            ascii(out, written.program, APP);
            out.push(b' ');
            signed(out, written.who[0]);
            out.extend_from_slice(b" -");
        }
        Said::Event { class, .. } if class.is_statement => {
            name(out, class.module, APP);
            out.extend_from_slice(b" - -");
        }
        Said::Event { class, who, .. } => {
            name(out, class.facility, APP);
            out.push(b' ');
            match who {
                Some([process, _]) => signed(out, *process),
                None => out.push(b'-'),
            }
            out.push(b' ');
            name(out, class.name, MSGID);
        }
    }
    out.extend_from_slice(b" [relay@32473 cpu=\"");
    number(out, found.cpu);
    out.extend_from_slice(b"\" context=\"");
    out.extend_from_slice(record.context.name().as_bytes());
    out.extend_from_slice(b"\" channel=\"");
    out.extend_from_slice(found.channel.as_bytes());
    out.extend_from_slice(b"\" number=\"");
    number(out, found.number);
    out.push(b'"');
    said(out, &record.said);
}

/// Appends what is known of a record beside that, and its text. What has no room is cut.
fn said(out: &mut Vec<u8>, said: &Said<'_>) {
    let thread = |out: &mut Vec<u8>, thread| {
        out.extend_from_slice(b" thread=\"");
        signed(out, thread);
        out.extend_from_slice(b"\"] ");
    };
    let source = |out: &mut Vec<u8>, file: &[u8]| {
        out.extend_from_slice(b" source=\"");
        let _ = Escaped::new(out, Place::Value, 128).put(file);
        out.push(b':');
    };
    match said {
        Said::Line {
            file,
            line,
            message,
            ..
        } => {
            source(out, file);
            number(out, (*line).into());
            out.extend_from_slice(b"\"] ");
            let _ = Escaped::new(out, Place::Message, TEXT).put(message);
        }
        Said::Written(written) => {
            thread(out, written.who[1]);
            let _ = Escaped::new(out, Place::Message, TEXT).put(written.text);
        }
        Said::Event { class, who, values } => {
            if class.is_statement {
                source(out, class.file.as_bytes());
                name(out, class.line, 10);
                out.extend_from_slice(b"\"] ");
            } else {
                match who {
                    Some([_, number]) => {
                        thread(out, *number);
                        out.pop();
                    }
                    None => out.push(b']'),
                }
                fields(out, class, values);
                out.push(b' ');
            }
            let text = &mut Escaped::new(out, Place::Message, TEXT);
            let _ = values.write(text, class.template());
        }
    }
}

/// Appends the values of an event.
fn fields(out: &mut Vec<u8>, class: &Class, values: &relay_rt::relay::event::Values<'_>) {
    if class.fields.is_empty() {
        return;
    }
    out.extend_from_slice(b"[event@32473");
    let begin = out.len();
    for field in class.fields {
        if out.len() - begin > VALUES - VALUE {
            out.extend_from_slice(b" more=\"...\"");
            break;
        }
        out.push(b' ');
        value_name(out, field.name);
        out.extend_from_slice(b"=\"");
        let mut value = Escaped::new(out, Place::Value, VALUE);
        // A template that is the field alone.
        let mut template = TemplateOf::new();
        let _ = match template.of(field.name) {
            Some(template) => values.write(&mut value, template),
            None => value.write_str("?"),
        };
        out.push(b'"');
    }
    out.push(b']');
}

/// `{name}`, for a name of a field.
struct TemplateOf([u8; 66]);

impl TemplateOf {
    fn new() -> Self {
        Self([0; 66])
    }

    fn of(&mut self, name: &str) -> Option<&str> {
        let end = name.len() + 1;
        self.0.get_mut(1..end)?.copy_from_slice(name.as_bytes());
        self.0[0] = b'{';
        *self.0.get_mut(end)? = b'}';
        core::str::from_utf8(&self.0[..=end]).ok()
    }
}

/// Appends a name that may be any bytes.
fn ascii(out: &mut Vec<u8>, bytes: &[u8], most: usize) {
    match core::str::from_utf8(bytes) {
        Ok(text) => name(out, text, most),
        Err(_) => out.push(b'-'),
    }
}

/// Appends a number that may be negative.
fn signed(out: &mut Vec<u8>, of: i32) {
    if of < 0 {
        out.push(b'-');
    }
    number(out, of.unsigned_abs().into());
}

#[cfg(test)]
mod tests {
    use super::super::classes::Classes;
    use super::super::record::{KLOG, read};
    use super::*;
    use alloc::format;
    use alloc::string::{String, ToString as _};
    use alloc::vec;
    use relay_format::Context;
    use relay_format::stamp::Stamp;
    use relay_rt::relay::record::Fields;

    const CLASSES: &str = "\n    freq = 1000;\n\
        event { name = \"woke {name:?}, {id:#x}\"; id = 20; stream_id = 1; loglevel = 4; model.emf.uri = \"relay:statement?module=kernel::sched&file=kernel/src/sched.rs&line=57\"; fields := struct { uint16_t ___name_length; utf8_t _name[___name_length]; uint32_t _id; }; };\n\
        event { name = \"port_stalled\"; id = 32; stream_id = 6; loglevel = 4; model.emf.uri = \"relay:event?module=m&file=f.rs&line=1&facility=port&code=1133600204&type=3&text={port}; nothing moves\"; context := struct { int32_t _pid; int32_t _tid; }; fields := struct { uint16_t ___port_length; utf8_t _port[___port_length]; }; };\n\
        event { name = \"done\"; id = 33; stream_id = 6; loglevel = 8; model.emf.uri = \"relay:event?module=m&file=f.rs&line=1&facility=auth&code=32&type=3\"; context := struct { int32_t _pid; int32_t _tid; }; fields := struct { }; };\n\
        event { name = \"written\"; id = 59; stream_id = 8; loglevel = 6; model.emf.uri = \"relay:event?module=kernel::logs::user&file=kernel/src/logs/user.rs&line=50&text={comm}[{pid}] {text}\"; fields := struct { enum : integer { size = 8; align = 8; signed = false; } { \"EMERG\" = 0, \"ALERT\" = 1 } _severity; int32_t _pid; int32_t _tid; utf8_t _comm[16]; uint16_t ___text_length; utf8_t _text[___text_length]; }; };\n";

    /// The message of a record with these bytes behind its stamp.
    fn message(channel: u32, id: u16, bytes: &[u8]) -> String {
        let mut classes = Classes::new(CLASSES.to_string()).expect("it is metadata");
        let mut fields = Fields::new(bytes);
        let stamp = Stamp::new(id, Context::Irq, 0);
        let record = read(&mut classes, channel, stamp, &mut fields).expect("it is one");
        assert!(fields.is_empty(), "all of it was read");
        let mut clock = Clock::new(1000, Some(1_796_065_515_000_000_000));
        let found = Found {
            channel: ["", "klog", "", "", "", "", "evlog", "", "user"][channel as usize],
            cpu: 3,
            number: 1207,
            ticks: 1500,
        };
        let mut out = vec![b'#'];
        write(&mut out, &mut clock, &found, &record);
        assert!(out.len() <= MOST);
        let text = String::from_utf8(out).expect("it is UTF-8");
        let (length, rest) = text[1..].split_once(' ').expect("there is a length");
        assert_eq!(length, rest.len().to_string());
        rest.into()
    }

    fn text(text: &[u8]) -> Vec<u8> {
        [&(text.len() as u16).to_le_bytes(), text].concat()
    }

    fn line(severity: u8, module: &[u8], message: &[u8]) -> Vec<u8> {
        let length = |text: &[u8]| (text.len() as u16).to_le_bytes();
        let lengths = [length(module), length(b"a].rs"), length(message)].concat();
        let number = 77_u32.to_le_bytes();
        [
            &[severity][..],
            &number,
            &lengths,
            module,
            b"a].rs",
            message,
        ]
        .concat()
    }

    fn written(severity: u8, program: &[u8], said: &[u8]) -> Vec<u8> {
        let mut comm = [0; 16];
        comm[..program.len()].copy_from_slice(program);
        let who = [103_i32.to_le_bytes(), (-1_i32).to_le_bytes()].concat();
        [&[severity][..], &who, &comm, &text(said)].concat()
    }

    const TIME: &str = "2026-11-30T19:05:16.500000Z";
    const OF_ALL: &str = "cpu=\"3\" context=\"irq\"";

    #[test]
    fn each_channel_has_its_form() {
        assert_eq!(
            message(KLOG, 1, &line(8, b"kernel::mem", b"a\nb] \"c\" \xff")),
            format!(
                "<7>1 {TIME} relay kernel::mem - - [relay@32473 {OF_ALL} channel=\"klog\" \
                 number=\"1207\" source=\"a\\].rs:77\"] a\\x0ab] \"c\" \\xff"
            )
        );
        let id = 255_u32.to_le_bytes();
        assert_eq!(
            message(KLOG, 20, &[&text(b"in\"it")[..], &id].concat()),
            format!(
                "<4>1 {TIME} relay kernel::sched - - [relay@32473 {OF_ALL} channel=\"klog\" \
                 number=\"1207\" source=\"sched.rs:57\"] woke \"in\\\"it\", 0xff"
            )
        );
        let who = [7_i32.to_le_bytes(), 8_i32.to_le_bytes()].concat();
        assert_eq!(
            message(6, 32, &[&who[..], &text(b"com\"1]\\")].concat()),
            format!(
                "<28>1 {TIME} relay port 7 port_stalled [relay@32473 {OF_ALL} channel=\"evlog\" \
                 number=\"1207\" thread=\"8\"][event@32473 port=\"com\\\"1\\]\\\\\"] com\"1]\\; nothing moves"
            )
        );
        assert_eq!(
            message(6, 33, &who),
            format!(
                "<39>1 {TIME} relay auth 7 done [relay@32473 {OF_ALL} channel=\"evlog\" \
                 number=\"1207\" thread=\"8\"] done"
            )
        );
        assert_eq!(
            message(8, 59, &written(2, b"my prog", b"<1>1 - - \x00")),
            format!(
                "<10>1 {TIME} relay my_prog 103 - [relay@32473 {OF_ALL} channel=\"user\" \
                 number=\"1207\" thread=\"-1\"] <1>1 - - \\x00"
            )
        );
        assert!(message(8, 59, &written(6, b"", b"")).contains(" relay - 103 - ["));
        assert!(message(KLOG, 1, &line(0, b"", b"")).starts_with("<0>1 "));
        assert!(message(KLOG, 1, &line(6, b"\xff", b"")).contains(" relay - - - ["));
    }

    #[test]
    fn what_is_long_is_cut_and_framed_right() {
        for length in [0, 1, 10, 500, 900, 999, 1000, 4000, 9000, 60_000] {
            for byte in [b'x', b'\n', 0xff] {
                let shown = message(KLOG, 1, &line(6, b"m", &vec![byte; length]));
                let (_, said) = shown.split_once("] ").expect("there is a text");
                let whole = length * if byte == b'x' { 1 } else { 4 };
                assert_eq!(said.ends_with("..."), whole > TEXT - 3, "{length}");
                assert!(said.len() <= TEXT);
                message(6, 32, &[&[0; 8][..], &text(&vec![byte; length])].concat());
                message(8, 59, &written(6, b"p", &vec![byte; length]));
            }
            let long = vec![b'm'; length];
            let shown = message(KLOG, 1, &line(6, &long, b"x"));
            let app = shown.split(' ').nth(3).expect("there is a name");
            assert_eq!(app.len(), length.clamp(1, APP));
        }
    }

    #[test]
    fn what_is_no_record_is_none() {
        let mut classes = Classes::new(CLASSES.to_string()).expect("it is metadata");
        let mut is_one = |channel, id, bytes: &[u8]| {
            let stamp = Stamp::new(id, Context::Task, 0);
            read(&mut classes, channel, stamp, &mut Fields::new(bytes)).is_some()
        };
        let line = line(6, b"m", b"x");
        assert!(is_one(KLOG, 1, &line));
        for end in 0..line.len() {
            assert!(!is_one(KLOG, 1, &line[..end]));
        }
        let written = written(6, b"p", b"x");
        for end in 0..written.len() {
            assert!(!is_one(8, 59, &written[..end]));
        }
        assert!(!is_one(8, 20, &[0; 64]), "of another channel");
        assert!(!is_one(6, 1, &[0; 64]), "of no class");
        assert!(!is_one(KLOG, 1, &[9; 64]), "of no severity");
    }
}
