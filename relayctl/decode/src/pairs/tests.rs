//! A model of what a CPU does, with losses put in, knows which exit belongs to which entry.

use std::collections::BTreeMap;

use proptest::prelude::*;
use relay_format::Context::{self, Irq, Nmi, Task};

use super::{Fit, Gap, MAX_OPEN, Pair, Pairing, Unclosed, Why};

/// The class of records that are no end.
const PLAIN: u16 = 99;

/// What the CPU wrote, or tried to.
#[derive(Clone, Copy, Debug)]
struct Said {
    class: u16,
    context: Context,
    /// Of an exit its entry, of an entry its exit, by their places.
    partner: Option<usize>,
    depth: usize,
}

impl Said {
    fn is_entry(&self) -> bool {
        self.class != PLAIN && self.class.is_multiple_of(2)
    }

    fn is_exit(&self) -> bool {
        self.class != PLAIN && !self.is_entry()
    }
}

/// What a CPU does: each step enters something, leaves what it is in, or says something.
fn work(steps: &[(u8, u16, bool)]) -> Vec<Said> {
    let mut said: Vec<Said> = Vec::new();
    let mut inside: Vec<usize> = Vec::new();
    for (what, kind, is_nmi) in steps {
        let now = inside.last().map_or(Task, |at| said[*at].context);
        let (class, context, partner) = match what % 3 {
            0 if inside.len() < 6 => {
                let context = if *is_nmi || now == Nmi { Nmi } else { Irq };
                inside.push(said.len());
                (kind * 2, context, None)
            }
            1 if !inside.is_empty() => {
                let entry = inside.pop().expect("it is not empty");
                said[entry].partner = Some(said.len());
                (said[entry].class + 1, said[entry].context, Some(entry))
            }
            _ => (PLAIN, now, None),
        };
        let depth = inside.len() + usize::from(partner.is_some());
        said.push(Said {
            class,
            context,
            partner,
            depth,
        });
    }
    said
}

/// What becomes of a packet.
#[derive(Clone, Debug)]
enum Fate {
    Whole,
    /// It is not there.
    Missing,
    /// Some of its records found no room: bits say which.
    Lossy(u32),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => Just(Fate::Whole),
        1 => Just(Fate::Missing),
        1 => any::<u32>().prop_map(Fate::Lossy),
    ]
}

/// What came of it all.
#[derive(Debug, Default)]
struct Came {
    /// By place: what is known of records that came.
    fits: BTreeMap<usize, Option<Fit>>,
    unclosed: Vec<Unclosed>,
    /// By place: whether a record is lost, or may lie beside one that is.
    lost: Vec<bool>,
}

/// Gives packets to a pairing that knows of losses, or not.
fn pair(said: &[Said], packets: &[(usize, Fate)], is_told: bool) -> Came {
    let mut pairing = Pairing::new([(0, 1), (2, 3), (4, 5)]);
    let mut came = Came {
        lost: vec![false; said.len()],
        ..Came::default()
    };
    let mut at = 0;
    let mut packets = packets.iter().cycle();
    while at < said.len() {
        let (size, fate) = packets.next().expect("it goes round");
        let end = said.len().min(at + size);
        let lost = |place: usize| match fate {
            Fate::Whole => false,
            Fate::Missing => true,
            Fate::Lossy(bits) => bits >> (place - at) & 1 != 0,
        };
        let count = (at..end).filter(|place| lost(*place)).count();
        if is_told {
            match fate {
                Fate::Missing => pairing.gap(Gap::Missing(count as u64)),
                _ => pairing.lost(count as u64),
            }
        }
        for (place, said) in said.iter().enumerate().take(end).skip(at) {
            let Said { class, context, .. } = *said;
            came.lost[place] = count > 0;
            if !lost(place) {
                let fit = pairing.record(class, place as u64, place as u64 * 10, context, &[]);
                came.fits.insert(place, fit);
            }
        }
        at = end;
    }
    pairing.finish();
    came.unclosed = pairing.take_unclosed();
    came
}

