//! Record delivery: what is shown, when, and what is not.

extern crate std;

use super::stage::{Ch, every_step, geometry, interrupt_at, memory, on_channel};
use crate::{Delivery, Geometry, Records, Slot};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::vec::Vec;

fn by_record(shape: Geometry) -> Geometry {
    shape.with_delivery(Delivery::Record).unwrap()
}

fn read(records: &mut Records<'_>) -> Vec<u8> {
    let mut bytes = [0; 256];
    let len = records.read(&mut bytes);
    bytes[..len].to_vec()
}

/// The reader has read everything, a record of eight bytes is open, and one of eight bytes behind
/// it is written: at every step of that, and of another that interrupts it, there is nothing to
/// read. (As many bytes are committed then as lie before the position at an earlier moment.)
#[test]
fn nothing_is_shown_behind_a_record_that_is_open() {
    for nested in [0, 1, 2] {
        let steps = every_step(|i| {
            on_channel(by_record(geometry(64, 2)), |ch| {
                let records = Rc::new(RefCell::new(Records::new(ch.reader(0).unwrap())));
                let look = Rc::clone(&records);
                let interrupt = move || {
                    (0..nested).for_each(|_| ch.write(&[3; 8]).unwrap());
                    assert!(read(&mut look.borrow_mut()).is_empty(), "step {i}");
                };
                let mut hit = false;
                let fill = |slot: &mut Slot<'_>| {
                    slot.bytes_mut().fill(1);
                    hit = interrupt_at(i, || ch.write(&[2; 8]).unwrap(), interrupt);
                    assert!(read(&mut records.borrow_mut()).is_empty());
                };
                ch.reserve_with(8, fill).unwrap();
                let all = read(&mut records.borrow_mut());
                let wanted = 16 + if hit { nested * 8 } else { 0 };
                assert_eq!((all.len(), &all[..8]), (wanted, &[1; 8][..]));
                hit
            })
        });
        assert!(steps > 20, "only {steps} steps");
    }
}

/// The same with nothing open: what is committed is shown when the write is over, wherever the
/// interrupt came.
#[test]
fn what_is_committed_is_shown_whatever_came_in_between() {
    for delivery_is_left in [false, true] {
        every_step(|i| {
            on_channel(by_record(geometry(64, 2)), |ch| {
                let mut records = Records::new(ch.reader(0).unwrap());
                let nested = move || {
                    ch.write(&[3; 8]).unwrap();
                    if delivery_is_left {
                        ch.reserve_with(8, |slot| slot.give_up()).unwrap();
                    }
                };
                let hit = interrupt_at(i, || ch.write(&[2; 8]).unwrap(), nested);
                let shown = read(&mut records);
                let of = |value| shown.iter().filter(|byte| **byte == value).count();
                assert_eq!((of(2), of(3)), (8, if hit { 8 } else { 0 }), "step {i}");
                hit
            })
        });
    }
}

/// Records that a reader looks at do not change under it, whatever is written meanwhile.
#[test]
fn records_that_were_shown_do_not_change_under_their_reader() {
    on_channel(by_record(geometry(64, 2)), |ch| {
        let mut records = Records::new(ch.reader(0).unwrap());
        ch.write(b"AAAAAAAA").unwrap();
        let run = records.next_run().unwrap();
        assert_eq!(run.bytes, b"AAAAAAAA");
        ch.reserve_with(8, |_| while ch.write(b"BBBBBBBB").is_ok() {})
            .unwrap();
        for _ in 0..8 {
            let _ = ch.write(b"CCCCCCCC");
        }
        assert_eq!(run.bytes, b"AAAAAAAA", "a shared slice has changed");
    });
}

/// What lies before the records is not counted: neither the start reserve, nor the header of the
/// whole channel in the first packet of the first ring.
#[test]
fn only_records_are_available() {
    let shape = geometry(64, 4)
        .with_reserves(8, 0)
        .and_then(|shape| shape.with_channel_start_reserve(16))
        .unwrap();
    let check = |ch: &Ch, wanted: u64| {
        let mut records = Records::new(ch.reader(0).unwrap());
        assert_eq!(records.bytes_available(), wanted);
        let mut some = [0; 10];
        let part = records.read(&mut some) as u64;
        assert_eq!(records.bytes_available(), wanted - part, "some were read");
        assert_eq!(read(&mut records).len() as u64, wanted - part);
        assert_eq!(records.bytes_available(), 0);
    };
    for delivery in [Delivery::Bulk, Delivery::Record] {
        let shape = shape.with_delivery(delivery).unwrap();
        on_channel(shape, |ch| {
            ch.write(&[1; 24]).unwrap();
            if delivery == Delivery::Bulk {
                ch.flush();
            }
            check(ch, 24);
        });
        // Over the first packet into the second.
        on_channel(shape, |ch| {
            ch.write(&[1; 40]).unwrap();
            ch.write(&[2; 24]).unwrap();
            ch.flush();
            check(ch, 64);
        });
        // Into another ring, whose first packet has no header of the channel.
        on_channel(shape, |ch| {
            ch.write(&[1; 24]).unwrap();
            ch.replace(memory(shape), shape).unwrap();
            ch.write(&[2; 24]).unwrap();
            if delivery == Delivery::Bulk {
                ch.flush();
            }
            check(ch, 48);
        });
    }
}

/// A reader that takes whole sub-buffers has looked at what was open: what it saw is what the
/// sub-buffer begins with, and made of whole records, wherever it looked.
#[test]
fn what_was_seen_of_an_open_sub_buffer_is_what_it_begins_with() {
    let most = Cell::new(0);
    every_step(|i| {
        on_channel(by_record(geometry(64, 2)), |ch| {
            let reader = Rc::new(RefCell::new(ch.reader(0).unwrap()));
            let seen = Rc::new(RefCell::new(Vec::new()));
            let (look, into) = (Rc::clone(&reader), Rc::clone(&seen));
            let interrupt = move || {
                ch.write(&[3; 8]).unwrap();
                let mut into = into.borrow_mut();
                while let Some(run) = look.borrow().open_records(into.len()) {
                    assert!(run.bytes.len().is_multiple_of(8));
                    into.extend_from_slice(run.bytes);
                }
            };
            ch.write(&[1; 8]).unwrap();
            let write = || {
                (0..8).for_each(|_| {
                    let _ = ch.write(&[2; 8]);
                });
            };
            let hit = interrupt_at(i, write, interrupt);
            most.set(most.get().max(seen.borrow().len()));
            let taken = reader.borrow_mut().next_subbuf().unwrap();
            assert!(taken.records().starts_with(&seen.borrow()), "step {i}");
            hit
        })
    });
    assert_eq!(most.get(), 56, "all of it was open once");
}
