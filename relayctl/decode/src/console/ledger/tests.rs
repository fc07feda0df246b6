//! Tests of `ledger`.

use proptest::prelude::*;

use super::*;

/// Feeds console text and returns the ledger.
fn ledger(text: &str) -> Ledger {
    let mut ledger = Ledger::new();
    for line in text.lines() {
        ledger.take(&Line::parse(line));
    }
    ledger
}

fn record(cpu: u32, number: u64) -> String {
    format!("[    1.000000] {cpu}:{number} task INFO  m f.rs:1: x\n")
}

fn end(cpu: u32, attempted: u64, delivered: u64, full: u64) -> String {
    format!(
        "-- cpu {cpu}: end of stream: attempted {attempted}, delivered {delivered}, \
         lost {full} (full {full}, too_big 0, wrapped 0, nested 0, closed 0, discarded 0)\n"
    )
}

fn broken(ledger: &Ledger) -> String {
    match ledger.verdict() {
        Verdict::Broken(reasons) => reasons.join("; "),
        other => panic!("should be broken, is {other:?}"),
    }
}

#[test]
fn a_closed_stream_balances() {
    let text = record(0, 0) + &record(0, 1) + &end(0, 5, 2, 3);
    let ledger = ledger(&text);
    assert_eq!(ledger.verdict(), Verdict::Complete);
    let expected = Balance {
        attempted: 5,
        delivered: 2,
        lost: relay_format::Losses([3, 0, 0, 0, 0, 0]).into(),
        ..Balance::default()
    };
    assert_eq!(ledger.balance(), expected);
}

#[test]
fn what_cpus_without_a_ring_lost_is_in_the_sums() {
    let text = record(0, 0) + &end(0, 4, 1, 3) + "-- 12 records lost on CPUs without a ring\n";
    let ledger = ledger(&text);
    assert_eq!(ledger.verdict(), Verdict::Complete);
    let balance = ledger.balance();
    assert_eq!((balance.attempted, balance.delivered), (16, 1));
    assert_eq!((balance.lost.no_ring, balance.lost.total()), (12, 15));
}

#[test]
fn nothing_seen_proves_nothing() {
    assert_eq!(ledger("").verdict(), Verdict::Open);
}

#[test]
fn a_stream_without_end_is_open() {
    let ledger = ledger(&(record(0, 0) + &record(1, 0) + &end(1, 1, 1, 0)));
    assert_eq!(ledger.verdict(), Verdict::Open);
    assert_eq!(ledger.balance().attempted, 2);
}

#[test]
fn a_gap_is_unaccounted() {
    let gap = record(0, 0) + &record(0, 3);
    assert_eq!(ledger(&gap).balance().unaccounted, 2);
    assert!(broken(&ledger(&gap)).contains("cpu 0: 2 record numbers never came"));
    // Also when the guest claims to have delivered them.
    let closed = gap + &end(0, 4, 4, 0);
    assert_eq!(ledger(&closed).balance().unaccounted, 2);
    assert!(broken(&ledger(&closed)).contains("the guest delivered 4, the host received 2"));
}

#[test]
fn a_missing_tail_is_unaccounted() {
    let ledger = ledger(&(record(0, 0) + &end(0, 4, 1, 0)));
    assert_eq!(ledger.balance().unaccounted, 3);
    assert!(broken(&ledger).contains("attempted 4, but 1 delivered + 0 skipped + 0 lost"));
}

#[test]
fn a_gap_of_discarded_records_is_explained() {
    let text = record(0, 0)
        + &record(0, 2)
        + "-- cpu 0: end of stream: attempted 3, delivered 2, lost 1 (full 0, discarded 1)\n";
    assert_eq!(ledger(&text).verdict(), Verdict::Complete);
}

#[test]
fn what_the_console_was_too_slow_for_is_explained_if_it_says_so() {
    let skipped = "-- cpu 0: 3 records skipped before 0:4: the console is too slow\n";
    let end = "-- cpu 0: end of stream: attempted 7, delivered 2, skipped 3, lost 2 (full 2)\n";
    let good = record(0, 0) + skipped + &record(0, 4) + end;
    let console = ledger(&good);
    assert_eq!(console.verdict(), Verdict::Complete);
    let expected = Balance {
        attempted: 4,
        delivered: 2,
        lost: relay_format::Losses([2, 0, 0, 0, 0, 0]).into(),
        ..Balance::default()
    };
    assert_eq!(console.balance(), expected);
    // It must say so where it was, and how many in all.
    let silent = good.replace(skipped, "");
    assert!(broken(&ledger(&silent)).contains("3 record numbers never came"));
    assert!(broken(&ledger(&silent)).contains("skipped 3 records, and named 0"));
    let fewer = good.replace("3 records skipped", "2 records skipped");
    assert!(broken(&ledger(&fewer)).contains("1 record numbers never came"));
    let last = record(0, 0) + "-- cpu 0: 1 record skipped before 0:2: the console is too slow\n";
    assert_eq!(ledger(&last).verdict(), Verdict::Open);
}

