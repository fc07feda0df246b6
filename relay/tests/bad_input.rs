//! Bad input through the public API: a precise error or a counted loss, never a panic.
#![cfg(all(feature = "alloc", not(loom)))]

use relay::{
    Channel, Flushed, Geometry, GeometryError, Hooks, Loss, Mode, NoHooks, OpenError, PacketStart,
    Platform, STORAGE_ALIGN, StartError, StaticMemory, Stopped, Storage, StorageError, StreamError,
    WriteError, ctf, record,
};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One thread that says which CPU it is.
#[derive(Default)]
struct Cpu(AtomicUsize);

// SAFETY: each test uses its platform from one thread, and nothing nests.
unsafe impl Platform for Cpu {
    type Pinned = ();

    fn pin(&self) -> (usize, ()) {
        (self.0.load(Ordering::Relaxed), ())
    }
    unsafe fn unpin(&self, (): ()) {}
    fn now(&self) -> u64 {
        7
    }
}

impl Cpu {
    fn becomes(&self, cpu: usize) {
        self.0.store(cpu, Ordering::Relaxed);
    }
}

const SIZE: usize = 64;

fn geometry() -> Geometry {
    Geometry::new(SIZE, 2).unwrap()
}

/// A channel of two CPUs, of which the first has a ring.
fn channel(geometry: Geometry) -> Channel<Cpu, 2> {
    let channel = Channel::new(Cpu::default(), &NoHooks);
    let storage = Storage::allocate(&geometry).unwrap();
    channel.start(0, storage, geometry).unwrap();
    channel
}

fn lost<T>(loss: Loss) -> Result<T, WriteError> {
    Err(WriteError::Lost(loss))
}

const HUGE: [usize; 6] = [
    usize::MAX,
    usize::MAX - 1,
    usize::MAX - SIZE,
    isize::MAX as usize,
    isize::MAX as usize + 1,
    1 << 32,
];

#[test]
fn attributes_out_of_range_are_refused_by_name() {
    for size in HUGE.into_iter().chain([0, 1, 4, 7, 9, 4095, 4097]) {
        let error = Geometry::new(size, 2).unwrap_err();
        assert_eq!(error, GeometryError::SubbufSize(size));
        let text = error.to_string();
        assert!(
            text.contains(&size.to_string()) && text.contains("power of two"),
            "{text}"
        );
    }
    for count in HUGE.into_iter().chain([0, 1, 3, 1 << 16]) {
        let error = Geometry::new(SIZE, count).unwrap_err();
        assert_eq!(error, GeometryError::SubbufCount(count));
        let text = error.to_string();
        assert!(
            text.contains(&count.to_string()) && text.contains("power of two"),
            "{text}"
        );
    }
    for spares in HUGE.into_iter().chain([65]) {
        let error = geometry().with_spares(spares).unwrap_err();
        assert_eq!(error, GeometryError::Spares(spares));
        assert!(error.to_string().contains("64"));
    }
    for huge in HUGE.into_iter().chain([SIZE - 7]) {
        for (start, end) in [(huge, 0), (0, huge), (huge, huge), (huge, 1)] {
            let error = geometry().with_reserves(start, end).unwrap_err();
            let reserved = start.saturating_add(end);
            let subbuf_size = SIZE;
            assert_eq!(
                error,
                GeometryError::Reserves {
                    subbuf_size,
                    reserved
                }
            );
        }
    }
    assert!(
        geometry().with_reserves(SIZE - 8, 0).is_ok(),
        "the limit itself is good"
    );
}

