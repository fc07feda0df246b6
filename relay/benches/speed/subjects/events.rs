//! relay's typed events and deferred statements.

use super::relay::{Kind, Writer, cell_of, start};
use crate::host::Host;
use crate::measure::{Cell, Size, Subject};
use relay::{Channel, NoHooks};
use std::hint::black_box;
use std::sync::Once;

/// Where statements go.
static STATEMENTS: Writer = Channel::new(Host, &NoHooks);

relay::sink!(STATEMENTS);

relay::event! {
    /// What peers trace, too.
    #[event(channel = "bench", text = "{a} {b} {c} {d}")]
    struct Four {
        a: u64,
        b: u64,
        c: u64,
        d: u64,
    }

    /// The same, turned off.
    #[event(channel = "bench", enabled = false)]
    struct Off {
        a: u64,
        b: u64,
        c: u64,
        d: u64,
    }
}

static NUMBERS: [u64; 4] = [1, 2, 3, 4];

/// Numbers of which the compiler knows nothing.
#[inline(always)]
fn numbers() -> &'static [u64; 4] {
    black_box(&NUMBERS)
}

pub(super) fn subjects() -> Vec<Subject> {
    let row = |name, note, op: fn() -> Cell| Subject {
        whose: "relay",
        name,
        note,
        cells: vec![op()],
    };
    vec![
        row(
            "event!, four integers",
            "clock; 39 bytes; overwrites; with nesting, loss counts, a reader at any time",
            event,
        ),
        row("event!, turned off", "a load and a branch", event_off),
        row(
            "info!, two integers, deferred",
            "clock; 19 bytes: the reader puts the text together; overwrites, as above",
            statement,
        ),
        row("debug!, turned off", "a load and a branch", statement_off),
    ]
}

/// A cell of the channel that statements go to.
fn cell(op: impl Fn(&Writer) + 'static) -> Cell {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| start(&STATEMENTS, 0, Kind::OVERWRITING));
    let size = Size::REFERENCE;
    cell_of(
        &STATEMENTS,
        size,
        Kind::OVERWRITING,
        size.records(),
        move |channel, _| op(channel),
    )
}

fn event() -> Cell {
    cell(|channel| {
        let &[a, b, c, d] = numbers();
        let _ = channel.emit(&Four { a, b, c, d });
    })
}

fn event_off() -> Cell {
    cell(|channel| {
        let &[a, b, c, d] = numbers();
        let _ = channel.emit(&Off { a, b, c, d });
    })
}

fn statement() -> Cell {
    cell(|_| {
        let numbers = numbers();
        relay::info!("woke task {} on cpu {}", numbers[0], numbers[1] as u32);
    })
}

fn statement_off() -> Cell {
    cell(|_| {
        let numbers = numbers();
        relay::debug!("woke task {} on cpu {}", numbers[0], numbers[1] as u32);
    })
}
