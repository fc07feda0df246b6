//! What the console has yet to print of a CPU's klog: copies of its packets, in bounded memory.
//!
//! The console is slow, and must hold up nobody: what it will print is copied here, and the packet
//! itself goes on to its sink. Where there is no room for a copy, the console skips that packet;
//! the numbers of the records say so.
//!
//! # States and orderings
//!
//! A queue of one producer (who holds the stream's [intake](super::intake)) and one consumer (who
//! holds the console), in words that everybody may read at any time.
//!
//! | word | who writes | |
//! |---|---|---|
//! | `tail` | producer | words written so far; Release, after the words of a packet: who sees it sees them |
//! | `head` | consumer | words done with so far; Release, after the packet was printed: who sees it may write over them |
//! | `words` | producer | Relaxed: those from `head` to `tail` do not change |
//! | `quiet` | producer | Release, after `tail`: what is not in the queue then is younger, or was skipped |
//!
//! A panic reads the queue of CPUs that have stopped, wherever they were: a packet whose `tail` was
//! not stored is still in the ring, since it is given back after that; a packet whose `head` was
//! not stored is here, and the number of the first unprinted record tells how far it was printed.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use relay::{Losses, Packet};
use spin::Once;

use crate::base::cpuset::MAX_CPUS;
use crate::logs::klog;

/// Words for the copies of a CPU's packets: half of what its ring holds.
const WORDS: usize = 8192;

/// Words before a packet's records.
const HEAD: usize = 5 + Losses::NONE.0.len();

/// Marks the last packet of a stream in the word that tells the length.
const FINAL: u64 = 1 << 63;

/// The copies of each CPU's packets, where there is a console.
static COPIES: [Once<Copies>; MAX_CPUS] = [const { Once::new() }; MAX_CPUS];

/// Keeps copies for a console from now on, of those of CPUs 0 to `cpus - 1` that have a log. Task
/// context on the boot CPU, before the [intakes](super::intake) start.
pub(super) fn keep(cpus: usize) {
    for (cpu, copies) in COPIES.iter().enumerate().take(cpus) {
        if klog::CHANNEL.stats(cpu).is_some() {
            copies.call_once(|| Copies::new(WORDS));
        }
    }
}

/// The copies of all CPUs of which there are some. Any context.
pub(super) fn all() -> impl Iterator<Item = (usize, &'static Copies)> {
    let all = COPIES.iter().enumerate();
    all.filter_map(|(cpu, copies)| Some((cpu, copies.get()?)))
}

/// The copies of the packets of `cpu`; `None` if nobody prints them. Any context.
pub(super) fn of(cpu: usize) -> Option<&'static Copies> {
    COPIES.get(cpu)?.get()
}

/// The queue of one CPU. Its size in words is a power of two.
#[derive(Debug)]
pub(super) struct Copies {
    words: Box<[AtomicU64]>,
    head: AtomicUsize,
    tail: AtomicUsize,
    quiet: AtomicU64,
}

/// What is known of a packet that was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Copied {
    /// The number of its first record in the stream.
    pub(super) ordinal: u64,
    /// How many records lie in it.
    pub(super) records: u64,
    /// When it was opened and closed, in ticks.
    pub(super) begin_ticks: u64,
    pub(super) end_ticks: u64,
    /// Records lost up to its closing, by reason.
    pub(super) lost: Losses,
    /// It is the last one.
    pub(super) is_final: bool,
    /// Bytes of its records.
    pub(super) length: usize,
    /// Where it lies, and the next.
    at: usize,
    pub(super) next: usize,
}

impl Copied {
    /// The number of the first record behind it.
    pub(super) fn end(&self) -> u64 {
        self.ordinal.wrapping_add(self.records)
    }
}

impl Copies {
    /// An empty queue of so many words, which hold two packets at least.
    pub(super) fn new(words: usize) -> Self {
        debug_assert!(words.is_power_of_two() && words >= 2 * Self::longest());
        Self {
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            head: AtomicUsize::new(0),
            tail: AtomicUsize::new(0),
            quiet: AtomicU64::new(0),
        }
    }

