//! The operations and attributes of channels through the public API, one by one, on one CPU.

mod global;
mod rings;

use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use relay::{
    Channel, Delivery, Flushed, Geometry, Global, Hooks, Mode, PacketStart, Platform, Records,
    Storage, StreamError, StreamInfo, record,
};

/// One CPU whose clock advances with every look.
#[derive(Default)]
struct OneCpu {
    clock: AtomicU64,
    calls: AtomicU64,
    wakes: AtomicU64,
}

// SAFETY: one thread uses it, and it is always CPU 0.
unsafe impl Platform for OneCpu {
    type Pinned = ();

    fn pin(&self) -> (usize, ()) {
        (0, ())
    }

    unsafe fn unpin(&self, (): ()) {}

    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    fn wake(&self, _cpu: usize) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
    }

    fn call(&self, _cpu: usize) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }
}

/// Writes a header for the stream; counts what it is asked.
#[derive(Default)]
struct Client {
    needs: AtomicU64,
    delivered: AtomicU64,
}

impl Hooks for Client {
    fn channel_start(&self, header: &mut [u8], start: &PacketStart) {
        assert_eq!(start.cpu, 0);
        header.fill(0xC5);
    }

    fn buffer_start(&self, header: &mut [u8], _start: &PacketStart) {
        header.fill(0xB5);
    }

    fn deliver(&self, _cpu: usize) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }

    fn needs_resize(&self, _cpu: usize) {
        self.needs.fetch_add(1, Ordering::Relaxed);
    }
}

type One = Channel<OneCpu, 1>;

/// All clients: what is leaked is found from here.
static CLIENTS: Mutex<Vec<&'static Client>> = Mutex::new(Vec::new());

fn client() -> &'static Client {
    let client: &'static Client = Box::leak(Box::default());
    CLIENTS.lock().unwrap().push(client);
    client
}

fn channel(geometry: Geometry, client: &'static Client) -> One {
    let channel = Channel::new(OneCpu::default(), client);
    let storage = Storage::allocate(&geometry).unwrap();
    channel.start(0, storage, geometry).unwrap();
    channel
}

fn geometry(count: usize) -> Geometry {
    Geometry::new(64, count).unwrap()
}

#[test]
fn the_streams_header_comes_once_before_its_first_record() {
    let shape = geometry(4)
        .with_reserves(8, 0)
        .and_then(|shape| shape.with_channel_start_reserve(16))
        .unwrap();
    for delivery in [Delivery::Bulk, Delivery::Record] {
        let channel = channel(shape.with_delivery(delivery).unwrap(), client());
        // 40 bytes are left of the first sub-buffer, 56 of the others.
        assert_eq!(channel.max_record(), Some(56));
        for _ in 0..3 {
            channel.write(&[7; 24]).unwrap();
        }
        channel.flush();
        let mut observer = channel.observe(0).unwrap();
        for wanted in [&[7; 24][..], &[7; 48]] {
            let mut copy = [0; 64];
            let packet = observer.next_copy(&mut copy).unwrap().unwrap();
            assert_eq!(copy[packet.start..packet.content], *wanted);
        }
        let mut reader = channel.reader(0).unwrap();
        let first = reader.next_subbuf().unwrap();
        assert_eq!(first.bytes()[..8], [0xB5; 8]);
        assert_eq!(first.channel_start(), [0xC5; 16]);
        assert_eq!(first.records(), [7; 24]);
        let second = reader.next_subbuf().unwrap();
        assert_eq!(second.channel_start(), []);
        assert_eq!(second.records(), [7; 48]);
        assert_eq!(second.packet().records, 2);
        drop((first, second));
        // A new ring is the same stream: no header again.
        let storage = Storage::allocate(&shape).unwrap();
        let same = shape.with_delivery(delivery).unwrap();
        channel.replace(storage, same).unwrap();
        channel.write(&[8; 56]).unwrap();
        let third = reader.next_subbuf().unwrap();
        assert_eq!(
            (third.channel_start(), third.records()),
            (&[][..], &[8; 56][..])
        );
    }
}

