//! Functions in place of addresses, for those who may never meet an address.

use std::cell::OnceCell;
use std::path::PathBuf;

use super::term::say;
use crate::symbols::{Address, ElfFile, Frame, Symbols};

/// Symbols that are read when the first address is looked up: a run without a
/// backtrace does not wait for them.
#[derive(Debug)]
pub(crate) struct LazySymbols {
    /// The ELF file.
    elf: PathBuf,
    /// Taken off the front of source paths.
    root: PathBuf,
    /// The symbols, once they are wanted; `None` if they cannot be read.
    loaded: OnceCell<Option<Symbols>>,
}

impl LazySymbols {
    /// Remembers where the symbols are; see [`Symbols::of`].
    #[must_use]
    pub(crate) fn new(elf: PathBuf, root: PathBuf) -> Self {
        Self {
            elf,
            root,
            loaded: OnceCell::new(),
        }
    }

    /// The functions that an address lies in; see [`Symbols::frames`].
    /// If the symbols cannot be read, the user is told once.
    #[must_use]
    pub(super) fn frames(&self, address: Address) -> Vec<Frame> {
        let symbols = self.loaded.get_or_init(|| {
            let file = ElfFile::read(&self.elf);
            let symbols = file.and_then(|file| Symbols::of(&file, &self.root));
            symbols
                .inspect_err(|e| say(format!("no symbols from {}: {e}", self.elf.display())))
                .ok()
        });
        symbols
            .as_ref()
            .map(|symbols| symbols.frames(address))
            .unwrap_or_default()
    }
}
