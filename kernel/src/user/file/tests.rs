//! What programs may say, right and wrong, on channels of a platform with one CPU.

#![expect(unsafe_code, reason = "a platform promises what it is")]

mod control;
mod packets;
mod polling;
mod records;
mod syslog;

use core::ops::Range;
use std::cell::{Cell, RefCell};

use relay::event::{EventClass, Field, Kind, StreamClass};
use relay::fs::{Mount, Namespace};
use relay::record::Framed;
use relay::{Channel, Context, Geometry, Platform, Storage};
use relay_abi::{Error, FileInfo, How, rights};
use zerocopy::FromBytes;

use super::open::{self, OpenFile};
use super::wait;
use crate::user::memory::Memory;

/// The platform.
struct OneCpu;

// SAFETY: there is one CPU, and in each channel one thread writes.
unsafe impl Platform for OneCpu {
    type Pinned = ();

    fn pin(&self) -> (usize, ()) {
        (0, ())
    }

    unsafe fn unpin(&self, (): ()) {}

    fn now(&self) -> u64 {
        7
    }

    fn wake(&self, stream: usize) {
        wait::wake(stream);
    }
}

/// A channel of it; the second CPU is never there.
type Tested = Channel<OneCpu, 2>;

/// A record has its number, and as many bytes as it says.
const CLASS: StreamClass = StreamClass {
    id: 2,
    name: "tested",
    is_global: false,
    overwrites: false,
    is_taken: false,
    events: &[EventClass {
        id: 1,
        name: "told",
        fields: &[
            Field::new("number", Kind::U8),
            Field::new("length", Kind::U16),
            Field::new("data", Kind::Bytes("length")),
        ],
    }],
};

/// Bytes of a record beside its data.
const HEAD: usize = 7 + 1 + 2;

/// Writes a record.
fn tell(channel: &Tested, number: u8, length: usize) {
    let told = channel.reserve_with(HEAD + length, |slot| {
        let time = slot.timestamp();
        let stamp = relay::record::Stamp::new(1, Context::Task, time).to_bytes();
        let bytes = slot.bytes_mut();
        bytes[..7].copy_from_slice(&stamp);
        bytes[7] = number;
        bytes[8..10].copy_from_slice(&(length as u16).to_le_bytes());
        bytes[10..].fill(number);
    });
    assert_eq!(told, Ok(()));
}

/// Writes a packet of records of this length.
fn packet(channel: &Tested, numbers: Range<u8>, length: usize) {
    numbers.for_each(|number| tell(channel, number, length));
    channel.flush();
}

/// The numbers of the records in these bytes, which have nothing else.
fn numbers(mut bytes: &[u8]) -> Vec<u8> {
    let mut numbers = Vec::new();
    while !bytes.is_empty() {
        let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        let data = &bytes[HEAD..HEAD + length];
        assert!(data.iter().all(|byte| *byte == bytes[7]));
        numbers.push(bytes[7]);
        bytes = &bytes[HEAD + length..];
    }
    numbers
}

/// A channel of its own, started: `$geometry`, with its files.
macro_rules! channel {
    ($geometry:expr) => {{
        static CHANNEL: Tested = Channel::new(OneCpu, &Framed);
        static MOUNT: Mount = match Mount::new("/tested", &CHANNEL) {
            Ok(mount) => mount,
            Err(_) => panic!(),
        };
        static NAMES: Namespace<2> = Namespace::new();
        let geometry: Geometry = $geometry;
        let storage = Storage::allocate(&geometry).expect("there is memory");
        CHANNEL.start(0, storage, geometry).expect("it starts");
        NAMES.create(&MOUNT).expect("there is room");
        (&CHANNEL, &NAMES)
    }};
}
use channel;

/// Rings of this shape.
fn ring(size: usize, count: usize) -> Geometry {
    Geometry::new(size, count).expect("there is such a ring")
}

/// Opens the file of CPU 0.
fn file(names: &Namespace<2>, how: How) -> Result<OpenFile, Error> {
    OpenFile::new(
        names.file("/tested/0").expect("it is there"),
        Some(CLASS),
        how,
    )
}

/// The memory of a program: `BASE` to `BASE + 64 KiB`, of which the last page cannot be written.
struct Room {
    bytes: RefCell<Vec<u8>>,
    /// What was mapped.
    mapped: RefCell<Vec<Range<usize>>>,
    may_map: Cell<bool>,
}

const BASE: u64 = 0x40_0000;
const SIZE: usize = 64 * 1024;
const READ_ONLY: usize = SIZE - 4096;
/// Where mappings begin: each a gigabyte behind the other.
const MAPPED: u64 = 1 << 40;

impl Room {
    fn new() -> Self {
        Self {
            bytes: RefCell::new(vec![0xEE; SIZE]),
            mapped: RefCell::default(),
            may_map: Cell::new(true),
        }
    }

    /// What is there.
    fn get(&self, from: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.read(from, &mut bytes).expect("it is the program's");
        bytes
    }

    fn put(&self, bytes: &[u8]) -> [u64; 2] {
        self.write(BASE, bytes).expect("there is room");
        [BASE, bytes.len() as u64]
    }

