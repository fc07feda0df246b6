//! Real threads: a reader that knows nothing but a path, and many that want the same one.

use super::super::{CreateError, Namespace, Window, WindowError};
use super::{NoStreams, channel, keep, mount};
use crate::ring::Geometry;
use crate::sync::PerCpu;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::vec::Vec;

#[test]
fn a_reader_that_knows_a_path_gets_every_record() {
    static NAMES: Namespace<4> = Namespace::new();
    let records: u64 = if cfg!(miri) { 300 } else { 200_000 };
    let owner = thread::spawn(move || {
        let channel = channel::<PerCpu>(2, Geometry::new(256, 8).unwrap());
        NAMES.create(mount("/early/x", &NoStreams)).unwrap();
        NAMES.create(mount("/stress", channel)).unwrap();
        for number in 0..records {
            let mut record = [number as u8; 24];
            record[..8].copy_from_slice(&number.to_le_bytes());
            let _ = channel.write(&record[..8 + (number % 17) as usize]);
            if number % 64 == 0 {
                channel.tick();
                thread::yield_now();
            }
        }
        while channel.close().is_err() {
            thread::yield_now();
        }
    });

    let file = loop {
        match NAMES.file("/stress/2") {
            Ok(file) => break file,
            Err(_) => thread::yield_now(),
        }
    };
    let mut window: Window<'_, 3> = Window::new(file.open().unwrap());
    let (mut seen, mut mapped) = (Vec::new(), Vec::new());
    while !window.reader().is_at_end() || !mapped.is_empty() {
        match window.map() {
            Ok(Some(subbuf)) => mapped.push(subbuf.packet().sequence),
            Ok(None) if mapped.is_empty() => {
                window.reader().request_flush();
                thread::yield_now();
            }
            Ok(None) | Err(WindowError::Full { .. }) => {
                // Read in order, given back from the middle on, and with much said that is wrong.
                let lies = [mapped[0].wrapping_sub(1), mapped[mapped.len() - 1] + 1];
                for number in &mapped {
                    seen.extend(parse(window.get(*number).unwrap().records()));
                }
                mapped.rotate_left(1);
                for number in mapped.drain(..) {
                    assert!(lies.iter().all(|lie| window.consume(*lie).is_err()));
                    assert_eq!(window.consume(number), Ok(()));
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
    owner.join().unwrap();
    let stats = file.stats().unwrap();
    assert!(seen.is_sorted_by(|a, b| a < b), "out of order");
    assert_eq!(seen.len() as u64, stats.records);
    assert_eq!(seen.len() as u64 + stats.lost.total(), records);
}

/// Checks the records of a sub-buffer; returns their numbers.
fn parse(mut rest: &[u8]) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Some((head, tail)) = rest.split_first_chunk::<8>() {
        let number = u64::from_le_bytes(*head);
        let (fill, after) = tail.split_at((number % 17) as usize);
        assert!(fill.iter().all(|byte| *byte == number as u8));
        numbers.push(number);
        rest = after;
    }
    assert!(rest.is_empty());
    numbers
}

#[test]
fn of_many_that_want_a_path_one_gets_it() {
    const PATHS: [&str; 3] = ["/a", "/b", "/c/d"];
    const THREADS: usize = 4;
    for _ in 0..if cfg!(miri) { 5 } else { 200 } {
        let names: &'static Namespace<3> = keep(Namespace::new());
        let (barrier, won) = (Barrier::new(THREADS), AtomicUsize::new(0));
        thread::scope(|scope| {
            for first in 0..THREADS {
                let (barrier, won) = (&barrier, &won);
                scope.spawn(move || {
                    barrier.wait();
                    for i in 0..PATHS.len() {
                        let path = PATHS[(first + i) % PATHS.len()];
                        match names.create(mount(path, &NoStreams)) {
                            Ok(()) => _ = won.fetch_add(1, Ordering::Relaxed),
                            Err(error) => assert_eq!(error, CreateError::Taken),
                        }
                        assert_eq!(names.channel(path).unwrap().path(), path);
                    }
                });
            }
        });
        assert_eq!(won.into_inner(), PATHS.len());
        let mut there: Vec<_> = names.channels().map(|mount| mount.path()).collect();
        there.sort_unstable();
        assert_eq!(there, PATHS);
    }
}
