//! What the class of a statement says.

use crate::Log;
use relay::event::{Kind, Severity};

#[test]
fn plain_values_are_stored_as_they_are() {
    let log = Log::start();
    let (a, b, c) = (1u8, -2i64, "text");
    relay::warn!("{a:#x} {b:>5} {c} {} {:?}", 1.5f32, 'x');
    let record = log.one();
    let kinds = [
        ("a", Kind::U8),
        ("b", Kind::I64),
        ("c", Kind::Str),
        ("arg0", Kind::F32),
        ("arg1", Kind::Char),
    ];
    assert_eq!(record.kinds(), kinds);
    assert_eq!(record.site.name(), "{a:#x} {b:>5} {c} {arg0} {arg1:?}");
    assert_eq!(record.site.severity(), Severity::Warn);
    assert_eq!(record.site.channel(), "klog");
    assert!(record.site.is_statement());
}

#[test]
fn what_is_said_twice_is_stored_once() {
    struct Queue(Vec<u32>);
    impl Queue {
        fn len(&self) -> usize {
            self.0.len()
        }
    }
    let log = Log::start();
    let queue = Queue(vec![1, 2, 3]);
    let width = 6usize;
    relay::info!("{0} {0} {1:w$} {w}", queue.len(), queue.0[0], w = width);
    let record = log.one();
    let kinds = [("len", Kind::U64), ("queue", Kind::U32), ("w", Kind::U64)];
    assert_eq!(record.kinds(), kinds);
    assert_eq!(record.site.name(), "{len} {len} {queue:w$} {w}");
    assert_eq!(record.sentence(), "3 3      1 6");
}

#[test]
fn a_statement_says_where_it_stands() {
    let log = Log::start();
    let line = line!() + 1;
    relay::info!("here");
    let record = log.one();
    let source = record.site.source();
    assert_eq!(source.module, module_path!());
    assert_eq!(source.file, file!());
    assert_eq!(source.line, line);
}

#[test]
fn each_statement_and_each_set_of_types_is_one_class() {
    let log = Log::start();
    for _ in 0..2 {
        relay::info!("same text");
    }
    relay::info!("same text");
    let ids: Vec<_> = log
        .take()
        .iter()
        .map(|record| record.class.class.id)
        .collect();
    assert!(ids[0] == ids[1] && ids[0] != ids[2], "{ids:?}");
    assert!(ids.iter().all(|id| *id >= relay::event::FIRST));
}

#[test]
fn severities_have_their_statements() {
    let log = Log::start();
    relay::emerg!("0");
    relay::alert!("1");
    relay::crit!("2");
    relay::error!("3");
    relay::warn!("4");
    relay::notice!("5");
    relay::info!("6");
    relay::debug!("off at first");
    relay::trace!("off at first");
    for (number, record) in log.take().iter().enumerate() {
        assert_eq!(record.site.severity(), Severity::ALL[number]);
        assert_eq!(record.sentence(), number.to_string());
    }
}

#[test]
fn a_length_and_a_field_that_is_called_like_one_have_two_names_for_all_readers() {
    let log = Log::start();
    let (name, name_length) = ("init", 4usize);
    relay::info!("<{name}> has {name_length}");
    assert_eq!(log.one().sentence(), "<init> has 4");
    let metadata = relay::ctf::metadata::Trace {
        uuid: [7; 16],
        clock_hz: 1_000_000_000,
        cpus: 1,
        streams: &[relay::clients::klog::STREAM],
        env: &[],
    };
    let metadata = metadata.to_string();
    let events = metadata.lines().filter(|line| line.starts_with("event { "));
    let mut pairs = 0;
    for event in events {
        let (_, fields) = event.split_once("struct {").expect("fields");
        let words = fields.split([' ', ';', '[', ']']);
        let names: Vec<_> = words.filter(|word| word.starts_with('_')).collect();
        for name in &names {
            // babeltrace2 takes one underscore off, and finds fields by either name.
            assert!(!names.contains(&&name[1..]), "{name}: {event}");
        }
        pairs += usize::from(names.contains(&"_name_length"));
    }
    assert_eq!(pairs, 1);
}
