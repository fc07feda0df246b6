//! What is told to syslog, and how far: together, or not at all.

use std::sync::{Arc, Mutex};

use super::*;
use crate::out::syslog_port::Way;
use crate::user::poll::Pollable as _;
use crate::user::syslog;
use relay_abi::{Mark, SYSLOG_BYTES, SYSLOG_MARKS, ready};
use zerocopy::IntoBytes;

/// What has come, and why nothing comes now.
struct Host(Mutex<(Vec<u8>, Option<Error>)>);

static HOST: Host = Host(Mutex::new((Vec::new(), None)));

impl Host {
    fn refuse(&self, why: Option<Error>) {
        self.0.lock().expect("nobody panics").1 = why;
    }

    fn came(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().expect("nobody panics").0)
    }
}

impl Way for Host {
    fn send(
        &self,
        length: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.look()?;
        let mut bytes = vec![0; length];
        fill(&mut bytes)?;
        self.0.lock().expect("nobody panics").0.extend(bytes);
        Ok(())
    }

    fn look(&self) -> Result<(), Error> {
        let refuses = self.0.lock().expect("nobody panics").1;
        refuses.map_or(Ok(()), Err)
    }
}

/// Where the marks are put; messages are at `BASE`.
const MARKS: u64 = BASE + 4096;

#[test]
fn messages_and_marks_go_together() {
    let (channel, names) = channel!(ring(4096, 4));
    packet(channel, 0..3, 10);
    let room = Room::new();
    assert_eq!(syslog::open(None).err(), Some(Error::NotFound));
    let way = syslog::open(Some(&HOST)).expect("nobody else has it");
    assert_eq!(syslog::open(Some(&HOST)).err(), Some(Error::Busy));

    let consumer = Arc::new(file(names, How::Consume).expect("nobody else does"));
    let observer = Arc::new(file(names, How::Observe).expect("anybody may"));
    let find = |handle| match handle {
        3 => Ok(consumer.clone()),
        4 => Ok(observer.clone()),
        _ => Err(Error::BadHandle),
    };
    let known = |file: &OpenFile| file.known().expect("it was started").told;
    room.put(b"5 hello");
    let write = |length: usize, marks: &[(u32, u64)]| {
        let marks = marks.iter().map(|&(file, told)| Mark {
            file,
            zero: 0,
            told,
        });
        let marks: Vec<_> = marks.collect();
        room.write(MARKS, marks.as_bytes()).expect("there is room");
        way.write(
            &room,
            [BASE, length as u64],
            [MARKS, marks.len() as u64],
            find,
        )
    };

    assert_eq!(write(7, &[(3, 2)]), Ok(7));
    assert_eq!((HOST.came(), known(&consumer)), (b"5 hello".to_vec(), 2));
    // Nothing is sent, and no mark is set, if anything is wrong.
    for (length, marks, error) in [
        (7, &[(3, 1)][..], Error::BadArgument),
        (7, &[(3, 3), (3, 1)], Error::BadArgument),
        (7, &[(3, 3), (4, 3)], Error::BadArgument),
        (7, &[(3, 4)], Error::BadArgument),
        (0, &[(3, u64::MAX)], Error::BadArgument),
        (7, &[(3, 3), (5, 3)], Error::BadHandle),
        (SYSLOG_BYTES + 1, &[(3, 3)], Error::BadArgument),
        (7, &[(3, 3); SYSLOG_MARKS + 1], Error::BadArgument),
    ] {
        assert_eq!(write(length, marks), Err(error), "{marks:?}");
    }
    room.write(
        MARKS,
        Mark {
            file: 3,
            zero: 1,
            told: 3,
        }
        .as_bytes(),
    )
    .expect("there is room");
    let wrong = way.write(&room, [BASE, 7], [MARKS, 1], find);
    assert_eq!(wrong, Err(Error::BadArgument));
    room.write(
        MARKS,
        Mark {
            file: 3,
            zero: 0,
            told: 3,
        }
        .as_bytes(),
    )
    .expect("there is room");
    for at in [0, BASE - 1, u64::MAX] {
        let wrong = way.write(&room, [at, 7], [MARKS, 1], find);
        assert_eq!(wrong, Err(Error::BadAddress));
        let wrong = way.write(&room, [BASE, 7], [at, 1], find);
        assert_eq!(wrong, Err(Error::BadAddress));
    }
    for why in [Error::Again, Error::Ended] {
        HOST.refuse(Some(why));
        assert_eq!(write(7, &[(3, 3)]), Err(why));
        let is_found = way.look(ready::WRITABLE) == ready::WRITABLE;
        assert_eq!(is_found, why == Error::Ended);
    }
    assert_eq!((HOST.came(), known(&consumer)), (Vec::new(), 2));
    // What is passed over is marked without a word, whether anybody listens or not.
    assert_eq!(write(0, &[(3, 3)]), Ok(0));
    assert_eq!((HOST.came(), known(&consumer)), (Vec::new(), 3));
    HOST.refuse(None);
    assert_eq!(way.look(ready::WRITABLE), ready::WRITABLE);

    // The next one finds the mark, and may have the way.
    drop(way);
    drop(consumer);
    let next = file(names, How::Consume).expect("nobody else does");
    assert_eq!((known(&next), known(&observer)), (3, 3));
    assert!(syslog::open(Some(&HOST)).is_ok());
}
