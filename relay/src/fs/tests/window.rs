//! Consumers that say anything.

use super::super::{Window, WindowError};
use super::{channel, mount, small};
use crate::channel::OpenError;
use crate::ring::{Geometry, Loss, Mode};
use crate::sync::PerCpu;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::string::ToString;
use std::vec::Vec;

#[test]
fn a_number_is_consumed_once_and_not_before_it_is_mapped() {
    let (channel, file) = small(8);
    for number in 0..4 {
        channel.write(&[number; 32]).unwrap();
    }
    let not_yet = |number, next| Err(WindowError::NotYet { number, next });
    let not_mapped = |number| Err(WindowError::NotMapped { number });
    let mut window: Window<'_, 2> = Window::new(file.open().unwrap());
    assert_eq!(window.consume(0), not_yet(0, 0), "produced, and not mapped");
    assert_eq!(window.consume(100), not_yet(100, 0), "not produced");
    for number in 0..2 {
        assert_eq!(window.map().unwrap().unwrap().records(), &[number; 32]);
    }
    assert_eq!(window.map().err(), Some(WindowError::Full { mapped: 2 }));
    assert_eq!(window.consume(2), not_yet(2, 2));
    assert_eq!(window.consume(u64::MAX), not_yet(u64::MAX, 2));
    assert_eq!(window.consume(1), Ok(()), "in any order");
    assert_eq!(window.consume(1), not_mapped(1), "once");
    assert_eq!(window.get(1).err(), not_mapped(1).err());
    assert_eq!(
        window.get(0).unwrap().records(),
        &[0; 32],
        "untouched by all that"
    );
    assert_eq!(window.map().unwrap().unwrap().packet().sequence, 2);
    assert_eq!(window.mapped().count(), 2);
}

#[test]
fn what_is_wrong_is_said() {
    for (error, text) in [
        (
            WindowError::Full { mapped: 2 },
            "2 sub-buffers are mapped, which is all there is room for: consume one first",
        ),
        (
            WindowError::NotYet { number: 9, next: 4 },
            "sub-buffer 9 was not mapped yet: the next will be 4 or a later one",
        ),
        (
            WindowError::NotMapped { number: 3 },
            "sub-buffer 3 is not mapped: it was consumed, or overwritten before",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn closing_gives_back_what_was_mapped() {
    let (channel, file) = small(2);
    for _ in 0..2 {
        channel.write(&[1; 32]).unwrap();
    }
    let mut window: Window<'_, 4> = Window::new(file.open().unwrap());
    while window.map().unwrap().is_some() {}
    assert_eq!(window.mapped().count(), 2);
    assert!(channel.write(&[2; 32]).is_err(), "all is mapped");
    assert_eq!(file.open().err(), Some(OpenError::Busy(1)));
    drop(window);
    for _ in 0..2 {
        channel.write(&[3; 32]).unwrap();
    }
    let mut window: Window<'_, 4> = Window::new(file.open().unwrap());
    assert_eq!(window.map().unwrap().unwrap().records(), &[3; 32]);
    let earlier = Err(WindowError::NotMapped { number: 1 });
    assert_eq!(window.consume(1), earlier, "of the window before");
}

#[test]
fn a_window_without_room_maps_nothing() {
    let (channel, file) = small(2);
    channel.write(&[1; 32]).unwrap();
    let mut window: Window<'_, 0> = Window::new(file.open().unwrap());
    assert_eq!(window.map().err(), Some(WindowError::Full { mapped: 0 }));
    assert!(!window.prepare_to_sleep());
    assert_eq!(window.reader().bytes_available(), 32);
}

/// What a consumer, and the writer, may do.
#[derive(Clone, Copy, Debug)]
enum Act {
    Write,
    Map,
    Get(u64),
    Consume(u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let number = || prop_oneof![8 => 0..40_u64, 1 => Just(u64::MAX), 1 => any::<u64>()];
    let act = prop_oneof![
        3 => Just(Act::Write),
        3 => Just(Act::Map),
        2 => number().prop_map(Act::Get),
        4 => number().prop_map(Act::Consume),
    ];
    prop::collection::vec(act, 0..120)
}

/// Runs `acts` against sets of numbers, and checks the ledger at the end.
fn run(mode: Mode, spares: usize, acts: &[Act]) {
    let geometry = Geometry::new(32, 4)
        .and_then(|geometry| geometry.with_mode(mode)?.with_spares(spares))
        .unwrap();
    let channel = channel::<PerCpu>(0, geometry);
    let file = mount("/hostile", channel).file(0).unwrap();
    let mut window: Window<'_, 3> = Window::new(file.open().unwrap());
    let (mut attempted, mut seen, mut next) = (0, 0, 0);
    let mut mapped = BTreeSet::new();
    for act in acts {
        match *act {
            Act::Write => {
                let _ = channel.write(&[attempted as u8; 32]);
                attempted += 1;
            }
            Act::Map => match window.map() {
                Ok(Some(subbuf)) => {
                    let number = subbuf.packet().sequence;
                    assert!(mapped.len() < 3 && number >= next);
                    assert!(mode == Mode::Continuous || number == next);
                    mapped.insert(number);
                    next = number + 1;
                    seen += subbuf.packet().records;
                }
                Ok(None) => assert_eq!(channel.stats(0).unwrap().packets, next),
                Err(error) => {
                    assert_eq!(error, WindowError::Full { mapped: 3 });
                    assert_eq!(mapped.len(), 3);
                }
            },
            Act::Get(number) => {
                let found = window.get(number).map(|subbuf| subbuf.packet().sequence);
                assert_eq!(found, expected(&mapped, next, number).map(|()| number));
            }
            Act::Consume(number) => {
                assert_eq!(window.consume(number), expected(&mapped, next, number));
                mapped.remove(&number);
            }
        }
        let held: BTreeSet<u64> = window
            .mapped()
            .map(|subbuf| subbuf.packet().sequence)
            .collect();
        assert_eq!(held, mapped);
    }
    drop(window);
    let mut reader = file.open().unwrap();
    while let Some(subbuf) = reader.next_subbuf() {
        seen += subbuf.packet().records;
    }
    let stats = channel.stats(0).unwrap();
    assert_eq!(stats.lost.get(Loss::Full), stats.lost.total());
    assert_eq!(attempted, seen + stats.lost.total() + stats.overwritten);
}

fn expected(mapped: &BTreeSet<u64>, next: u64, number: u64) -> Result<(), WindowError> {
    if mapped.contains(&number) {
        Ok(())
    } else if number < next {
        Err(WindowError::NotMapped { number })
    } else {
        Err(WindowError::NotYet { number, next })
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 2 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_a_consumer_says_gets_its_answer_and_hurts_nobody(
        continuous: bool,
        spares in 0..2_usize,
        acts in acts(),
    ) {
        let mode = if continuous { Mode::Continuous } else { Mode::NoOverwrite };
        run(mode, spares, &acts);
    }
}