#[test]
fn every_length_is_written_or_refused_for_its_reason() {
    for mode in [Mode::NoOverwrite, Mode::Continuous] {
        for (start, end) in [(0, 0), (5, 3), (SIZE - 8, 0)] {
            let geometry = geometry()
                .with_reserves(start, end)
                .unwrap()
                .with_mode(mode)
                .unwrap();
            let channel = channel(geometry);
            let room = SIZE - start - end;
            assert_eq!(channel.max_record(), Some(room));
            assert_eq!(channel.write(&[]), Err(WriteError::Empty));
            assert_eq!(channel.reserve_with(0, |_| ()), Err(WriteError::Empty));
            assert_eq!(channel.write(&[1]), Ok(()));
            assert_eq!(channel.write(&vec![2; room]), Ok(()), "an exact fit");
            let too_big = [room + 1, room + start, SIZE + 1, 2 * SIZE];
            let mut attempts = 0;
            for len in HUGE.into_iter().chain(too_big).filter(|len| *len > room) {
                assert_eq!(
                    channel.reserve_with(len, |_| ()),
                    lost(Loss::TooBig),
                    "{len}"
                );
                attempts += 1;
            }
            assert_eq!(channel.write(&vec![3; room + 1]), lost(Loss::TooBig));
            let stats = channel.stats(0).unwrap();
            assert_eq!(stats.lost.get(Loss::TooBig), attempts + 1);
            assert_eq!(stats.lost.total(), attempts + 1, "an empty record is none");
        }
    }
}

#[test]
fn a_full_ring_refuses_and_counts() {
    let channel = channel(geometry());
    for _ in 0..2 {
        channel.write(&[1; SIZE]).unwrap();
    }
    for len in [1, SIZE] {
        assert_eq!(channel.write(&vec![2; len]), lost(Loss::Full));
    }
    assert_eq!(channel.flush(), Flushed::NoRoom, "no room to tell of them");
    let stats = channel.stats(0).unwrap();
    assert_eq!((stats.records, stats.lost.get(Loss::Full)), (2, 2));
}

#[test]
fn a_cpu_without_a_ring_is_told_so_and_counted() {
    let channel = channel(geometry());
    // The second has no ring; of the others there is nothing at all.
    for (i, cpu) in [1, 2, 3, usize::MAX, usize::MAX - 1]
        .into_iter()
        .enumerate()
    {
        channel.platform().becomes(cpu);
        assert_eq!(channel.write(b"x"), Err(WriteError::NoRing), "CPU {cpu}");
        assert_eq!(channel.reserve_with(1, |_| ()), Err(WriteError::NoRing));
        assert_eq!(
            channel.reserve_with(usize::MAX, |_| ()),
            Err(WriteError::NoRing)
        );
        assert_eq!(channel.lost_no_ring(), 3 * (i as u64 + 1));
        assert_eq!(channel.flush(), Flushed::Nothing);
        channel.tick();
        assert_eq!(channel.close(), Err(StreamError::NotStarted));
        let storage = Storage::allocate(&geometry()).unwrap();
        assert_eq!(
            channel.replace(storage, geometry()),
            Err(StreamError::NotStarted)
        );
        assert_eq!(channel.max_record(), None);
        assert_eq!(channel.stats(cpu), None);
        assert_eq!(
            channel.reader(cpu).map(drop),
            Err(OpenError::NotStarted(cpu))
        );
        if cpu > 1 {
            let storage = Storage::allocate(&geometry()).unwrap();
            let no_such_cpu = StartError::NoSuchCpu { cpu, cpus: 2 };
            assert_eq!(channel.start(cpu, storage, geometry()), Err(no_such_cpu));
            // SAFETY: no CPU of this number runs.
            assert!(channel.salvage(unsafe { Stopped::new(cpu) }).is_none());
        }
    }
    channel.platform().becomes(0);
    assert_eq!(channel.write(b"x"), Ok(()), "the first CPU goes on");
    assert_eq!(channel.stats(0).unwrap().lost.total(), 0);
}

