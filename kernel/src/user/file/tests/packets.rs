//! Taking, giving back, copying, mapping.

use super::super::open::Use;
use super::*;

#[test]
fn packets_are_given_back_in_any_order_and_once() {
    let (channel, names) = channel!(ring(1024, 8));
    for number in 0..4 {
        packet(channel, number..number + 1, 10);
    }
    let file = file(names, How::Consume).expect("nobody else does");
    assert_eq!(file.give_back(0), Err(Error::NotYet));
    for number in 0..3 {
        let taken = file.take().expect("it is there");
        assert_eq!((taken.number, taken.records, taken.start), (number, 1, 0));
        assert_eq!((taken.length, taken.at), (HEAD as u64 + 10, 0));
    }
    assert_eq!(file.give_back(1), Ok(0));
    assert_eq!(file.give_back(1), Err(Error::NotHeld));
    assert_eq!(file.give_back(2), Ok(0));
    for number in [3, 4, 1 << 32, u64::MAX] {
        assert_eq!(file.give_back(number), Err(Error::NotYet), "{number}");
    }
    assert_eq!(file.give_back(0), Ok(0));
    assert_eq!(file.give_back(0), Err(Error::NotHeld));
    assert_eq!(file.take().map(|taken| taken.number), Ok(3));
    assert_eq!(file.take(), Err(Error::Again));
    assert_eq!(file.give_back(3), Ok(0));
    channel.close().expect("there is room");
    assert_eq!(file.take().map(|taken| taken.records), Ok(0));
    assert_eq!(file.take(), Err(Error::Ended));
}

#[test]
fn who_holds_everything_stops_nobody_but_itself() {
    let (channel, names) = channel!(ring(64, 32));
    for number in 0..17 {
        packet(channel, number..number + 1, 10);
    }
    let file = file(names, How::Consume).expect("nobody else does");
    for _ in 0..16 {
        assert!(file.take().is_ok());
    }
    assert_eq!(file.take(), Err(Error::NoRoom));
    assert_eq!(file.give_back(7), Ok(0));
    assert_eq!(file.take().map(|taken| taken.number), Ok(16));
    assert_eq!(file.take(), Err(Error::NoRoom));
    // It dies holding: all is given back, and the next one goes on.
    drop(file);
    let info = channel.info(0).expect("it has started");
    assert_eq!((info.taken, info.unread), (0, 0));
    let file = super::file(names, How::Consume).expect("nobody else does");
    assert_eq!(file.take(), Err(Error::Again));
    packet(channel, 17..18, 10);
    assert_eq!(file.take().map(|taken| taken.number), Ok(17));
    assert_eq!(channel.stats(0).expect("it has started").lost.total(), 0);
}

#[test]
fn bytes_are_copied_of_what_is_held_and_of_nothing_else() {
    let (channel, names) = channel!(ring(1024, 8));
    packet(channel, 0..3, 10);
    packet(channel, 3..4, 10);
    let file = file(names, How::Consume).expect("nobody else does");
    let room = Room::new();
    assert_eq!(file.copy(&room, [0, 0, BASE, 10]), Err(Error::NotYet));
    assert_eq!(file.take().map(|taken| taken.length), Ok(60));
    let copy = |offset, length| file.copy(&room, [0, offset, BASE, length]);
    assert_eq!(copy(0, u64::MAX), Ok(60));
    assert_eq!(numbers(&room.get(BASE, 60)), [0, 1, 2]);
    assert_eq!(
        room.get(BASE + 60, 4),
        [0xEE; 4],
        "padding stays where it is"
    );
    assert_eq!(copy(40, 7), Ok(7));
    assert_eq!(copy(60, 7), Ok(0));
    for offset in [61, 1024, u64::MAX] {
        assert_eq!(copy(offset, 1), Err(Error::BadArgument));
    }
    for number in [1, u64::MAX] {
        assert_eq!(file.copy(&room, [number, 0, BASE, 1]), Err(Error::NotYet));
    }
    for at in BAD {
        assert_eq!(file.copy(&room, [0, 0, at, 60]), Err(Error::BadAddress));
    }
    assert_eq!(file.give_back(0), Ok(0));
    assert_eq!(file.copy(&room, [0, 0, BASE, 1]), Err(Error::NotHeld));
}

