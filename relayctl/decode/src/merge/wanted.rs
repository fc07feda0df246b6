//! Which records a filter lets through: made ready for each class once.

use std::ops::Range;
use std::time::Duration;

use super::filter::Filter;
use crate::pairs::{Fit, Pairing, Threads};
use crate::query::{Head, Plan};
use crate::records::{Channel, Event, Line, Position, RecordError, Schema, Stamp, Value};
use crate::wire::Header;

/// A filter, made ready for the records of a capture.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    schema: &'a Schema,
    filter: &'a Filter,
    /// From which tick on, and before which.
    ticks: Range<u128>,
    /// For each channel what follows its threads, if that is wanted.
    pub(super) threads: Vec<Option<Threads>>,
    /// For each channel the classes of which there were records, by their places.
    classes: Vec<Vec<Option<Class<'a>>>>,
}

/// A filter, made ready for one class.
#[derive(Debug)]
struct Class<'a> {
    event: &'a Event,
    /// Whether its records are wanted, as far as all are the same.
    is_wanted: bool,
    /// Whether each has a severity of its own that matters.
    has_level: bool,
    /// Whether each has a module of its own that matters.
    has_module: bool,
    /// What a query says about them.
    plan: Option<Plan<'a>>,
}

/// One stream's records, and where its reading has got to.
pub(super) struct Place<'p, 'a> {
    pub(super) channel: &'a Channel,
    /// The channel's place among all.
    pub(super) at: usize,
    pub(super) header: &'p Header,
    pub(super) contents: &'p [u8],
}

/// A wanted record.
pub(super) struct Found {
    pub(super) stamp: Stamp,
    /// Where the next one is, if that is known already.
    behind: Option<Position>,
    /// Whether it is wanted; what is not only tells something about threads.
    pub(super) is_wanted: bool,
}

impl<'a> Wanted<'a> {
    /// Makes a filter ready.
    pub(super) fn new(schema: &'a Schema, filter: &'a Filter) -> Self {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).ok();
        let first = |ns: Option<u64>| ns.map_or(u128::MAX, |ns| schema.first_tick(ns));
        let since = filter.since.map_or(0, |since| first(nanoseconds(since)));
        let until = filter.until.map_or(u128::MAX, |until| {
            first(nanoseconds(until).and_then(|ns| ns.checked_add(1)))
        });
        Self {
            schema,
            filter,
            ticks: since..until,
            threads: match filter.spans {
                true => schema.channels.iter().map(Threads::of).collect(),
                false => schema.channels.iter().map(|_| None).collect(),
            },
            classes: schema.channels.iter().map(|_| Vec::new()).collect(),
        }
    }

    /// Whether a packet may have wanted records.
    pub(super) fn has_packet(&self, header: &Header) -> bool {
        u128::from(header.end) >= self.ticks.start && u128::from(header.begin) < self.ticks.end
    }

    /// Goes on to the next wanted record of a packet, by its stamp, or to one that tells something
    /// about threads, if these are followed: `position` is before its fields then, and behind the last
    /// record if there is none. `values` are of no use afterwards. What is passed over goes to
    /// `pairing`.
    ///
    /// # Errors
    ///
    /// When what comes is no record.
    pub(super) fn next<'v>(
        &mut self,
        place: &Place<'v, 'a>,
        position: &mut Position,
        values: &mut Vec<Value<'v>>,
        mut pairing: Option<&mut Pairing>,
    ) -> Result<Option<Found>, RecordError> {
        let Place {
            channel,
            header,
            contents,
            ..
        } = *place;
        let filter = self.filter;
        let found = |stamp, behind, is_wanted| {
            Ok(Some(Found {
                stamp,
                behind,
                is_wanted,
            }))
        };
        let threads = self.threads[place.at].as_ref();
        let classes = &mut self.classes[place.at];
        while let Some(stamp) = position.peek(header, contents)? {
            let is_in_time = self.ticks.contains(&u128::from(stamp.ticks));
            let known = channel.place(stamp.id);
            let known = known.and_then(|at| class(classes, (self.schema, filter), channel, at));
            // What is not known is an error when it is taken.
            let Some(class) = known else {
                return found(stamp, None, true);
            };
            let head = Head {
                ticks: stamp.ticks,
                cpu: header.cpu,
                number: header.ordinal.saturating_add(position.read()),
                packet: header.number,
                context: stamp.context,
            };
            let said = match &class.plan {
                None => Some(true),
                Some(plan) => plan.before_fields(&head),
            };
            let is_open = is_in_time && class.is_wanted && said != Some(false);
            let is_clear = said == Some(true) && !class.has_level && !class.has_module;
            if is_open && is_clear {
                return found(stamp, None, true);
            }
            let is_concern = threads.is_some_and(|threads| threads.concerns(stamp.id));
            if !is_open && is_concern {
                return found(stamp, None, false);
            }
            if !is_open && pairing.is_none() && position.skip(class.event, header, contents)? {
                continue;
            }
            let before = *position;
            let taken = position.take(channel, header, contents, values)?;
            let is_wanted = is_open
                && taken.is_some_and(|record| {
                    let line = Line::new(record.event, values);
                    (!class.has_level || filter.has_severity(line.severity()))
                        && (!class.has_module || filter.has_module(|| line.module()))
                        && class
                            .plan
                            .as_ref()
                            .is_none_or(|plan| plan.holds(&head, record.who, values))
                });
            if is_wanted || is_concern {
                let behind = std::mem::replace(position, before);
                return found(stamp, Some(behind), is_wanted);
            }
            if let (Some(pairing), Some(record)) = (&mut pairing, taken) {
                let Stamp { id, ticks, context } = record.stamp;
                let _: Option<Fit> = pairing.record(id, record.number, ticks, context, values);
            }
        }
        Ok(None)
    }

    /// Counts the wanted records of a packet, from `position` on.
    ///
    /// # Errors
    ///
    /// When what comes is no record; what is before it is counted.
    pub(super) fn count<'v>(
        &mut self,
        place: &Place<'v, 'a>,
        position: &mut Position,
        count: &mut u64,
    ) -> Result<(), RecordError> {
        let mut values: Vec<Value<'v>> = Vec::new();
        while let Some(found) = self.next(place, position, &mut values, None)? {
            match found.behind {
                Some(behind) => *position = behind,
                None => {
                    let Place {
                        header, contents, ..
                    } = *place;
                    position.take(place.channel, header, contents, &mut values)?;
                }
            }
            *count += u64::from(found.is_wanted);
        }
        Ok(())
    }
}

/// What the filter says about the class with a place.
fn class<'c, 'a>(
    classes: &'c mut Vec<Option<Class<'a>>>,
    (schema, filter): (&'a Schema, &'a Filter),
    channel: &'a Channel,
    at: usize,
) -> Option<&'c Class<'a>> {
    let event = channel.event_at(at)?;
    if classes.len() <= at {
        classes.resize_with(at + 1, || None);
    }
    let found = classes.get_mut(at)?.get_or_insert_with(|| {
        let has_level = event.has_own_severity() && filter.level.is_some();
        let has_module = event.has_own_origin() && !filter.modules.is_empty();
        let line = Line::new(event, &[]);
        let plan = filter.query.as_ref();
        Class {
            event,
            is_wanted: (has_level || filter.has_severity(event.severity))
                && (has_module || filter.has_module(|| line.module())),
            has_level,
            has_module,
            plan: plan.map(|query| query.plan(schema, channel, event)),
        }
    });
    Some(found)
}