#[test]
fn memory_that_does_not_do_is_refused_and_changes_nothing() {
    static SMALL: StaticMemory<STORAGE_ALIGN> = StaticMemory::new();
    static SMALL_TOO: StaticMemory<STORAGE_ALIGN> = StaticMemory::new();
    let large = Geometry::new(STORAGE_ALIGN, 4).unwrap();
    let too_small = StorageError::TooSmall {
        given: STORAGE_ALIGN,
        needed: Storage::bytes_for(&large),
    };
    let channel = channel(geometry());
    channel.write(b"before").unwrap();

    let refused = channel.start(1, SMALL.take().unwrap(), large);
    assert_eq!(refused, Err(StartError::Storage(too_small)));
    assert!(SMALL.take().is_none(), "it can be had once");
    let refused = channel.replace(SMALL_TOO.take().unwrap(), large);
    assert_eq!(refused, Err(StreamError::Storage(too_small)));
    let storage = Storage::allocate(&geometry()).unwrap();
    assert_eq!(
        channel.start(0, storage, geometry()),
        Err(StartError::Started(0))
    );
    for wrong in [1, 8, STORAGE_ALIGN / 2, STORAGE_ALIGN - 1] {
        let base = NonNull::without_provenance((2 * STORAGE_ALIGN + wrong).try_into().unwrap());
        // SAFETY: it is refused, and not used.
        let refused = unsafe { Storage::from_raw(base, STORAGE_ALIGN) };
        assert_eq!(refused.unwrap_err(), StorageError::Misaligned);
    }

    channel.write(b", after").unwrap();
    channel.flush();
    let mut reader = channel.reader(0).unwrap();
    assert_eq!(reader.next_subbuf().unwrap().records(), b"before, after");
    assert!(matches!(channel.reader(1), Err(OpenError::NotStarted(1))));
}

#[test]
fn after_close_everything_is_refused_and_what_is_there_is_read() {
    let channel = channel(geometry());
    channel.write(b"last words").unwrap();
    let mut reader = channel.reader(0).unwrap();
    let fill = |slot: &mut relay::Slot<'_>| {
        assert_eq!(channel.close(), Ok(()));
        check_closed(&channel);
        assert!(reader.next_subbuf().is_none(), "a record of it is open");
        slot.write(b"----");
    };
    channel.reserve_with(4, fill).unwrap();
    let last = reader.next_subbuf().unwrap();
    assert_eq!(last.records(), b"last words----");
    assert!(last.packet().is_final);
    drop(last);
    assert!(reader.next_subbuf().is_none() && reader.is_at_end());
    check_closed(&channel);
    let stats = channel.stats(0).unwrap();
    assert_eq!((stats.records, stats.lost.get(Loss::Closed)), (2, 6));
    assert_eq!(stats.lost.total(), 6);
}

/// Nothing can be done with a closed stream but read it.
fn check_closed(channel: &Channel<Cpu, 2>) {
    let closed = lost(Loss::Closed);
    assert_eq!(channel.write(b"too late"), closed);
    assert_eq!(channel.reserve_with(1, |_| ()), closed);
    assert_eq!(channel.reserve_with(usize::MAX, |_| ()), closed);
    assert_eq!(channel.write(&[]), Err(WriteError::Empty));
    assert_eq!(channel.flush(), Flushed::Nothing);
    channel.tick();
    assert_eq!(channel.close(), Err(StreamError::Closed));
    let storage = Storage::allocate(&geometry()).unwrap();
    assert_eq!(
        channel.replace(storage, geometry()),
        Err(StreamError::Closed)
    );
    let storage = Storage::allocate(&geometry()).unwrap();
    assert_eq!(
        channel.start(0, storage, geometry()),
        Err(StartError::Started(0))
    );
}

#[test]
fn a_close_without_room_says_so_and_can_be_tried_again() {
    let channel = channel(geometry());
    let mut reader = channel.reader(0).unwrap();
    channel.write(&[1; SIZE]).unwrap();
    channel.write(&[2; SIZE]).unwrap();
    let held = reader.next_subbuf().unwrap();
    assert_eq!(
        channel.close(),
        Err(StreamError::NoRoom),
        "it is taken, not given back"
    );
    assert_eq!(channel.write(b"x"), lost(Loss::Full), "and not closed");
    drop(held);
    assert_eq!(channel.close(), Ok(()));
}

