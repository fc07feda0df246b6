//! What other Rust programs trace with, measured: `relay-peers ROUNDS` prints a line of
//! `WHOSE NAME MIN MEDIAN NOTE`, with tabs between, for each, in ns per event; `relay-peers
//! instructions` prints how many instructions one takes.

mod by_defmt;
mod by_ktracepoint;
mod by_tracing;
#[path = "../../speed/measure.rs"]
#[expect(dead_code, reason = "it measures more sizes elsewhere")]
mod measure;
#[path = "../../../tests/instructions/stepper.rs"]
#[expect(dead_code, reason = "nothing is interrupted here")]
mod stepper;

use measure::{Cell, Size, Subject};
use std::hint::black_box;
use std::process::ExitCode;

/// What is traced.
static NUMBERS: [u64; 4] = [1, 2, 3, 4];

/// Something that is measured.
struct Peer {
    subject: Subject,
    /// Counts the instructions of one event.
    count: Box<dyn Fn() -> u64>,
}

/// A peer that traces numbers which the compiler does not know with `event`. `prepare` is called
/// before each batch.
fn peer(
    (whose, name, note): (&'static str, &'static str, &'static str),
    prepare: fn(),
    event: impl Fn(&[u64; 4]) + Copy + 'static,
) -> Peer {
    let size = Size::REFERENCE;
    let cell = Cell::new(size, move || {
        prepare();
        measure::time(size.records(), |_| event(black_box(&NUMBERS)))
    });
    Peer {
        subject: Subject {
            whose,
            name,
            note,
            cells: vec![cell],
        },
        count: Box::new(move || {
            prepare();
            // Once for libraries to find their functions. The same code, so that it is inlined.
            let mut count = 0;
            for _ in 0..2 {
                let numbers = black_box(&NUMBERS);
                count = stepper::count(|| event(numbers)).0;
            }
            count
        }),
    }
}

fn main() -> ExitCode {
    let mut peers = by_ktracepoint::peers();
    peers.extend(by_defmt::peers());
    peers.extend(by_tracing::peers());
    let word = std::env::args().nth(1).unwrap_or_default();
    if word == "instructions" {
        for peer in &peers {
            let Subject { whose, name, .. } = &peer.subject;
            println!("{whose}\t{name}\t{}", (peer.count)());
        }
        return ExitCode::SUCCESS;
    }
    let Ok(rounds) = word.parse() else {
        eprintln!("usage: relay-peers ROUNDS | instructions");
        return ExitCode::from(2);
    };
    let mut subjects: Vec<_> = peers.into_iter().map(|peer| peer.subject).collect();
    measure::measure(&mut subjects, rounds);
    for outcome in measure::results(&subjects) {
        for at in &outcome.figures {
            println!(
                "{}\t{}\t{:.2}\t{:.2}\t{}",
                outcome.whose, outcome.name, at.min, at.median, outcome.note
            );
        }
    }
    ExitCode::SUCCESS
}