#[test]
fn a_record_that_does_not_fit_behind_the_streams_header_comes_after_it() {
    let shape = geometry(4).with_channel_start_reserve(40).unwrap();
    let channel = channel(shape, client());
    channel.write(&[1; 60]).unwrap();
    channel.flush();
    let mut reader = channel.reader(0).unwrap();
    let packets: Vec<_> = std::iter::from_fn(|| reader.next_subbuf())
        .map(|taken| (taken.packet().records, taken.records().len()))
        .collect();
    assert_eq!(packets, [(0, 0), (1, 60)]);
}

#[test]
fn bytes_are_read_without_padding_in_pieces_of_any_size() {
    let step = if cfg!(miri) { 23 } else { 1 };
    for piece in (1..70).step_by(step) {
        for delivery in [Delivery::Bulk, Delivery::Record] {
            let shape = geometry(8).with_reserves(4, 2).unwrap();
            let channel = channel(shape.with_delivery(delivery).unwrap(), client());
            let mut wanted = Vec::new();
            for number in 0..18u8 {
                let bytes = vec![number; usize::from(number) % 23 + 1];
                channel.write(&bytes).unwrap();
                wanted.extend(bytes);
            }
            if delivery == Delivery::Bulk {
                channel.flush();
            }
            let reader = channel.reader(0).unwrap();
            assert_eq!(reader.bytes_available(), wanted.len() as u64);
            let mut records = Records::new(reader);
            let mut read: Vec<u8> = Vec::new();
            let mut into = vec![0; piece];
            loop {
                let len = records.read(&mut into);
                if len == 0 {
                    break;
                }
                read.extend(&into[..len]);
            }
            assert_eq!(read, wanted, "in pieces of {piece} bytes, {delivery:?}");
            assert_eq!(records.bytes_available(), 0);
        }
    }
}

#[test]
fn records_come_with_the_time_that_their_packet_was_opened_at() {
    // More than the 48 bits that a record has.
    const START: u64 = 5 << 48 | 7;
    for delivery in [Delivery::Bulk, Delivery::Record] {
        let channel = Channel::<_, 1>::new(OneCpu::default(), client());
        channel.platform().clock.store(START, Ordering::Relaxed);
        let shape = geometry(8).with_delivery(delivery).unwrap();
        let storage = Storage::allocate(&shape).unwrap();
        channel.start(0, storage, shape).unwrap();
        let mut records = Records::new(channel.reader(0).unwrap());
        let (mut seen, mut last) = (0, START);
        for number in 1..=20 {
            channel.write_event(number, &[7; 8]).unwrap();
            if delivery == Delivery::Bulk {
                channel.flush();
            }
            while let Some(run) = records.next_run() {
                let mut fields = record::Fields::new(run.bytes);
                while let Some(stamp) = fields.next_stamp().unwrap() {
                    seen += 1;
                    assert_eq!(stamp.id(), seen);
                    assert!(START <= run.begin_ticks);
                    let ticks = record::extend(stamp.time(), run.begin_ticks);
                    assert!(last < ticks && run.begin_ticks <= ticks);
                    last = ticks;
                    assert_eq!(fields.bytes(8), Some(&[7; 8][..]));
                }
            }
            assert_eq!(seen, number);
        }
    }
}

#[test]
fn a_reset_leaves_nothing_unread() {
    let channel = channel(geometry(4), client());
    channel.write_array(&[7; 8]).unwrap();
    channel.write_array(&[8; 64]).unwrap();
    let mut reader = channel.reader(0).unwrap();
    let storage = Storage::allocate(&geometry(4)).unwrap();
    assert_eq!(channel.reset(storage), Ok(()));
    channel.write_array(&[9; 8]).unwrap();
    channel.flush();
    let taken = reader.next_subbuf().unwrap();
    assert_eq!(taken.records(), [9; 8]);
    assert_eq!((taken.packet().ordinal, taken.packet().records), (2, 1));
    assert!(reader.next_subbuf().is_none());
    assert_eq!(channel.stats(0).unwrap().overwritten, 2);
}

#[test]
fn events_are_stamped() {
    let channel = channel(geometry(4), client());
    channel.write_event(7, b"run-time").unwrap();
    channel.write_event_array(8, b"constant").unwrap();
    channel.flush();
    let mut reader = channel.reader(0).unwrap();
    let taken = reader.next_subbuf().unwrap();
    let mut fields = record::Fields::new(taken.records());
    let first = fields.next_stamp().unwrap().unwrap();
    assert_eq!((first.id(), fields.bytes(8)), (7, Some(&b"run-time"[..])));
    let second = fields.next_stamp().unwrap().unwrap();
    assert_eq!((second.id(), fields.bytes(8)), (8, Some(&b"constant"[..])));
    assert!(taken.packet().begin_ticks <= first.time() && first.time() < second.time());
    assert!(second.time() <= taken.packet().end_ticks);
}