    fn place(at: u64, length: usize, end: usize) -> Result<Range<usize>, Error> {
        let start = at.checked_sub(BASE).ok_or(Error::BadAddress)? as usize;
        let behind = start.checked_add(length).ok_or(Error::BadAddress)?;
        match behind <= end {
            true => Ok(start..behind),
            false => Err(Error::BadAddress),
        }
    }
}

impl Memory for Room {
    fn read(&self, from: u64, into: &mut [u8]) -> Result<(), Error> {
        let place = Self::place(from, into.len(), SIZE)?;
        into.copy_from_slice(&self.bytes.borrow()[place]);
        Ok(())
    }

    fn write(&self, to: u64, bytes: &[u8]) -> Result<(), Error> {
        let place = Self::place(to, bytes.len(), READ_ONLY)?;
        self.bytes.borrow_mut()[place].copy_from_slice(bytes);
        Ok(())
    }

    fn map_blocks(&self, blocks: Range<usize>) -> Result<u64, Error> {
        if !self.may_map.get() {
            return Err(Error::NoRoom);
        }
        let mut mapped = self.mapped.borrow_mut();
        mapped.push(blocks);
        Ok(MAPPED + ((mapped.len() as u64) << 30))
    }
}

/// Places that no program has, or may not write.
const BAD: [u64; 5] = [
    0,
    BASE - 1,
    BASE + READ_ONLY as u64 - 1,
    0xffff_8000_0000_0000,
    u64::MAX,
];

#[test]
fn files_are_found_by_their_names_only() {
    let (_, names) = channel!(ring(1024, 4));
    let room = Room::new();
    assert_eq!(open::name(names, &room, 0, [BASE, 64]), Ok(9));
    assert_eq!(room.get(BASE, 9), b"/tested/0");
    assert_eq!(open::name(names, &room, 0, [BASE, 8]), Err(Error::NoRoom));
    for index in [1, u64::MAX] {
        let name = open::name(names, &room, index, [BASE, 64]);
        assert_eq!(name, Err(Error::NotFound));
    }
    for at in BAD {
        assert_eq!(
            open::name(names, &room, 0, [at, 64]),
            Err(Error::BadAddress)
        );
    }

    let open = |path: &str, how, granted| {
        let [at, length] = room.put(path.as_bytes());
        open::open(names, &room, granted, [at, length, how]).map(|_| ())
    };
    assert_eq!(open("/tested/0", 0, rights::OBSERVE), Ok(()));
    assert_eq!(open("/tested/0", 1, rights::CONSUME), Ok(()));
    assert_eq!(open("/tested/0", 0, rights::CONSUME), Err(Error::NoRight));
    assert_eq!(open("/tested/0", 1, !rights::CONSUME), Err(Error::NoRight));
    assert_eq!(open("/tested/0", 2, rights::ALL), Err(Error::BadArgument));
    let names_of_none = [
        "",
        "/",
        "/tested",
        "/tested/1",
        "/tested/2",
        "/tested/00",
        "tested/0",
    ];
    for path in names_of_none
        .into_iter()
        .chain(["/Tested/0", "/tested/99999999999999999999"])
    {
        assert_eq!(open(path, 1, rights::ALL), Err(Error::NotFound), "{path}");
    }
    assert_eq!(
        open(&"x".repeat(65), 1, rights::ALL),
        Err(Error::BadArgument)
    );
    let call =
        |[at, length]: [u64; 2]| open::open(names, &room, rights::ALL, [at, length, 1]).err();
    assert_eq!(call([BASE, u64::MAX]), Some(Error::BadArgument));
    assert_eq!(call([u64::MAX, 9]), Some(Error::BadAddress));
    assert_eq!(call(room.put(b"/tested/\xff")), Some(Error::NotFound));
}

#[test]
fn one_consumes_and_any_number_observes() {
    let (_, names) = channel!(ring(1024, 4));
    let consumer = file(names, How::Consume).expect("nobody else does");
    let _observers = [(); 3].map(|()| file(names, How::Observe).expect("anybody may"));
    assert_eq!(file(names, How::Consume).err(), Some(Error::Busy));
    drop(consumer);
    assert!(file(names, How::Consume).is_ok());
}

#[test]
fn what_is_known_of_a_file_is_told() {
    let (channel, names) = channel!(ring(4096, 4));
    packet(channel, 0..3, 10);
    tell(channel, 3, 10);
    let file = file(names, How::Consume).expect("nobody else does");
    let room = Room::new();
    let known = |file: &OpenFile| {
        assert_eq!(file.info(&room, BASE), Ok(0));
        FileInfo::read_from_bytes(&room.get(BASE, size_of::<FileInfo>())).expect("it fits")
    };
    let info = known(&file);
    assert_eq!(
        (info.subbuf_size, info.subbuf_count, info.flags),
        (4096, 4, 2)
    );
    assert_eq!((info.cpu, info.committed, info.lost), (0, 3, 0));
    assert_eq!(
        (info.available, info.held),
        (60, 0),
        "what is open is not there yet"
    );
    assert!(file.take().is_ok());
    assert_eq!((known(&file).available, known(&file).held), (0, 1));
    for at in BAD {
        assert_eq!(file.info(&room, at), Err(Error::BadAddress));
    }
    drop(file);
    channel.close().expect("there is room");
    let observer = self::file(names, How::Observe).expect("anybody may");
    assert_eq!(known(&observer).flags, 2 | 4);
}
