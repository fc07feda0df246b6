//! A live merge of streams whose CPUs write, lose, flush and tick meanwhile.
//!
//! The CPUs are threads with a real channel, whose packets go into a capture that is merged while
//! it grows. Every record carries the number of its attempt, so that each proves how many were lost
//! before it.

use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use relay::ctf::metadata::Trace;
use relay::ctf::{self, Packets, Uuid, packet_bytes};
use relay::event::{Event, EventClass, Field, FieldsMut, Kind, StreamClass};
use relay::host::{Cpu, Host};
use relay::{Channel, Geometry, Reader, Storage, StreamError};
use relay_decode::capture::{Capture, Live, OpenError, Options, Port};
use relay_decode::merge::{Filter, LiveMerge, Next, Note, Shown, What};
use relay_decode::records::Value;
use relay_decode::wire::Kind as Origin;
use serde_json::json;

const CPUS: usize = 4;
/// What each CPU attempts at least to write.
const ATTEMPTS: u64 = 200_000;
/// More than a ring has room for.
const BURST: u64 = 500;

/// A record: which attempt of its CPU this is.
struct Attempt(u64);

impl Event for Attempt {
    const CLASS: EventClass = EventClass {
        id: 1,
        name: "attempt",
        fields: &[Field::new("number", Kind::U64)],
    };

    fn size(&self) -> usize {
        8
    }

    fn store(&self, fields: &mut FieldsMut<'_>) {
        fields.u64(self.0);
    }
}

const STREAM: StreamClass = StreamClass {
    id: 1,
    name: "attempts",
    is_global: false,
    overwrites: false,
    is_taken: false,
    events: &[Attempt::CLASS],
};

static UUID: Uuid = Uuid::new();
static PACKETS: Packets = Packets::new(STREAM.id, &UUID);
static CHANNEL: Channel<Host, CPUS> = Channel::new(Host, &PACKETS);
static METADATA_PACKETS: Packets = Packets::new(0, &UUID);
static METADATA: Channel<Host, 1> = Channel::new(Host, &METADATA_PACKETS);

fn geometry(size: usize, count: usize) -> Geometry {
    let geometry = Geometry::new(size, count).and_then(|g| g.with_reserves(ctf::HEADER, 0));
    geometry.expect("it is a good one")
}

/// What the threads tell each other.
struct Stage {
    /// CPU 0 has written its first burst, then the others have.
    first: Barrier,
    all: Barrier,
    /// Something of another CPU than 0 was shown.
    is_shown: AtomicBool,
}

/// Sends the metadata.
fn describe(port: &mut Port) {
    let cpu = Cpu::claim();
    let ring = geometry(1 << 14, 2);
    let memory = Storage::allocate(&ring).expect("there is memory");
    METADATA.start(cpu.number(), memory, ring).expect("it fits");
    let trace = Trace {
        uuid: UUID.bytes(),
        clock_hz: 1_000_000_000,
        cpus: CPUS,
        streams: &[STREAM],
        env: &[],
    };
    let text = trace.to_string();
    METADATA.write(text.as_bytes()).expect("it fits");
    METADATA.close().expect("there is room");
    let mut reader = METADATA.reader(0).expect("the only one");
    while let Some(taken) = reader.next_subbuf() {
        port.push(packet_bytes(&taken));
    }
}

/// A CPU: writes in bursts, flushes or ticks after each, and closes its stream. How many attempts
/// it made, and which CPU it was.
fn write(stage: &Stage) -> (usize, u64) {
    let cpu = Cpu::claim();
    let number = cpu.number();
    if number != 0 {
        stage.first.wait();
    }
    let mut random = number as u64 + 1;
    let (mut attempted, mut is_first) = (0, true);
    while attempted < ATTEMPTS {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        // The first burst overflows: nobody reads yet.
        let burst = if attempted == 0 {
            BURST
        } else {
            (random >> 33) % BURST
        };
        for _ in 0..burst {
            // What is lost is counted.
            let _ = CHANNEL.emit(&Attempt(attempted));
            attempted += 1;
        }
        match random >> 63 {
            0 => drop(CHANNEL.flush()),
            _ => CHANNEL.tick(),
        }
        if is_first {
            is_first = false;
            if number == 0 {
                stage.first.wait();
            }
            stage.all.wait();
        }
        thread::yield_now();
    }
    while CHANNEL.close() == Err(StreamError::NoRoom) {
        thread::yield_now();
    }
    CHANNEL.tick();
    (number, attempted)
}

/// Reads all streams to their ends, and gives them to the capture; CPU 0's only when something of
/// another CPU was shown, so that it comes too late.
fn read(stage: &Stage, port: &mut Port) {
    let readers = (0..CPUS).map(|cpu| CHANNEL.reader(cpu).expect("the only one"));
    let mut readers: Vec<Reader<'_>> = readers.collect();
    stage.all.wait();
    while !readers.iter().all(Reader::is_at_end) {
        for (cpu, reader) in readers.iter_mut().enumerate() {
            if cpu == 0 && !stage.is_shown.load(Ordering::Relaxed) {
                continue;
            }
            while let Some(taken) = reader.next_subbuf() {
                port.push(packet_bytes(&taken));
            }
            reader.request_flush();
        }
        thread::yield_now();
    }
}

