//! Tests of the drain, on the host: a channel of three CPUs that are played by one thread.

use super::*;
use core::fmt::Arguments;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use relay::clients::klog::{Place, Severity};
use relay::fs::Mount;
use relay::record::{Framed, Stamp};
use relay::{Channel, Context, Geometry, Loss, Platform, Storage};

use crate::out::intake::Intake;

/// Which CPU the thread plays, and what time it is.
struct Stage {
    cpu: AtomicUsize,
    now: AtomicU64,
}

impl Default for Stage {
    /// A machine that has been on for a moment: time 0 is not after anything.
    fn default() -> Self {
        Self {
            cpu: AtomicUsize::new(0),
            now: AtomicU64::new(1),
        }
    }
}

// SAFETY: one thread plays all CPUs, one after the other.
#[expect(unsafe_code, reason = "a platform to test on")]
unsafe impl Platform for Stage {
    type Pinned = ();

    fn pin(&self) -> (usize, ()) {
        (self.cpu.load(Ordering::Relaxed), ())
    }

    unsafe fn unpin(&self, (): ()) {}

    fn now(&self) -> u64 {
        self.now.fetch_add(1, Ordering::Relaxed)
    }
}

type TestLog = Channel<Stage, 3>;

fn log_of(cpus: usize) -> &'static TestLog {
    let log = Box::leak(Box::new(TestLog::new(Stage::default(), &Framed)));
    let geometry = Geometry::new(256, 2).unwrap();
    for cpu in 0..cpus {
        log.start(cpu, Storage::allocate(&geometry).unwrap(), geometry)
            .unwrap();
    }
    log
}

/// A log whose packets are copied, and what comes out of the drain of the copies.
struct Stand {
    log: &'static TestLog,
    intakes: Vec<Intake>,
    drain: Drain<3>,
}

/// All files that `log` has now.
fn stand(log: &'static TestLog) -> Stand {
    let mount = Box::leak(Box::new(Mount::new("/test", log).unwrap()));
    let copies: Vec<&'static Copies> = mount
        .files()
        .map(|_| &*Box::leak(Box::new(Copies::new(4096))))
        .collect();
    let intakes = mount.files().zip(&copies).map(|(file, &copies)| {
        let mut intake = Intake::new(file.open().unwrap(), Some(copies), 0);
        // Nobody else wants them.
        intake.give_up();
        intake
    });
    Stand {
        log,
        intakes: intakes.collect(),
        drain: Drain::of(copies.iter().copied().enumerate()),
    }
}

impl Stand {
    /// Looks for what has come.
    fn refill(&mut self) {
        self.intakes.iter_mut().for_each(Intake::take);
        self.drain.refill();
    }

    /// Everything that comes out, as short texts.
    fn drained(&mut self) -> Vec<String> {
        let mut out = Vec::new();
        loop {
            self.refill();
            let Some(item) = self.drain.next(|_| true, 0) else {
                return out;
            };
            out.push(text(&item));
        }
    }
}

fn on<R>(log: &TestLog, cpu: usize, act: impl FnOnce(&TestLog) -> R) -> R {
    log.platform().cpu.store(cpu, Ordering::Relaxed);
    act(log)
}

fn say(log: &TestLog, cpu: usize, message: Arguments<'_>) {
    let place = Place {
        module: "m",
        file: "f",
        line: 1,
    };
    on(log, cpu, |log| {
        let _ = klog::write(log, Severity::Info, place, message);
    });
}

fn tick_all(log: &TestLog, cpus: usize) {
    for cpu in 0..cpus {
        on(log, cpu, TestLog::tick);
    }
}

fn text(item: &Item<'_>) -> String {
    match item {
        Item::Record {
            cpu,
            number,
            record,
        } => format!("{cpu}:{number} {}", record.message),
        Item::Lost { cpu, before, lost } => {
            format!("{cpu}: lost {} before {before}", lost.total())
        }
        Item::Skipped {
            cpu,
            before,
            records,
        } => format!("{cpu}: skipped {records} before {before}"),
        Item::End {
            cpu,
            delivered,
            skipped,
            ..
        } => format!("{cpu}: end after {delivered}, skipped {skipped}"),
        Item::Damaged { cpu, malformed, .. } => format!("{cpu}: {malformed}"),
    }
}

#[test]
fn records_of_all_cpus_come_out_in_the_order_of_their_times() {
    let log = log_of(3);
    let mut stand = stand(log);
    for (cpu, text) in [(1, "a"), (0, "b"), (1, "c"), (2, "d"), (0, "e")] {
        say(log, cpu, format_args!("{text}"));
    }
    assert!(stand.drained().is_empty(), "nothing was handed over yet");
    tick_all(log, 3);
    assert_eq!(
        stand.drained(),
        ["1:0 a", "0:0 b", "1:1 c", "2:0 d", "0:1 e"]
    );
}

