//! Values as they stand in expressions.

use std::time::Duration;

use winnow::Parser;
use winnow::ascii::{digit1, hex_digit1};
use winnow::combinator::{alt, opt, preceded};
use winnow::error::ParserError;
use winnow::stream::Stream;
use winnow::token::{any, one_of, take_while};

use super::ast::{Literal, Op, UNITS};
use super::error::Fault;
use super::input::{Counts, Input, Parsed, Problem, is_of_name, name, wrong};
use super::kind::Kind;
use super::pattern::Pattern;

/// Reads a value that something of a kind is compared with like that.
pub(super) fn literal(input: &mut Input<'_>, kind: Kind, op: Op) -> Parsed<Literal> {
    let begin = input.checkpoint();
    let is_pattern = matches!(op, Op::Match | Op::NoMatch);
    let first: Option<char> = input.input.chars().next();
    match first {
        Some('"') if is_pattern => {
            let text = raw(input)?;
            Pattern::new(text).map(Literal::Pattern).or_else(|what| {
                input.reset(&begin);
                wrong(input, Fault::Expected(vec![what]))
            })
        }
        Some('"') => text(input).map(Literal::Text),
        Some('-' | '0'..='9') => number(input),
        Some(c) if is_of_name(c) => name.map(Literal::Word).parse_next(input),
        _ => wrong(input, Fault::Expected(kind.wanted(op))),
    }
}

/// Reads what stands between quotes as it is; a backslash takes the character behind it with it.
fn raw<'i>(input: &mut Input<'i>) -> Parsed<&'i str> {
    let mut is_escaped = false;
    one_of('"').parse_next(input)?;
    let end = input.input.find(|c| {
        let is_end = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    });
    let Some(end) = end else {
        input.finish();
        return wrong(input, Fault::expected(&["\""]));
    };
    let text = input.next_slice(end);
    any.void().parse_next(input)?;
    Ok(text)
}

/// Reads a text in quotes.
fn text(input: &mut Input<'_>) -> Parsed<String> {
    one_of('"').parse_next(input)?;
    let mut text = String::new();
    loop {
        let plain: &str = take_while(0.., |c| c != '"' && c != '\\').parse_next(input)?;
        text.push_str(plain);
        match opt(any).parse_next(input)? {
            None => return wrong(input, Fault::expected(&["\""])),
            Some('"') => return Ok(text),
            Some(_) => text.push(escaped(input)?),
        }
    }
}

/// Reads what stands behind a backslash.
fn escaped(input: &mut Input<'_>) -> Parsed<char> {
    let before = input.checkpoint();
    let found = match opt(any).parse_next(input)? {
        Some(c @ ('"' | '\\')) => Some(c),
        Some('n') => Some('\n'),
        Some('r') => Some('\r'),
        Some('t') => Some('\t'),
        Some('u') => {
            let digits: Option<(_, &str, _)> = opt(('{', hex_digit1, '}')).parse_next(input)?;
            let number = digits.and_then(|(_, digits, _)| u32::from_str_radix(digits, 16).ok());
            number.and_then(char::from_u32)
        }
        _ => None,
    };
    match found {
        Some(c) => Ok(c),
        None => {
            input.reset(&before);
            wrong(
                input,
                Fault::expected(&["\\\"", "\\\\", "\\n", "\\r", "\\t", "\\u{1f600}"]),
            )
        }
    }
}

