//! Where a record ends, by its class: for whoever hands records on without reading them.

use super::registry::find;
use crate::record::{Fields, Malformed};
use core::ops::Range;
use relay_format::class::{Field, Kind, StreamClass, WHO};

/// The place of the next record of a channel in `fields`, its stamp included; goes behind it. `None`
/// at the end. [Fillers](crate::record) are passed over.
///
/// The class is found by the id in the record's stamp: among those that the channel lists, or those
/// that [were collected](super::registered) for it. Any context.
///
/// # Errors
/// [`Malformed`]: it has no class in this channel, or is cut off. Where the next begins is not known
/// then.
///
/// ```
/// use relay::Context;
/// use relay::event::extent::next_record;
/// use relay::event::{EventClass, Field, Kind, StreamClass};
/// use relay::record::{Fields, STAMP, Stamp};
///
/// const TOLD: EventClass = EventClass {
///     id: 1,
///     name: "told",
///     fields: &[Field::new("length", Kind::U16), Field::new("text", Kind::Text("length"))],
/// };
/// const TALES: StreamClass = StreamClass {
///     id: 2,
///     name: "tales",
///     is_global: false,
///     overwrites: false,
///     is_taken: false,
///     events: &[TOLD],
/// };
///
/// let mut bytes = Stamp::new(1, Context::Task, 7).to_bytes().to_vec();
/// bytes.extend([3, 0]);
/// bytes.extend(b"one");
/// let mut fields = Fields::new(&bytes);
/// assert_eq!(next_record(&TALES, &mut fields)?, Some(0..STAMP + 5));
/// assert_eq!(next_record(&TALES, &mut fields)?, None);
/// assert!(next_record(&TALES, &mut Fields::new(&bytes[..STAMP + 4])).is_err());
/// # Ok::<(), relay::record::Malformed>(())
/// ```
pub fn next_record(
    stream: &StreamClass,
    fields: &mut Fields<'_>,
) -> Result<Option<Range<usize>>, Malformed> {
    let before = fields.offset();
    let Some(stamp) = fields.next_stamp()? else {
        return Ok(None);
    };
    let start = fields.offset() - crate::record::STAMP;
    let malformed = |reason| Malformed {
        offset: start,
        reason,
    };
    debug_assert!(before <= start);
    let listed = stream.events.iter().find(|class| class.id == stamp.id());
    let (of, says_who) = match listed {
        Some(class) => (class.fields, false),
        None => {
            let class = find(stamp.id()).filter(|class| class.site.channel() == stream.name);
            let class = class.ok_or(malformed("the channel has no such class"))?;
            (class.class.fields, class.site.codes().is_some())
        }
    };
    let who: &[Field] = if says_who { &WHO } else { &[] };
    let ends = skip_all(who, fields).and_then(|()| skip_all(of, fields));
    ends.ok_or(malformed("it is cut off"))?;
    Ok(Some(start..fields.offset()))
}

/// Goes behind the values of these fields; `None` if they are cut off.
fn skip_all(of: &[Field], from: &mut Fields<'_>) -> Option<()> {
    let first = from.clone();
    for (place, field) in of.iter().enumerate() {
        match field.kind {
            Kind::Text(length) | Kind::Bytes(length) => {
                let length = number(&of[..place], length, first.clone())?;
                from.bytes(length)?;
            }
            kind => super::read::skip(&kind, from)?,
        }
    }
    Some(())
}

/// The number in the field with this name.
fn number(of: &[Field], name: &str, mut from: Fields<'_>) -> Option<usize> {
    let place = of.iter().position(|field| field.name == name)?;
    skip_all(&of[..place], &mut from)?;
    match of[place].kind {
        Kind::U8 => from.u8().map(usize::from),
        Kind::U16 => from.u16().map(usize::from),
        Kind::U32 => from.u32().and_then(|number| number.try_into().ok()),
        _ => None,
    }
}
