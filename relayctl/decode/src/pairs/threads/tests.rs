//! A model of threads on several CPUs, with losses put in, knows what belongs together.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// The classes.
const SWITCH: u16 = 0;
const WAKING: u16 = 1;
const WAKEUP: u16 = 2;
const END: u16 = 3;
const SEND: u16 = 4;
const RECEIVE: u16 = 5;
const REPLY: u16 = 6;
/// Entries of calls; an exit is one more.
const CALLS: [u16; 2] = [10, 12];

fn threads() -> Threads {
    let calls = CALLS.into_iter().zip(0..);
    let calls =
        calls.flat_map(|(entry, kind)| [(entry, Role::Entry(kind)), (entry + 1, Role::Exit(kind))]);
    let others = [
        (SWITCH, Role::Switch { prev: 0, next: 1 }),
        (WAKING, Role::Waking(0)),
        (WAKEUP, Role::Woken(0)),
        (END, Role::End(0)),
        (SEND, Role::Send(0)),
        (RECEIVE, Role::Receive(0)),
        (REPLY, Role::Reply(0)),
    ];
    Threads {
        roles: Roles::new(calls.chain(others)),
        ..Threads::default()
    }
}

/// A record that a CPU wrote, or tried to: its time is its place among all, times ten.
#[derive(Clone, Debug)]
struct Said {
    cpu: u32,
    class: u16,
    values: [i64; 2],
    number: u64,
    /// What it should be paired with if nothing is lost.
    fit: Option<Fit>,
    is_entry: bool,
}

const CPUS: u32 = 3;
const THREADS: i64 = 6;

