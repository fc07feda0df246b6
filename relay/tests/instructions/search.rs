//! The search for the worst case: operations in all states, interrupted by all interrupts, after
//! every instruction.

use crate::program::{Interrupt, Op, State, run};
use std::fmt;

/// The worst that was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Worst {
    /// Instructions.
    pub(crate) instructions: u64,
    /// Where.
    program: String,
}

impl Worst {
    fn note(&mut self, instructions: u64, program: impl FnOnce() -> String) {
        if instructions > self.instructions {
            self.instructions = instructions;
            self.program = program();
        }
    }
}

impl fmt::Display for Worst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6}  {}", self.instructions, self.program)
    }
}

/// The worst operation that nothing interrupts: all are tried.
pub(crate) fn uninterrupted() -> Worst {
    let mut worst = Worst::default();
    for state in State::all() {
        for op in Op::ALL {
            let cost = run(state, op, Interrupt::Never, 0);
            worst.note(cost.op, || format!("{op:?} in {state:?}"));
        }
    }
    worst
}

/// An operation in a state, and an interrupt of it.
#[derive(Clone, Copy, Debug)]
struct Program {
    state: State,
    op: Op,
    interrupt: Interrupt,
    /// The instructions of the operation, without the interrupt: as many places for it.
    places: u64,
}

/// What the search found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) tried: u64,
    pub(crate) of: u64,
    /// The worst write or flush of an interrupt.
    pub(crate) interrupting: Worst,
    /// The worst operation that a short interrupt interrupted.
    pub(crate) interrupted: Worst,
    /// The worst operation that a long one interrupted.
    pub(crate) by_a_lap: Worst,
}

/// Tries `runs` of all programs and places, spread evenly; all of them if there are no more.
pub(crate) fn interrupted(runs: u64) -> Found {
    let programs = programs();
    let of: u64 = programs.iter().map(|program| program.places).sum();
    let runs = runs.clamp(1, of);
    let mut found = Found {
        tried: runs,
        of,
        ..Found::default()
    };
    let mut programs = programs.into_iter();
    let (mut program, mut first) = (programs.next(), 0);
    for number in 0..runs {
        // In order, so that this counts up through programs and places.
        let place = (u128::from(number) * u128::from(of) / u128::from(runs)) as u64;
        while let Some(current) = program
            && place >= first + current.places
        {
            first += current.places;
            program = programs.next();
        }
        if let Some(program) = program {
            found.attempt(program, place - first + 1);
        }
    }
    found
}

/// All programs. Those with packet headers do all that others do, and more.
fn programs() -> Vec<Program> {
    let mut programs = Vec::new();
    for state in State::all().filter(|state| state.reserves) {
        for op in [Op::Stamped(32), Op::InPlace] {
            let places = run(state, op, Interrupt::Never, 0).op;
            let interrupts = Interrupt::SHORT.into_iter().chain(Interrupt::LONG);
            programs.extend(interrupts.map(|interrupt| Program {
                state,
                op,
                interrupt,
                places,
            }));
        }
    }
    programs
}

impl Found {
    fn attempt(&mut self, program: Program, at: u64) {
        let Program {
            state,
            op,
            interrupt,
            places: _,
        } = program;
        let cost = run(state, op, interrupt, at);
        let name = || format!("{op:?} in {state:?}, {interrupt:?} after instruction {at}");
        self.interrupting.note(cost.interrupt, name);
        if Interrupt::SHORT.contains(&interrupt) {
            self.interrupted.note(cost.op, name);
        } else {
            self.by_a_lap.note(cost.op, name);
        }
    }
}
