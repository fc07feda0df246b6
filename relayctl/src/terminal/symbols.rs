//! Function names and source lines for addresses in the kernel's ELF.

use std::cell::OnceCell;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use addr2line::Context;
use gimli::{DwarfSections, EndianArcSlice, Error as DwarfError, LittleEndian};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};

use super::term::say;

/// The largest ELF file that is read, in bytes.
const MAX_ELF: u64 = 1 << 30;

/// Frames shown for one address; more inlining than this is not told apart.
const MAX_FRAMES: usize = 16;

/// What addr2line reads its sections from.
type Section = EndianArcSlice<LittleEndian>;

/// Why there are no symbols.
#[derive(Debug)]
pub(crate) enum SymbolError {
    /// The file cannot be read.
    Io(std::io::Error),
    /// The file is larger than an ELF file may be (1 GiB).
    TooLarge(u64),
    /// The file is not an ELF file.
    Elf(object::Error),
    /// The file's debug information cannot be read.
    Dwarf(DwarfError),
}

impl fmt::Display for SymbolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::TooLarge(size) => write!(f, "it has {size} bytes, more than {MAX_ELF}"),
            Self::Elf(error) => write!(f, "it is not a good ELF file: {error}"),
            Self::Dwarf(error) => write!(f, "its debug information is damaged: {error}"),
        }
    }
}

impl std::error::Error for SymbolError {}

/// An address in the kernel's code, and what it is the address of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// An instruction.
    Instruction(u64),
    /// What a function returns to.
    Return(u64),
}

impl Address {
    /// An address that is certain to lie in the code that is meant. A return
    /// address is behind its call, which may be the last instruction of its
    /// function or of its line, so the byte before it is taken.
    fn inside(self) -> u64 {
        match self {
            Self::Instruction(address) => address,
            Self::Return(address) => address.saturating_sub(1),
        }
    }
}

/// One function that an address lies in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The function's name, demangled.
    pub(crate) function: String,
    /// Source file and line, as far as they are known.
    pub(crate) place: Option<String>,
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.function)?;
        match &self.place {
            Some(place) => write!(f, " ({place})"),
            None => Ok(()),
        }
    }
}

/// The symbols of one ELF file.
pub(crate) struct Symbols {
    /// Line tables and inlining.
    dwarf: Context<Section>,
    /// Functions by address, ascending: `(address, size, name)`, for code without line tables.
    functions: Vec<(u64, u64, String)>,
    /// Where code is, `(from, behind)`. Debug information also describes functions
    /// that the linker left out, at address 0.
    code: Vec<(u64, u64)>,
    /// Taken off the front of source paths.
    root: PathBuf,
}

impl fmt::Debug for Symbols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Symbols")
            .field("functions", &self.functions.len())
            .finish_non_exhaustive()
    }
}

impl Symbols {
    /// Reads the symbols of an ELF file; source paths below `root` are shown
    /// relative to it.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is not a good ELF file.
    pub(crate) fn load(elf: &Path, root: &Path) -> Result<Self, SymbolError> {
        let file = File::open(elf).map_err(SymbolError::Io)?;
        let size = file.metadata().map_err(SymbolError::Io)?.len();
        if size > MAX_ELF {
            return Err(SymbolError::TooLarge(size));
        }
        let mut bytes = Vec::new();
        file.take(MAX_ELF)
            .read_to_end(&mut bytes)
            .map_err(SymbolError::Io)?;
        Self::parse(&bytes, root)
    }

    /// Reads the symbols of an ELF image.
    fn parse(bytes: &[u8], root: &Path) -> Result<Self, SymbolError> {
        let elf = object::File::parse(bytes).map_err(SymbolError::Elf)?;
        let sections = DwarfSections::load(|id| {
            let data = elf.section_by_name(id.name()).map(|section| section.data());
            // A section that the file lacks is an empty section.
            let data = data
                .transpose()
                .map_err(SymbolError::Elf)?
                .unwrap_or_default();
            Ok::<_, SymbolError>(Section::new(Arc::from(data), LittleEndian))
        })?;
        let dwarf = sections.borrow(Section::clone);
        let mut functions: Vec<_> = elf
            .symbols()
            .filter(|symbol| symbol.kind() == SymbolKind::Text)
            .filter_map(|symbol| Some((symbol.address(), symbol.size(), symbol.name().ok()?)))
            .map(|(address, size, name)| {
                (
                    address,
                    size,
                    addr2line::demangle_auto(name.into(), None).into_owned(),
                )
            })
            .collect();
        functions.sort();
        let code = elf
            .sections()
            .filter(|section| section.kind() == SectionKind::Text)
            .map(|section| {
                let from = section.address();
                (from, from.saturating_add(section.size()))
            })
            .collect();
        let dwarf = Context::from_dwarf(dwarf).map_err(SymbolError::Dwarf)?;
        Ok(Self {
            dwarf,
            functions,
            code,
            root: root.to_owned(),
        })
    }

    /// The functions that an address lies in, the innermost inlined one first.
    /// Empty when the address is not in the file's code.
    #[must_use]
    pub(crate) fn frames(&self, address: Address) -> Vec<Frame> {
        let address = address.inside();
        let mut code = self.code.iter();
        if !code.any(|(from, behind)| (*from..*behind).contains(&address)) {
            return Vec::new();
        }
        let mut found = Vec::new();
        // Damaged debug information ends the list, the symbol table still helps.
        if let Ok(mut frames) = self.dwarf.find_frames(address).skip_all_loads() {
            while let Ok(Some(frame)) = frames.next() {
                let place = frame.location.and_then(|l| self.place(l.file?, l.line));
                let function = frame.function.as_ref().and_then(|f| f.demangle().ok());
                let Some(function) = function
                    .map(|f| f.into_owned())
                    .or_else(|| self.symbol(address))
                else {
                    break;
                };
                found.push(Frame { function, place });
                if found.len() == MAX_FRAMES {
                    break;
                }
            }
        }
        // Line tables alone name functions without their modules; of the function
        // that the code is in, not of those inlined there, the symbol table knows more.
        if found.len() < MAX_FRAMES
            && let Some(function) = self.symbol(address)
        {
            match found.last_mut() {
                Some(outermost) => outermost.function = function,
                None => found.push(Frame {
                    function,
                    place: None,
                }),
            }
        }
        found
    }

