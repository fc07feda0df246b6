//! Maps and unmaps memory all the time, in pairs of threads on different CPUs, and checks that each sees
//! what the other has written there: a CPU that still believed in an old page would see something
//! else. Its arguments: how many pairs, and how many rounds each goes through.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

extern crate alloc;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use relay_abi::{Error, NORMAL_PRIORITY, ThreadOptions};
use relay_rt::memory::{Memory, PAGE};
use relay_rt::{relay, sys, thread};
use spin::Mutex;

relay_rt::entry!(run);

/// Bytes of a thread's stack.
const STACK: usize = 16 * 1024;

/// The most pages that are mapped at once.
const MOST: u64 = 4;

/// Where the two of a pair give each other the pages: whose turn it is, the pages, and the word that
/// they are full of.
struct Table {
    turn: AtomicU64,
    word: AtomicU64,
    pages: Mutex<Option<Memory>>,
}

/// Whose turn it is.
const FIRST: u64 = 0;
const SECOND: u64 = 1;
const OVER: u64 = 2;

/// How many words were wrong.
static WRONG: AtomicU64 = AtomicU64::new(0);

fn run(arguments: &'static str) -> u32 {
    let mut numbers = arguments.split_whitespace().map(str::parse::<u64>);
    let (Some(Ok(pairs)), Some(Ok(rounds))) = (numbers.next(), numbers.next()) else {
        relay::error!("remap: say how many pairs, and how many rounds");
        return 2;
    };
    let mut threads = Vec::new();
    for pair in 0..pairs {
        let table = Arc::new(Table {
            turn: AtomicU64::new(FIRST),
            word: AtomicU64::new(0),
            pages: Mutex::new(None),
        });
        let other = Arc::clone(&table);
        let first = spawn(2 * pair, move || first(&table, pair, rounds));
        let second = spawn(2 * pair + 1, move || second(&other));
        match (first, second) {
            (Ok(first), Ok(second)) => threads.extend([first, second]),
            (first, second) => {
                relay::error!("remap: there are no threads: {:?} {:?}", first, second);
                return 1;
            }
        }
    }
    let all_well = threads.into_iter().all(thread::Thread::join);
    let wrong = WRONG.load(Ordering::Relaxed);
    relay::info!("remap: {pairs} pairs, {rounds} rounds each, {wrong} words were wrong");
    u32::from(!all_well || wrong != 0)
}

/// A thread that runs on one CPU, modulo 8; where there are fewer CPUs, on any.
fn spawn(
    cpu: u64,
    run: impl FnOnce() -> bool + Send + 'static,
) -> Result<thread::Thread<bool>, Error> {
    let on = |cpus| ThreadOptions {
        priority: NORMAL_PRIORITY,
        cpus,
    };
    let one = on(1 << (cpu % 8));
    let is_there = sys::thread_options(&one).is_ok();
    thread::spawn(STACK, if is_there { one } else { on(0) }, run)
}

/// What stands in a page: the same in no two rounds, of no two pairs, of no two programs.
fn tag(pair: u64, round: u64) -> u64 {
    u64::from(sys::who().process) << 48 | pair << 32 | round << 1
}

/// Waits until it is so.
fn wait(table: &Table, turn: u64) -> bool {
    loop {
        match table.turn.load(Ordering::Acquire) {
            OVER => return false,
            found if found == turn => return true,
            _ => sys::yield_now(),
        }
    }
}

/// Counts words of the pages that are not as they should be.
fn check(pages: &mut Memory, wanted: u64) {
    let words = pages.bytes().chunks_exact(8);
    let wrong = words.filter(|word| *word != wanted.to_ne_bytes()).count();
    WRONG.fetch_add(wrong as u64, Ordering::Relaxed);
}

/// Writes words into the pages.
fn fill(pages: &mut Memory, word: u64) {
    for chunk in pages.bytes().chunks_exact_mut(8) {
        chunk.copy_from_slice(&word.to_ne_bytes());
    }
}

/// Maps pages, writes into them, has the other one write, looks, and unmaps them.
fn first(table: &Table, pair: u64, rounds: u64) -> bool {
    let mut is_well = true;
    for round in 0..rounds {
        let length = (round * 7 + pair) % MOST + 1;
        let mut pages = match Memory::new(length as usize * PAGE) {
            Ok(pages) => pages,
            Err(error) => {
                relay::error!("remap: no pages: {}", error);
                is_well = false;
                break;
            }
        };
        let word = tag(pair, round);
        check(&mut pages, 0);
        fill(&mut pages, word);
        table.word.store(word, Ordering::Relaxed);
        *table.pages.lock() = Some(pages);
        table.turn.store(SECOND, Ordering::Release);
        wait(table, FIRST);
        if let Some(mut pages) = table.pages.lock().take() {
            check(&mut pages, word + 1);
        }
    }
    table.turn.store(OVER, Ordering::Release);
    is_well
}

/// Looks at what the other one has written, and writes.
fn second(table: &Table) -> bool {
    while wait(table, SECOND) {
        let mut pages = table.pages.lock();
        if let Some(pages) = &mut *pages {
            let word = table.word.load(Ordering::Relaxed);
            check(pages, word);
            fill(pages, word + 1);
        }
        drop(pages);
        table.turn.store(FIRST, Ordering::Release);
    }
    true
}
