//! Where records end: programs are given whole ones.

use relay::event::StreamClass;
use relay::event::extent::next_record;
use relay::record::Fields;

/// How many of the first of these bytes are whole records, and at most `room`: all, if they fit.
/// Without a class it is not known where a record ends: all, or none.
pub(super) fn fitting(class: Option<&StreamClass>, records: &[u8], room: usize) -> usize {
    if records.len() <= room {
        return records.len();
    }
    ends(class, records)
        .take_while(|end| *end <= room)
        .last()
        .unwrap_or(0)
}

/// Where the last `count` of `total` records begin; `None` if that is not known.
pub(super) fn last(
    class: Option<&StreamClass>,
    records: &[u8],
    total: u64,
    count: u64,
) -> Option<usize> {
    match total.checked_sub(count) {
        None | Some(0) => Some(0),
        Some(skipped) => {
            let skipped = usize::try_from(skipped - 1).ok()?;
            ends(class, records).nth(skipped)
        }
    }
}

/// The ends of the records, one after the other, as far as these can be read.
pub(super) fn ends(class: Option<&StreamClass>, records: &[u8]) -> impl Iterator<Item = usize> {
    let mut fields = Fields::new(records);
    core::iter::from_fn(move || {
        let place = next_record(class?, &mut fields).ok()??;
        Some(place.end)
    })
}
