//! Writing records of random lengths, in every way of writing.

use relay::event::{Event, FieldsMut};
use relay::record::STAMP;

use super::channel::{Common, Load, Own};
use super::random::Random;
use super::tale;
use crate::cpu::percpu;
use crate::logs::load;
use crate::logs::shared::HEAD;
use crate::scenario::part::Part;

/// The most bytes of data in most records.
const SHORT: u64 = 64;
/// Of so many records one is longer, up to what a sub-buffer holds.
const RARELY: u64 = 32;

/// Writes one record, in one of the ways. What is lost is counted by the channel.
pub(in crate::scenario) fn write(part: &Part, random: &mut Random) {
    tale::tell(random);
    match load::is_shared() {
        false => write_to::<Own>(part, random),
        true => write_to::<Common>(part, random),
    }
}

fn write_to<L: Load>(part: &Part, random: &mut Random) {
    let channel = L::channel();
    let length = random.below(SHORT + 1) as u16;
    match random.below(8) {
        0..=3 => {
            let length = match random.below(RARELY) {
                0 => random.below(longest::<L>()).min(u16::MAX.into()) as u16,
                _ => length,
            };
            let _ = channel.emit(&L::next(part, length));
        }
        4 => {
            let record = L::next(part, length);
            let mut bytes = [0; HEAD + SHORT as usize];
            let bytes = &mut bytes[..record.size()];
            record.store(&mut FieldsMut::new(bytes));
            let _ = channel.write_event(L::Record::CLASS.id, bytes);
        }
        5 => write_in_place::<L>(part, length, || {}),
        // Another record comes in between, of the same context.
        6 => write_in_place::<L>(part, length, || {
            let _ = channel.emit(&L::next(part, length / 2));
        }),
        _ => {
            let record = L::next(part, length);
            let size = STAMP + record.size();
            let _ = channel.reserve_with(size, |slot| slot.give_up());
        }
    }
}

/// Reserves a record, does something else, and fills it.
fn write_in_place<L: Load>(part: &Part, length: u16, meanwhile: impl FnOnce()) {
    let record = L::next(part, length);
    let size = STAMP + record.size();
    let _ = L::channel().reserve_with(size, |slot| {
        meanwhile();
        let bytes = slot.stamp(L::Record::CLASS.id, percpu::context());
        record.store(&mut FieldsMut::new(bytes));
    });
}

/// The most bytes of data that a record of this CPU can have, at least 1.
fn longest<L: Load>() -> u64 {
    let room = L::channel().max_record().unwrap_or(0);
    room.saturating_sub(STAMP + HEAD).max(1) as u64
}
