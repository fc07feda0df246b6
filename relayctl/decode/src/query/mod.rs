//! Which records somebody asks for: `severity >= warning && lba > 100 && msg =~ "tim(e|ed) out"`.
//!
//! A [`Query`] is an expression of comparisons. Each compares what a record has, an [`Attribute`]
//! or a field, with a value. What a record lacks, or has of another kind, makes a comparison false,
//! also one with `!=` or `!~`; `!` turns the result round. `docs/QUERY.md` has all of it.
//!
//! An expression is read once, made ready for each class of records once ([`Plan`]), and then costs
//! little: what is known before a record's fields are read is looked at first, and a sentence is
//! only put together if nothing else has decided.
//!
//! The parser is made with `winnow`: its parsers are functions, so that bounds are kept where things
//! grow, and a message says what is right in the words of whoever reads it. `pest` keeps the grammar
//! in a language of its own, and says what it expects by the names of rules. `chumsky` is at its best
//! where it recovers from errors, which an expression of one line does not need.
//!
//! Nothing that is written can make it take long, or much memory: see the bounds in `parse` and
//! [`Pattern`].
//!
//! # Example
//!
//! ```
//! use relay_decode::query::Query;
//!
//! let query: Query = "severity >= warning && !(cpu == 3)".parse()?;
//! assert_eq!(query.expr().to_string(), "severity >= warning && !(cpu == 3)");
//!
//! let error = "severity >= grave".parse::<Query>().expect_err("there is no such severity");
//! assert_eq!(
//!     error.to_string(),
//!     "at character 13:
//!   severity >= grave
//!               ^
//! one of these would be right here: emerg, alert, crit, error, warn, notice, info, debug, trace, \
//! 0 to 8"
//! );
//! # Ok::<_, relay_decode::query::QueryError>(())
//! ```

mod ast;
mod attribute;
mod compare;
mod error;
mod input;
mod kind;
mod literal;
mod parse;
mod pattern;
mod plan;

use std::fmt;
use std::str::FromStr;

pub use ast::{Expr, Literal, Op, Operand, Path, Step, Test};
pub use attribute::Attribute;
pub use error::QueryError;
pub use literal::duration;
pub use pattern::Pattern;
pub use plan::{Head, Plan};

use crate::records::{Channel, Event, Schema};

/// Which records somebody asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Query(Expr);

/// No number in it is not a number.
impl Eq for Query {}

impl FromStr for Query {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse::expression(text).map(Self)
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Query {
    /// The expression.
    #[must_use]
    pub fn expr(&self) -> &Expr {
        &self.0
    }

    /// Makes it ready for one kind of record of a channel.
    #[must_use]
    pub fn plan<'a>(
        &'a self,
        schema: &'a Schema,
        channel: &'a Channel,
        event: &'a Event,
    ) -> Plan<'a> {
        Plan::new(&self.0, schema, channel, event)
    }

    /// The fields in it that no record of a capture can have: misspelt ones, most likely.
    #[must_use]
    pub fn unknown_fields(&self, schema: &Schema) -> Vec<String> {
        let mut names = Vec::new();
        self.0.each_test(&mut |test| {
            if let Operand::Field(path) = &test.operand
                && !names.contains(&path.name)
            {
                names.push(path.name.clone());
            }
        });
        let events = || schema.channels.iter().flat_map(Channel::events);
        names.retain(|name| !events().any(|event| event.field(name).is_some()));
        names
    }
}

impl Expr {
    /// Gives all comparisons to `found`.
    fn each_test<'e>(&'e self, found: &mut impl FnMut(&'e Test)) {
        match self {
            Self::All(all) | Self::Any(all) => all.iter().for_each(|expr| expr.each_test(found)),
            Self::Not(expr) => expr.each_test(found),
            Self::Test(test) => found(test),
        }
    }
}
