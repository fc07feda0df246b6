//! Reads the blocks of a metadata text.

use super::error::TsdlError;
use super::lexer::{Place, Token, clip};
use super::metadata::{Clock, EnvValue, EventClass, Metadata, StreamClass, Unreadable};
use super::parser::{Given, Parser, Value, attribute, little_endian, unknown};
use super::types::{MAX_WEIGHT, Struct, Type};

/// The most channels.
const MAX_STREAMS: usize = 4096;

/// The most kinds of records, in all channels together.
const MAX_EVENTS: usize = 1 << 16;

/// Reads all blocks.
pub(super) fn parse(mut parser: Parser<'_>) -> Result<Metadata, TsdlError> {
    let mut metadata = Metadata::default();
    let mut seen_trace = false;
    let mut events = 0;
    while !parser.at_end() {
        if parser.named_type()? {
            continue;
        }
        let place = parser.place;
        match parser.name("a block")? {
            "trace" if !seen_trace => {
                seen_trace = true;
                trace(&mut parser, place, &mut metadata)?;
            }
            "trace" => return Err(place.error("there is a trace already")),
            "env" => env(&mut parser, &mut metadata)?,
            "clock" if metadata.clock.is_none() => {
                metadata.clock = Some(clock(&mut parser, place)?);
            }
            "clock" => return Err(place.error("there is a clock already; one is supported")),
            "stream" => stream(&mut parser, place, &mut metadata)?,
            "event" => {
                events += 1;
                if events > MAX_EVENTS {
                    return Err(place.error(format!("more than {MAX_EVENTS} events")));
                }
                event(&mut parser, place, &mut metadata)?;
            }
            word => {
                return Err(place.error(format!(
                    "'{}' is no block; trace, env, clock, stream, event, typealias, struct and \
                     enum are known",
                    clip(word)
                )));
            }
        }
        parser.expect(";")?;
    }
    match seen_trace {
        true => Ok(metadata),
        false => Err(parser.place.error("there is no trace block")),
    }
}

/// A structure that was given with `:=`.
fn structure(place: Place, given: Given) -> Result<Struct, TsdlError> {
    match given {
        Given::Type(Type::Struct(kind)) => Ok(kind),
        _ => Err(place.error("this should be given a structure, with ':='")),
    }
}

/// A value that has to be a number in the range of `T`.
fn number<T: TryFrom<i128>>(place: Place, given: Given) -> Result<T, TsdlError> {
    match attribute(place, given)? {
        Value::Number(number) => {
            T::try_from(number).map_err(|_| place.error(format!("{number} is out of range")))
        }
        _ => Err(place.error("this should be a number")),
    }
}

/// Reads `trace { ... }`.
fn trace(parser: &mut Parser<'_>, place: Place, metadata: &mut Metadata) -> Result<(), TsdlError> {
    let mut little = false;
    parser.block(|place, name, given| {
        match name {
            "major" | "minor" => {
                let wanted = if name == "major" { 1 } else { 8 };
                if number::<u64>(place, given)? != wanted {
                    return Err(place.error("this is not CTF 1.8"));
                }
            }
            "byte_order" => {
                little_endian(place, &attribute(place, given)?)?;
                little = true;
            }
            "uuid" => metadata.uuid = Some(uuid(place, attribute(place, given)?)?),
            "packet.header" => metadata.packet_header = Some(structure(place, given)?),
            name => return Err(place.error(unknown("trace", name))),
        }
        Ok(())
    })?;
    match little {
        true => Ok(()),
        false => Err(place.error("the trace needs byte_order = le")),
    }
}

/// Reads `"6d7a3c1e-0b42-4f5a-9c88-21d4e6f70a95"`.
fn uuid(place: Place, value: Value) -> Result<[u8; 16], TsdlError> {
    let digits = |text: &str| {
        let bytes = text.as_bytes();
        let dashes = [8, 13, 18, 23];
        let formed = bytes.len() == 36
            && bytes
                .iter()
                .enumerate()
                .all(|(at, byte)| match dashes.contains(&at) {
                    true => *byte == b'-',
                    false => byte.is_ascii_hexdigit(),
                });
        let number = u128::from_str_radix(&text.replace('-', ""), 16).ok();
        number.filter(|_| formed).map(u128::to_be_bytes)
    };
    match value {
        Value::Text(text) => digits(&text),
        _ => None,
    }
    .ok_or_else(|| place.error("a uuid is a text of 32 hexadecimal digits in groups of 8-4-4-4-12"))
}

/// Reads `env { ... }`.
fn env(parser: &mut Parser<'_>, metadata: &mut Metadata) -> Result<(), TsdlError> {
    parser.block(|place, name, given| {
        let value = match attribute(place, given)? {
            Value::Number(number) => EnvValue::Number(number),
            Value::Text(text) => EnvValue::Text(text),
            Value::Name(_) => return Err(place.error("a value in env is a number or a text")),
        };
        match metadata.env.insert(name.to_owned(), value) {
            Some(_) => Err(place.error(format!("'{}' has a value already", clip(name)))),
            None => Ok(()),
        }
    })
}

/// Reads `clock { ... }`.
fn clock(parser: &mut Parser<'_>, place: Place) -> Result<Clock, TsdlError> {
    let mut clock = Clock {
        name: String::new(),
        frequency: 1_000_000_000,
        offset_seconds: 0,
        offset: 0,
    };
    parser.block(|place, name, given| {
        match name {
            "name" => match attribute(place, given)? {
                Value::Name(word) | Value::Text(word) => clock.name = word,
                Value::Number(_) => return Err(place.error("a clock's name is a word")),
            },
            "freq" => {
                clock.frequency = number(place, given)?;
                if clock.frequency == 0 {
                    return Err(place.error("a clock does not stand still: freq = 0"));
                }
            }
            "offset_s" => clock.offset_seconds = number(place, given)?,
            "offset" => clock.offset = number(place, given)?,
            "precision" => drop(number::<u64>(place, given)?),
            "description" | "uuid" | "absolute" => drop(attribute(place, given)?),
            name => return Err(place.error(unknown("clock", name))),
        }
        Ok(())
    })?;
    match clock.name.is_empty() {
        true => Err(place.error("a clock needs a name")),
        false => Ok(clock),
    }
}