#[test]
fn a_record_waits_for_a_cpu_that_may_have_an_older_one() {
    let log = log_of(2);
    let mut stand = stand(log);
    say(log, 1, format_args!("older"));
    say(log, 0, format_args!("younger"));
    stand.refill();
    on(log, 0, TestLog::tick);
    assert!(
        stand.drained().is_empty(),
        "cpu 1 has not shown what it has"
    );
    stand.refill();
    let item = stand.drain.next(|cpu| cpu == 0, 0);
    assert!(
        matches!(item, Some(Item::Record { cpu: 0, .. })),
        "unless it is not live"
    );
    on(log, 1, TestLog::tick);
    assert_eq!(stand.drained(), ["1:0 older"]);
}

#[test]
fn patience_ends() {
    let log = log_of(2);
    let mut stand = stand(log);
    say(log, 0, format_args!("x"));
    stand.refill();
    on(log, 0, TestLog::tick);
    stand.refill();
    assert!(stand.drain.next(|_| true, 0).is_none());
    assert!(stand.drain.next(|_| true, u64::MAX).is_some());
}

#[test]
fn losses_stand_where_they_happened_and_the_end_adds_up() {
    let log = log_of(1);
    let mut stand = stand(log);
    for i in 0..40 {
        say(log, 0, format_args!("{i}"));
    }
    let lost = log.stats(0).unwrap().lost;
    assert!(lost.get(Loss::Full) > 0);
    let kept = 40 - lost.total();
    let mut out = stand.drained();
    assert!(
        out.len() as u64 <= kept,
        "no loss is told of before the packet that tells it"
    );
    say(log, 0, format_args!("after"));
    on(log, 0, |log| log.close().unwrap());
    out.extend(stand.drained());
    let expected: Vec<_> = (0..kept)
        .map(|i| format!("0:{i} {i}"))
        .chain([
            format!("0: lost {} before {kept}", lost.total()),
            format!("0:{kept} after"),
            format!("0: end after {}, skipped 0", kept + 1),
        ])
        .collect();
    assert_eq!(out, expected);
    assert!(stand.drain.is_at_end());
    assert_eq!(stand.drain.open_streams().count(), 0);
}

/// What a damaged stamp says of the time holds nothing back: no record is younger than its packet.
#[test]
fn damage_from_the_far_future_comes_out_in_its_place() {
    let log = log_of(2);
    let mut stand = stand(log);
    let far = Stamp::new(klog::EVENT_ID, Context::Task, u64::MAX / 2).to_bytes();
    on(log, 0, |log| log.write(&far).unwrap());
    on(log, 0, TestLog::flush);
    say(log, 1, format_args!("later"));
    on(log, 1, TestLog::flush);
    let out = stand.drained();
    assert!(
        out[0].starts_with("0: the record at byte 0 is malformed"),
        "{out:?}"
    );
    tick_all(log, 2);
    assert_eq!(stand.drained(), ["1:0 later"]);
}

#[test]
fn what_is_no_klog_record_is_damage_and_the_next_packet_is_read() {
    let log = log_of(1);
    let mut stand = stand(log);
    say(log, 0, format_args!("good"));
    on(log, 0, |log| log.write(&[0xAB; 20]).unwrap());
    on(log, 0, TestLog::flush);
    say(log, 0, format_args!("good again"));
    on(log, 0, TestLog::flush);
    let out = stand.drained();
    assert_eq!(out[0], "0:0 good");
    assert!(
        out[1].starts_with("0: the record at byte 24 is malformed"),
        "{}",
        out[1]
    );
    assert_eq!(out[2], "0:2 good again");
    assert_eq!(stand.drain.open_streams().collect::<Vec<_>>(), [(0, 2)]);
}

#[test]
fn a_drain_that_is_too_slow_skips_and_says_where_and_how_many() {
    let log = log_of(1);
    let mut stand = stand(log);
    // Somebody takes everything away.
    let mount = Box::leak(Box::new(Mount::new("/test", log).unwrap()));
    stand.intakes.clear();
    let copies = Box::leak(Box::new(Copies::new(4096)));
    let mut intake = Intake::new(mount.file(0).unwrap().open().unwrap(), Some(copies), 0);
    stand.drain = Drain::of([(0, &*copies)].into_iter());
    let mut written = 0;
    let mut sent = 0;
    while copies.has_room() {
        say(log, 0, format_args!("{written}"));
        on(log, 0, TestLog::flush);
        written += 1;
        sent += intake.next().map_or(0, |packet| packet.packet().records);
    }
    let kept = written;
    for _ in 0..5000 {
        say(log, 0, format_args!("{written}"));
        on(log, 0, TestLog::flush);
        written += 1;
        sent += intake.next().map_or(0, |packet| packet.packet().records);
    }
    on(log, 0, |log| log.close().unwrap());
    sent += intake.next().map_or(0, |packet| packet.packet().records);
    assert_eq!(sent, written, "the console holds nobody up");
    let out = stand.drained();
    let printed = out
        .iter()
        .filter(|text| text.starts_with("0:") && !text.starts_with("0: "));
    let printed = printed.count() as u64;
    assert!(printed >= kept);
    let skipped = written - printed;
    assert!(skipped > 0);
    assert_eq!(
        out[out.len() - 2..],
        [
            format!("0: skipped {skipped} before {written}"),
            format!("0: end after {printed}, skipped {skipped}")
        ]
    );
    assert!(stand.drain.is_at_end());
}