    /// Words of the longest packet.
    const fn longest() -> usize {
        HEAD + klog::MAX_PACKET.div_ceil(8)
    }

    /// Whether there surely is room for a packet, without what is kept for the last one.
    pub(super) fn has_room(&self) -> bool {
        self.free() >= 2 * Self::longest()
    }

    fn free(&self) -> usize {
        // Acquire: what the consumer is done with may be written over.
        let head = self.head.load(Ordering::Acquire);
        self.words.len() - self.tail.load(Ordering::Relaxed).wrapping_sub(head)
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        &self.words[at & (self.words.len() - 1)]
    }

    /// Copies a packet with these records; false if there is no room. Room for the last packet of
    /// the stream, which tells of its end, is kept from the others. Producer only.
    pub(super) fn push(&self, packet: &Packet, records: &[u8]) -> bool {
        let size = HEAD + records.len().div_ceil(8);
        let kept = if packet.is_final { 0 } else { Self::longest() };
        if self.free() < size + kept {
            return false;
        }
        let tail = self.tail.load(Ordering::Relaxed);
        let mark = if packet.is_final { FINAL } else { 0 };
        let known = [
            records.len() as u64 | mark,
            packet.ordinal,
            packet.records,
            packet.begin_ticks,
            packet.end_ticks,
        ];
        let head = known.into_iter().chain(packet.lost.0);
        let bytes = records.chunks(8).map(|bytes| {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            u64::from_le_bytes(word)
        });
        for (index, word) in head.chain(bytes).enumerate() {
            self.word(tail.wrapping_add(index))
                .store(word, Ordering::Relaxed);
        }
        self.tail.store(tail.wrapping_add(size), Ordering::Release);
        true
    }

    /// Says that what was written before this time, in ticks, is here or was skipped. Producer
    /// only.
    pub(super) fn set_quiet(&self, ticks: u64) {
        self.quiet.store(ticks, Ordering::Release);
    }

    /// What is not here was written after this time, in ticks, or was skipped. Read it before the
    /// [`first`](Self::first) that it is to be used with.
    pub(super) fn quiet(&self) -> u64 {
        self.quiet.load(Ordering::Acquire)
    }

    /// The packet that was copied first, if there is one.
    pub(super) fn first(&self) -> Option<Copied> {
        self.at(self.head.load(Ordering::Relaxed))
    }

    /// The packet at `at`, which is [`next`](Copied::next) of one that is still here.
    pub(super) fn at(&self, at: usize) -> Option<Copied> {
        let there = self.tail.load(Ordering::Acquire).wrapping_sub(at);
        // More than there can be: somebody who did not stop has changed it meanwhile.
        if there < HEAD || there > self.words.len() {
            return None;
        }
        let word = |index| self.word(at.wrapping_add(index)).load(Ordering::Relaxed);
        let length = (word(0) & !FINAL) as usize;
        if length > klog::MAX_PACKET || HEAD + length.div_ceil(8) > there {
            return None;
        }
        Some(Copied {
            ordinal: word(1),
            records: word(2),
            begin_ticks: word(3),
            end_ticks: word(4),
            lost: Losses(core::array::from_fn(|index| word(5 + index))),
            is_final: word(0) & FINAL != 0,
            length,
            at,
            next: at.wrapping_add(HEAD + length.div_ceil(8)),
        })
    }

    /// The records of a packet that is here, in `into`, which has room for them.
    pub(super) fn read<'b>(&self, packet: &Copied, into: &'b mut [u8]) -> &'b [u8] {
        let length = packet.length.min(into.len());
        let into = &mut into[..length];
        for (index, bytes) in into.chunks_mut(8).enumerate() {
            let at = packet.at.wrapping_add(HEAD + index);
            let word = self.word(at).load(Ordering::Relaxed).to_le_bytes();
            bytes.copy_from_slice(&word[..bytes.len()]);
        }
        into
    }

    /// The console is done with a packet and with those before it. Consumer only.
    pub(super) fn release(&self, packet: &Copied) {
        self.head.store(packet.next, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
