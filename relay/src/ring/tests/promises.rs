//! What is promised of times, of losses and of errors, at every step of what could break it.

extern crate std;

use super::stage::{
    Ch, drain, every_step, geometry, interrupt_at, memory, on_channel, packets, salvage, small,
};
use crate::{Loss, Reader, StreamError, WriteError};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::vec;

/// What operations there are, to be combined.
const ACTS: [fn(&Ch); 7] = [
    |ch| _ = ch.write(&[7; 5]),
    |ch| _ = ch.write(&[7; 16]),
    |ch| _ = ch.reserve_with(5, |slot| slot.give_up()),
    |ch| _ = ch.write(&[7; 17]),
    |ch| _ = ch.flush(),
    |ch| _ = replace(ch),
    |ch| ch.tick(),
];

fn replace(ch: &Ch) -> Result<(), StreamError> {
    ch.replace(memory(small()), small())
}

/// A tick at every step of every operation, itself interrupted at every step by every operation:
/// what it promises holds for all that comes, empty packets included.
#[test]
#[cfg_attr(miri, ignore = "the search is too long for an interpreter")]
fn nothing_older_comes_after_a_quiet_time() {
    let mut programs = 0;
    for prefix in 0..4 {
        for outer in ACTS {
            for inner in ACTS {
                for i in 1.. {
                    let mut happened = false;
                    for j in 0.. {
                        let (hit, deep) = quiet_program(prefix, outer, i, j, inner);
                        programs += 1;
                        happened |= hit;
                        if !hit || !deep {
                            break;
                        }
                    }
                    if !happened {
                        break;
                    }
                }
            }
        }
    }
    assert!(programs > 5_000, "only {programs} programs");
}

fn quiet_program(
    prefix: usize,
    outer: fn(&Ch),
    i: usize,
    j: usize,
    inner: fn(&Ch),
) -> (bool, bool) {
    on_channel(small(), |ch| {
        let reader = Rc::new(RefCell::new(ch.reader(0).unwrap()));
        let before: &[usize] = [&[][..], &[17], &[5], &[11, 17]][prefix];
        for len in before {
            let _ = ch.write(&vec![7; *len]);
        }
        let quiet = Rc::new(Cell::new(0));
        let deep = Rc::new(Cell::new(j == 0));
        let hook = {
            let (quiet, deep, reader) = (Rc::clone(&quiet), Rc::clone(&deep), Rc::clone(&reader));
            move || {
                if j == 0 {
                    ch.tick();
                } else {
                    deep.set(interrupt_at(j, || ch.tick(), move || inner(ch)));
                }
                quiet.set(reader.borrow().quiet_since());
                packets(&mut reader.borrow_mut());
            }
        };
        let hit = interrupt_at(i, || outer(ch), hook);
        ch.flush();
        for packet in packets(&mut reader.borrow_mut()) {
            let promised = quiet.get();
            assert!(
                packet.begin_ticks >= promised,
                "{packet:?} comes after {promised} was promised"
            );
        }
        (hit, deep.get())
    })
}

/// A packet whose only record was given up is opened anew, with a time of its own.
#[test]
fn an_emptied_packet_does_not_begin_before_a_promise() {
    on_channel(small(), |ch| {
        let mut reader = ch.reader(0).unwrap();
        for _ in 0..3 {
            ch.reserve_with(5, |slot| slot.give_up()).unwrap();
            ch.tick();
            let promised = reader.quiet_since();
            assert!(promised != 0);
            ch.write(&[7; 5]).unwrap();
            ch.flush();
            let packet = packets(&mut reader).pop().unwrap();
            assert!(packet.begin_ticks >= promised, "{packet:?}, {promised}");
        }
    });
}