/// What the machine does: each step is something that one CPU does.
fn work(steps: &[(u8, u32, i64)]) -> Vec<Said> {
    let mut said: Vec<Said> = Vec::new();
    let mut running: HashMap<u32, (i64, Option<Since>)> = HashMap::new();
    let mut calls: HashMap<i64, (u16, Since)> = HashMap::new();
    let mut woken: HashMap<i64, Since> = HashMap::new();
    let mut waiting: HashMap<i64, Since> = HashMap::new();
    let mut numbers: HashMap<u32, u64> = HashMap::new();
    for (what, cpu, thread) in steps {
        let (cpu, thread) = (cpu % CPUS, thread.rem_euclid(THREADS));
        let (own, since) = running.get(&cpu).copied().unwrap_or((0, None));
        let number = numbers.get(&cpu).copied().unwrap_or(0);
        let ns = said.len() as u64 * 10;
        let at = Since { cpu, number, ns };
        let runs_elsewhere = running.values().any(|(it, _)| *it == thread);
        let (class, values, fit) = match what % 9 {
            0..=2 if thread == 0 || !runs_elsewhere => {
                let ran = since;
                let woken = woken.remove(&thread).filter(|_| thread != 0);
                running.insert(cpu, (thread, Some(at)));
                let is_known = ran.is_some() || woken.is_some();
                let fit = is_known.then_some(Fit::Switch { ran, woken });
                (SWITCH, [own, thread], fit)
            }
            3 if thread != 0 && !runs_elsewhere && !woken.contains_key(&thread) => {
                woken.insert(thread, at);
                (WAKING, [thread, 0], None)
            }
            4 if woken.contains_key(&thread) => {
                let fit = Fit::Since(Link::Waking, woken[&thread]);
                (WAKEUP, [thread, 0], Some(fit))
            }
            5 if own != 0 && !waiting.contains_key(&own) => {
                waiting.insert(own, at);
                (SEND, [own, 0], None)
            }
            6 if waiting.contains_key(&thread) => {
                let fit = Fit::Since(Link::Asked, waiting[&thread]);
                waiting.remove(&thread);
                (REPLY, [thread, 0], Some(fit))
            }
            _ if own != 0 => match calls.remove(&own) {
                Some((entry, since)) => {
                    let fit = Fit::Since(Link::Call, since);
                    (entry + 1, [0; 2], Some(fit))
                }
                None => {
                    let entry = CALLS[thread as usize % CALLS.len()];
                    calls.insert(own, (entry, at));
                    (entry, [0; 2], None)
                }
            },
            _ => continue,
        };
        numbers.insert(cpu, number + 1);
        said.push(Said {
            cpu,
            class,
            values,
            number,
            fit,
            is_entry: CALLS.contains(&class),
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
        6 => Just(Fate::Whole),
        1 => Just(Fate::Missing),
        1 => any::<u32>().prop_map(Fate::Lossy),
    ]
}

/// A packet of a CPU: how many records there are that do not come, and which do.
struct Packet {
    lost: u64,
    is_missing: bool,
    records: Vec<usize>,
}

/// The packets of a CPU.
fn packets(said: &[Said], cpu: u32, fates: &[(usize, Fate)]) -> Vec<Packet> {
    let own: Vec<usize> = (0..said.len()).filter(|at| said[*at].cpu == cpu).collect();
    let mut rest = own.as_slice();
    let mut packets = Vec::new();
    // Each CPU has others.
    let mut fates = fates.iter().cycle().skip(cpu as usize);
    while !rest.is_empty() {
        let (size, fate) = fates.next().expect("it goes round");
        let (packet, behind) = rest.split_at(rest.len().min(*size));
        rest = behind;
        let is_missing = matches!(fate, Fate::Missing);
        let is_lost = |place: usize| match fate {
            Fate::Whole => false,
            Fate::Missing => true,
            Fate::Lossy(bits) => bits >> (place % 32) & 1 != 0,
        };
        let kept = packet.iter().enumerate().filter(|(at, _)| !is_lost(*at));
        let records: Vec<usize> = kept.map(|(_, record)| *record).collect();
        packets.push(Packet {
            lost: (packet.len() - records.len()) as u64,
            is_missing,
            records,
        });
    }
    packets
}

/// What came of it: fits by the places of their records, and calls that were not closed.
type Came = (Vec<(usize, Option<Fit>)>, Vec<(u32, Unclosed)>);

/// Gives the records to what follows threads, which knows of losses, or not.
fn follow(said: &[Said], fates: &[(usize, Fate)], is_told: bool) -> Came {
    let mut threads = threads();
    let mut queues: Vec<_> = (0..CPUS)
        .map(|cpu| packets(said, cpu, fates).into_iter())
        .collect();
    let mut current: Vec<Vec<usize>> = vec![Vec::new(); CPUS as usize];
    // As a merge does: the next packet is looked at when the one before is empty.
    let mut advance = |threads: &mut Threads, current: &mut Vec<usize>, cpu: usize| {
        while current.is_empty() {
            let Some(packet) = queues[cpu].next() else {
                return;
            };
            match (is_told, packet.is_missing) {
                (false, _) => {}
                (true, true) => threads.gap(cpu as u32, Gap::Missing(packet.lost)),
                (true, false) => threads.lost(cpu as u32, packet.lost),
            }
            *current = packet.records;
            current.reverse();
        }
    };
    for (cpu, current) in current.iter_mut().enumerate() {
        advance(&mut threads, current, cpu);
    }
    let (mut fits, mut unclosed) = (Vec::new(), Vec::new());
    for (place, said) in said.iter().enumerate() {
        let cpu = said.cpu as usize;
        if current[cpu].last() != Some(&place) {
            continue;
        }
        let at = Since {
            cpu: said.cpu,
            number: said.number,
            ns: place as u64 * 10,
        };
        let values = said.values.map(Value::Signed);
        fits.push((place, threads.record(said.class, at, &values)));
        threads.note_shown(said.cpu, said.number);
        current[cpu].pop();
        advance(&mut threads, &mut current[cpu], cpu);
        unclosed.append(&mut threads.take_unclosed());
    }
    threads.finish();
    unclosed.append(&mut threads.take_unclosed());
    (fits, unclosed)
}

/// Fits that say what is not so.
fn wrong(said: &[Said], fits: &[(usize, Option<Fit>)]) -> Vec<(usize, Fit)> {
    let is_part = |is: Option<Since>, should: Option<Since>| is.is_none() || is == should;
    let is_wrong = |(place, fit): (usize, Fit)| match (fit, said[place].fit) {
        (Fit::Since(..), should) => Some(fit) != should,
        (
            Fit::Switch { ran, woken },
            Some(Fit::Switch {
                ran: has_run,
                woken: was_woken,
            }),
        ) => !is_part(ran, has_run) || !is_part(woken, was_woken),
        (Fit::Switch { .. } | Fit::Exit(_), _) => true,
        (Fit::NoEntry(_) | Fit::NoExit(_), _) => false,
    };
    let known = fits
        .iter()
        .filter_map(|(place, fit)| Some((*place, (*fit)?)));
    known.filter(|it| is_wrong(*it)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_paired_is_that_of_the_model_and_nothing_lies_across_a_loss(
        steps in prop::collection::vec((any::<u8>(), any::<u32>(), any::<i64>()), 0..300),
        fates in prop::collection::vec((1..20usize, fate()), 1..20),
    ) {
        let said = work(&steps);
        let (fits, unclosed) = follow(&said, &fates, true);
        prop_assert_eq!(wrong(&said, &fits), vec![]);
        // Each entry that came is told of once.
        let mut ends: HashMap<(u32, u64), usize> = HashMap::new();
        for (place, fit) in &fits {
            match fit {
                Some(Fit::Since(Link::Call, since)) => {
                    *ends.entry((since.cpu, since.number)).or_default() += 1;
                }
                Some(Fit::NoExit(_)) => {
                    *ends.entry((said[*place].cpu, said[*place].number)).or_default() += 1;
                }
                _ => {}
            }
        }
        for (cpu, unclosed) in &unclosed {
            prop_assert!(unclosed.is_shown);
            *ends.entry((*cpu, unclosed.number)).or_default() += 1;
        }
        for (place, _) in fits.iter().filter(|(place, _)| said[*place].is_entry) {
            let said = &said[*place];
            prop_assert_eq!(ends.get(&(said.cpu, said.number)), Some(&1), "{:?}", said);
        }
    }

    #[test]
    fn without_losses_all_is_paired(
        steps in prop::collection::vec((any::<u8>(), any::<u32>(), any::<i64>()), 0..300),
        size in 1..20usize,
    ) {
        let said = work(&steps);
        let (fits, _) = follow(&said, &[(size, Fate::Whole)], true);
        for (place, fit) in fits {
            prop_assert_eq!(fit, said[place].fit, "{} {:?}", place, said[place]);
        }
    }
}

/// The model notices what is not told of losses.
#[test]
fn without_the_losses_pairs_would_be_wrong() {
    let mut random = 1u64;
    let mut next = move |below: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) % below
    };
    let mut found = 0;
    for _ in 0..200 {
        let steps: Vec<_> = (0..300)
            .map(|_| (next(9) as u8, next(3) as u32, next(6) as i64))
            .collect();
        let said = work(&steps);
        let fates = [
            (7, Fate::Whole),
            (3, Fate::Missing),
            (15, Fate::Whole),
            (4, Fate::Lossy(0b0110)),
        ];
        assert_eq!(wrong(&said, &follow(&said, &fates, true).0), []);
        found += wrong(&said, &follow(&said, &fates, false).0).len();
    }
    assert!(found > 300, "{found}");
}

fn at(cpu: u32, number: u64, ns: u64) -> Since {
    Since { cpu, number, ns }
}

/// Records of numbers.
fn record(threads: &mut Threads, class: u16, at: Since, values: [i64; 2]) -> Option<Fit> {
    threads.record(class, at, &values.map(Value::Signed))
}

#[test]
fn a_call_is_left_on_another_cpu_than_it_was_entered_on() {
    let mut threads = threads();
    record(&mut threads, SWITCH, at(0, 0, 10), [0, 7]);
    record(&mut threads, CALLS[0], at(0, 1, 20), [0; 2]);
    record(&mut threads, SWITCH, at(0, 2, 30), [7, 0]);
    record(&mut threads, WAKING, at(2, 0, 40), [7, 0]);
    let ran = record(&mut threads, SWITCH, at(1, 0, 50), [0, 7]);
    let (ran_before, woken) = (None, Some(at(2, 0, 40)));
    assert_eq!(
        ran,
        Some(Fit::Switch {
            ran: ran_before,
            woken
        })
    );
    let call = record(&mut threads, CALLS[0] + 1, at(1, 1, 60), [0; 2]);
    assert_eq!(call, Some(Fit::Since(Link::Call, at(0, 1, 20))));
}

#[test]
fn a_loss_on_one_cpu_leaves_what_runs_on_another() {
    let mut threads = threads();
    for (cpu, thread) in [(0, 7), (1, 8)] {
        record(&mut threads, SWITCH, at(cpu, 0, 10), [0, thread]);
        record(&mut threads, CALLS[0], at(cpu, 1, 20), [0; 2]);
    }
    let gap = Gap::Missing(3);
    threads.gap(0, gap);
    // That of the other CPU cannot have been here.
    let call = record(&mut threads, CALLS[0] + 1, at(1, 2, 30), [0; 2]);
    assert_eq!(call, Some(Fit::Since(Link::Call, at(1, 1, 20))));
    record(&mut threads, CALLS[0], at(1, 3, 40), [0; 2]);
    // From now on it can.
    record(&mut threads, SWITCH, at(1, 4, 50), [8, 0]);
    record(&mut threads, SWITCH, at(1, 5, 60), [0, 8]);
    let call = record(&mut threads, CALLS[0] + 1, at(1, 6, 70), [0; 2]);
    assert_eq!(call, Some(Fit::NoEntry(Why::Gap(gap))));
    // Behind the loss nobody knows what runs there.
    let call = record(&mut threads, CALLS[0] + 1, at(0, 5, 80), [0; 2]);
    assert_eq!(call, Some(Fit::NoEntry(Why::NoThread)));
}

#[test]
fn messages_are_answered() {
    let mut threads = threads();
    record(&mut threads, SEND, at(0, 0, 10), [7, 0]);
    let sent = record(&mut threads, RECEIVE, at(1, 0, 20), [7, 0]);
    assert_eq!(sent, Some(Fit::Since(Link::Sent, at(0, 0, 10))));
    let asked = record(&mut threads, REPLY, at(1, 1, 30), [7, 0]);
    assert_eq!(asked, Some(Fit::Since(Link::Asked, at(0, 0, 10))));
    let again = record(&mut threads, REPLY, at(1, 2, 40), [7, 0]);
    assert_eq!(again, Some(Fit::NoEntry(Why::Unwritten)));
}

#[test]
fn threads_that_end_leave_no_call_to_others_of_their_number() {
    let mut threads = threads();
    record(&mut threads, SWITCH, at(0, 0, 10), [0, 7]);
    record(&mut threads, CALLS[0], at(0, 1, 20), [0; 2]);
    threads.note_shown(0, 1);
    record(&mut threads, END, at(0, 2, 30), [7, 0]);
    let unclosed = threads.take_unclosed();
    let [
        (
            0,
            Unclosed {
                number: 1,
                why: Why::Ended,
                is_shown: true,
                ..
            },
        ),
    ] = unclosed[..]
    else {
        panic!("{unclosed:?}");
    };
    let call = record(&mut threads, CALLS[0] + 1, at(0, 3, 40), [0; 2]);
    assert_eq!(call, Some(Fit::NoEntry(Why::Unwritten)));
}

#[test]
fn what_comes_out_of_order_is_believed_no_more() {
    let mut threads = threads();
    record(&mut threads, SWITCH, at(0, 0, 10), [0, 7]);
    record(&mut threads, CALLS[0], at(0, 1, 20), [0; 2]);
    record(&mut threads, SWITCH, at(1, 0, 15), [0, 8]);
    let call = record(&mut threads, CALLS[0] + 1, at(0, 2, 30), [0; 2]);
    assert_eq!(call, Some(Fit::NoEntry(Why::NoThread)));
}
