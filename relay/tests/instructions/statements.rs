//! Events and statements as the macros make them: what is counted is all that stands where they
//! are written.

use crate::program::OneCpu;
use crate::stepper;
use relay::clients::klog::{self, Place};
use relay::event::Severity;
use relay::{Channel, Geometry, Mode, NoHooks, Storage};
use std::fmt;
use std::hint::black_box;
use std::sync::Once;

/// Where statements go: with room for all that is counted in its first sub-buffer.
static LOG: Channel<OneCpu, 1> = Channel::new(OneCpu, &NoHooks);

relay::sink!(LOG);

relay::event! {
    /// An event of four numbers.
    #[event(channel = "instructions")]
    struct Four {
        a: u64,
        b: u64,
        c: u64,
        d: u64,
    }

    /// One that is off.
    #[event(channel = "instructions", enabled = false)]
    struct Off {
        a: u64,
    }

    /// One with a text.
    #[event(channel = "instructions")]
    struct Named<'a> {
        name: &'a str,
        task: u32,
    }
}

/// What is printed by a function of its own.
struct Address(u32);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.0.to_be_bytes();
        write!(f, "{a}.{b}.{c}.{d}")
    }
}

fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let geometry = Geometry::new(64 * 1024, 2).and_then(|it| it.with_mode(Mode::Continuous));
        let geometry = geometry.expect("a good geometry");
        let storage = Storage::allocate(&geometry).expect("there is memory");
        LOG.start(0, storage, geometry).expect("it has not started");
        // It opens the sub-buffer.
        LOG.write(&[0]).expect("there is room");
    });
}

/// The instructions of `op`, and whether it wrote a record, as it should.
#[inline(always)]
fn count(records: u64, op: impl Fn()) -> u64 {
    start();
    let written = || LOG.stats(0).expect("it has started").records;
    let before = (LOG.flush(), written()).1;
    LOG.write(&[0]).expect("there is room");
    let mut instructions = 0;
    // Once for libraries to find their functions. The same code, so that it is inlined.
    for _ in 0..2 {
        instructions = stepper::count(&op).0;
    }
    LOG.flush();
    assert_eq!(written() - before, 1 + 2 * records, "records");
    instructions
}

pub(crate) fn event() -> u64 {
    let event = black_box(Four {
        a: 1,
        b: 2,
        c: 3,
        d: 4,
    });
    count(1, || {
        let _ = LOG.emit(&event);
    })
}

pub(crate) fn event_off() -> u64 {
    let event = black_box(Off { a: 1 });
    count(0, || {
        let _ = LOG.emit(&event);
    })
}

pub(crate) fn event_with_text() -> u64 {
    let event = black_box(Named {
        name: "a name of 20 letters",
        task: 7,
    });
    count(1, || {
        let _ = LOG.emit(&event);
    })
}

pub(crate) fn two_integers() -> u64 {
    let (task, cpu) = black_box((7u64, 3u32));
    count(1, || relay::info!("woke task {task} on cpu {cpu}"))
}

pub(crate) fn off() -> u64 {
    let (task, cpu) = black_box((7u64, 3u32));
    count(0, || relay::debug!("woke task {task} on cpu {cpu}"))
}

pub(crate) fn with_text() -> u64 {
    let (name, task) = black_box(("a name of 20 letters", 7u32));
    count(1, || relay::info!("woke {name}, task {task}"))
}

pub(crate) fn formatted_in_place() -> u64 {
    let (address, port) = black_box((Address(0x7F00_0001), 80u16));
    count(1, || relay::info!("connected to {address}, port {port}"))
}

/// What klog writes of a text that is formatted where it stands, as `log::info!` is.
pub(crate) fn klog_line() -> u64 {
    let (task, cpu) = black_box((7u64, 3u32));
    count(1, || {
        let place = Place {
            module: "kernel::scheduler",
            file: "scheduler.rs",
            line: 42,
        };
        let text = format_args!("woke task {task} on cpu {cpu}");
        let _ = klog::write(&LOG, Severity::Info, place, text);
    })
}
