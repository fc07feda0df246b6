//! Open files.

use super::{channel, mount, read_all, small};
use crate::channel::OpenError;
use crate::ring::{Delivery, Geometry, Mode, Records, Storage};
use crate::sync::PerCpu;
use std::vec::Vec;

#[test]
fn one_consumes_at_a_time_and_the_next_goes_on() {
    let (channel, file) = small(4);
    for record in [b"first", b"next!"] {
        channel.write(record).unwrap();
        channel.flush();
    }
    let mut reader = file.open().unwrap();
    assert_eq!(file.open().err(), Some(OpenError::Busy(1)));
    let first = reader.next_subbuf().unwrap();
    drop(reader);
    let next = file.open().unwrap();
    assert_eq!(
        first.records(),
        b"first",
        "what is mapped outlives its reader"
    );
    assert_eq!(read_all(next), b"next!");
}

#[test]
fn any_number_copies_beside_the_one_that_consumes() {
    let (channel, file) = small(4);
    channel.write(b"seen by all").unwrap();
    channel.flush();
    let mut into = [0; 32];
    let mut observers = [file.observe().unwrap(), file.observe().unwrap()];
    for observer in &mut observers {
        let packet = observer.next_copy(&mut into).unwrap().unwrap();
        assert_eq!(&into[..packet.content], b"seen by all");
    }
    assert_eq!(read_all(file.open().unwrap()), b"seen by all");
    let mut late = file.observe().unwrap();
    assert_eq!(late.next_copy(&mut into).unwrap(), None, "it was consumed");
}

#[test]
fn reading_skips_padding_and_polling_counts_what_can_be_read() {
    let (channel, file) = small(4);
    // 20 do not fit behind 20 in a sub-buffer of 32: 12 bytes of padding.
    channel.write(&[1; 20]).unwrap();
    channel.write(&[2; 20]).unwrap();
    let mut reader = file.open().unwrap();
    assert!(reader.is_readable());
    assert_eq!(
        reader.bytes_available(),
        20,
        "the second is not handed over"
    );
    reader.request_flush();
    channel.tick();
    assert_eq!(reader.bytes_available(), 40);

    let mut records = Records::new(reader);
    let mut bytes = [0; 30];
    assert_eq!(records.read(&mut bytes), 30);
    assert_eq!(bytes, *[[1; 20].as_slice(), &[2; 10]].concat());
    assert_eq!(records.bytes_available(), 10);
    assert!(!records.prepare_to_sleep());
    assert_eq!(records.read(&mut bytes), 10);
    assert_eq!(
        (records.bytes_available(), records.read(&mut bytes)),
        (0, 0)
    );
    assert!(records.prepare_to_sleep());

    assert!(!records.is_at_end());
    file.request_close().unwrap();
    channel.tick();
    assert!(
        !records.prepare_to_sleep(),
        "the end is something to wake up for"
    );
    assert_eq!(records.read(&mut bytes), 0);
    assert!(records.is_at_end());
    assert!(!records.prepare_to_sleep(), "nobody would wake it");
}

#[test]
fn what_was_read_of_an_open_packet_is_not_counted_again() {
    let geometry = Geometry::new(64, 4)
        .and_then(|geometry| {
            geometry
                .with_delivery(Delivery::Record)?
                .with_reserves(8, 0)
        })
        .unwrap();
    let channel = channel::<PerCpu>(0, geometry);
    let file = mount("/single", channel).file(0).unwrap();
    let mut records = Records::new(file.open().unwrap());
    let (mut written, mut read) = (Vec::new(), Vec::<u8>::new());
    for number in 0..100_u8 {
        let record = [number; 5];
        channel.write(&record).unwrap();
        written.extend(record);
        // Now and then it lags behind, by more than a packet.
        let wanted = [0, 3, 0, 18][usize::from(number) % 4];
        let mut bytes = [0; 18];
        let len = records.read(&mut bytes[..wanted]);
        read.extend_from_slice(&bytes[..len]);
        let left = written.len() - read.len();
        assert_eq!(
            records.bytes_available(),
            left as u64,
            "after record {number}"
        );
        assert_eq!(records.prepare_to_sleep(), left == 0);
    }
    while let Some(run) = records.next_run() {
        read.extend_from_slice(run.bytes);
    }
    assert_eq!(read, written);
}

