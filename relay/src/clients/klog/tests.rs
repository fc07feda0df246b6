//! Tests of klog.

extern crate std;

use super::line::{CUT_NOTE, has_nul};
use super::*;
use crate::channel::Channel;
use crate::platform::Context;
use crate::platform::Platform;
use crate::record::{Framed, STAMP, Stamp};
use crate::ring::{Geometry, Storage};
use core::fmt;
use std::boxed::Box;
use std::cell::Cell;
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

struct TestCpu(Cell<u64>);

// SAFETY: each test uses its own, in one thread.
#[expect(unsafe_code, reason = "a platform to test on")]
unsafe impl Sync for TestCpu {}

// SAFETY: one CPU, one thread.
#[expect(unsafe_code, reason = "a platform to test on")]
unsafe impl Platform for TestCpu {
    type Pinned = ();

    fn pin(&self) -> (usize, ()) {
        (0, ())
    }

    unsafe fn unpin(&self, (): ()) {}

    fn now(&self) -> u64 {
        self.0.set(self.0.get() + 1);
        self.0.get()
    }

    fn context(&self) -> Context {
        Context::Irq
    }
}

fn channel(subbuf_size: usize) -> Box<Channel<TestCpu, 1>> {
    let channel = Box::new(Channel::new(TestCpu(Cell::new(1 << 50)), &Framed));
    let geometry = Geometry::new(subbuf_size, 2).unwrap();
    channel
        .start(0, Storage::allocate(&geometry).unwrap(), geometry)
        .unwrap();
    channel
}

const PLACE: Place<'static> = Place {
    module: "kernel::mem",
    file: "kernel/src/mem/heap.rs",
    line: 70_000,
};

fn written_and_read(subbuf_size: usize, message: fmt::Arguments<'_>) -> String {
    let channel = channel(subbuf_size);
    write(&channel, Severity::Warn, PLACE, message).unwrap();
    channel.flush();
    let mut reader = channel.reader(0).unwrap();
    let taken = reader.next_subbuf().unwrap();
    let read: Vec<_> = records(taken.records(), taken.packet().begin_ticks).collect();
    assert_eq!(read.len(), 1);
    let record = read[0].unwrap();
    assert!(record.ticks > 1 << 50);
    assert_eq!(
        (record.context, record.severity),
        (Context::Irq, Severity::Warn)
    );
    assert_eq!(
        record.place,
        Place {
            file: "heap.rs",
            ..PLACE
        }
    );
    record.message.to_string()
}

#[test]
fn a_record_says_what_was_said_and_where() {
    assert_eq!(
        written_and_read(4096, format_args!("{} of {}", 1, "ö")),
        "1 of ö"
    );
    assert_eq!(written_and_read(4096, format_args!("")), "");
}

#[test]
fn a_message_that_just_fits_is_whole_and_a_longer_one_is_cut_visibly() {
    let whole = "x".repeat(MAX_MESSAGE);
    assert_eq!(written_and_read(4096, format_args!("{whole}")), whole);
    for (extra, tail) in [(1, "a"), (5000, "ö€")] {
        let long = format!("{whole}{}", tail.repeat(extra));
        let cut = written_and_read(4096, format_args!("{long}"));
        let kept = cut.find("...[").unwrap();
        let missing = long.len() - kept;
        assert_eq!(cut[kept..], format!("...[{missing} bytes cut]"));
        assert!(long.starts_with(&cut[..kept]) && kept > MAX_MESSAGE - 2 * CUT_NOTE);
    }
}

#[test]
fn a_nul_byte_does_not_end_a_message() {
    assert_eq!(written_and_read(4096, format_args!("a\0b{}", '\0')), "a?b?");
}

#[test]
fn a_line_says_that_an_argument_failed_to_print() {
    struct Fails;
    impl fmt::Display for Fails {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("half of ")?;
            Err(fmt::Error)
        }
    }
    assert_eq!(
        written_and_read(4096, format_args!("a {Fails} b {}", 5)),
        "a half of ...[an argument failed to print]"
    );
    let long = "x".repeat(MAX_MESSAGE);
    let cut = written_and_read(4096, format_args!("{long}{Fails}"));
    let kept = cut.find("...[").unwrap();
    let missing = long.len() + "half of ".len() - kept;
    assert_eq!(cut[kept..], format!("...[{missing} bytes cut]"));
}

#[cfg(feature = "log")]
#[test]
fn the_facade_filters_by_level_and_flushes() {
    use log::Log;
    static CHANNEL: Channel<TestCpu, 1> = Channel::new(TestCpu(Cell::new(1)), &Framed);
    let geometry = Geometry::new(4096, 2).unwrap();
    let storage = Storage::allocate(&geometry).unwrap();
    CHANNEL.start(0, storage, geometry).unwrap();
    let klog = Klog::new(&CHANNEL);
    // The level is the process's: no other test here sets it.
    log::set_max_level(log::LevelFilter::Info);
    for level in log::Level::iter() {
        let message = format_args!("{level}");
        let record = log::Record::builder().level(level).args(message).build();
        klog.log(&record);
    }
    klog.flush();
    let taken = CHANNEL.reader(0).unwrap().next_subbuf().unwrap();
    let said = records(taken.records(), 0).map(|record| record.unwrap());
    let said: Vec<_> = said.map(|record| record.severity).collect();
    assert_eq!(said, [Severity::Error, Severity::Warn, Severity::Info]);
}

