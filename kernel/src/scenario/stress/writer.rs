//! What one CPU writes: records of random lengths, in every way of writing.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use relay::event::Event;
use relay::record::STAMP;

use super::random::Random;
use crate::base::cpuset::MAX_CPUS;
use crate::cpu::percpu;
use crate::logs::flood::{ATTEMPTS, CHANNEL, Flood};

/// The most bytes of data in most records.
const SHORT: u64 = 64;
/// Of so many records one is longer, up to what a sub-buffer holds.
const RARELY: u64 = 32;

/// One CPU's part.
#[repr(align(128))]
pub(super) struct Part {
    /// Its task writes, so interrupts shall write, too.
    is_writing: AtomicBool,
    /// It has written all it shall.
    is_done: AtomicBool,
    /// Records tried from task, interrupt and NMI context: the number of the next one.
    tried: [AtomicU64; 3],
}

static PARTS: [Part; MAX_CPUS] = [const {
    Part {
        is_writing: AtomicBool::new(false),
        is_done: AtomicBool::new(false),
        tried: [const { AtomicU64::new(0) }; 3],
    }
}; MAX_CPUS];

impl Part {
    pub(super) fn of(cpu: usize) -> &'static Self {
        &PARTS[cpu % MAX_CPUS]
    }

    /// Interrupts write from now on.
    pub(super) fn begin(&self) {
        self.is_writing.store(true, Ordering::Relaxed);
    }

    /// Nothing is written any more.
    pub(super) fn end(&self) {
        self.is_writing.store(false, Ordering::Relaxed);
        self.is_done.store(true, Ordering::Release);
    }

    pub(super) fn is_writing(&self) -> bool {
        self.is_writing.load(Ordering::Relaxed)
    }

    pub(super) fn is_done(&self) -> bool {
        self.is_done.load(Ordering::Acquire)
    }

    /// Records tried from all contexts.
    pub(super) fn tried(&self) -> u64 {
        let tried = self.tried.iter();
        tried.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Writes one record, whose number is that of its CPU and context.
    fn next(&self, length: u64) -> Flood {
        let context = percpu::context();
        let count = &self.tried[context as usize];
        // Its own context alone changes it.
        let sequence = count.load(Ordering::Relaxed);
        count.store(sequence + 1, Ordering::Relaxed);
        ATTEMPTS.count();
        Flood {
            sequence,
            context,
            length: length.min(u16::MAX.into()) as u16,
        }
    }

    /// A record of an interrupt, which has no numbers of its own: its sequence chooses.
    pub(super) fn write_nested(&self) {
        let tried = self.tried[percpu::context() as usize].load(Ordering::Relaxed);
        self.write(&mut Random::new(tried, percpu::cpu_index()));
    }

    /// Writes one record, in one of the ways. What is lost is counted by the channel.
    pub(super) fn write(&self, random: &mut Random) {
        let length = random.below(SHORT + 1);
        match random.below(8) {
            0..=3 => {
                let length = match random.below(RARELY) {
                    0 => random.below(longest()),
                    _ => length,
                };
                let _ = CHANNEL.emit(&self.next(length));
            }
            4 => {
                let record = self.next(length);
                let mut bytes = [0; Flood::HEAD + SHORT as usize];
                let bytes = &mut bytes[..record.size()];
                record.write_to(bytes);
                let _ = CHANNEL.write_event(Flood::CLASS.id, bytes);
            }
            5 => self.write_in_place(length, |_| {}),
            // Another record comes in between, of the same context.
            6 => self.write_in_place(length, |part| {
                let _ = CHANNEL.emit(&part.next(length / 2));
            }),
            _ => {
                let record = self.next(length);
                let size = STAMP + record.size();
                let _ = CHANNEL.reserve_with(size, |slot| slot.give_up());
            }
        }
    }

    /// Reserves a record, does something else, and fills it.
    fn write_in_place(&self, length: u64, meanwhile: impl FnOnce(&Self)) {
        let record = self.next(length);
        let size = STAMP + record.size();
        let _ = CHANNEL.reserve_with(size, |slot| {
            meanwhile(self);
            record.write_to(slot.stamp(Flood::CLASS.id, record.context));
        });
    }
}

/// The most bytes of data that a record of this CPU can have, at least 1.
fn longest() -> u64 {
    let room = CHANNEL.max_record().unwrap_or(0);
    room.saturating_sub(STAMP + Flood::HEAD).max(1) as u64
}