#[test]
fn an_overwritten_file_tells_by_numbers_what_is_gone() {
    let geometry = Geometry::new(32, 2)
        .and_then(|geometry| geometry.with_mode(Mode::Continuous))
        .unwrap();
    let channel = channel::<PerCpu>(0, geometry);
    let file = mount("/flight", channel).file(0).unwrap();
    for number in 0..7 {
        channel.write(&[number; 32]).unwrap();
    }
    let mut reader = file.open().unwrap();
    let mut seen = Vec::new();
    while let Some(subbuf) = reader.next_subbuf() {
        seen.push((subbuf.packet().ordinal, subbuf.records()[0]));
    }
    assert_eq!(seen, [(5, 5), (6, 6)]);
    let stats = file.stats().unwrap();
    assert_eq!((stats.records, stats.overwritten), (7, 5));
}

#[test]
fn a_file_has_its_stream_resized_and_ended() {
    let (channel, file) = small(2);
    let larger = Geometry::new(64, 8).unwrap();
    channel.write(b"old").unwrap();
    file.resize(Storage::allocate(&larger).unwrap(), larger)
        .unwrap();
    assert_eq!(
        file.geometry().unwrap().subbuf_count(),
        2,
        "the owner does it"
    );
    channel.tick();
    assert_eq!(file.geometry(), Some(larger));
    channel.write(b"new").unwrap();
    let mut reader = file.open().unwrap();
    assert_eq!(reader.next_subbuf().unwrap().records(), b"old");
    assert!(reader.next_subbuf().is_none());
    channel.tick();
    assert_eq!(file.reclaim(), 1);
    file.request_close().unwrap();
    channel.tick();
    let last = reader.next_subbuf().unwrap();
    assert_eq!(last.records(), b"new");
    assert!(last.packet().is_final && reader.is_at_end());
}

#[test]
fn records_of_cpus_without_a_file_are_counted_by_the_channel() {
    let (channel, file) = small(2);
    assert_eq!(file.mount().lost_no_ring(), 0);
    channel.platform().move_to(2);
    channel.write(b"nowhere").unwrap_err();
    assert_eq!(file.mount().lost_no_ring(), 1);
}

#[test]
fn a_file_knows_what_is_known_of_its_stream() {
    let (channel, file) = small(4);
    assert_eq!(file.take_peak(), 0);
    for _ in 0..3 {
        channel.write(&[1; 32]).unwrap();
    }
    channel.write(&[2; 5]).unwrap();
    let info = file.info().unwrap();
    assert_eq!((info.unread, info.open, info.rings), (3, 5, 1));
    assert_eq!(Some(info.stats), file.stats());
    assert_eq!(Some(info.geometry), file.geometry());
    assert_eq!((file.take_peak(), file.take_peak()), (3, 0));
    assert!(!file.is_closed());
    channel.close().unwrap();
    assert!(file.is_closed());
}

#[test]
fn what_was_not_read_of_a_sub_buffer_is_lost_with_its_reader_and_not_that_of_an_open_one() {
    for (delivery, again) in [
        (Delivery::Bulk, &b""[..]),
        (Delivery::Record, b"0123456789"),
    ] {
        let geometry = Geometry::new(32, 4).unwrap().with_delivery(delivery);
        let channel = channel::<PerCpu>(1, geometry.unwrap());
        let reader = || channel.reader(1).unwrap();
        channel.write(b"0123456789").unwrap();
        if delivery == Delivery::Bulk {
            channel.flush();
        }
        let mut records = Records::new(reader());
        assert_eq!(records.read(&mut [0; 3]), 3);
        assert_eq!(records.bytes_available(), 7);
        let reader = records.into_reader();
        assert_eq!(reader.bytes_available(), again.len() as u64);
        assert_eq!(read_all(reader), again);
    }
}