#[test]
fn characters_are_not_cut_in_half() {
    for shift in 0..4 {
        let long = format!("{}{}", "a".repeat(shift), "€".repeat(1000));
        let cut = written_and_read(4096, format_args!("{long}"));
        assert!(cut.contains("€...["), "{cut}");
    }
}

/// Whatever is cut, and wherever in a character or between two arguments: what is kept and what is
/// missing are all.
#[test]
fn nothing_is_missing_that_is_not_told() {
    let step = if cfg!(miri) { 40 } else { 1 };
    for before in (MAX_MESSAGE - 40..=MAX_MESSAGE).step_by(step) {
        for tail in ["yy", "öö", "€€", "😀😀", "y€😀ö"] {
            let head = "x".repeat(before);
            let whole = format!("{head}{tail}");
            let (one, two) = tail.split_at(tail.char_indices().nth(1).unwrap().0);
            for said in [
                written_and_read(4096, format_args!("{head}{tail}")),
                written_and_read(4096, format_args!("{whole}")),
                written_and_read(4096, format_args!("{head}{one}{two}")),
            ] {
                let Some(kept) = said.find("...[") else {
                    assert_eq!(said, whole);
                    assert!(whole.len() <= MAX_MESSAGE);
                    continue;
                };
                assert!(whole.starts_with(&said[..kept]) && said.len() <= MAX_MESSAGE);
                let note = format!("...[{} bytes cut]", whole.len() - kept);
                assert_eq!(said[kept..], note, "{before} and {tail:?}");
            }
        }
    }
}

#[test]
fn a_small_sub_buffer_cuts_earlier_and_loses_nothing() {
    for size in [64, 128, 256] {
        let channel = channel(size);
        let long = "y".repeat(500);
        write(&channel, Severity::Info, PLACE, format_args!("{long}")).unwrap();
        channel.flush();
        let taken = channel.reader(0).unwrap().next_subbuf().unwrap();
        let record = records(taken.records(), 0).next().unwrap().unwrap();
        assert!(
            record
                .message
                .to_string()
                .starts_with(if size == 64 { "..." } else { "y" }),
            "{record:?}"
        );
        assert_eq!(channel.stats(0).unwrap().lost.total(), 0);
    }
}

/// Names give way first, and a message that then fits is whole: no note says that nothing is missing.
#[test]
fn in_a_small_sub_buffer_names_give_way_before_the_message() {
    let name = "n".repeat(255);
    let step = if cfg!(miri) { 37 } else { 1 };
    for size in [128, 256, 512] {
        let room = size - STAMP;
        let most = (room - 11) / 4;
        for module in [1, most, most + 1, 255] {
            for len in (0..room).step_by(step) {
                let channel = channel(size);
                let said = "m".repeat(len);
                let place = Place {
                    module: &name[..module],
                    file: "f.rs",
                    line: 1,
                };
                write(&channel, Severity::Info, place, format_args!("{said}")).unwrap();
                channel.flush();
                let taken = channel.reader(0).unwrap().next_subbuf().unwrap();
                let record = records(taken.records(), 0).next().unwrap().unwrap();
                let names = 11 + 4;
                let fits_with = |module: usize| names + module + len <= room;
                let kept = if fits_with(module) {
                    module
                } else {
                    module.min(most)
                };
                assert_eq!(record.place.module.len(), kept, "{size} {module} {len}");
                let message = record.message.to_string();
                let is_whole = message == said;
                assert_eq!(
                    is_whole,
                    fits_with(kept),
                    "{size} {module} {len}: {record:?}"
                );
                if !is_whole {
                    let (head, note) = message.split_once("...[").unwrap();
                    let missing = len - head.len();
                    assert_eq!(note, format!("{missing} bytes cut]"));
                }
            }
        }
    }
}

#[test]
fn an_argument_that_logs_itself_is_a_nested_record() {
    struct Chatty<'a>(&'a Channel<TestCpu, 1>);
    impl fmt::Display for Chatty<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write(self.0, Severity::Info, PLACE, format_args!("inner")).unwrap();
            f.write_str("outer")
        }
    }
    let channel = channel(4096);
    write(
        &channel,
        Severity::Info,
        PLACE,
        format_args!("{}", Chatty(&channel)),
    )
    .unwrap();
    channel.flush();
    let taken = channel.reader(0).unwrap().next_subbuf().unwrap();
    let messages: Vec<_> = records(taken.records(), 0)
        .map(|record| record.unwrap().message.to_string())
        .collect();
    assert_eq!(messages, ["inner", "outer"]);
}

#[test]
fn any_bytes_are_read_or_refused() {
    use proptest::prelude::*;
    let cases = if cfg!(miri) { 4 } else { 1000 };
    proptest!(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }, |(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        id in 0u16..3,
    )| {
        let mut all: Vec<u8> = Stamp::new(id, Context::Task, 5).to_bytes().into();
        all.extend(&bytes);
        let mut seen = 0;
        for item in records(&all, 5) {
            seen += 1;
            prop_assert!(item.is_ok() || seen <= all.len());
        }
        prop_assert!(seen <= all.len() / STAMP);
    });
}

#[test]
fn a_nul_byte_is_found_wherever_it_is() {
    for len in 0..30 {
        // Bytes around it that differ from it in one bit.
        for other in [1, 0x80, b'a', 0xFF] {
            let mut bytes = vec![other; len];
            assert!(!has_nul(&bytes));
            for at in 0..len {
                bytes[at] = 0;
                assert!(has_nul(&bytes), "{len} {at}");
                bytes[at] = other;
            }
        }
    }
}
