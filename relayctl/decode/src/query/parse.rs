//! The grammar of expressions.
//!
//! ```text
//! any     = all { "||" all }
//! all     = unary { "&&" unary }
//! unary   = "!" unary | "(" any ")" | test
//! test    = operand op literal
//! operand = name { "." name | "[" digits "]" }
//! ```
//!
//! It is read with `winnow`: parsers are plain functions, so that depth and size are counted where
//! they grow, and an error says exactly where it is and what would be right. Nothing is tried twice:
//! the next character decides, and what is wrong behind it is wrong for good.

use winnow::Parser;
use winnow::ascii::{digit1, multispace0};
use winnow::combinator::{eof, not, opt, peek, repeat, separated};
use winnow::error::ParserError;
use winnow::stream::Stream;
use winnow::token::one_of;

use super::ast::{Expr, Op, Operand, Path, Step, Test};
use super::attribute::Attribute;
use super::error::{Fault, QueryError};
use super::input::{Counts, Input, Parsed, Problem, is_of_name, name, wrong};
use super::literal::literal;

/// The longest expression, in bytes.
const MAX_LENGTH: usize = 4096;

/// How deep `!` and parentheses may lie within each other.
const MAX_DEPTH: u32 = 64;

/// The most comparisons.
const MAX_TESTS: u32 = 128;

/// The most regular expressions: each takes memory.
const MAX_PATTERNS: u32 = 16;

/// Reads an expression.
pub(super) fn expression(text: &str) -> Result<Expr, QueryError> {
    if text.len() > MAX_LENGTH {
        let what = format!("an expression has at most {MAX_LENGTH} bytes");
        let at = text.floor_char_boundary(MAX_LENGTH);
        return Err(QueryError::new(text, at, Fault::TooMuch(what)));
    }
    let mut input = Input {
        input: text,
        state: Counts::default(),
    };
    let read = whole(&mut input);
    read.map_err(|problem| {
        let at = text.len().saturating_sub(problem.rest);
        QueryError::new(text, at, problem.fault)
    })
}

/// Reads an expression up to the end.
fn whole(input: &mut Input<'_>) -> Parsed<Expr> {
    let expr = any(input)?;
    multispace0(input)?;
    let end: Parsed<&str> = eof(input);
    match end {
        Ok(_) => Ok(expr),
        Err(_) => wrong(input, Fault::expected(&["&&", "||", "the end"])),
    }
}

/// Reads what `||` connects.
fn any(input: &mut Input<'_>) -> Parsed<Expr> {
    let list = separated(1.., all, (multispace0, "||"));
    list.map(|list| one_or(list, Expr::Any)).parse_next(input)
}

/// Reads what `&&` connects.
fn all(input: &mut Input<'_>) -> Parsed<Expr> {
    let list = separated(1.., unary, (multispace0, "&&"));
    list.map(|list| one_or(list, Expr::All)).parse_next(input)
}

/// One expression is itself, several are connected.
fn one_or(mut list: Vec<Expr>, connected: impl FnOnce(Vec<Expr>) -> Expr) -> Expr {
    match list.pop() {
        Some(only) if list.is_empty() => only,
        last => {
            list.extend(last);
            connected(list)
        }
    }
}

/// Reads what is connected.
fn unary(input: &mut Input<'_>) -> Parsed<Expr> {
    unary_behind(input, false)
}

/// Reads what is connected; parentheses right behind a `!` are not deeper than that: so what is
/// written for an expression is as deep as what was read.
fn unary_behind(input: &mut Input<'_>, is_not: bool) -> Parsed<Expr> {
    multispace0(input)?;
    let sign: Option<char> = opt(one_of(['!', '('])).parse_next(input)?;
    let Some(sign) = sign else {
        return test(input);
    };
    let levels = u32::from(sign == '!' || !is_not);
    if input.state.depth + levels > MAX_DEPTH {
        let what = format!("an expression is at most {MAX_DEPTH} deep");
        return wrong(input, Fault::TooMuch(what));
    }
    input.state.depth += levels;
    let expr = match sign {
        '!' => Expr::Not(Box::new(unary_behind(input, true)?)),
        _ => {
            let expr = any(input)?;
            let end: Parsed<_> = (multispace0, ')').parse_next(input);
            if end.is_err() {
                multispace0(input)?;
                return wrong(input, Fault::expected(&[")", "&&", "||"]));
            }
            expr
        }
    };
    input.state.depth -= levels;
    Ok(expr)
}