/// Pairs that are not, or lie across a loss.
fn wrong_pairs(said: &[Said], came: &Came) -> Vec<(usize, Pair)> {
    let pairs = came.fits.iter().filter_map(|(exit, fit)| match fit {
        Some(Fit::Exit(pair)) => Some((*exit, *pair)),
        _ => None,
    });
    let is_wrong = |(exit, pair): &(usize, Pair)| {
        let entry = pair.entry as usize;
        said[*exit].partner != Some(entry)
            || pair.begin != entry as u64 * 10
            || pair.depth > said[*exit].depth
            || came.lost[entry..=*exit].contains(&true)
    };
    pairs.filter(is_wrong).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn pairs_are_those_of_the_model_and_none_lies_across_a_loss(
        steps in prop::collection::vec((any::<u8>(), 0..3u16, any::<bool>()), 0..200),
        packets in prop::collection::vec((1..20usize, fate()), 1..20),
    ) {
        let said = work(&steps);
        let came = pair(&said, &packets, true);
        prop_assert_eq!(wrong_pairs(&said, &came), vec![]);
        let whole = |entry: usize, exit: usize| !came.lost[entry..=exit].contains(&true);
        let mut ends: BTreeMap<usize, usize> = BTreeMap::new();
        for (place, fit) in &came.fits {
            let is = said[*place];
            let is_known = |fit: &Option<Fit>| matches!(fit, Some(Fit::Exit(_)));
            match fit {
                None => prop_assert!(!is.is_exit(), "{place} is an exit"),
                Some(Fit::Exit(pair)) => {
                    prop_assert!(is.is_exit());
                    *ends.entry(pair.entry as usize).or_default() += 1;
                }
                Some(Fit::NoEntry(_)) => prop_assert!(is.is_exit()),
                Some(Fit::Since(..) | Fit::Switch { .. }) => prop_assert!(false, "no thread is told of"),
                Some(Fit::NoExit(_)) => {
                    prop_assert!(is.is_entry());
                    *ends.entry(*place).or_default() += 1;
                }
            }
            // What is whole is paired.
            if let Some(entry) = is.partner.filter(|_| is.is_exit()) {
                prop_assert_eq!(whole(entry, *place), is_known(fit), "{} {:?}", place, fit);
            }
        }
        // Every entry that came is told of once.
        for open in &came.unclosed {
            prop_assert!(said[open.number as usize].is_entry());
            *ends.entry(open.number as usize).or_default() += 1;
        }
        for place in came.fits.keys().filter(|place| said[**place].is_entry()) {
            prop_assert_eq!(ends.get(place), Some(&1), "entry {}", place);
        }
    }
}

/// The model notices a pairing that is not told of losses.
#[test]
fn without_the_losses_pairs_would_be_wrong() {
    let mut random = 1u64;
    let mut next = move |below: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) % below
    };
    let mut wrong = 0;
    for _ in 0..200 {
        let steps: Vec<_> = (0..100)
            .map(|_| (next(3) as u8, next(3) as u16, next(2) == 0))
            .collect();
        let said = work(&steps);
        let packets = [
            (7, Fate::Whole),
            (3, Fate::Missing),
            (5, Fate::Whole),
            (4, Fate::Lossy(0b0110)),
        ];
        assert_eq!(wrong_pairs(&said, &pair(&said, &packets, true)), []);
        wrong += wrong_pairs(&said, &pair(&said, &packets, false)).len();
    }
    assert!(wrong > 1000, "{wrong}");
}

/// A pairing of two kinds: classes 0 and 1, 2 and 3.
fn two() -> Pairing {
    Pairing::new([(0, 1), (2, 3)])
}

fn exit(entry: u64, begin: u64, depth: usize) -> Option<Fit> {
    let pair = Pair {
        entry,
        begin,
        depth,
    };
    Some(Fit::Exit(pair))
}

fn whys(pairing: &mut Pairing) -> Vec<(u64, Why)> {
    let unclosed = pairing.take_unclosed();
    unclosed
        .iter()
        .map(|open| (open.number, open.why))
        .collect()
}

#[test]
fn what_lies_in_each_other_is_left_from_the_inside() {
    let mut pairing = two();
    // An interrupt in an interrupt of the same kind, and an NMI in that.
    for (number, class, context) in [(0, 0, Irq), (1, 0, Irq), (2, 2, Nmi)] {
        assert_eq!(
            pairing.record(class, number, number * 5, context, &[]),
            None
        );
    }
    assert_eq!(pairing.record(3, 3, 15, Nmi, &[]), exit(2, 10, 3));
    assert_eq!(pairing.record(1, 4, 20, Irq, &[]), exit(1, 5, 2));
    assert_eq!(pairing.record(1, 5, 25, Irq, &[]), exit(0, 0, 1));
    assert_eq!(whys(&mut pairing), []);
    // It is over.
    let unwritten = Some(Fit::NoEntry(Why::Unwritten));
    assert_eq!(pairing.record(1, 6, 30, Irq, &[]), unwritten);
}

