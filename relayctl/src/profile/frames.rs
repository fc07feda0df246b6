//! The functions that addresses lie in, each kept once.

use std::collections::HashMap;

use relay_decode::escape::printable;

use crate::symbols::{Address, Frame, Programs, Symbols};

/// The functions that addresses lie in. Every different one has a number.
#[derive(Debug)]
pub(crate) struct Frames {
    /// What addresses are looked up in; without it they stay what they are.
    symbols: Option<Symbols>,
    /// What addresses of programs are looked up in.
    programs: Programs,
    /// All, by their numbers.
    all: Vec<Frame>,
    /// Their numbers.
    numbers: HashMap<Frame, usize>,
    /// What was found for an address, the innermost one first.
    known: HashMap<Address, Box<[usize]>>,
    /// The same of programs, by their names.
    known_in: HashMap<String, HashMap<Address, Box<[usize]>>>,
}

impl Frames {
    /// Begins with these symbols, if there are some.
    #[must_use]
    pub(crate) fn new(symbols: Option<Symbols>, programs: Programs) -> Self {
        Self {
            symbols,
            programs,
            all: Vec::new(),
            numbers: HashMap::new(),
            known: HashMap::new(),
            known_in: HashMap::new(),
        }
    }

    /// Appends the numbers of the functions that an address lies in, the innermost one first: one
    /// at least.
    pub(super) fn push(&mut self, address: Address, out: &mut Vec<usize>) {
        if let Some(known) = self.known.get(&address) {
            out.extend_from_slice(known);
            return;
        }
        let symbols = self.symbols.as_ref();
        let found = symbols.map_or(Vec::new(), |symbols| symbols.frames(address));
        let numbers = self.numbers(found, || format!("{:#x}", address.number()));
        out.extend_from_slice(&numbers);
        self.known.insert(address, numbers);
    }

    /// The same, of a program's functions.
    pub(super) fn push_of(&mut self, program: &str, address: Address, out: &mut Vec<usize>) {
        let known = self.known_in.get(program);
        if let Some(known) = known.and_then(|known| known.get(&address)) {
            out.extend_from_slice(known);
            return;
        }
        let found = self.programs.frames(program, address);
        let numbers = self.numbers(found, || format!("{program} {:#x}", address.number()));
        out.extend_from_slice(&numbers);
        let known = self.known_in.entry(program.to_owned()).or_default();
        known.insert(address, numbers);
    }

    /// Appends the number of a program, which has called all that it has done.
    pub(super) fn push_program(&mut self, program: &str, out: &mut Vec<usize>) {
        let number = self.number(unknown(program.to_owned()));
        out.push(number);
    }

    /// The numbers of functions, or of something that is called otherwise if there are none.
    fn numbers(&mut self, mut found: Vec<Frame>, other: impl FnOnce() -> String) -> Box<[usize]> {
        if found.is_empty() {
            found.push(unknown(other()));
        }
        found.into_iter().map(|frame| self.number(frame)).collect()
    }

    /// The number of a function at a place.
    fn number(&mut self, mut frame: Frame) -> usize {
        // What an ELF file says is not trusted.
        frame.function = printable(frame.function.as_bytes()).into_owned();
        let file = frame.file.take();
        frame.file = file.map(|file| printable(file.as_bytes()).into_owned());
        if let Some(number) = self.numbers.get(&frame) {
            return *number;
        }
        let number = self.all.len();
        self.numbers.insert(frame.clone(), number);
        self.all.push(frame);
        number
    }

    /// All, by their numbers.
    #[must_use]
    pub(crate) fn all(&self) -> &[Frame] {
        &self.all
    }
}

/// What is called so, of which nothing else is known.
fn unknown(function: String) -> Frame {
    Frame {
        function,
        file: None,
        line: None,
        is_inlined: false,
    }
}