/// What was shown of one CPU.
#[derive(Clone, Debug, Default)]
struct Account {
    /// The number of the record that comes next.
    next: u64,
    /// Records that were said to be lost so far.
    lost: u64,
    /// How many of its records were late.
    late: u64,
}

/// What was shown of all.
#[derive(Debug, Default)]
struct Accounts {
    cpus: [Account; CPUS],
    /// The latest time.
    latest: u64,
    /// The CPU of which it was said that what follows is late, or whose late record came last.
    late: Option<u32>,
}

impl Accounts {
    /// Takes what is shown next.
    fn take(&mut self, next: Next<'_, '_>) {
        match next {
            Next::Record(shown, values) => self.record(&shown, values),
            Next::Note(Note { cpu, what, .. }) => match what {
                What::Lost(losses, _) => self.cpus[cpu as usize].lost += losses.total(),
                What::Late(before) => {
                    assert_eq!(before, self.latest);
                    self.late = Some(cpu);
                }
                other => panic!("cpu {cpu}: {other}"),
            },
        }
    }

    fn record(&mut self, shown: &Shown<'_>, values: &[Value<'_>]) {
        let Some(Value::Unsigned(attempt)) = values.first() else {
            panic!("{values:?}");
        };
        let account = &mut self.cpus[shown.cpu as usize];
        assert_eq!(shown.record.number, account.next);
        account.next += 1;
        // All before it were delivered, or said to be lost.
        let lost = attempt - shown.record.number;
        assert!(
            lost <= account.lost,
            "cpu {}: {lost} lost, {}",
            shown.cpu,
            account.lost
        );
        // Times do not fall, unless that is said.
        assert_eq!(shown.is_late, shown.ns < self.latest);
        if shown.is_late {
            assert_eq!(self.late, Some(shown.cpu), "it was not said to be late");
            account.late += 1;
        } else {
            self.late = None;
        }
        self.latest = self.latest.max(shown.ns);
    }
}

/// Merges the capture until it is finished.
fn merge(folder: &Path, stage: &Stage, hold: Duration) -> Accounts {
    let mut live = Live::open(folder).expect("it is there");
    let (schema, streams) = loop {
        live.poll().expect("it only grows");
        if let Some(found) = live.metadata(false).expect("it is good") {
            break found;
        }
    };
    let filter = Filter::default();
    let found = (&schema, streams.as_slice());
    let merge = LiveMerge::new(folder, found, &filter, false, hold);
    let mut merge = merge.expect("it is readable");
    let mut accounts = Accounts::default();
    loop {
        let is_last = live.poll().expect("it only grows");
        assert_eq!(live.problems().count(), 0);
        let shown = merge.show(live.take(), Instant::now(), is_last, |next| {
            if matches!(&next, Next::Record(shown, _) if shown.cpu != 0) {
                stage.is_shown.store(true, Ordering::Relaxed);
            }
            accounts.take(next);
            Ok::<_, OpenError>(())
        });
        shown.expect("it is readable");
        if is_last {
            assert!(merge.is_over());
            return accounts;
        }
        thread::yield_now();
    }
}

#[test]
fn no_record_comes_before_a_loss_that_was_before_it_and_times_fall_only_where_it_is_said() {
    UUID.set(7);
    for cpu in 0..CPUS {
        let ring = geometry(1024, 4);
        let memory = Storage::allocate(&ring).expect("there is memory");
        CHANNEL.start(cpu, memory, ring).expect("it fits");
    }
    let folder = tempfile::tempdir().expect("there is room");
    let folder = folder.path().join("capture");
    let capture = Capture::create(&Options::new(&folder, Origin::Live)).expect("there is room");
    let mut port = capture.port(0);
    describe(&mut port);
    let stage = Stage {
        first: Barrier::new(CPUS),
        all: Barrier::new(CPUS + 1),
        is_shown: AtomicBool::new(false),
    };
    let (accounts, attempts) = thread::scope(|scope| {
        // Without holding back: as much is late as can be.
        let merging = scope.spawn(|| merge(&folder, &stage, Duration::ZERO));
        let writing: [_; CPUS] = std::array::from_fn(|_| scope.spawn(|| write(&stage)));
        read(&stage, &mut port);
        port.finish();
        capture.finish(json!({})).expect("it is writable");
        let attempts = writing.map(|thread| thread.join().expect("a writer failed"));
        (merging.join().expect("the merge failed"), attempts)
    });
    for (cpu, attempted) in attempts {
        let account = &accounts.cpus[cpu];
        assert_eq!(
            account.next + account.lost,
            attempted,
            "cpu {cpu}: {account:?}"
        );
        assert!(
            account.lost > 0 && account.next > 0,
            "cpu {cpu}: {account:?}"
        );
    }
    // Its first records came behind later ones.
    assert!(accounts.cpus[0].late > 0, "{accounts:?}");
}
