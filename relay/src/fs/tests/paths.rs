//! Every bad form has its own error.

use super::super::{Mount, PathError};
use super::NoStreams;
use std::collections::BTreeSet;
use std::string::{String, ToString};

fn refused(path: &'static str) -> PathError {
    Mount::new(path, &NoStreams).expect_err(path)
}

#[test]
fn names_of_one_and_two_parts_are_taken() {
    for path in [
        "/klog",
        "/a",
        "/7",
        "/-",
        "/trace/sched",
        "/net/0-in",
        "/0/a",
        "/a/0a",
    ] {
        assert_eq!(Mount::new(path, &NoStreams).unwrap().path(), path);
    }
}

#[test]
fn every_bad_form_has_its_own_error() {
    let empty = |at| PathError::EmptyName { at };
    let character = |at, found| PathError::Character { at, found };
    let cases = [
        ("", PathError::NotAbsolute),
        ("klog", PathError::NotAbsolute),
        (" /klog", PathError::NotAbsolute),
        ("/", empty(1)),
        ("//", empty(1)),
        ("/klog/", empty(6)),
        ("/trace//sched", empty(7)),
        ("/Klog", character(1, b'K')),
        ("/k_log", character(2, b'_')),
        ("/klog/..", character(6, b'.')),
        ("/k\0", character(2, 0)),
        ("/k\u{e4}", character(2, 0xC3)),
        ("/k log", character(2, b' ')),
        ("/a/b/c", PathError::Depth { names: 3 }),
        ("/a/b/c/0", PathError::Depth { names: 4 }),
        ("/trace/0", PathError::Number),
        ("/trace/00123", PathError::Number),
    ];
    for (path, expected) in cases {
        assert_eq!(refused(path), expected, "{path:?}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    let texts = [
        (refused("klog"), "a path begins with '/'"),
        (
            refused("/a//b"),
            "the path lacks a name at byte 3: '//' or a '/' at its end",
        ),
        (
            refused("/k\u{e4}"),
            "byte 2 of the path is '\\xc3': names are made of a-z, 0-9 and '-'",
        ),
        (
            refused("/a/b/c"),
            "the path has 3 names: a channel has one or two, /client or /client/channel",
        ),
        (
            refused("/a/7"),
            "a channel cannot be called by a number: the files of its client's folder are",
        ),
        (
            PathError::LeadingZero,
            "the number of a CPU is written without leading zeros",
        ),
    ];
    for (error, text) in texts {
        assert_eq!(error.to_string(), text);
    }
    let distinct: BTreeSet<String> = texts.iter().map(|(error, _)| error.to_string()).collect();
    assert_eq!(distinct.len(), texts.len());
}