#[test]
fn a_resize_that_waits_is_not_forgotten_or_doubled() {
    let channel = channel(geometry(4), client());
    let offer = |count| {
        let shape = geometry(count);
        channel.resize(0, Storage::allocate(&shape).unwrap(), shape)
    };
    assert_eq!(offer(8), Ok(()));
    assert_eq!(offer(16), Err(StreamError::Busy));
    assert_eq!(channel.platform().calls.load(Ordering::Relaxed), 1);
    assert_eq!(channel.geometry(0), Some(geometry(4)));
    channel.tick();
    assert_eq!(channel.geometry(0), Some(geometry(8)));
    let other = geometry(8).with_reserves(8, 0).unwrap();
    assert_eq!(
        channel.resize(0, Storage::allocate(&other).unwrap(), other),
        Err(StreamError::OtherKind)
    );
    channel.close().unwrap();
    assert_eq!(offer(2), Err(StreamError::Closed));
    channel.tick();
    assert_eq!(channel.geometry(0), Some(geometry(8)));
}

#[test]
fn information_is_exact_when_the_cpu_is_quiet() {
    let channel = channel(geometry(4).with_reserves(8, 0).unwrap(), client());
    for _ in 0..5 {
        channel.write(&[0; 24]).unwrap();
    }
    let mut reader = channel.reader(0).unwrap();
    let held = reader.next_subbuf().unwrap();
    let info = channel.info(0).unwrap();
    let want = StreamInfo {
        geometry: channel.geometry(0).unwrap(),
        stats: channel.stats(0).unwrap(),
        rings: 1,
        unread: 1,
        taken: 1,
        unused: 2 * 16,
        open: 8 + 24,
        is_resize_due: false,
        is_closed: false,
    };
    assert_eq!(info, want);
    assert_eq!(reader.bytes_available(), 48);
    drop(held);
    channel.close().unwrap();
    let info = channel.info(0).unwrap();
    assert_eq!((info.unread, info.taken, info.is_closed), (2, 0, true));
    assert!(channel.is_closed(0));
}

#[test]
fn a_stream_is_closed_from_outside_once_there_is_room() {
    let channel = channel(geometry(2), client());
    channel.write(&[1; 64]).unwrap();
    channel.write(&[2; 64]).unwrap();
    channel.request_close(0).unwrap();
    let calls = channel.platform().calls.load(Ordering::Relaxed);
    assert_eq!(calls, 1, "its CPU is told");
    channel.tick();
    assert!(!channel.is_closed(0), "no room for the last packet");
    let mut reader = channel.reader(0).unwrap();
    drop(reader.next_subbuf().unwrap());
    channel.tick();
    assert!(channel.is_closed(0));
    drop(reader.next_subbuf().unwrap());
    assert!(reader.next_subbuf().unwrap().packet().is_final);
    assert!(reader.is_at_end());
}

#[test]
fn a_sleeping_reader_is_woken_once() {
    let channel = channel(geometry(4), client());
    let wakes = || channel.platform().wakes.load(Ordering::Relaxed);
    let mut reader = channel.reader(0).unwrap();
    channel.write(&[0; 64]).unwrap();
    assert_eq!(wakes(), 0, "nobody sleeps");
    assert!(!reader.prepare_to_sleep(), "there is something to read");
    drop(reader.next_subbuf().unwrap());
    assert!(reader.prepare_to_sleep());
    channel.write(&[0; 32]).unwrap();
    assert_eq!(wakes(), 0, "nothing is complete");
    channel.write(&[0; 32]).unwrap();
    assert_eq!(wakes(), 1);
    channel.write(&[0; 64]).unwrap();
    assert_eq!(wakes(), 1);
}

