//! Function names and source lines for addresses in the code of an ELF file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use addr2line::Context;
use gimli::{DwarfSections, EndianArcSlice, LittleEndian};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};

use super::elf::{ElfError, ElfFile};
use super::frame::{Address, Frame};

/// Frames shown for one address; more inlining than this is not told apart.
const MAX_FRAMES: usize = 16;

/// What addr2line reads its sections from.
type Section = EndianArcSlice<LittleEndian>;

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
    /// When it is not a good ELF file.
    pub(crate) fn of(file: &ElfFile, root: &Path) -> Result<Self, ElfError> {
        let elf = object::File::parse(&*file.0).map_err(ElfError::Elf)?;
        let sections = DwarfSections::load(|id| {
            let data = elf.section_by_name(id.name()).map(|section| section.data());
            // A section that the file lacks is an empty section.
            let data = data.transpose().map_err(ElfError::Elf)?.unwrap_or_default();
            Ok::<_, ElfError>(Section::new(Arc::from(data), LittleEndian))
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
        let dwarf = Context::from_dwarf(dwarf).map_err(ElfError::Dwarf)?;
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
                let location = frame.location.as_ref();
                let file = location.and_then(|at| at.file).map(|file| self.short(file));
                let line = location.and_then(|at| at.line);
                let function = frame.function.as_ref().and_then(|f| f.demangle().ok());
                let Some(function) = function
                    .map(|f| f.into_owned())
                    .or_else(|| self.symbol(address))
                else {
                    break;
                };
                found.push(Frame {
                    function,
                    file,
                    line,
                    is_inlined: true,
                });
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
                    file: None,
                    line: None,
                    is_inlined: true,
                }),
            }
        }
        if let Some(outermost) = found.last_mut() {
            outermost.is_inlined = false;
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

    /// A source file without the parts of its path that say nothing:
    /// the workspace's root, the registry's folder, the compiler's commit.
    fn short(&self, file: &str) -> String {
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
        short.to_owned()
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

    /// The line of a call that is inlined, and of what is in it.
    const INLINED: (u32, u32) = (line!() + 6, line!() + 12);

    /// A function with another one within it.
    #[inline(never)]
    fn around(words: &mut [u64; 4]) {
        let [first, ..] = words;
        inlined(first);
        words[2] = words[1] ^ words[3];
    }

    #[inline(always)]
    fn inlined(word: &mut u64) {
        *word = (*word >> 5) ^ 0x55;
    }

    /// The symbols of a good file.
    fn symbols(elf: &Path, root: &Path) -> Symbols {
        let file = ElfFile::read(elf).expect("it is readable");
        Symbols::of(&file, root).expect("the test's own ELF is good")
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
        let symbols = symbols(&elf, root);
        let address = landmark as *const () as u64 - load_base();
        let frames = symbols.frames(Address::Instruction(address));
        assert_eq!(symbols.frames(Address::Return(address + 1)), frames);
        let last = frames.last().expect("the function is known");
        assert!(
            last.function.ends_with("symbols::table::tests::landmark"),
            "{frames:?}"
        );
        let place = last.place().expect("its line is known");
        assert!(
            place.starts_with("relayctl/src/symbols/table.rs:"),
            "{place}"
        );
    }

    #[test]
    fn inlined_functions_are_told() {
        let mut words = std::hint::black_box([1, 2, 3, 4]);
        around(&mut words);
        assert_eq!(words, [0x55, 2, 6, 4]);
        let elf = std::env::current_exe().expect("a test has an executable");
        let symbols = symbols(&elf, Path::new("/"));
        let name = "relayctl::symbols::table::tests::around";
        let mut functions = symbols.functions.iter();
        let (from, size, _) = functions
            .find(|(.., function)| function == name)
            .expect("it is in the symbol table");
        // A function and a line for each frame, of every byte of the code.
        let frames = (*from..from + size).map(|at| {
            let frames = symbols.frames(Address::Instruction(at));
            let places = frames.into_iter().map(|frame| {
                assert_eq!(frame.is_inlined, frame.function == "inlined");
                (frame.function, frame.line)
            });
            places.collect::<Vec<_>>()
        });
        let frames: Vec<_> = frames.collect();
        let (call, body) = INLINED;
        let within = vec![
            ("inlined".to_owned(), Some(body)),
            (name.to_owned(), Some(call)),
        ];
        assert!(frames.contains(&within), "{frames:?}");
        let own = vec![(name.to_owned(), Some(call + 1))];
        assert!(frames.contains(&own), "{frames:?}");
        let all = |frames: &Vec<(String, _)>| frames.last().is_some_and(|(last, _)| last == name);
        assert!(frames.iter().all(all), "{frames:?}");
    }

    #[test]
    fn unknown_addresses_have_no_frames() {
        let elf = std::env::current_exe().expect("a test has an executable");
        let symbols = symbols(&elf, Path::new("/"));
        for address in [0, 1, u64::MAX] {
            assert_eq!(symbols.frames(Address::Return(address)), [], "{address:#x}");
        }
    }

    #[test]
    fn paths_are_short() {
        let elf = std::env::current_exe().expect("a test has an executable");
        let symbols = symbols(&elf, Path::new("/w"));
        let cases = [
            ("/w/kernel/src/main.rs", "kernel/src/main.rs"),
            (
                "/h/.cargo/registry/src/index-1/spin-0.12.3/src/a.rs",
                "spin-0.12.3/src/a.rs",
            ),
            (
                "/rustc/0123abc/library/core/src/panicking.rs",
                "library/core/src/panicking.rs",
            ),
            ("/elsewhere/x.rs", "/elsewhere/x.rs"),
        ];
        for (path, short) in cases {
            assert_eq!(symbols.short(path), short);
        }
    }

    #[test]
    fn a_bogus_elf_is_an_error() {
        let root = Path::new("/");
        for path in ["/nonexistent", "/dev/zero", "/"] {
            let read = ElfFile::read(Path::new(path));
            assert!(matches!(read, Err(ElfError::Io(_))), "{path}");
        }
        for bytes in [&b""[..], b"\x7fELF", b"#!/bin/sh\n"] {
            let file = ElfFile(bytes.to_vec());
            assert!(matches!(Symbols::of(&file, root), Err(ElfError::Elf(_))));
            assert!(matches!(file.image(), Err(ElfError::Elf(_))));
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
            let file = ElfFile(bytes);
            let _ = file.image();
            if let Ok(symbols) = Symbols::of(&file, Path::new("/")) {
                let _ = symbols.frames(Address::Return(address.into()));
            }
        }
    }
}
