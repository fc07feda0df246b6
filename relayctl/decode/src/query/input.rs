//! What expressions are read from, and what all parsers of them return.

use winnow::Parser;
use winnow::error::ParserError;
use winnow::stream::{Stateful, Stream};
use winnow::token::{one_of, take_while};

use super::error::Fault;

/// What is read, and how much of it there is so far.
pub(super) type Input<'i> = Stateful<&'i str, Counts>;

/// How much there is so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) depth: u32,
    pub(super) tests: u32,
    pub(super) patterns: u32,
}

/// What is wrong where so many bytes are left.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) rest: usize,
    pub(super) fault: Fault,
    /// Whether nothing else may be tried.
    is_final: bool,
}

/// What a parser returns.
pub(super) type Parsed<T> = Result<T, Problem>;

impl<'i> ParserError<Input<'i>> for Problem {
    type Inner = Self;

    fn from_input(input: &Input<'i>) -> Self {
        Self {
            rest: input.eof_offset(),
            fault: Fault::Expected(Vec::new()),
            is_final: false,
        }
    }

    fn is_backtrack(&self) -> bool {
        !self.is_final
    }

    fn into_inner(self) -> Result<Self, Self> {
        Ok(self)
    }
}

/// Something is wrong here, whatever is tried.
pub(super) fn wrong<T>(input: &Input<'_>, fault: Fault) -> Parsed<T> {
    Err(Problem {
        rest: input.eof_offset(),
        fault,
        is_final: true,
    })
}

/// Reads a name.
pub(super) fn name(input: &mut Input<'_>) -> Parsed<String> {
    let first = one_of(|c: char| c.is_ascii_alphabetic() || c == '_');
    let name = (first, take_while(0.., is_of_name)).take();
    name.map(str::to_owned).parse_next(input)
}

/// Whether a character may stand in a name.
pub(super) fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
