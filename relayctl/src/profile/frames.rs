//! The functions that addresses lie in, each kept once.

use std::collections::HashMap;

use relay_decode::escape::printable;

use crate::symbols::{Address, Frame, Symbols};

/// The functions that addresses lie in. Every different one has a number.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// What addresses are looked up in; without it they stay what they are.
    symbols: Option<Symbols>,
    /// All, by their numbers.
    all: Vec<Frame>,
    /// Their numbers.
    numbers: HashMap<Frame, usize>,
    /// What was found for an address, the innermost one first.
    known: HashMap<Address, Box<[usize]>>,
}

impl Frames {
    /// Begins with these symbols, if there are some.
    #[must_use]
    pub(crate) fn new(symbols: Option<Symbols>) -> Self {
        Self {
            symbols,
            ..Self::default()
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
        let mut found = symbols.map_or(Vec::new(), |symbols| symbols.frames(address));
        if found.is_empty() {
            found.push(Frame {
                function: format!("{:#x}", address.number()),
                file: None,
                line: None,
                is_inlined: false,
            });
        }
        let numbers: Box<[usize]> = found.into_iter().map(|frame| self.number(frame)).collect();
        out.extend_from_slice(&numbers);
        self.known.insert(address, numbers);
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
