//! evlog: what is written, who wrote it, and the codes.

#![cfg(not(any(loom, miri)))]

use relay::clients::evlog::{records, stream};
use relay::ctf::metadata::Trace;
use relay::event::{Event, Severity, registered};
use relay::record::{Framed, STAMP, Stamp};
use relay::{Channel, Context, Geometry, Platform, Storage, Who};

/// One CPU, on which this one runs.
struct Runs(Who);

// SAFETY: one CPU, one thread.
unsafe impl Platform for Runs {
    type Pinned = ();

    fn pin(&self) -> (usize, ()) {
        (0, ())
    }

    unsafe fn unpin(&self, (): ()) {}

    fn now(&self) -> u64 {
        77
    }

    fn context(&self) -> Context {
        Context::Irq
    }

    fn who(&self) -> Who {
        self.0
    }
}

relay::event! {
    /// A fan stands still.
    #[event(
        channel = "evlog",
        facility = "Fan-Tray",
        type = 7,
        severity = Alert,
        text = "fan {fan} stands still"
    )]
    struct Stopped {
        fan: u8,
    }

    /// It has no fields, and no type of its own.
    #[event(channel = "evlog", facility = "daemon")]
    struct Bare;

    /// It is in another channel: nobody asks who wrote it.
    #[event(channel = "evlogs", facility = "daemon")]
    struct Other {
        fan: u8,
    }
}

fn channel(who: Who) -> Box<Channel<Runs, 1>> {
    let channel = Box::new(Channel::new(Runs(who), &Framed));
    let geometry = Geometry::new(1024, 2).unwrap();
    let memory = Storage::allocate(&geometry).unwrap();
    channel.start(0, memory, geometry).unwrap();
    channel
}

const WHO: Who = Who {
    process: -7,
    thread: 0x0102_0304,
};

#[test]
fn who_writes_is_asked_of_the_platform_and_lies_before_the_fields() {
    let channel = channel(WHO);
    channel.emit(&Stopped { fan: 3 }).unwrap();
    channel.emit(&Bare).unwrap();
    channel.flush();
    let mut reader = channel.reader(0).unwrap();
    let taken = reader.next_subbuf().unwrap();
    let bytes = taken.records();
    let who = [0xF9, 0xFF, 0xFF, 0xFF, 4, 3, 2, 1];
    let stamp = |id| Stamp::new(id, Context::Irq, 77).to_bytes();
    let mut wanted = Vec::from(stamp(Stopped::id()));
    wanted.extend(who.into_iter().chain([3]));
    wanted.extend(stamp(Bare::id()).into_iter().chain(who));
    assert_eq!(bytes, wanted);

    let read: Result<Vec<_>, _> = records(bytes, 0).collect();
    let [stopped, bare] = read.unwrap()[..] else {
        panic!("there are two");
    };
    assert_eq!(stopped.to_string(), "fan 3 stands still");
    assert_eq!(stopped.site.severity(), Severity::Alert);
    assert_eq!((stopped.facility(), stopped.codes.kind), ("Fan-Tray", 7));
    assert_eq!((stopped.who, stopped.ticks), (WHO, 77));
    assert_eq!((bare.to_string().as_str(), bare.who), ("bare", WHO));
    // What is cut off is told, wherever that is.
    for end in (STAMP..wanted.len()).filter(|end| *end != STAMP + 9) {
        let found: Vec<_> = records(&wanted[..end], 0).collect();
        assert!(found.last().is_some_and(Result::is_err), "{end} bytes");
    }
}

#[test]
fn other_channels_have_no_such_records() {
    let channel = channel(WHO);
    channel.emit(&Other { fan: 1 }).unwrap();
    channel.flush();
    let mut reader = channel.reader(0).unwrap();
    let taken = reader.next_subbuf().unwrap();
    assert_eq!(taken.records().len(), STAMP + 1);
    assert!(records(taken.records(), 0).all(|record| record.is_err()));
    assert!(Other::site().unwrap().codes().is_none());
}

/// The numbers are those of Python's `binascii.crc32`, of `fan.tray` and of name, text and file.
#[test]
fn codes_follow_from_names() {
    let stopped = Stopped::site().unwrap().codes().unwrap();
    assert_eq!((stopped.facility, stopped.kind), (0xF47F_D6C0, 7));
    let bare = Bare::site().unwrap();
    let codes = bare.codes().unwrap();
    assert_eq!(codes.facility, 24);
    let own = relay_format::facility::type_of("bare", "", bare.source().file);
    assert_eq!(codes.kind, own);
}

#[test]
fn the_metadata_says_codes_and_who() {
    let trace = Trace {
        uuid: [7; 16],
        clock_hz: 1,
        cpus: 1,
        streams: &[stream(6)],
        env: &[],
    };
    let text = trace.to_string();
    let stopped = registered().find(|class| class.site.name() == "stopped");
    let id = stopped.unwrap().class.id;
    let begin = format!("event {{ name = \"stopped\"; id = {id}; stream_id = 6; loglevel = 1; ");
    let class = text.split_once(&begin).unwrap().1;
    let class = class.split_once("\n").unwrap().0;
    assert!(
        class.ends_with(
            "&facility=Fan-Tray&code=4102018752&type=7&text=fan {fan} stands still\"; \
             context := struct { int32_t _pid; int32_t _tid; }; \
             fields := struct { uint8_t _fan; }; };"
        ),
        "{class}"
    );
}