#[test]
fn late_and_double_records_are_told_apart() {
    let text = record(0, 0) + &record(0, 4) + &record(0, 2) + &record(0, 2) + &record(0, 4);
    let ledger = ledger(&text);
    let (_, stream) = ledger.streams().next().expect("one stream");
    assert_eq!(
        (stream.delivered, stream.out_of_order, stream.duplicates),
        (3, 1, 2)
    );
    assert_eq!(stream.skipped(), 2);
}

#[test]
fn time_may_not_run_backward_within_a_cpu() {
    let early = "[    0.500000] 0:1 task INFO  m f.rs:1: x\n";
    assert!(broken(&ledger(&(record(0, 0) + early))).contains("stamped earlier"));
    // Another CPU's clock is another stream's business.
    let other = "[    0.500000] 1:0 task INFO  m f.rs:1: x\n";
    assert_eq!(ledger(&(record(0, 0) + other)).verdict(), Verdict::Open);
}

#[test]
fn more_losses_announced_than_claimed_is_broken() {
    let text = record(0, 0)
        + "-- cpu 0: 7 records lost before 0:1 (full 7)\n"
        + &record(0, 1)
        + &end(0, 5, 2, 3);
    assert!(broken(&ledger(&text)).contains("7 losses (full) were announced"));
}

#[test]
fn losses_by_reason_must_add_up() {
    let text = record(0, 0)
        + "-- cpu 0: end of stream: attempted 4, delivered 1, lost 3 (full 2, closed 2)\n";
    assert!(broken(&ledger(&text)).contains("3 records lost in all, but 4 by reason"));
}

#[test]
fn a_panic_leaves_streams_open() {
    let text = record(2, 0)
        + "-- cpu 2: 1 records uncommitted at panic\n"
        + "-- cpu 2: stream is not closed, 1 records printed\n";
    let good = ledger(&text);
    assert_eq!(good.verdict(), Verdict::Open);
    let expected = Balance {
        attempted: 2,
        delivered: 1,
        uncommitted: 1,
        ..Balance::default()
    };
    assert_eq!(good.balance(), expected);
    assert!(
        broken(&ledger(
            &text.replace("1 records printed", "2 records printed")
        ))
        .contains("says it printed 2")
    );
}

#[test]
fn a_record_that_was_cut_off_comes_again() {
    let cut = record(0, 0) + &record(0, 1) + "-- the line above was cut off\n";
    let good = ledger(&(cut.clone() + &record(0, 1) + &record(0, 2)));
    assert_eq!(
        (good.verdict(), good.balance().delivered),
        (Verdict::Open, 3)
    );
    // Once, and no other one.
    assert!(broken(&ledger(&(cut.clone() + &record(0, 1) + &record(0, 1)))).contains("twice"));
    assert!(broken(&ledger(&(cut + &record(0, 0)))).contains("twice"));
}

#[test]
fn a_stream_ends_once() {
    let twice = record(0, 0) + &end(0, 1, 1, 0) + &end(0, 1, 1, 0);
    assert!(broken(&ledger(&twice)).contains("1 ends of a stream that had ended"));
    let after = end(0, 1, 1, 0) + &record(0, 0);
    assert!(broken(&ledger(&after)).contains("after the end"));
}

#[test]
fn absurd_claims_are_bounded() {
    let mut text = record(4_000_000, 0) + &record(0, u64::MAX) + &record(0, u64::MAX - 1);
    for n in 0..2000 {
        text += &record(1, n * 2);
    }
    text += &end(1, u64::MAX, u64::MAX, u64::MAX);
    let ledger = ledger(&text);
    assert_eq!(ledger.foreign(), 1);
    assert!(ledger.streams().all(|(_, s)| s.gaps.len() <= MAX_GAPS));
    assert!(matches!(ledger.verdict(), Verdict::Broken(_)));
    let _ = ledger.balance();
}

proptest! {
    /// Against a simple model: a set of all numbers seen.
    #[test]
    fn delivered_is_what_a_set_would_count(numbers in prop::collection::vec(0u64..60, 0..120)) {
        let text: String = numbers.iter().map(|n| record(0, *n)).collect();
        let ledger = ledger(&text);
        let seen: std::collections::BTreeSet<u64> = numbers.iter().copied().collect();
        let balance = ledger.balance();
        prop_assert_eq!(balance.delivered, seen.len() as u64);
        let highest = seen.last().map_or(0, |n| n + 1);
        prop_assert_eq!(balance.unaccounted, highest - seen.len() as u64);
        let in_order = numbers.windows(2).all(|w| w[0] + 1 == w[1])
            && numbers.first().is_none_or(|n| *n == 0);
        prop_assert_eq!(matches!(ledger.verdict(), Verdict::Broken(_)), !in_order);
    }
}