#[test]
fn a_handle_is_used_in_one_way() {
    let (channel, names) = channel!(ring(4096, 8));
    packet(channel, 0..1, 10);
    let room = Room::new();
    let taking = file(names, How::Consume).expect("nobody else does");
    assert!(taking.take().is_ok());
    assert_eq!(taking.read(&room, [BASE, 100]), Err(Error::Busy));
    drop(taking);
    let reading = file(names, How::Consume).expect("nobody else does");
    assert_eq!(reading.read(&room, [BASE, 100]), Err(Error::Again));
    assert_eq!(reading.take(), Err(Error::Busy));
    assert_eq!(reading.give_back(0), Err(Error::Busy));
    assert_eq!(reading.map(&room), Err(Error::Busy));
    let observing = file(names, How::Observe).expect("anybody may");
    assert_eq!(observing.take(), Err(Error::WrongKind));
    assert_eq!(observing.give_back(0), Err(Error::WrongKind));
    assert_eq!(
        observing.copy(&room, [0, 0, BASE, 1]),
        Err(Error::WrongKind)
    );
    assert_eq!(observing.map(&room), Err(Error::WrongKind));
    assert!(room.mapped.borrow().is_empty());
}

/// Where a packet that is held lies.
fn address(file: &OpenFile, number: u64) -> usize {
    let mut state = file.state.lock();
    let Use::Packets(window) = &mut state.used else {
        panic!("it takes packets");
    };
    window
        .get(number)
        .expect("it is held")
        .bytes()
        .as_ptr()
        .addr()
}

#[test]
fn a_mapping_has_the_blocks_and_every_packet_is_in_it() {
    let spares = ring(4096, 4).with_spares(2).expect("there is such a ring");
    let (channel, names) = channel!(spares);
    let file = file(names, How::Consume).expect("nobody else does");
    let room = Room::new();
    room.may_map.set(false);
    assert_eq!(file.map(&room), Err(Error::NoRoom));
    room.may_map.set(true);
    let [at, length] = file.map(&room).expect("it can be mapped");
    assert_eq!(length, 6 * 4096);
    let blocks = room.mapped.borrow()[0].clone();
    assert_eq!(blocks.len(), 6 * 4096);
    assert!(blocks.start.is_multiple_of(4096));
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..20u64 {
        packet(channel, 0..2, 10);
        let taken = file.take().expect("it is there");
        let offset = address(&file, number) - blocks.start;
        assert_eq!(taken.at, at + offset as u64);
        assert!(offset.is_multiple_of(4096) && offset < blocks.len());
        seen.insert(offset);
        assert_eq!(file.give_back(number), Ok(0));
    }
    assert!(seen.len() > 4, "spare blocks are seen, too: {seen:?}");
    // Another mapping takes its place.
    let [again, _] = file.map(&room).expect("it can be mapped");
    packet(channel, 0..1, 10);
    let taken = file.take().expect("it is there");
    assert!(taken.at >= again && taken.at < again + length && again != at);
}

#[test]
fn what_is_smaller_than_a_page_is_not_mapped() {
    let (_, names) = channel!(ring(2048, 8));
    let file = file(names, How::Consume).expect("nobody else does");
    let room = Room::new();
    assert_eq!(file.map(&room), Err(Error::NotMappable));
    assert!(room.mapped.borrow().is_empty());
}

#[test]
fn a_ring_that_was_left_is_another_mapping() {
    let (channel, names) = channel!(ring(4096, 4));
    let file = file(names, How::Consume).expect("nobody else does");
    let room = Room::new();
    let [first, _] = file.map(&room).expect("it can be mapped");
    packet(channel, 0..1, 10);
    packet(channel, 1..2, 10);
    assert!(file.take().expect("it is there").at >= first);
    // It is resized while it is mapped and something of it is held.
    assert_eq!(file.resize([8192, 4]), Ok(0));
    channel.tick();
    packet(channel, 2..3, 10);
    assert!(
        file.take().expect("it is there").at >= first,
        "of the old ring"
    );
    let taken = loop {
        // Whatever the old ring had closed.
        let taken = file.take().expect("it is there");
        if taken.records != 0 {
            break taken;
        }
    };
    assert_eq!(
        (taken.at, taken.records),
        (0, 1),
        "the new ring is not mapped"
    );
    let [second, length] = file.map(&room).expect("it can be mapped");
    assert_eq!(length, 4 * 8192);
    packet(channel, 3..4, 10);
    let taken = file.take().expect("it is there");
    assert!(taken.at >= second && taken.at < second + length);
    // What is held of the old ring keeps it.
    assert_eq!(channel.reclaim(0), 0);
    drop(file);
    assert_eq!(channel.reclaim(0), 1);
}