#[test]
fn the_newest_sub_buffers_are_copied_newest_first_and_stay() {
    let shape = geometry(4)
        .with_mode(Mode::Continuous)
        .and_then(|shape| shape.with_spares(1))
        .unwrap();
    let channel = channel(shape, client());
    for number in 0..10 {
        channel.write(&[number; 64]).unwrap();
    }
    let observer = channel.observe(0).unwrap();
    let mut into = [0; 64];
    for (count, want) in [(0, &[][..]), (2, &[9, 8]), (9, &[9, 8, 7, 6])] {
        let mut seen = Vec::new();
        let copied = observer.read_last(count, &mut into, |packet, bytes| {
            assert_eq!(u64::from(bytes[0]), packet.sequence);
            seen.push(bytes[0]);
        });
        assert_eq!((copied, &seen[..]), (Ok(want.len()), want));
    }
    let mut reader = channel.reader(0).unwrap();
    assert_eq!(
        reader.next_subbuf().unwrap().records()[0],
        6,
        "all are there"
    );
    assert_eq!(channel.flush(), Flushed::Nothing);
}

#[test]
fn each_record_is_told_of_in_packet_delivery() {
    let client = client();
    let shape = geometry(4).with_delivery(Delivery::Record).unwrap();
    let channel = channel(shape, client);
    let told = || client.delivered.swap(0, Ordering::Relaxed);
    for _ in 0..3 {
        channel.write(&[1; 16]).unwrap();
        assert_eq!(told(), 1);
    }
    channel.write(&[1; 16]).unwrap();
    assert_eq!(told(), 1, "record and packet at once");
    channel.flush();
    assert_eq!(told(), 0, "nothing new");
}

#[test]
fn packets_are_told_of_in_bulk_delivery() {
    let client = client();
    let channel = channel(geometry(4), client);
    channel.write(&[1; 16]).unwrap();
    assert_eq!(client.delivered.load(Ordering::Relaxed), 0);
    channel.write(&[1; 64]).unwrap();
    assert_eq!(client.delivered.load(Ordering::Relaxed), 2);
}

#[test]
fn an_observer_sees_the_end() {
    let channel = channel(geometry(4), client());
    let mut observer = channel.observe(0).unwrap();
    channel.write(&[1; 8]).unwrap();
    assert!(!observer.is_at_end());
    channel.close().unwrap();
    assert!(!observer.is_at_end(), "there is the last packet");
    let mut copy = [0; 64];
    let last = observer.next_copy(&mut copy).unwrap().unwrap();
    assert!(last.is_final && observer.is_at_end());
    assert!(!observer.prepare_to_sleep(), "nothing would wake it");
}

#[test]
fn the_last_ones_are_copied_beside_the_next_ones() {
    let channel = channel(geometry(4), client());
    for number in 0..3 {
        channel.write(&[number; 64]).unwrap();
    }
    let mut observer = channel.observe(0).unwrap();
    for _ in 0..2 {
        let storage = Storage::allocate(&geometry(4)).unwrap();
        channel.replace(storage, geometry(4)).unwrap();
    }
    channel.write(&[3; 64]).unwrap();
    let mut copy = [0; 64];
    let mut last = Vec::new();
    let copied = observer.read_last(9, &mut copy, |packet, _| last.push(packet.sequence));
    assert_eq!((copied, &last[..]), (Ok(1), &[3][..]), "of the newest ring");
    let mut seen = Vec::new();
    while let Some(packet) = observer.next_copy(&mut copy).unwrap() {
        seen.push(packet.sequence);
    }
    assert_eq!(seen, [0, 1, 2, 3]);
}

/// Looks at the clock during `body`.
fn looks<T>(channel: &One, body: impl FnOnce() -> T) -> u64 {
    let clock = &channel.platform().clock;
    let before = clock.load(Ordering::Relaxed);
    body();
    clock.load(Ordering::Relaxed) - before
}

#[test]
fn the_clock_is_read_where_it_is_needed() {
    let channel = channel(geometry(4), client());
    let put = |bytes: &[u8]| channel.write(bytes).unwrap();
    assert_eq!(looks(&channel, || put(&[1; 8])), 1, "a sub-buffer begins");
    assert_eq!(looks(&channel, || put(&[1; 8])), 0);
    assert_eq!(looks(&channel, || channel.write_array(&[1; 8])), 0);
    assert_eq!(looks(&channel, || channel.write_event(1, &[1; 8])), 1);
    assert_eq!(looks(&channel, || channel.reserve_with(8, |_| ())), 1);
    assert_eq!(looks(&channel, || put(&[1; 17])), 1, "a sub-buffer ends");
}
