//! What an operand can be compared with.

use relay_format::{Context, Severity};

use super::ast::{Literal, Op, Operand};
use super::attribute::Attribute;

/// What an operand may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Severity,
    Context,
    Time,
    /// A number without sign.
    Number,
    Text,
    /// Whatever the class says.
    Field,
}

impl Operand {
    /// What it may be.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Field(_) => Kind::Field,
            Self::Attribute(attribute) => match attribute {
                Attribute::Severity => Kind::Severity,
                Attribute::Context => Kind::Context,
                Attribute::Time => Kind::Time,
                Attribute::Type
                | Attribute::Process
                | Attribute::Thread
                | Attribute::Cpu
                | Attribute::Number
                | Attribute::Packet
                | Attribute::Line => Kind::Number,
                Attribute::Facility
                | Attribute::Channel
                | Attribute::Event
                | Attribute::Module
                | Attribute::File
                | Attribute::Msg => Kind::Text,
            },
        }
    }
}

impl Kind {
    /// Whether it can be compared like that.
    pub(super) fn has(self, op: Op) -> bool {
        matches!(
            (self, op),
            (Self::Field, _)
                | (_, Op::Eq | Op::Ne)
                | (
                    Self::Severity | Self::Time | Self::Number,
                    Op::Lt | Op::Le | Op::Gt | Op::Ge
                )
                | (Self::Number, Op::Bits)
                | (Self::Text, Op::Match | Op::NoMatch | Op::Contains)
        )
    }

    /// Whether it may ever be so, compared with this value.
    pub(super) fn accepts(self, op: Op, value: &Literal) -> bool {
        let name = match value {
            Literal::Word(name) | Literal::Text(name) => Some(name.as_str()),
            _ => None,
        };
        let is_unsigned =
            matches!(value, Literal::Integer(number) if u64::try_from(*number).is_ok());
        match (self, op) {
            (_, Op::Match | Op::NoMatch) => matches!(value, Literal::Pattern(_)),
            (Self::Severity, _) => severity(value).is_some(),
            (Self::Context, _) => name.and_then(context).is_some(),
            (Self::Time, _) => matches!(value, Literal::Duration(_)),
            (Self::Number, _) => is_unsigned,
            (Self::Text, _) => name.is_some(),
            (Self::Field, Op::Eq | Op::Ne) => true,
            (Self::Field, Op::Lt | Op::Le | Op::Gt | Op::Ge) => name.is_none(),
            (Self::Field, Op::Bits) => is_unsigned || matches!(value, Literal::Word(_)),
            (Self::Field, Op::Contains) => !matches!(value, Literal::Duration(_)),
        }
    }

    /// What it can be compared with, for a message.
    pub(super) fn wanted(self, op: Op) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        const WHOLE: &str = "a whole number from 0 to 2^64-1";
        const TEXT: &str = "a text in quotes";
        match (self, op) {
            (_, Op::Match | Op::NoMatch) => words(&["a regular expression in quotes"]),
            (Self::Severity, _) => {
                let names = Severity::ALL.map(|severity| severity.name().to_ascii_lowercase());
                names.into_iter().chain(["0 to 8".to_owned()]).collect()
            }
            (Self::Context, _) => words(&Context::ALL.map(Context::name)),
            (Self::Time, _) => words(&["a time with its unit, such as 2ms or 1.5s"]),
            (Self::Number, _) => words(&[WHOLE]),
            (Self::Text, _) => words(&[TEXT, "a name"]),
            (Self::Field, Op::Eq | Op::Ne) => {
                words(&["a number", TEXT, "a name", "a time such as 2ms"])
            }
            (Self::Field, Op::Lt | Op::Le | Op::Gt | Op::Ge) => {
                words(&["a number", "a time such as 2ms"])
            }
            (Self::Field, Op::Bits) => words(&[WHOLE, "a flag's name"]),
            (Self::Field, Op::Contains) => words(&[TEXT, "a number", "a name"]),
        }
    }
}

/// The severity that a name or a number is.
pub(super) fn severity(value: &Literal) -> Option<Severity> {
    match value {
        Literal::Word(name) | Literal::Text(name) => Severity::from_name(name),
        Literal::Integer(number) => Severity::from_number(u8::try_from(*number).ok()?),
        _ => None,
    }
}

/// The context with this name, in any case.
pub(super) fn context(name: &str) -> Option<Context> {
    let mut all = Context::ALL.into_iter();
    all.find(|context| context.name().eq_ignore_ascii_case(name))
}