/// Reads a number, or a time.
fn number(input: &mut Input<'_>) -> Parsed<Literal> {
    let begin = input.checkpoint();
    let sign: Option<char> = opt('-').parse_next(input)?;
    let value = match radix(input)? {
        Some(digits) => digits,
        None => decimal(input, sign.is_some())?,
    };
    let value = match (value, sign) {
        (Some(Literal::Integer(number)), Some(_)) => Some(Literal::Integer(-number)),
        (Some(Literal::Float(number)), Some(_)) => Some(Literal::Float(-number)),
        (value, _) => value,
    };
    let fits = |value: &Literal| match value {
        Literal::Integer(number) => (i128::from(i64::MIN)..=u64::MAX.into()).contains(number),
        Literal::Float(number) => number.is_finite(),
        _ => true,
    };
    let Some(value) = value.filter(fits) else {
        input.reset(&begin);
        let what = "a number has 64 bits here, and a time is less than 584 years";
        return wrong(input, Fault::TooMuch(what.to_owned()));
    };
    let behind: Option<char> = opt(one_of(|c| is_of_name(c) || c == '.')).parse_next(input)?;
    match behind {
        None => Ok(value),
        Some(_) => {
            input.reset(&begin);
            let forms = ["12", "-12", "0xff", "0o17", "0b11", "1.5", "1e9", "2ms"];
            wrong(input, Fault::expected(&forms))
        }
    }
}

/// Reads an integer that says its base; `Some(None)` if it is too large.
fn radix(input: &mut Input<'_>) -> Parsed<Option<Option<Literal>>> {
    for (mark, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        let digits = preceded(mark, take_while(1.., |c: char| c.is_digit(radix)));
        let found: Option<&str> = opt(digits).parse_next(input)?;
        if let Some(digits) = found {
            let number = i128::from_str_radix(digits, radix).ok();
            return Ok(Some(number.map(Literal::Integer)));
        }
    }
    Ok(None)
}

/// Reads a decimal number, or a time; `None` if it is too large.
fn decimal(input: &mut Input<'_>, is_negative: bool) -> Parsed<Option<Literal>> {
    let begin = input.checkpoint();
    let Some(whole) = opt(digit1::<_, Problem>).parse_next(input)? else {
        return wrong(input, Fault::expected(&["a digit"]));
    };
    if whole.len() > 1 && whole.starts_with('0') {
        // Some read it with base 8.
        input.reset(&begin);
        return wrong(
            input,
            Fault::expected(&["no 0 before the other digits; 0o10 is octal"]),
        );
    }
    let part: Option<&str> = opt(preceded('.', digit1)).parse_next(input)?;
    let exponent = (one_of(['e', 'E']), opt(one_of(['-', '+'])), digit1).take();
    let exponent: Option<&str> = opt(exponent).parse_next(input)?;
    if exponent.is_none()
        && !is_negative
        && let Some(unit) = opt(unit).parse_next(input)?
    {
        return Ok(nanoseconds(whole, part.unwrap_or(""), unit).map(Literal::Duration));
    }
    if part.is_none() && exponent.is_none() {
        return Ok(whole.parse().ok().map(Literal::Integer));
    }
    let text = format!("{whole}.{}{}", part.unwrap_or("0"), exponent.unwrap_or(""));
    Ok(text.parse().ok().map(Literal::Float))
}

/// Reads a unit of time: its nanoseconds.
fn unit(input: &mut Input<'_>) -> Parsed<u64> {
    let word: &str = alt(UNITS.map(|(unit, _)| unit)).parse_next(input)?;
    let unit = UNITS.into_iter().find(|(unit, _)| *unit == word);
    unit.map(|(_, ns)| ns)
        .ok_or_else(|| Problem::from_input(input))
}

/// Reads a time with its unit, as it stands in expressions: `1.5s`. `None` if it is none, or not
/// less than 584 years.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let mut input = Input {
        input: text,
        state: Counts::default(),
    };
    match number(&mut input) {
        Ok(Literal::Duration(ns)) if input.input.is_empty() => Some(Duration::from_nanos(ns)),
        _ => None,
    }
}

/// So many units in nanoseconds, rounded down.
fn nanoseconds(whole: &str, part: &str, unit: u64) -> Option<u64> {
    // More digits say nothing about nanoseconds.
    let part = part.get(..part.len().min(15)).unwrap_or_default();
    let scale = 10u128.pow(u32::try_from(part.len()).ok()?);
    let digits: u128 = format!("{whole}{part}").parse().ok()?;
    let ns = digits.checked_mul(unit.into())? / scale;
    u64::try_from(ns).ok()
}