#[test]
fn there_is_one_consuming_reader() {
    let channel = channel(geometry());
    channel.write(&[1; SIZE]).unwrap();
    channel.write(&[2; SIZE]).unwrap();
    let mut first = channel.reader(0).unwrap();
    assert_eq!(channel.reader(0).map(drop), Err(OpenError::Busy(0)));
    let held = first.next_subbuf().unwrap();
    drop(first);
    // What is held is nobody else's, and the next reader goes on behind it.
    let mut second = channel.reader(0).unwrap();
    assert_eq!(second.next_subbuf().unwrap().records(), [2; SIZE]);
    assert!(second.next_subbuf().is_none());
    assert_eq!(held.records(), [1; SIZE]);
    drop(held);
    std::mem::forget(second);
    assert_eq!(
        channel.reader(0).map(drop),
        Err(OpenError::Busy(0)),
        "it is leaked"
    );
    assert_eq!(channel.write(b"x"), Ok(()), "which is no matter to writers");
}

#[test]
fn a_reader_that_keeps_everything_stops_nothing_but_itself() {
    for (mode, spares) in [
        (Mode::NoOverwrite, 0),
        (Mode::NoOverwrite, 1),
        (Mode::Continuous, 0),
        (Mode::Continuous, 1),
    ] {
        let geometry = geometry()
            .with_mode(mode)
            .unwrap()
            .with_spares(spares)
            .unwrap();
        let channel = channel(geometry);
        let mut reader = channel.reader(0).unwrap();
        let mut held = Vec::new();
        let (mut written, mut full) = (0, 0);
        for number in 0..20u8 {
            match channel.write(&[number; SIZE]) {
                Ok(()) => written += 1,
                other => {
                    assert_eq!(other, lost(Loss::Full));
                    full += 1;
                }
            }
            held.extend(reader.next_subbuf());
        }
        assert_eq!(written, 2 + spares, "as many as there are blocks");
        assert_eq!(channel.stats(0).unwrap().lost.get(Loss::Full), full);
        // Given back in the middle first.
        let numbers = held.iter().map(|taken| taken.records()[0]);
        assert!(numbers.eq(0..written as u8));
        held.remove(1);
        held.reverse();
        drop(held);
        assert_eq!(channel.write(&[99; SIZE]), Ok(()));
    }
}

#[test]
fn a_leaked_sub_buffer_costs_itself() {
    let channel = channel(Geometry::new(SIZE, 4).unwrap());
    let mut reader = channel.reader(0).unwrap();
    channel.write(&[0; SIZE]).unwrap();
    std::mem::forget(reader.next_subbuf().unwrap());
    for number in 1..4u8 {
        channel.write(&[number; SIZE]).unwrap();
        assert_eq!(reader.next_subbuf().unwrap().records(), [number; SIZE]);
    }
    assert_eq!(
        channel.write(&[4; SIZE]),
        lost(Loss::Full),
        "its turn has come"
    );
    assert_eq!(channel.close(), Err(StreamError::NoRoom));
}

#[test]
fn more_records_under_way_than_there_are_places_are_refused() {
    fn nest(channel: &Channel<Cpu, 2>, depth: usize) {
        let fill = |slot: &mut relay::Slot<'_>| {
            nest(channel, depth + 1);
            if depth.is_multiple_of(4) {
                slot.give_up();
            }
        };
        let written = channel.reserve_with(8, fill);
        assert_eq!(
            written,
            if depth < 8 {
                Ok(())
            } else {
                lost(Loss::Nested)
            }
        );
    }
    let channel = channel(Geometry::new(256, 2).unwrap());
    nest(&channel, 0);
    channel.flush();
    let mut reader = channel.reader(0).unwrap();
    assert_eq!(reader.next_subbuf().unwrap().packet().records, 6);
    let lost = channel.stats(0).unwrap().lost;
    assert_eq!((lost.get(Loss::Nested), lost.get(Loss::Discarded)), (1, 2));
}

#[test]
fn requests_of_a_reader_that_finds_nothing_are_harmless() {
    let channel = channel(geometry());
    let mut reader = channel.reader(0).unwrap();
    for _ in 0..5 {
        reader.request_flush();
        channel.tick();
        assert!(reader.next_subbuf().is_none(), "nothing was written");
        assert!(!reader.is_at_end());
    }
    assert_eq!(channel.stats(0).unwrap().packets, 0);
}

