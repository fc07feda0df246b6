//! Writing records of random lengths, in every way of writing.

use relay::event::Event;
use relay::record::STAMP;

use super::random::Random;
use crate::cpu::percpu;
use crate::logs::flood::{CHANNEL, Flood};
use crate::scenario::part::Part;

/// The most bytes of data in most records.
const SHORT: u64 = 64;
/// Of so many records one is longer, up to what a sub-buffer holds.
const RARELY: u64 = 32;

/// Writes a record of an interrupt, which has no random numbers of its own: its sequence chooses.
pub(in crate::scenario) fn write_nested(part: &Part) {
    write(
        part,
        &mut Random::new(part.tried_here(), percpu::cpu_index()),
    );
}

/// Writes one record, in one of the ways. What is lost is counted by the channel.
pub(in crate::scenario) fn write(part: &Part, random: &mut Random) {
    let length = random.below(SHORT + 1) as u16;
    match random.below(8) {
        0..=3 => {
            let length = match random.below(RARELY) {
                0 => random.below(longest()).min(u16::MAX.into()) as u16,
                _ => length,
            };
            let _ = CHANNEL.emit(&part.next(length));
        }
        4 => {
            let record = part.next(length);
            let mut bytes = [0; Flood::HEAD + SHORT as usize];
            let bytes = &mut bytes[..record.size()];
            record.write_to(bytes);
            let _ = CHANNEL.write_event(Flood::CLASS.id, bytes);
        }
        5 => write_in_place(part, length, || {}),
        // Another record comes in between, of the same context.
        6 => write_in_place(part, length, || {
            let _ = CHANNEL.emit(&part.next(length / 2));
        }),
        _ => {
            let record = part.next(length);
            let size = STAMP + record.size();
            let _ = CHANNEL.reserve_with(size, |slot| slot.give_up());
        }
    }
}

/// Reserves a record, does something else, and fills it.
fn write_in_place(part: &Part, length: u16, meanwhile: impl FnOnce()) {
    let record = part.next(length);
    let size = STAMP + record.size();
    let _ = CHANNEL.reserve_with(size, |slot| {
        meanwhile();
        record.write_to(slot.stamp(Flood::CLASS.id, record.context));
    });
}

/// The most bytes of data that a record of this CPU can have, at least 1.
fn longest() -> u64 {
    let room = CHANNEL.max_record().unwrap_or(0);
    room.saturating_sub(STAMP + Flood::HEAD).max(1) as u64
}