/// Reads `stream { ... }`.
fn stream(parser: &mut Parser<'_>, place: Place, metadata: &mut Metadata) -> Result<(), TsdlError> {
    let mut id = 0;
    let mut class = StreamClass::default();
    parser.block(|place, name, given| {
        match name {
            "id" => id = number(place, given)?,
            "packet.context" => class.packet_context = Some(structure(place, given)?),
            "event.header" => class.event_header = Some(structure(place, given)?),
            "event.context" => class.event_context = Some(structure(place, given)?),
            name => return Err(place.error(unknown("stream", name))),
        }
        Ok(())
    })?;
    if metadata.streams.len() == MAX_STREAMS {
        return Err(place.error(format!("more than {MAX_STREAMS} streams")));
    }
    match metadata.streams.insert(id, class) {
        Some(_) => Err(place.error(format!("there is a stream {id} already"))),
        None => Ok(()),
    }
}

/// Reads `event { ... }`. A class whose fields are not understood is kept by its name: a kernel may
/// have others than this reader knows, and their records lie in the same packets.
fn event(parser: &mut Parser<'_>, place: Place, metadata: &mut Metadata) -> Result<(), TsdlError> {
    let begin = parser.mark();
    let (stream_id, id, class) = match readable(parser) {
        Ok((stream_id, id, class)) => (stream_id, Some(id), class),
        Err(error) => {
            parser.back(begin);
            unreadable(parser, error)?
        }
    };
    let stream = metadata.streams.get_mut(&stream_id).ok_or_else(|| {
        place.error(format!(
            "this event's stream {stream_id} is not described before it"
        ))
    })?;
    // Without a number, no record is of this class.
    let Some(id) = id else { return Ok(()) };
    match stream.events.insert(id, class) {
        Some(_) => Err(place.error(format!("stream {stream_id} has an event {id} already"))),
        None => Ok(()),
    }
}

/// Reads a class whose fields are understood: the numbers of its stream and its own, and the class.
fn readable(parser: &mut Parser<'_>) -> Result<(u64, u64, EventClass), TsdlError> {
    let (mut id, mut stream_id) = (0, 0);
    let mut class = EventClass::default();
    let (mut context, mut fields) = (None, None);
    parser.bear(true);
    parser.block(|place, name, given| {
        match (name, given) {
            ("id", given) => id = number(place, given)?,
            ("stream_id", given) => stream_id = number(place, given)?,
            ("name", given) => match attribute(place, given)? {
                Value::Name(word) | Value::Text(word) => class.name = word,
                Value::Number(_) => return Err(place.error("an event's name is a text")),
            },
            ("context", given) => context = Some((place, structure(place, given)?)),
            ("fields", given) => fields = Some((place, structure(place, given)?)),
            ("loglevel", Given::Value(Value::Number(level))) => class.loglevel = Some(level),
            ("model.emf.uri", Given::Value(Value::Text(uri))) => class.uri = Some(uri),
            // It would be before the fields.
            (name, Given::Type(_)) => return Err(place.error(unknown("event", name))),
            // Nothing that is needed to read a record.
            (_, Given::Value(_)) => {}
        }
        Ok(())
    })?;
    let too_large = parser.bear(false);
    let mut wrong = too_large;
    for (place, part) in [&context, &fields].into_iter().flatten() {
        if part.has_bit_fields() {
            return Err(
                place.error("bit fields are not supported here, only integers of whole bytes")
            );
        }
        let is_heavy = part.weight() > MAX_WEIGHT;
        wrong = wrong.or_else(|| is_heavy.then(|| place.error("these fields are too many")));
    }
    let is_given = context.is_some() || fields.is_some();
    let part = |given: Option<(Place, Struct)>| given.map(|(_, part)| part).unwrap_or_default();
    let (context, fields) = (part(context), part(fields));
    match wrong {
        Some(error) if is_given => {
            let sizes = context.fixed_size().zip(fields.fixed_size());
            let size = sizes.and_then(|(context, fields)| context.checked_add(fields));
            class.unreadable = Some(Unreadable { error, size });
        }
        _ => (class.context, class.fields) = (context, fields),
    }
    Ok((stream_id, id, class))
}

/// Reads a class that is not understood, for the `error`: the number of its stream, its own if it
/// has one, and what is said about it beside its fields.
fn unreadable(
    parser: &mut Parser<'_>,
    error: TsdlError,
) -> Result<(u64, Option<u64>, EventClass), TsdlError> {
    let (mut id, mut stream_id) = (Some(0), Some(0));
    let mut class = EventClass::default();
    let skipped = parser.pass_over(|name, value| {
        let number = match value {
            Token::Number(number) => Some(*number),
            _ => None,
        };
        match (name, value) {
            ("id", _) => id = number,
            ("stream_id", _) => stream_id = number,
            ("name", Token::Text(name)) => class.name.clone_from(name),
            ("loglevel", _) => class.loglevel = number.map(i128::from),
            _ => {}
        }
    });
    // Where it does not end, what was wrong first says more.
    let (Ok(()), Some(stream_id)) = (skipped, stream_id) else {
        return Err(error);
    };
    class.unreadable = Some(Unreadable { error, size: None });
    Ok((stream_id, id, class))
}
