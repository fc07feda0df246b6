//! Compares values of fields with values of expressions.
//!
//! What is of another kind compares with nothing: neither `==` nor `!=` is true then.

use std::borrow::Cow;
use std::cmp::Ordering;

use memchr::memmem;

use super::ast::{Literal, Op, Step};
use crate::records::{Schema, Value, only, option, unpadded};
use crate::tsdl::{Enum, EnumForm, Len, Struct, Type};

/// Whether an order is the one that is asked for.
pub(super) fn ordered(op: Op, order: Ordering) -> bool {
    match op {
        Op::Eq => order.is_eq(),
        Op::Ne => order.is_ne(),
        Op::Lt => order.is_lt(),
        Op::Le => order.is_le(),
        Op::Gt => order.is_gt(),
        Op::Ge => order.is_ge(),
        Op::Match | Op::NoMatch | Op::Bits | Op::Contains => false,
    }
}

/// Whether a text compares like that.
pub(super) fn text(text: &[u8], op: Op, literal: &Literal) -> bool {
    let is_equal = || match literal {
        Literal::Text(other) => Some(text == other.as_bytes()),
        Literal::Word(other) => Some(text.eq_ignore_ascii_case(other.as_bytes())),
        _ => None,
    };
    let is_found = || match literal {
        Literal::Pattern(pattern) => Some(pattern.is_in(text)),
        _ => None,
    };
    let has = || match literal {
        Literal::Text(other) => Some(memmem::find(text, other.as_bytes()).is_some()),
        Literal::Word(other) => {
            let (text, other) = (text.to_ascii_lowercase(), other.to_ascii_lowercase());
            Some(memmem::find(&text, other.as_bytes()).is_some())
        }
        _ => None,
    };
    let (holds, wanted) = match op {
        Op::Eq => (is_equal(), true),
        Op::Ne => (is_equal(), false),
        Op::Match => (is_found(), true),
        Op::NoMatch => (is_found(), false),
        Op::Contains => (has(), true),
        Op::Lt | Op::Le | Op::Gt | Op::Ge | Op::Bits => (None, true),
    };
    holds == Some(wanted)
}

/// Whether an integer compares like that.
pub(super) fn integer(number: i128, op: Op, literal: &Literal) -> bool {
    match (op, literal) {
        (Op::Bits, Literal::Integer(other)) => number & other != 0,
        (_, Literal::Integer(other)) => ordered(op, number.cmp(other)),
        (_, Literal::Float(other)) => by_order(op, order(number, *other)),
        _ => false,
    }
}