#[test]
fn a_loss_before_the_end_is_in_the_final_packet() {
    let steps = every_step(|i| {
        on_channel(small(), |ch| {
            let mut reader = ch.reader(0).unwrap();
            ch.write(&[7; 3]).unwrap();
            let heard = Rc::new(Cell::new(None));
            let hears = Rc::clone(&heard);
            let close = || ch.close().unwrap();
            let hit = interrupt_at(i, close, move || hears.set(Some(ch.write(&[7; 17]))));
            let last = packets(&mut reader).pop().unwrap();
            assert!(last.is_final);
            // Who hears that the record was too big was there before the seal: after it, the stream
            // is closed to all.
            if heard.get() == Some(Err(WriteError::Lost(Loss::TooBig))) {
                assert_eq!(last.lost.get(Loss::TooBig), 1, "step {i}: {last:?}");
            }
            hit
        })
    });
    assert!(steps > 20, "only {steps} steps");
}

#[test]
fn nobody_hears_that_a_stream_is_closed_while_it_is_not() {
    let nested: [Act; 2] = [replace, |ch| ch.close()];
    for act in nested {
        let steps = every_step(|i| on_channel(small(), |ch| closed_or_not(ch, i, act)));
        assert!(steps > 10, "only {steps} steps");
    }
}

/// What closes or replaces.
type Act = fn(&Ch) -> Result<(), StreamError>;

fn closed_or_not(ch: &'static Ch, i: usize, act: Act) -> bool {
    let mut reader = ch.reader(0).unwrap();
    ch.write(&[7; 16]).unwrap();
    ch.write(&[7; 16]).unwrap();
    let heard = Rc::new(Cell::new(None));
    let hears = Rc::clone(&heard);
    let mut closed = None;
    let close = || closed = Some(ch.close());
    let hit = interrupt_at(i, close, move || hears.set(Some(act(ch))));
    let is_open = closed == Some(Err(StreamError::NoRoom));
    assert!(
        !is_open || heard.get() != Some(Err(StreamError::Closed)),
        "step {i}"
    );
    // It can be tried again.
    drain(&mut reader);
    if is_open {
        let again = ch.close();
        let is_closed = matches!(again, Ok(()) | Err(StreamError::Closed));
        assert!(is_closed, "{again:?}");
    }
    hit
}

#[test]
fn a_close_without_room_can_be_tried_again() {
    on_channel(small(), |ch| {
        let mut reader = ch.reader(0).unwrap();
        ch.write(&[7; 16]).unwrap();
        ch.write(&[7; 16]).unwrap();
        assert_eq!(ch.close(), Err(StreamError::NoRoom));
        drain(&mut reader);
        assert_eq!(ch.close(), Ok(()));
        assert_eq!(ch.close(), Err(StreamError::Closed));
        assert_eq!(replace(ch), Err(StreamError::Closed));
    });
}

#[test]
fn a_request_to_close_is_not_forgotten_where_another_close_finds_no_room() {
    every_step(|i| {
        on_channel(small(), |ch| {
            let mut reader = ch.reader(0).unwrap();
            ch.write(&[7; 16]).unwrap();
            ch.write(&[7; 16]).unwrap();
            ch.request_close(0).unwrap();
            let close = || assert_eq!(ch.close(), Err(StreamError::NoRoom));
            let hit = interrupt_at(i, close, move || ch.tick());
            drain(&mut reader);
            ch.tick();
            assert!(ch.is_closed(0), "step {i}");
            hit
        })
    });
}

/// A write that fails is interrupted by the close, alone or behind a new ring.
#[test]
fn nobody_hears_of_a_loss_that_the_final_packet_does_not_tell() {
    for replaces in [false, true] {
        let steps = every_step(|i| on_channel(small(), |ch| is_told(ch, replaces, i)));
        assert!(steps > 5, "only {steps} steps");
    }
}

fn is_told(ch: &'static Ch, replaces: bool, i: usize) -> bool {
    let mut reader = ch.reader(0).unwrap();
    ch.write(&[1; 3]).unwrap();
    let end = move || {
        if replaces {
            replace(ch).unwrap();
        }
        ch.close().unwrap();
    };
    let mut heard = Ok(());
    if !interrupt_at(i, || heard = ch.write(&[1; 17]), end) {
        return false;
    }
    let last = packets(&mut reader).pop().unwrap();
    assert!(last.is_final);
    let told = last.lost.get(Loss::TooBig);
    let is_too_big = heard == Err(WriteError::Lost(Loss::TooBig));
    assert_eq!(told == 1, is_too_big, "step {i}");
    // A write after that is counted, too, but as one to a closed stream.
    let stats = ch.stats(0).unwrap();
    assert_eq!(stats.lost.total(), 1);
    assert_eq!(stats.lost.get(Loss::TooBig), told);
    true
}

