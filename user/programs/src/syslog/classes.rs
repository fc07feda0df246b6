//! All classes of records, each read when it is met first: a program that is started again is to
//! begin at once, and meets few of them.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use super::describe::Class;

/// What the lines of classes begin with that the linker has collected.
const BEGIN: &str = "event { name = \"";

/// The classes of a kernel.
#[derive(Debug)]
pub struct Classes {
    text: String,
    /// By their numbers.
    slots: Vec<Slot>,
    /// Ticks per second.
    hz: u64,
}

/// What is known of a class.
#[derive(Clone, Debug)]
enum Slot {
    /// There is none.
    None,
    /// Its line in the text.
    Line(Range<usize>),
    /// It was read.
    Read(&'static Class),
    /// It could not be.
    Unreadable,
}

impl Classes {
    /// Those that a metadata text describes; `None` if it does not say how fast the clock counts.
    #[must_use]
    pub fn new(text: String) -> Option<Self> {
        let hz = text.split_once("\n    freq = ")?.1.split_once(';')?.0;
        let hz = hz.parse().ok().filter(|hz| *hz != 0)?;
        let mut slots = Vec::new();
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            let place = at..at + line.len();
            at = place.end;
            if let Some(id) = id_of(line) {
                let id = usize::from(id);
                if slots.len() <= id {
                    slots.resize(id + 1, Slot::None);
                }
                slots[id] = Slot::Line(place);
            }
        }
        Some(Self { text, slots, hz })
    }

    /// Ticks per second.
    #[must_use]
    pub fn hz(&self) -> u64 {
        self.hz
    }

    /// The class with this number, of the channel with that.
    pub fn find(&mut self, stream: u32, id: u16) -> Option<&'static Class> {
        let slot = self.slots.get_mut(usize::from(id))?;
        if let Slot::Line(place) = slot {
            let line = self.text.get(place.clone())?;
            *slot = match Class::read(line) {
                Some(class) => Slot::Read(Box::leak(Box::new(class))),
                None => Slot::Unreadable,
            };
        }
        match slot {
            Slot::Read(class) if class.stream == stream => Some(class),
            _ => None,
        }
    }
}

/// The number in the line of a class.
fn id_of(line: &str) -> Option<u16> {
    let name = line.strip_prefix(BEGIN)?;
    let mut is_escaped = false;
    let end = name.bytes().position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    })?;
    let id = name[end..].strip_prefix("\"; id = ")?;
    id.split_once(';')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;
    use relay_format::Severity;
    use relay_format::class::{EnumClass, Field, Kind};
    use relay_rt::relay;

    relay::event! {
        /// What there can be.
        #[event(channel = "evlog", facility = "disk", type = 3, severity = Warn, text = "a \"{name}\" \\ of {numbers:?}")]
        struct Everything<'a> {
            name: &'a str,
            small: i8,
            numbers: [u32; 3],
            list: &'a [u16],
            names: &'a [&'a str],
            data: relay::event::Hex<u64>,
            is: bool,
            maybe: Option<u32>,
            chars: relay::event::Chars<16>,
            letter: char,
            float: f64,
        }
    }

    /// The metadata of a kernel with the classes of these tests.
    fn metadata() -> String {
        let streams = [
            relay::clients::klog::STREAM,
            relay::clients::evlog::stream(6),
        ];
        let trace = relay::ctf::metadata::Trace {
            uuid: [7; 16],
            clock_hz: 2_500_000_000,
            cpus: 2,
            streams: &streams,
            env: &[],
        };
        trace.to_string()
    }

    /// Uses the classes of these tests: the linker collects what is used.
    fn use_them() -> relay::event::Registered {
        relay::info!("a statement of {} and {:?}", 1, "these");
        let id = <Everything<'_> as relay::event::Event>::id();
        relay::event::find(id).expect("the linker has collected it")
    }

    #[test]
    fn a_class_is_what_was_declared() {
        let declared = use_them();
        let mut classes = Classes::new(metadata()).expect("it is metadata");
        assert_eq!(classes.hz(), 2_500_000_000);
        let class = classes.find(6, declared.class.id).expect("it is described");
        assert_eq!(
            (class.name, class.severity, class.has_who, class.facility),
            ("everything", Severity::Warn, true, "disk")
        );
        assert_eq!(class.code, Some(0x0C74_DD02));
        assert_eq!(class.template(), "a \"{name}\" \\ of {numbers:?}");
        assert_eq!(class.file, "classes.rs");
        // Characters are texts of four bytes here.
        let of = |field: &Field| match field.kind {
            Kind::Char => Field::new(field.name, Kind::Chars(4)),
            _ => *field,
        };
        let wanted: Vec<_> = declared.class.fields.iter().map(of).collect();
        assert_eq!(class.fields, wanted);
        assert_eq!(
            classes.find(1, declared.class.id),
            None,
            "of another channel"
        );
        assert_eq!(classes.find(6, 9999), None);
    }

    #[test]
    fn every_class_that_relay_describes_is_read() {
        use_them();
        let mut classes = Classes::new(metadata()).expect("it is metadata");
        let mut count = 0;
        for known in relay::event::registered() {
            let stream = match known.site.channel() {
                "klog" => 1,
                "evlog" => 6,
                _ => continue,
            };
            let class = classes.find(stream, known.class.id);
            assert!(class.is_some(), "{}", known.site.name());
            count += 1;
        }
        assert!(count > 1);
    }

    #[test]
    fn names_of_numbers_are_kept() {
        let line = "event { name = \"x;\\\" id = 7; \"; id = 9; stream_id = 6; loglevel = 6; \
                    model.emf.uri = \"relay:event?module=m&file=a/b.rs&line=3\"; fields := struct { \
                    enum : integer { size = 16; align = 8; signed = true; } { \"A\" = -1, \"B\" = 2 } _e; \
                    enum : integer { size = 8; align = 8; signed = false; base = 16; } { \"R\" = 1 } _f; }; };\n";
        assert_eq!(id_of(line), Some(9));
        let class = Class::read(line).expect("it is one");
        let numbers: &'static EnumClass = &EnumClass {
            stored: &Kind::I16,
            values: &[("A", -1), ("B", 2)],
        };
        let flags: &'static EnumClass = &EnumClass {
            stored: &Kind::U8,
            values: &[("R", 1)],
        };
        let wanted = [
            Field::new("e", Kind::Enum(numbers)),
            Field::new("f", Kind::Flags(flags)),
        ];
        assert_eq!((class.fields, class.name), (&wanted[..], "x;\" id = 7; "));
        for end in 0..line.len() - 2 {
            assert_eq!(Class::read(&line[..end]), None, "{end}");
        }
    }
}