/// Whether the value of a field, or what the steps lead to within it, compares like that.
pub(super) fn field(
    schema: &Schema,
    (kind, value): (&Type, &Value<'_>),
    steps: &[Step],
    op: Op,
    literal: &Literal,
) -> bool {
    let within =
        |kind: &Type, value: &Value<'_>, steps| field(schema, (kind, value), steps, op, literal);
    match (kind, value) {
        (Type::Array(of, Len::Option(_)), value) => match option(value) {
            Some(Some(value)) => within(of, &value, steps),
            _ => false,
        },
        (Type::Struct(of), Value::List(values)) => match (only(of, values), steps) {
            (Some((kind, value)), steps) => within(kind, value, steps),
            (None, [Step::Name(name), steps @ ..]) => match named(of, values, name) {
                Some((kind, value)) => within(kind, value, steps),
                None => false,
            },
            _ => false,
        },
        (Type::Array(of, _), Value::List(_) | Value::Bytes(_)) => match steps {
            [Step::Index(index), steps @ ..] => match element(value, *index as usize) {
                Some(value) => within(of, &value, steps),
                None => false,
            },
            [] if op == Op::Contains => {
                if let (Value::Bytes(bytes), Literal::Integer(wanted), Type::Int(_)) =
                    (value, literal, &**of)
                {
                    let byte = u8::try_from(*wanted).ok();
                    return byte.is_some_and(|byte| memchr::memchr(byte, bytes).is_some());
                }
                let mut elements = (0..).map_while(|index| element(value, index));
                elements.any(|element| field(schema, (of, &element), &[], Op::Eq, literal))
            }
            _ => false,
        },
        (kind, value) => steps.is_empty() && scalar(schema, kind, value, op, literal),
    }
}

/// Whether a value that holds no others compares like that.
fn scalar(schema: &Schema, kind: &Type, value: &Value<'_>, op: Op, literal: &Literal) -> bool {
    match (kind, value, literal) {
        (kind, Value::Text(value), _) => text(unpadded(kind, value), op, literal),
        (_, Value::Float(value), _) => float(kind, *value, op, literal),
        (Type::Int(int), Value::Unsigned(ticks), Literal::Duration(ns)) => {
            int.clock && ordered(op, schema.nanoseconds(*ticks).cmp(ns))
        }
        (kind, value, _) => match (kind, value.as_integer()) {
            (Type::Enum(class), Some(number)) => enumeration(class, number, op, literal),
            (_, Some(number)) => integer(number, op, literal),
            _ => false,
        },
    }
}

/// Whether a value with names compares like that. A name that its class does not have is none of
/// it: it is neither equal nor unequal.
fn enumeration(class: &Enum, number: i128, op: Op, literal: &Literal) -> bool {
    let is_named = |label: &str| match literal {
        Literal::Word(name) => label.eq_ignore_ascii_case(name),
        Literal::Text(name) => label == name,
        _ => false,
    };
    let ranges = || {
        let labels = class.labels.iter();
        labels
            .filter(|(label, ..)| is_named(label))
            .map(|(_, from, to)| (*from, *to))
    };
    let is_flags = class.form == EnumForm::Flags;
    match (op, literal) {
        (Op::Eq | Op::Ne, Literal::Word(_) | Literal::Text(_)) => {
            let is_it = ranges().any(|(from, to)| (from..=to).contains(&number));
            ranges().next().is_some() && is_it == (op == Op::Eq)
        }
        (Op::Bits, Literal::Word(_)) => ranges().any(|(bits, _)| number & bits != 0),
        (Op::Contains, _) if is_flags => {
            ranges().any(|(bits, _)| bits != 0 && number & bits == bits)
        }
        (Op::Contains | Op::Match | Op::NoMatch, _) if !is_flags => {
            let label = class.label(number);
            label.is_some_and(|label| text(label.as_bytes(), op, literal))
        }
        _ => integer(number, op, literal),
    }
}

/// Whether a floating point number compares like that; with one of 32 bits, what it is compared
/// with is rounded to one, too, so that 0.1 is 0.1.
fn float(kind: &Type, value: f64, op: Op, literal: &Literal) -> bool {
    let order = match (kind, literal) {
        (Type::Float(4), Literal::Integer(other)) => value.partial_cmp(&(*other as f32).into()),
        (Type::Float(4), Literal::Float(other)) => value.partial_cmp(&(*other as f32).into()),
        (_, Literal::Integer(other)) => order(*other, value).map(Ordering::reverse),
        (_, Literal::Float(other)) => value.partial_cmp(other),
        _ => return false,
    };
    by_order(op, order)
}

/// Whether an order is the one that is asked for; what is not a number is only unequal.
fn by_order(op: Op, order: Option<Ordering>) -> bool {
    match order {
        Some(order) => ordered(op, order),
        None => op == Op::Ne,
    }
}

/// The exact order of an integer of 64 bits and a floating point number.
fn order(number: i128, float: f64) -> Option<Ordering> {
    let whole = float.trunc();
    match whole.abs() < 1e30 {
        true => {
            let order = number.cmp(&(whole as i128));
            Some(order.then(0f64.partial_cmp(&(float - whole))?))
        }
        false => 0f64.partial_cmp(&float),
    }
}

/// The field of a structure that somebody has written, by its name.
fn named<'v, 'a>(
    of: &'v Struct,
    values: &'v [Value<'a>],
    name: &str,
) -> Option<(&'v Type, &'v Value<'a>)> {
    let mut fields = of.fields.iter().zip(values);
    let (field, value) = fields.find(|(field, _)| field.name == name && !field.is_length)?;
    Some((&field.kind, value))
}

/// An element of an array.
fn element<'v, 'a>(value: &'v Value<'a>, index: usize) -> Option<Cow<'v, Value<'a>>> {
    match value {
        Value::List(values) => values.get(index).map(Cow::Borrowed),
        Value::Bytes(bytes) => {
            let byte = bytes.get(index)?;
            Some(Cow::Owned(Value::Unsigned((*byte).into())))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_floats_have_an_exact_order() {
        let big = i128::from(u64::MAX);
        for (number, float, wanted) in [
            (1, 1.0, Some(Ordering::Equal)),
            (1, 1.5, Some(Ordering::Less)),
            (-1, -1.5, Some(Ordering::Greater)),
            (-2, -1.5, Some(Ordering::Less)),
            (0, -0.0, Some(Ordering::Equal)),
            // As floats these are equal.
            ((1 << 53) + 1, (1u64 << 53) as f64, Some(Ordering::Greater)),
            (big, 18_446_744_073_709_551_616.0, Some(Ordering::Less)),
            (big, 1e300, Some(Ordering::Less)),
            (big, f64::NEG_INFINITY, Some(Ordering::Greater)),
            (0, f64::NAN, None),
        ] {
            assert_eq!(order(number, float), wanted, "{number} {float}");
        }
    }
}