/// The stream is closed by an interrupt at every step of a record that is given up: the final
/// packet tells of it, whether something comes behind it or not.
#[test]
fn the_final_packet_tells_of_a_record_given_up_around_the_close() {
    for behind in [false, true] {
        let steps = every_step(|i| {
            on_channel(geometry(64, 2), |ch| {
                let mut reader: Reader<'static> = ch.reader(0).unwrap();
                let fill = |slot: &mut crate::Slot<'_>| {
                    if behind {
                        let _ = ch.write(&[1; 8]);
                    }
                    slot.give_up();
                };
                let discard = || {
                    // What comes after the close is another matter.
                    let _ = ch.reserve_with(8, fill);
                };
                let hit = interrupt_at(i, discard, move || ch.close().unwrap());
                if !hit {
                    return false;
                }
                let last = packets(&mut reader).pop().unwrap();
                assert!(last.is_final && reader.is_at_end());
                let stats = ch.stats(0).unwrap();
                let told = last.lost.get(Loss::Discarded);
                assert_eq!(told, stats.lost.get(Loss::Discarded), "step {i}");
                true
            })
        });
        assert!(steps > 15, "only {steps} steps");
    }
}

/// A CPU stops in the middle of giving a record up that completes the final packet.
#[test]
fn the_post_mortem_of_a_final_packet_tells_of_all_losses() {
    let told = Rc::new(Cell::new(0));
    every_step(|i| {
        on_channel(geometry(64, 2), |ch| {
            let tells = Rc::clone(&told);
            let look = move || {
                if let Some(left) = salvage(ch).last()
                    && left.packet().is_final
                {
                    assert_eq!(left.packet().lost, ch.stats(0).unwrap().lost, "step {i}");
                    tells.set(tells.get() + left.packet().lost.get(Loss::Discarded));
                }
            };
            let discard = || {
                let fill = |slot: &mut crate::Slot<'_>| {
                    ch.write(&[2; 8]).unwrap();
                    ch.close().unwrap();
                    slot.give_up();
                };
                ch.reserve_with(8, fill).unwrap();
            };
            interrupt_at(i, discard, look)
        })
    });
    assert!(told.get() > 5 || cfg!(miri), "{told:?}");
}

/// Too much is under way for a write: it fails for that reason until the final packet has told of
/// it.
#[test]
fn what_is_nested_too_deep_after_the_end_is_closed() {
    fn deep(ch: &Ch, depth: usize, body: &dyn Fn()) {
        if depth == 0 {
            return body();
        }
        ch.reserve_with(4, |_| deep(ch, depth - 1, body)).unwrap();
    }
    on_channel(geometry(64, 4), |ch| {
        let mut reader = ch.reader(0).unwrap();
        deep(ch, 8, &|| {
            assert_eq!(ch.write(b"x"), Err(WriteError::Lost(Loss::Nested)));
            ch.close().unwrap();
            // It is still under way: the final packet is not complete, and will tell of this.
            assert_eq!(ch.write(b"x"), Err(WriteError::Lost(Loss::Nested)));
        });
        let last = *reader.next_subbuf().unwrap().packet();
        assert!(last.is_final);
        assert_eq!((last.records, last.lost.get(Loss::Nested)), (8, 2));
        assert_eq!(ch.write(b"x"), Err(WriteError::Lost(Loss::Closed)));
        let stats = ch.stats(0).unwrap();
        assert_eq!(stats.lost.since(&last.lost).total(), 1);
        assert_eq!(stats.lost.get(Loss::Closed), 1);
    });
}
