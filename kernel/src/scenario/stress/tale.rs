//! Typed events of many lengths, and statements, among the load: they interrupt it, each other, and
//! are interrupted. What one says follows from its number, so that its reader can check it.

use core::sync::atomic::{AtomicU64, Ordering};

use super::random::Random;
use crate::logs::{evlog, trace};

/// Of so many records of the load one has an event beside it.
const OFTEN: u64 = 4;

/// Of so many of these one has an event for operators, too.
const RARE: u64 = 4;

/// Of so many of these one has a statement, too, if such are on: `log=info,stress=trace`.
const SELDOM: u64 = 64;

/// What texts and lists are parts of.
const TEXT: &str = "relay accounts for every record";
const LIST: [u16; 8] = [0, 1, 4, 9, 16, 25, 36, 49];

relay::event! {
    /// Something of random length: the text is the first `number % 32` letters of a sentence, the
    /// list the first `number % 9` squares, and the number itself is there if it is even.
    #[event(channel = "trace", facility = "stress", text = "tale {number}: {text:?} {list:?}")]
    struct Tale<'a> {
        number: u64,
        text: &'a str,
        list: &'a [u16],
        maybe: Option<u64>,
    }

    /// The same for operators, without the list.
    #[event(
        channel = "evlog",
        facility = "stress",
        type = 1,
        severity = Debug,
        text = "told {number}: {text:?}"
    )]
    struct Told<'a> {
        number: u64,
        text: &'a str,
    }
}

/// How many there were.
static TOLD: AtomicU64 = AtomicU64::new(0);

/// Writes one now and then. Any context.
pub(super) fn tell(random: &mut Random) {
    if random.below(OFTEN) != 0 {
        return;
    }
    let number = TOLD.fetch_add(1, Ordering::Relaxed);
    let text = &TEXT[..number as usize % (TEXT.len() + 1)];
    trace::emit(|| Tale {
        number,
        text,
        list: &LIST[..number as usize % (LIST.len() + 1)],
        maybe: number.is_multiple_of(2).then_some(number),
    });
    if number.is_multiple_of(RARE) {
        evlog::emit(|| Told { number, text });
    }
    if number.is_multiple_of(SELDOM) {
        relay::trace!("told {number}: {text}, {}", text.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_has_as_many_letters_as_its_doc_says() {
        assert_eq!(TEXT.len() + 1, 32);
        assert!(TEXT.is_ascii());
    }
}
