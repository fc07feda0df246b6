//! The bounds: how many instructions each may take at the most. This is the one place where they
//! are written; `docs/PERFORMANCE.md` has what was measured.

use crate::program::{Op, Past, State};
use crate::statements;
use relay::{Delivery, Mode};

/// A program that nothing interrupts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) state: State,
    pub(crate) op: Op,
    /// Instructions at the most.
    pub(crate) most: u64,
}

const fn row(name: &'static str, state: State, op: Op, most: u64) -> Row {
    Row {
        name,
        state,
        op,
        most,
    }
}

const PLAIN: State = State::PLAIN;
const OVERWRITING: State = State {
    mode: Mode::Continuous,
    past: Past::Unread,
    ..PLAIN
};
const BY_RECORD: State = State {
    delivery: Delivery::Record,
    ..PLAIN
};
const FULL: State = State {
    past: Past::Unread,
    left: None,
    ..PLAIN
};

/// `state` with so many bytes left in the open sub-buffer.
const fn left(state: State, left: usize) -> State {
    State {
        left: Some(left),
        ..state
    }
}

/// `state` with room for the headers of packets.
const fn reserves(state: State) -> State {
    State {
        reserves: true,
        ..state
    }
}

/// What is published.
pub(crate) const ROWS: [Row; 21] = [
    row(
        "stamped, 8 bytes, constant length",
        PLAIN,
        Op::Stamped(8),
        39,
    ),
    row(
        "stamped, 32 bytes, constant length",
        PLAIN,
        Op::Stamped(32),
        41,
    ),
    row(
        "stamped, 64 bytes, constant length",
        PLAIN,
        Op::Stamped(64),
        45,
    ),
    row(
        "stamped, 32 bytes, run-time length",
        PLAIN,
        Op::StampedRunTime(32),
        56,
    ),
    row(
        "stamped, 128 bytes, run-time length",
        PLAIN,
        Op::StampedRunTime(128),
        92,
    ),
    row(
        "stamped, 32 bytes, overwriting",
        OVERWRITING,
        Op::Stamped(32),
        41,
    ),
    row(
        "stamped, 32 bytes, record delivery",
        BY_RECORD,
        Op::Stamped(32),
        336,
    ),
    row("plain, 32 bytes, constant length", PLAIN, Op::Plain, 29),
    row(
        "plain, 32 bytes, run-time length",
        PLAIN,
        Op::PlainRunTime,
        42,
    ),
    row("in place, 32 bytes", PLAIN, Op::InPlace, 38),
    row("an event of four 64-bit numbers", PLAIN, Op::Event, 42),
    row("nested, stamped, 32 bytes", PLAIN, Op::Nested, 122),
    row("nested, in place, 32 bytes", PLAIN, Op::NestedInPlace, 158),
    row("given up, 32 bytes", PLAIN, Op::Discarded, 105),
    row(
        "fits exactly: closes and delivers",
        left(PLAIN, 32),
        Op::Stamped(32),
        550,
    ),
    row(
        "switch: closes, delivers, opens",
        left(PLAIN, 24),
        Op::Stamped(32),
        700,
    ),
    row(
        "switch, overwriting",
        left(OVERWRITING, 24),
        Op::Stamped(32),
        725,
    ),
    row(
        "switch, with packet headers",
        left(reserves(PLAIN), 24),
        Op::Stamped(32),
        730,
    ),
    row(
        "switch, record delivery",
        left(BY_RECORD, 24),
        Op::Stamped(32),
        810,
    ),
    row("refused: full", FULL, Op::Stamped(32), 192),
    row("flush", PLAIN, Op::Flush, 520),
];

/// An event or a statement as a macro makes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Statement {
    pub(crate) name: &'static str,
    /// Counts its instructions.
    pub(crate) count: fn() -> u64,
    /// Instructions at the most.
    pub(crate) most: u64,
}

const fn statement(name: &'static str, count: fn() -> u64, most: u64) -> Statement {
    Statement { name, count, most }
}

/// What is published of events and statements.
pub(crate) const STATEMENTS: [Statement; 8] = [
    statement("event!, four 64-bit numbers", statements::event, 50),
    statement(
        "event!, a text and a number",
        statements::event_with_text,
        165,
    ),
    statement("event!, turned off", statements::event_off, 3),
    statement("info!, two integers", statements::two_integers, 50),
    statement("info!, a text and a number", statements::with_text, 235),
    statement(
        "info!, a number and what has its own Display",
        statements::formatted_in_place,
        1700,
    ),
    statement("debug!, turned off", statements::off, 3),
    statement(
        "klog line, two integers, formatted in place",
        statements::klog_line,
        860,
    ),
];

/// The worst that nothing interrupts, over all states and operations.
pub(crate) const UNINTERRUPTED: u64 = 1150;

/// The worst write or flush that interrupts another, wherever it comes.
pub(crate) const INTERRUPTING: u64 = 1180;

/// The worst write that one write, flush or read interrupts, wherever it comes; without the
/// instructions of the interrupt.
pub(crate) const INTERRUPTED: u64 = 1500;

/// The same where the interrupt writes a lap of four sub-buffers: the write that it interrupts may
/// have to deliver all of them.
pub(crate) const INTERRUPTED_BY_A_LAP: u64 = 1850;