#[test]
fn an_exit_that_is_not_written_ends_with_what_is_around_it() {
    let mut pairing = two();
    pairing.record(0, 0, 0, Irq, &[]);
    pairing.record(2, 1, 1, Nmi, &[]);
    assert_eq!(pairing.record(1, 2, 2, Irq, &[]), exit(0, 0, 1));
    assert_eq!(whys(&mut pairing), [(1, Why::Unwritten)]);
    // Or when what was interrupted goes on.
    pairing.record(0, 3, 3, Irq, &[]);
    pairing.record(2, 4, 4, Nmi, &[]);
    pairing.record(PLAIN, 5, 5, Irq, &[]);
    assert_eq!(whys(&mut pairing), [(4, Why::Unwritten)]);
    pairing.record(PLAIN, 6, 6, Task, &[]);
    assert_eq!(whys(&mut pairing), [(3, Why::Unwritten)]);
    let unwritten = Some(Fit::NoEntry(Why::Unwritten));
    assert_eq!(pairing.record(1, 7, 7, Irq, &[]), unwritten);
}

#[test]
fn a_gap_explains_what_follows_until_a_task_runs() {
    let mut pairing = two();
    pairing.record(0, 0, 0, Irq, &[]);
    let gap = Gap::Missing(12);
    pairing.gap(gap);
    assert_eq!(whys(&mut pairing), [(0, Why::Gap(gap))]);
    let lost = Some(Fit::NoEntry(Why::Gap(gap)));
    assert_eq!(pairing.record(1, 13, 13, Irq, &[]), lost);
    assert_eq!(pairing.record(3, 14, 14, Irq, &[]), lost);
    pairing.record(PLAIN, 15, 15, Task, &[]);
    let unwritten = Some(Fit::NoEntry(Why::Unwritten));
    assert_eq!(pairing.record(1, 16, 16, Irq, &[]), unwritten);
    // What a task enters, a task before the gap may have entered.
    assert_eq!(pairing.record(1, 17, 17, Task, &[]), lost);
}

#[test]
fn in_a_packet_that_lost_records_nothing_is_paired() {
    let mut pairing = two();
    pairing.record(0, 0, 0, Irq, &[]);
    pairing.lost(2);
    let why = Why::Gap(Gap::Lost(2));
    assert_eq!(whys(&mut pairing), [(0, why)]);
    assert_eq!(pairing.record(1, 1, 1, Irq, &[]), Some(Fit::NoEntry(why)));
    assert_eq!(pairing.record(0, 2, 2, Irq, &[]), Some(Fit::NoExit(why)));
    assert_eq!(pairing.record(PLAIN, 3, 3, Irq, &[]), None);
    // In the next one, what was entered there is left.
    pairing.lost(0);
    assert_eq!(pairing.record(1, 4, 4, Irq, &[]), Some(Fit::NoEntry(why)));
    pairing.record(0, 5, 5, Irq, &[]);
    assert_eq!(pairing.record(1, 6, 6, Irq, &[]), exit(5, 5, 1));
    assert_eq!(whys(&mut pairing), []);
}

#[test]
fn what_is_open_is_bounded_and_told_in_the_end() {
    let mut pairing = two();
    let many = MAX_OPEN as u64 + 3;
    for number in 0..many {
        pairing.record(0, number, number, Task, &[]);
        pairing.note_shown(number);
    }
    let too_many: Vec<_> = (0..3).map(|number| (number, Why::TooMany)).collect();
    assert_eq!(whys(&mut pairing), too_many);
    assert_eq!(
        pairing.record(1, many, many, Task, &[]),
        exit(many - 1, many - 1, MAX_OPEN)
    );
    pairing.finish();
    let rest = pairing.take_unclosed();
    assert_eq!(rest.len(), MAX_OPEN - 1);
    assert!(
        rest.iter()
            .all(|open| open.why == Why::End && open.is_shown)
    );
}
