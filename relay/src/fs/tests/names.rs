//! Mounting, finding, listing.

use super::super::{CreateError, FindError, Namespace, PathError};
use super::{NoStreams, channel, keep, mount};
use crate::channel::Channel;
use crate::ring::{Geometry, NoHooks, Storage};
use crate::sync::{Global, PerCpu};
use std::string::{String, ToString};
use std::vec::Vec;

fn geometry() -> Geometry {
    Geometry::new(32, 2).unwrap()
}

/// `/klog` (CPU 2), `/trace/sched` (CPU 0), `/trace` (global), `/trace/irq` (no stream yet).
fn names() -> Namespace<5> {
    let names = Namespace::new();
    names
        .create(mount("/klog", channel::<PerCpu>(2, geometry())))
        .unwrap();
    names
        .create(mount("/trace/sched", channel::<PerCpu>(0, geometry())))
        .unwrap();
    names
        .create(mount("/trace", channel::<Global>(0, geometry())))
        .unwrap();
    names.create(mount("/trace/irq", &NoStreams)).unwrap();
    names
}

fn listed<const N: usize>(names: &Namespace<N>, folder: &str) -> Vec<String> {
    let entries = names.list(folder).unwrap();
    entries.map(|entry| entry.to_string()).collect()
}

#[test]
fn no_two_channels_share_a_path() {
    let names = names();
    let paths = |names: &Namespace<5>| -> Vec<_> { names.channels().map(|at| at.path()).collect() };
    let before = paths(&names);
    assert_eq!(before, ["/klog", "/trace/sched", "/trace", "/trace/irq"]);
    for path in before.clone() {
        let other = mount(path, &NoStreams);
        assert_eq!(names.create(other), Err(CreateError::Taken), "{path}");
    }
    let itself = names.channel("/klog").unwrap();
    assert_eq!(names.create(itself), Err(CreateError::Taken));
    assert_eq!(paths(&names), before, "what was refused has left something");
}

#[test]
fn a_full_namespace_says_so() {
    let names = names();
    names.create(mount("/last", &NoStreams)).unwrap();
    let full = CreateError::Full { capacity: 5 };
    assert_eq!(names.create(mount("/one-more", &NoStreams)), Err(full));
    assert_eq!(
        full.to_string(),
        "the namespace is full: it was made for 5 channels"
    );
    // That the path is taken is the better answer.
    let taken = names.create(mount("/last", &NoStreams));
    assert_eq!(taken, Err(CreateError::Taken));
    assert_eq!(
        Namespace::<0>::new().create(mount("/klog", &NoStreams)),
        Err(CreateError::Full { capacity: 0 })
    );
}

#[test]
fn folders_list_what_lies_in_them_once() {
    let names = names();
    assert_eq!(listed(&names, "/"), ["klog/", "trace/"]);
    assert_eq!(listed(&names, "/klog"), ["2"]);
    assert_eq!(listed(&names, "/trace"), ["sched/", "irq/", "0"]);
    assert_eq!(listed(&names, "/trace/sched"), ["0"]);
    assert!(listed(&names, "/trace/irq").is_empty());
    assert!(listed(&Namespace::<3>::new(), "/").is_empty());
    let files: Vec<_> = names.files().map(|file| file.to_string()).collect();
    assert_eq!(files, ["/klog/2", "/trace/sched/0", "/trace/0"]);
}

#[test]
fn a_name_that_begins_like_another_is_another() {
    let names: Namespace<4> = Namespace::new();
    names.create(mount("/tra/ce", &NoStreams)).unwrap();
    names.create(mount("/trace/x", &NoStreams)).unwrap();
    assert_eq!(listed(&names, "/"), ["tra/", "trace/"]);
    assert_eq!(listed(&names, "/tra"), ["ce/"]);
    assert_eq!(names.list("/tr").err(), Some(FindError::NotFound));
}

#[test]
fn a_file_appears_when_its_stream_starts() {
    let names: Namespace<1> = Namespace::new();
    let log: &'static Channel<_, 3> = keep(Channel::new(super::Cpu::default(), &NoHooks));
    names.create(mount("/log", log)).unwrap();
    assert!(listed(&names, "/log").is_empty());
    assert_eq!(names.file("/log/1").err(), Some(FindError::NotStarted(1)));
    for (cpu, expected) in [(1, &["1"][..]), (0, &["0", "1"])] {
        let storage = Storage::allocate(&geometry()).unwrap();
        log.start(cpu, storage, geometry()).unwrap();
        assert_eq!(listed(&names, "/log"), expected);
    }
    assert_eq!(names.file("/log/1").unwrap().to_string(), "/log/1");
}

#[test]
fn files_are_found_by_their_paths() {
    let names = names();
    for path in ["/klog/2", "/trace/0", "/trace/sched/0"] {
        let file = names.file(path).unwrap();
        assert_eq!(file.to_string(), path);
        let (folder, cpu) = path.rsplit_once('/').unwrap();
        assert_eq!(file.mount().path(), folder);
        assert_eq!(file.cpu().to_string(), cpu);
        assert_eq!(names.channel(folder).unwrap().path(), folder);
    }
}

#[test]
fn what_is_not_found_is_told_from_what_is_something_else() {
    let names = names();
    let no_such_cpu = |cpus| FindError::NoSuchCpu { cpus };
    for (path, expected) in [
        ("/klog/1", FindError::NotStarted(1)),
        ("/klog/3", no_such_cpu(3)),
        // A global channel has one stream.
        ("/trace/1", no_such_cpu(1)),
        ("/trace/irq/0", no_such_cpu(0)),
        ("/klog/99999999999999999999999999", no_such_cpu(3)),
        ("/klog/02", PathError::LeadingZero.into()),
        ("/klog/00", PathError::LeadingZero.into()),
        ("/klog", FindError::IsFolder),
        ("/trace/sched", FindError::IsFolder),
        ("/klog/x", FindError::NotFound),
        ("/nothing", FindError::NotFound),
        ("/nothing/0", FindError::NotFound),
        ("/0", FindError::NotFound),
        ("/klog/2/0", FindError::NotFound),
        ("/a/b/c/d/0", FindError::NotFound),
        ("", PathError::NotAbsolute.into()),
        ("/", PathError::EmptyName { at: 1 }.into()),
        ("/klog/2/", PathError::EmptyName { at: 8 }.into()),
        ("/klog/-2", FindError::NotFound),
        (
            "/klog/+2",
            PathError::Character { at: 6, found: b'+' }.into(),
        ),
    ] {
        assert_eq!(names.file(path).err(), Some(expected), "file {path:?}");
    }
    for (path, expected) in [
        ("/klog/2", FindError::IsFile),
        ("/klog/1", FindError::NotStarted(1)),
        ("/klog/3", no_such_cpu(3)),
        ("/nothing", FindError::NotFound),
        ("klog", PathError::NotAbsolute.into()),
    ] {
        assert_eq!(
            names.channel(path).err(),
            Some(expected),
            "channel {path:?}"
        );
        assert_eq!(names.list(path).err(), Some(expected), "list {path:?}");
    }
    let clients: Namespace<1> = Namespace::new();
    clients.create(mount("/net/in", &NoStreams)).unwrap();
    assert_eq!(clients.channel("/net").err(), Some(FindError::IsFolder));
    assert_eq!(clients.file("/net").err(), Some(FindError::IsFolder));
}