#[test]
fn every_error_says_what_was_wrong() {
    let texts = [
        WriteError::NoRing.to_string(),
        WriteError::Empty.to_string(),
        StartError::NoSuchCpu { cpu: 77, cpus: 8 }.to_string(),
        StartError::Started(77).to_string(),
        StartError::Storage(StorageError::Misaligned).to_string(),
        OpenError::NotStarted(77).to_string(),
        OpenError::Busy(77).to_string(),
        StreamError::Closed.to_string(),
        StreamError::Busy.to_string(),
        StreamError::NoRoom.to_string(),
        StreamError::Storage(StorageError::OutOfMemory(77)).to_string(),
        StorageError::TooSmall {
            given: 8,
            needed: 77,
        }
        .to_string(),
        GeometryError::TooLarge.to_string(),
    ];
    let losses = Loss::ALL.map(|loss| WriteError::Lost(loss).to_string());
    let all: Vec<_> = texts.iter().chain(&losses).collect();
    for (i, text) in all.iter().enumerate() {
        assert!(text.split(' ').count() > 3, "{text:?} says little");
        assert!(!all[..i].contains(text), "{text:?} is said of two errors");
    }
    let numbered = texts.iter().filter(|text| text.contains("77"));
    assert_eq!(numbered.count(), 6, "they name the number: {texts:#?}");
}

#[test]
fn the_ids_of_fillers_are_not_those_of_events() {
    let channel = channel(geometry());
    for event in [record::EVENTS, 0x3FFE, 0x3FFF, 0x4000, 0xFFFF] {
        assert_eq!(channel.write_event(event, &[0]), Err(WriteError::FillerId));
        assert_eq!(
            channel.write_event_array(event, &[0]),
            Err(WriteError::FillerId)
        );
    }
    assert_eq!(channel.write_event(record::EVENTS - 1, &[0]), Ok(()));
    let stats = channel.stats(0).unwrap();
    channel.flush();
    assert_eq!(stats.lost.total(), 0);
    let mut reader = channel.reader(0).unwrap();
    assert_eq!(reader.next_subbuf().unwrap().packet().records, 1);
    assert!(WriteError::FillerId.to_string().contains("0x3FFD"));
}

#[test]
fn hooks_get_the_reserve_that_they_need() {
    static UUID: ctf::Uuid = ctf::Uuid::new();
    static CTF: ctf::Packets = ctf::Packets::new(1, &UUID);
    let channel: Channel<Cpu, 2> = Channel::new(Cpu::default(), &CTF);
    let shape = |reserve| {
        let shape = Geometry::new(512, 2).unwrap();
        shape.with_reserves(reserve, 0).unwrap()
    };
    let start = |reserve| {
        let storage = Storage::allocate(&shape(reserve)).unwrap();
        channel.start(0, storage, shape(reserve))
    };
    let needed = ctf::HEADER;
    let error = StartError::Reserve {
        given: needed - 1,
        needed,
    };
    assert_eq!(start(needed - 1), Err(error));
    assert_eq!(
        error.to_string(),
        "the hooks need a start reserve of 168 bytes or more, the geometry has 167"
    );
    assert!(channel.stats(0).is_none());
    assert_eq!(start(needed), Ok(()));
}

/// Counts the streams that begin.
struct Begins(AtomicUsize);

impl Hooks for Begins {
    fn channel_start(&self, _header: &mut [u8], _start: &PacketStart) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_start_that_is_refused_begins_nothing() {
    static BEGINS: Begins = Begins(AtomicUsize::new(0));
    let shape = geometry().with_channel_start_reserve(8).unwrap();
    let channel: Channel<Cpu, 2> = Channel::new(Cpu::default(), &BEGINS);
    let start = || channel.start(0, Storage::allocate(&shape).unwrap(), shape);
    assert_eq!(start(), Ok(()));
    assert_eq!(start(), Err(StartError::Started(0)));
    assert_eq!(BEGINS.0.load(Ordering::Relaxed), 1);
}
