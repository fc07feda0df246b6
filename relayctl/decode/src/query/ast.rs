//! What a query is made of, and how it is written.

use std::fmt;

use super::attribute::Attribute;
use super::pattern::Pattern;

/// An expression: true or false of every record.
///
/// Written and read again it is equal, unless it has become too long by blanks.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// All of them: `a && b`.
    All(Vec<Expr>),
    /// At least one of them: `a || b`.
    Any(Vec<Expr>),
    /// Not so: `!(a)`.
    Not(Box<Expr>),
    /// A comparison.
    Test(Test),
}

/// A comparison of what a record has with a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// What is compared.
    pub operand: Operand,
    /// How.
    pub op: Op,
    /// With what.
    pub value: Literal,
}

/// Something that records have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// What relay knows about all of them.
    Attribute(Attribute),
    /// A field of the record, or what is within it.
    Field(Path),
}

/// The way to a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The field's name: a letter or `_`, then letters, digits and `_`.
    pub name: String,
    /// The way within it.
    pub steps: Vec<Step>,
}

/// A step into a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// To the field of a structure.
    Name(String),
    /// To the element of an array, counted from 0.
    Index(u32),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `=~`: a regular expression is found in the text.
    Match,
    /// `!~`: it is not.
    NoMatch,
    /// `&`: a bit of both is set.
    Bits,
    /// `contains`: the text, element or flag is in it.
    Contains,
}

impl Op {
    /// All of them with how they are written; none is the beginning of a later one.
    pub const ALL: [(&'static str, Self); 10] = [
        ("==", Self::Eq),
        ("!=", Self::Ne),
        ("<=", Self::Le),
        (">=", Self::Ge),
        ("<", Self::Lt),
        (">", Self::Gt),
        ("=~", Self::Match),
        ("!~", Self::NoMatch),
        ("&", Self::Bits),
        ("contains", Self::Contains),
    ];

    /// How it is written.
    #[must_use]
    pub fn sign(self) -> &'static str {
        let mut all = Self::ALL.into_iter();
        all.find(|(_, op)| *op == self).map_or("", |(sign, _)| sign)
    }
}

/// A value as it stands in an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// An integer of 64 bits, with or without sign.
    Integer(i128),
    /// A number with a point or an exponent; never infinite, never not a number.
    Float(f64),
    /// A text in quotes.
    Text(String),
    /// A name without quotes: of a severity, a context, a value. Its case does not matter.
    Word(String),
    /// A length of time, in nanoseconds: `2ms`.
    Duration(u64),
    /// The regular expression of `=~` and `!~`, in quotes.
    Pattern(Pattern),
}

/// The units of time, with their nanoseconds; none is the beginning of a later one.
pub(super) const UNITS: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, all: &[Self], between: &str| {
            for (at, expr) in all.iter().enumerate() {
                if at > 0 {
                    f.write_str(between)?;
                }
                match (self, expr) {
                    (Self::All(_), Self::Any(_)) => write!(f, "({expr})")?,
                    // Equal ones within each other are not the same as a longer one.
                    (Self::All(_), Self::All(_)) | (Self::Any(_), Self::Any(_)) => {
                        write!(f, "({expr})")?;
                    }
                    _ => expr.fmt(f)?,
                }
            }
            Ok(())
        };
        match self {
            Self::All(all) => list(f, all, " && "),
            Self::Any(all) => list(f, all, " || "),
            Self::Not(expr) => match **expr {
                Self::Not(_) => write!(f, "!{expr}"),
                _ => write!(f, "!({expr})"),
            },
            Self::Test(test) => test.fmt(f),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operand, op, value } = self;
        write!(f, "{operand} {} {value}", op.sign())
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(attribute) => f.write_str(attribute.name()),
            Self::Field(path) => path.fmt(f),
        }
    }
}

/// With `field.` before it where it would be an attribute without.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_attribute = self.steps.is_empty() && Attribute::from_name(&self.name).is_some();
        let is_prefix = self.name == "field" && matches!(self.steps.first(), Some(Step::Name(_)));
        if is_attribute || is_prefix {
            f.write_str("field.")?;
        }
        f.write_str(&self.name)?;
        self.steps.iter().try_for_each(|step| match step {
            Step::Name(name) => write!(f, ".{name}"),
            Step::Index(index) => write!(f, "[{index}]"),
        })
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => number.fmt(f),
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Word(word) => f.write_str(word),
            Self::Pattern(pattern) => write!(f, "\"{}\"", pattern.text()),
            Self::Duration(ns) => {
                let mut units = UNITS.iter().rev();
                let unit = units.find(|(_, size)| ns.is_multiple_of(*size));
                let (unit, size) = unit.unwrap_or(&UNITS[0]);
                write!(f, "{}{unit}", ns / size)
            }
            Self::Text(text) => {
                f.write_str("\"")?;
                for c in text.chars() {
                    match c {
                        '"' | '\\' => write!(f, "\\{c}")?,
                        '\n' => f.write_str("\\n")?,
                        '\r' => f.write_str("\\r")?,
                        '\t' => f.write_str("\\t")?,
                        c if c.is_control() => write!(f, "\\u{{{:x}}}", u32::from(c))?,
                        c => write!(f, "{c}")?,
                    }
                }
                f.write_str("\"")
            }
        }
    }
}