/// Reads a comparison.
fn test(input: &mut Input<'_>) -> Parsed<Expr> {
    let operand = operand(input)?;
    multispace0(input)?;
    let kind = operand.kind();
    let before = input.checkpoint();
    let op = match opt(op).parse_next(input)? {
        Some(op) if kind.has(op) => op,
        _ => {
            input.reset(&before);
            let signs = Op::ALL.iter().filter(|(_, op)| kind.has(*op));
            let signs: Vec<_> = signs.map(|(sign, _)| *sign).collect();
            return wrong(input, Fault::expected(&signs));
        }
    };
    multispace0(input)?;
    count(input, op)?;
    let before = input.checkpoint();
    let value = literal(input, kind, op)?;
    if !kind.accepts(op, &value) {
        input.reset(&before);
        return wrong(input, Fault::Expected(kind.wanted(op)));
    }
    Ok(Expr::Test(Test { operand, op, value }))
}

/// Counts a comparison.
fn count(input: &mut Input<'_>, op: Op) -> Parsed<()> {
    input.state.tests += 1;
    input.state.patterns += u32::from(matches!(op, Op::Match | Op::NoMatch));
    let too_much =
        |limit, what| Fault::TooMuch(format!("an expression has at most {limit} {what}"));
    match input.state {
        Counts { tests, .. } if tests > MAX_TESTS => {
            wrong(input, too_much(MAX_TESTS, "comparisons"))
        }
        Counts { patterns, .. } if patterns > MAX_PATTERNS => {
            wrong(input, too_much(MAX_PATTERNS, "regular expressions"))
        }
        _ => Ok(()),
    }
}

/// Reads what a comparison is of.
fn operand(input: &mut Input<'_>) -> Parsed<Operand> {
    let Some(mut name) = opt(name).parse_next(input)? else {
        let names = "a name of an attribute or field";
        return wrong(input, Fault::expected(&[names, "!", "("]));
    };
    let mut steps: Vec<Step> = repeat(0.., step).parse_next(input)?;
    let is_prefix = name == "field" && matches!(steps.first(), Some(Step::Name(_)));
    if is_prefix && let Step::Name(first) = steps.remove(0) {
        name = first;
    } else if steps.is_empty()
        && let Some(attribute) = Attribute::from_name(&name)
    {
        return Ok(Operand::Attribute(attribute));
    }
    Ok(Operand::Field(Path { name, steps }))
}

/// Reads a step into a field.
fn step(input: &mut Input<'_>) -> Parsed<Step> {
    let sign: char = one_of(['.', '[']).parse_next(input)?;
    if sign == '.' {
        return match opt(name).parse_next(input)? {
            Some(name) => Ok(Step::Name(name)),
            None => wrong(input, Fault::expected(&["a name of a field within it"])),
        };
    }
    let before = input.checkpoint();
    let digits: Option<&str> = opt(digit1).parse_next(input)?;
    let Some(index) = digits.and_then(|digits| digits.parse().ok()) else {
        input.reset(&before);
        return wrong(
            input,
            Fault::expected(&["the number of an element, from 0"]),
        );
    };
    match opt(']').parse_next(input)? {
        Some(_) => Ok(Step::Index(index)),
        None => wrong(input, Fault::expected(&["]"])),
    }
}

/// Reads how is compared.
fn op(input: &mut Input<'_>) -> Parsed<Op> {
    for (sign, op) in Op::ALL {
        // What would make something else of it.
        let not_behind: fn(char) -> bool = match op {
            Op::Bits => |c| c == '&',
            Op::Contains => is_of_name,
            _ => |_| false,
        };
        let end = peek(not(one_of(not_behind)));
        let found: Option<_> = opt((sign, end)).parse_next(input)?;
        if found.is_some() {
            return Ok(op);
        }
    }
    Err(Problem::from_input(input))
}