    /// The function in the symbol table that holds an address.
    fn symbol(&self, address: u64) -> Option<String> {
        let behind = self
            .functions
            .partition_point(|(start, ..)| *start <= address);
        let (start, size, name) = self.functions.get(behind.checked_sub(1)?)?;
        (address - start < *size).then(|| name.clone())
    }

    /// Shows a source place, without the parts of the path that say nothing:
    /// the workspace's root, the registry's folder, the compiler's commit.
    fn place(&self, file: &str, line: Option<u32>) -> Option<String> {
        let path = Path::new(file);
        let short = path
            .strip_prefix(&self.root)
            .unwrap_or(path)
            .to_string_lossy();
        let short = short
            .split_once("/registry/src/")
            .and_then(|(_, rest)| rest.split_once('/'))
            .or_else(|| {
                short
                    .strip_prefix("/rustc/")
                    .and_then(|rest| rest.split_once('/'))
            })
            .map_or(&*short, |(_, rest)| rest);
        Some(match line {
            Some(line) => format!("{short}:{line}"),
            None => short.to_owned(),
        })
    }
}

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
    /// Remembers where the symbols are; see [`Symbols::load`].
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
    pub(crate) fn frames(&self, address: Address) -> Vec<Frame> {
        let symbols = self.loaded.get_or_init(|| {
            let symbols = Symbols::load(&self.elf, &self.root);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A function whose address the test looks up in its own executable.
    #[inline(never)]
    fn landmark() -> u64 {
        std::hint::black_box(7)
    }

    /// Where this test's executable was loaded: its first mapping.
    fn load_base() -> u64 {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("maps are readable");
        let first = maps.split('-').next().expect("there is a mapping");
        u64::from_str_radix(first, 16).expect("a mapping starts with its address")
    }

    #[test]
    fn finds_functions_and_lines() {
        assert_eq!(landmark(), 7);
        let elf = std::env::current_exe().expect("a test has an executable");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("a workspace");
        let symbols = Symbols::load(&elf, root).expect("the test's own ELF is good");
        let address = landmark as *const () as u64 - load_base();
        let frames = symbols.frames(Address::Instruction(address));
        assert_eq!(symbols.frames(Address::Return(address + 1)), frames);
        let last = frames.last().expect("the function is known");
        assert!(
            last.function.ends_with("symbols::tests::landmark"),
            "{frames:?}"
        );
        let place = last.place.as_deref().expect("its line is known");
        assert!(
            place.starts_with("relayctl/src/terminal/symbols.rs:"),
            "{place}"
        );
    }

    #[test]
    fn unknown_addresses_have_no_frames() {
        let elf = std::env::current_exe().expect("a test has an executable");
        let symbols = Symbols::load(&elf, Path::new("/")).expect("the test's own ELF is good");
        for address in [0, 1, u64::MAX] {
            assert_eq!(symbols.frames(Address::Return(address)), [], "{address:#x}");
        }
    }

    #[test]
    fn paths_are_short() {
        let elf = std::env::current_exe().expect("a test has an executable");
        let symbols = Symbols::load(&elf, Path::new("/w")).expect("the test's own ELF is good");
        let cases = [
            ("/w/kernel/src/main.rs", "kernel/src/main.rs:3"),
            (
                "/h/.cargo/registry/src/index-1/spin-0.12.3/src/a.rs",
                "spin-0.12.3/src/a.rs:3",
            ),
            (
                "/rustc/0123abc/library/core/src/panicking.rs",
                "library/core/src/panicking.rs:3",
            ),
            ("/elsewhere/x.rs", "/elsewhere/x.rs:3"),
        ];
        for (path, short) in cases {
            assert_eq!(symbols.place(path, Some(3)).as_deref(), Some(short));
        }
    }

    #[test]
    fn a_bogus_elf_is_an_error() {
        let root = Path::new("/");
        assert!(matches!(
            Symbols::load(Path::new("/nonexistent"), root),
            Err(SymbolError::Io(_))
        ));
        for bytes in [&b""[..], b"\x7fELF", b"#!/bin/sh\n"] {
            assert!(matches!(
                Symbols::parse(bytes, root),
                Err(SymbolError::Elf(_))
            ));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// A real ELF file with damaged bytes gives symbols or an error, never a panic.
        #[test]
        fn a_damaged_elf_does_no_harm(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..60),
            cut in any::<prop::sample::Index>(), address in any::<u32>(), header in any::<bool>()
        ) {
            let elf = std::env::current_exe().expect("a test has an executable");
            let mut bytes = std::fs::read(elf).expect("it is readable");
            if !header { bytes.truncate(cut.index(bytes.len())); }
            let reach = if header { bytes.len().min(1024) } else { bytes.len() };
            for (at, value) in damage {
                if reach > 0 { bytes[at.index(reach)] = value; }
            }
            if let Ok(symbols) = Symbols::parse(&bytes, Path::new("/")) {
                let _ = symbols.frames(Address::Return(address.into()));
            }
        }
    }
}
