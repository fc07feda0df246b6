//! Reading records.

use super::*;

/// Reads with such room; what it has read.
fn read(file: &OpenFile, room: u64) -> Result<Vec<u8>, Error> {
    let memory = Room::new();
    let length = file.read(&memory, [BASE, room])?;
    assert!(length <= room);
    Ok(numbers(&memory.get(BASE, length as usize)))
}

#[test]
fn records_are_read_whole_whatever_the_room() {
    let (channel, names) = channel!(ring(256, 8));
    let consumer = file(names, How::Consume).expect("nobody else does");
    let observer = file(names, How::Observe).expect("anybody may");
    for file in [&consumer, &observer] {
        assert_eq!(read(file, 100), Err(Error::Again));
    }
    packet(channel, 0..4, 10);
    packet(channel, 4..6, 30);
    for file in [&observer, &consumer] {
        for room in [0, 1, 19] {
            assert_eq!(read(file, room), Err(Error::NoRoom));
        }
        assert_eq!(read(file, 20), Ok(vec![0]));
        assert_eq!(read(file, 59), Ok(vec![1, 2]));
        let memory = Room::new();
        for at in BAD {
            assert_eq!(file.read(&memory, [at, 60]), Err(Error::BadAddress));
        }
        assert_eq!(read(file, 60), Ok(vec![3, 4]), "over the end of a packet");
        assert_eq!(read(file, u64::MAX), Ok(vec![5]));
        assert_eq!(read(file, 100), Err(Error::Again));
    }
    channel.close().expect("there is room");
    for file in [&consumer, &observer] {
        assert_eq!(read(file, 100), Err(Error::Ended));
    }
}

#[test]
fn what_was_begun_and_is_gone_is_not_read_on() {
    let (channel, names) = channel!(ring(256, 8));
    let observer = file(names, How::Observe).expect("anybody may");
    packet(channel, 0..3, 10);
    packet(channel, 3..6, 10);
    assert_eq!(read(&observer, 20), Ok(vec![0]));
    let consumer = file(names, How::Consume).expect("nobody else does");
    assert_eq!(consumer.take().map(|taken| taken.number), Ok(0));
    assert_eq!(read(&observer, 40), Ok(vec![3, 4]));
    assert_eq!(read(&observer, 40), Ok(vec![5]));
}

#[test]
fn without_a_class_it_is_all_or_nothing() {
    let (channel, names) = channel!(ring(256, 8));
    packet(channel, 0..3, 10);
    let at = names.file("/tested/0").expect("it is there");
    let file = OpenFile::new(at, None, How::Consume).expect("nobody else does");
    assert_eq!(read(&file, 59), Err(Error::NoRoom));
    assert_eq!(read(&file, 60), Ok(vec![0, 1, 2]));
}

/// The last `count` records, with such room.
fn last(file: &OpenFile, room: u64, count: u64) -> Vec<u8> {
    let memory = Room::new();
    let read = file.read_last(&memory, [BASE, room, count]);
    let [length, found] = read.expect("there are some");
    let numbers = numbers(&memory.get(BASE, length as usize));
    assert_eq!(numbers.len() as u64, found);
    numbers
}

#[test]
fn the_last_records_come_oldest_first() {
    let (channel, names) = channel!(ring(256, 8));
    let observer = file(names, How::Observe).expect("anybody may");
    assert_eq!(last(&observer, 1000, 5), []);
    packet(channel, 0..3, 10);
    packet(channel, 3..6, 10);
    assert_eq!(last(&observer, 1000, 0), []);
    assert_eq!(last(&observer, 1000, 2), [4, 5]);
    assert_eq!(last(&observer, 1000, 3), [3, 4, 5]);
    assert_eq!(last(&observer, 1000, 5), [1, 2, 3, 4, 5]);
    for count in [6, 7, u64::MAX] {
        assert_eq!(last(&observer, u64::MAX, count), [0, 1, 2, 3, 4, 5]);
    }
    for (room, there) in [(0, &[][..]), (19, &[]), (20, &[5]), (79, &[3, 4, 5])] {
        assert_eq!(last(&observer, room, 100), there, "{room}");
    }
    assert_eq!(last(&observer, 99, 100), [2, 3, 4, 5]);
    assert_eq!(last(&observer, 99, 4), [2, 3, 4, 5]);
    let memory = Room::new();
    for at in BAD {
        let read = observer.read_last(&memory, [at, 1000, 3]);
        assert_eq!(read, Err(Error::BadAddress));
    }
    let consumer = file(names, How::Consume).expect("nobody else does");
    let read = consumer.read_last(&memory, [BASE, 1000, 3]);
    assert_eq!(read, Err(Error::WrongKind));
}

#[test]
fn the_last_records_of_what_overwrites_itself_are_there() {
    let flight = ring(256, 4).with_mode(relay::Mode::Continuous);
    let flight = flight.and_then(|ring| ring.with_spares(2));
    let (channel, names) = channel!(flight.expect("there is such a ring"));
    for number in 0..100 {
        packet(channel, number..number + 1, 10);
    }
    let observer = file(names, How::Observe).expect("anybody may");
    assert_eq!(last(&observer, 1000, 2), [98, 99]);
    let consumer = file(names, How::Consume).expect("nobody else does");
    let first = consumer.take().expect("it is there");
    for number in 100..120 {
        packet(channel, number..number + 1, 10);
    }
    assert_eq!(last(&observer, 1000, 2), [118, 119]);
    assert_eq!(consumer.give_back(first.number), Ok(0));
}
