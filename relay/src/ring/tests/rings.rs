//! Rings that are replaced, offered, overwritten, freed.

extern crate std;

use super::stage::{
    Ch, every_step, geometry, interrupt_at, memory, on_channel, packets, salvage, small,
};
use crate::ring::stream::TAKEN;
use crate::sync::Ordering;
use crate::{Flushed, Mode, StreamError};

fn replace(ch: &Ch) -> Result<(), StreamError> {
    ch.replace(memory(small()), small())
}

/// A replacement that interrupts another one goes on in its own ring, behind that of the other.
#[test]
fn a_replacement_may_interrupt_another() {
    every_step(|i| {
        on_channel(small(), |ch| {
            ch.write(&[7; 3]).unwrap();
            let outer = || assert_eq!(replace(ch), Ok(()));
            let nested = move || {
                assert_eq!(replace(ch), Ok(()), "step {i}");
                ch.write(&[7; 5]).unwrap();
            };
            let is_interrupted = interrupt_at(i, outer, nested);
            ch.write(&[7; 7]).unwrap();
            ch.flush();
            let records: u64 = packets(&mut ch.reader(0).unwrap())
                .iter()
                .map(|packet| packet.records)
                .sum();
            assert_eq!(records, if is_interrupted { 3 } else { 2 });
            is_interrupted
        })
    });
}

/// Who asks whether a stream is closed while its ring is replaced hears that it is not.
#[test]
fn a_stream_is_not_closed_because_its_ring_is_replaced() {
    let questions: [fn(&Ch) -> bool; 2] =
        [|ch| ch.is_closed(0), |ch| ch.info(0).unwrap().is_closed];
    for is_closed in questions {
        let steps = every_step(|i| {
            on_channel(small(), |ch| {
                let ask = || assert!(!is_closed(ch), "step {i}");
                interrupt_at(i, ask, move || replace(ch).unwrap())
            })
        });
        assert!(steps >= 3, "{steps}");
    }
}

/// Where a ring is overwritten, what nobody has read in the one before it is, too, once this one
/// has gone round.
#[test]
fn an_old_ring_is_overwritten_when_the_new_one_has_gone_round() {
    let geometry = small().with_mode(Mode::Continuous).unwrap();
    for laps in 0..4 {
        on_channel(geometry, |ch| {
            (0..2).for_each(|_| ch.write(&[7; 16]).unwrap());
            ch.replace(memory(geometry), geometry).unwrap();
            (0..laps).for_each(|_| ch.write(&[7; 16]).unwrap());
            ch.tick();
            let is_gone = laps >= 2;
            let overwritten = if is_gone { laps } else { 0 };
            assert_eq!(ch.stats(0).unwrap().overwritten, overwritten, "{laps}");
            let first = packets(&mut ch.reader(0).unwrap())[0].sequence;
            assert_eq!(first, if is_gone { laps } else { 0 }, "{laps}");
            // Readers are told of the gap by one packet, once.
            let flush = || {
                ch.tick();
                ch.flush()
            };
            let told = [flush(), flush()].map(|flushed| flushed == Flushed::Packet);
            assert_eq!(told, [is_gone, false], "{laps}");
        });
    }
}

#[test]
fn a_ring_that_cannot_be_taken_is_not_lost() {
    every_step(|i| {
        on_channel(small(), |ch| {
            let offer = move || ch.resize(0, memory(small()), small());
            offer().unwrap();
            ch.close().unwrap();
            let again = move || {
                assert_eq!(offer(), Err(StreamError::Closed), "step {i}");
                ch.tick();
            };
            let is_interrupted = interrupt_at(i, || ch.tick(), again);
            let ring = ch.stream_of(0).remote.new_ring.load(Ordering::Relaxed);
            assert!(!ring.is_null() && ring != TAKEN.as_ptr(), "step {i}");
            is_interrupted
        })
    });
}

/// Records are under way in two rings, at the same offsets: the post-mortem does not take the one
/// for the other, whether the rings were built one after the other or both before the first was
/// left.
#[test]
fn what_is_under_way_in_an_old_ring_does_not_confuse_the_post_mortem_of_the_new() {
    let lens = [1, 3, 5];
    let all = lens.into_iter().flat_map(|one| lens.map(|two| (one, two)));
    for ((first, second), third) in all.flat_map(|two| lens.map(|third| (two, third))) {
        for offers in [false, true] {
            on_channel(small(), |ch| {
                if offers {
                    ch.resize(0, memory(small()), small()).unwrap();
                    replace(ch).unwrap();
                }
                let in_new = |_: &mut crate::Slot<'_>| {
                    ch.write(&[2; 4]).unwrap();
                    let mut found = 0;
                    for packet in salvage(ch) {
                        assert!(!packet.is_cut(), "{first} {second} {third}");
                        found += packet.committed().map(<[u8]>::len).sum::<usize>();
                    }
                    assert_eq!(found, second + 4);
                };
                let in_old = |_: &mut crate::Slot<'_>| {
                    match offers {
                        true => ch.tick(),
                        false => replace(ch).unwrap(),
                    }
                    ch.write(&[1; 5][..second]).unwrap();
                    ch.reserve_with(third, in_new).unwrap();
                };
                ch.reserve_with(first, in_old).unwrap();
            });
        }
    }
}

/// A record is open in a ring that is left: that is not freed, at any step of what follows, before
/// the record is over.
#[test]
fn a_ring_is_not_freed_under_a_record() {
    for gives_up in [false, true] {
        let steps = every_step(|i| {
            on_channel(geometry(16, 4), |ch| {
                let mut reader = ch.reader(0).unwrap();
                // Another CPU frees what it can: nothing, until this one is out of the old ring.
                let free = move || assert_eq!(ch.reclaim(0), 0, "step {i}: freed under a record");
                let fill = |slot: &mut crate::Slot<'_>| {
                    replace(ch).unwrap();
                    ch.tick();
                    free();
                    if gives_up {
                        slot.give_up();
                    }
                };
                let hit = interrupt_at(i, || ch.reserve_with(8, fill).unwrap(), free);
                packets(&mut reader);
                ch.tick();
                assert_eq!(ch.reclaim(0), 1);
                hit
            })
        });
        assert!(steps > 30, "only {steps} steps");
    }
}
