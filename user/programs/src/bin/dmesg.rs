//! `dmesg 20`: shows the last records of the kernel's log, so many of each CPU, in the order of their
//! times.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use programs::lines::{self, Next};
use relay_format::stamp::{self, Stamp, TIME_BITS};
use relay_rt::files::{File, Files};
use relay_rt::{relay, sys, time};

relay_rt::entry!(run);

/// How many records of each CPU, unless it is said, and at most.
const FEW: u64 = 16;
const MANY: u64 = 256;

/// How long CPUs may take to hand over what they have.
const HAND_OVER: Duration = Duration::from_millis(50);

/// Room for the last records of a CPU, in bytes.
const ROOM: usize = 64 * 1024;

fn run(arguments: &'static str) -> u32 {
    let count = match arguments.trim() {
        "" => FEW,
        number => match number.parse() {
            Ok(count) if count <= MANY => count,
            _ => {
                relay::error!("dmesg: '{arguments}' is no number up to {MANY}");
                return 2;
            }
        },
    };
    let files = Files::given();
    let mut all = Vec::new();
    let mut code = 0;
    // Only what was handed over can be looked at; a CPU does that at its next timer interrupt.
    for path in files
        .paths()
        .filter(|path| path.text().starts_with("/klog/"))
    {
        let asked = files.observe(path.text()).and_then(|file| file.flush());
        if let Err(error) = asked {
            relay::warn!(
                "dmesg: {}: the newest are not there: {}",
                path.text(),
                error
            );
        }
    }
    time::sleep(HAND_OVER);
    for path in files
        .paths()
        .filter(|path| path.text().starts_with("/klog/"))
    {
        match files.observe(path.text()) {
            Ok(file) => all.extend(last(&file, count)),
            Err(error) => {
                relay::error!("dmesg: {}: {}", path.text(), error);
                code = 1;
            }
        }
    }
    let clock = Clock::measure();
    all.sort_by_key(|record| core::cmp::Reverse(clock.age(record)));
    for record in &all {
        show(record, &clock);
    }
    relay::info!("dmesg: {} records", all.len());
    code
}

/// The last `count` records of a file. How long each is tells only how much more comes if one more is
/// asked for.
fn last(file: &File, count: u64) -> Vec<Vec<u8>> {
    let (mut records, mut before) = (Vec::new(), Vec::new());
    let mut room = vec![0; ROOM];
    for asked in 1..=count {
        let Ok((length, found)) = file.read_last(&mut room, asked) else {
            break;
        };
        let all = &room[..length.min(ROOM)];
        match all.split_at_checked(all.len().wrapping_sub(before.len())) {
            Some((record, rest)) if found == asked && rest == before => {
                records.push(record.to_vec());
                before = all.to_vec();
            }
            // There are no more, or others have come meanwhile.
            _ => break,
        }
    }
    records
}

/// How stamps become times.
struct Clock {
    /// Now, in ticks and in nanoseconds.
    ticks: u64,
    ns: u64,
    /// Ticks that pass in a millisecond.
    rate: u64,
}

impl Clock {
    /// Looks at the clock for a millisecond.
    fn measure() -> Self {
        let (begin, ticks) = (sys::time(), time::ticks());
        let mut ns = begin;
        while ns < begin + 1_000_000 {
            ns = sys::time();
        }
        let now = time::ticks();
        let passed = u128::from(now.wrapping_sub(ticks)) * 1_000_000 / u128::from(ns - begin);
        Self {
            ticks: now,
            ns,
            rate: (passed as u64).max(1),
        }
    }

    /// How many ticks old a record is: that is less than all that a stamp can tell.
    fn age(&self, record: &[u8]) -> u64 {
        let head = record.first_chunk::<{ stamp::SIZE }>();
        let time = head.map_or(0, |head| Stamp::from_bytes(*head).time());
        self.ticks.wrapping_sub(time) & ((1 << TIME_BITS) - 1)
    }

    /// When it was written, in microseconds since the machine was started.
    fn micros(&self, record: &[u8]) -> u64 {
        let ns = u128::from(self.age(record)) * 1_000_000 / u128::from(self.rate);
        self.ns.saturating_sub(ns as u64) / 1000
    }
}

/// Shows a record.
fn show(record: &[u8], clock: &Clock) {
    let micros = clock.micros(record);
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    match lines::next(record) {
        Next::Line(line, _) => relay::info!(
            "dmesg: {seconds:>5}.{micros:06} {}: {}",
            line.module,
            line.message
        ),
        // Its text is in the kernel's metadata.
        Next::Statement(_, id, arguments) => {
            relay::info!("dmesg: {seconds:>5}.{micros:06} statement {id}: {arguments:x?}");
        }
        Next::Filler(_) | Next::End => {}
    }
}
