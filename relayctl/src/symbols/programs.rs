//! The symbols of programs that ran on the machine, by their names.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use relay_machine::workspace::Workspace;

use super::elf::ElfFile;
use super::frame::{Address, Frame};
use super::table::Symbols;

/// One past the addresses that programs have: what lies above is the kernel's.
const USER_END: u64 = 1 << 47;

/// The most bytes of a program's name in a sample: longer ones are cut.
const CUT: usize = 16;

/// The programs in a folder: an ELF file each, called like the program. Which they are shows only when
/// one is asked for; each is read once.
pub(crate) struct Programs {
    /// The folder; without it nothing is known.
    folder: Option<PathBuf>,
    /// What was read, or could not be.
    known: RefCell<HashMap<String, Option<Symbols>>>,
}

impl fmt::Debug for Programs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Programs").field(&self.folder).finish()
    }
}

impl Programs {
    /// Those of a folder.
    #[must_use]
    pub(crate) fn of(folder: Option<PathBuf>) -> Self {
        Self {
            folder,
            known: RefCell::default(),
        }
    }

    /// Those that were built with a kernel: they are beside it.
    #[must_use]
    pub(crate) fn beside(kernel: &Path) -> Self {
        Self::of(kernel.parent().map(Path::to_owned))
    }

    /// Whether an address is a program's.
    #[must_use]
    pub(crate) fn has(address: u64) -> bool {
        address < USER_END
    }

    /// The functions of a program that an address lies in; see [`Symbols::frames`].
    #[must_use]
    pub(crate) fn frames(&self, program: &str, address: Address) -> Vec<Frame> {
        let mut known = self.known.borrow_mut();
        if !known.contains_key(program) {
            known.insert(program.to_owned(), self.read(program));
        }
        let symbols = known.get(program).and_then(Option::as_ref);
        symbols.map_or(Vec::new(), |symbols| symbols.frames(address))
    }

    /// Reads a program's file, if there is one.
    fn read(&self, program: &str) -> Option<Symbols> {
        let folder = self.folder.as_ref()?;
        let path = match folder.join(plain(program)?) {
            path if path.is_file() => path,
            _ => self.cut(program)?,
        };
        let file = ElfFile::read(&path).ok()?;
        let whole = path.canonicalize().unwrap_or(path);
        let root = Workspace::around(&whole).map_or_else(|| "/".into(), |workspace| workspace.root);
        Symbols::of(&file, &root).ok()
    }

    /// The file of a program whose name was cut, if only one begins so.
    fn cut(&self, program: &str) -> Option<PathBuf> {
        if program.len() < CUT {
            return None;
        }
        let entries = self.folder.as_ref()?.read_dir().ok()?.flatten();
        let mut found = entries.filter(|entry| {
            let name = entry.file_name();
            let name = name.to_str().and_then(plain);
            name.is_some_and(|name| name.starts_with(program) && !name.contains('.'))
        });
        let one = found.next()?;
        found.next().is_none().then(|| one.path())
    }
}

/// A name of a program, if it is one of a file and nothing else: captures are not trusted.
fn plain(name: &str) -> Option<&str> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (!name.is_empty() && !name.starts_with('.') && name.chars().all(is_good)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_files_of_the_folder_and_nothing_else() {
        for wrong in [
            "",
            ".",
            "..",
            "a/b",
            "/etc/passwd",
            "..\\a",
            "a b",
            "\u{fc}",
        ] {
            assert_eq!(plain(wrong), None, "{wrong}");
        }
        assert_eq!(plain("relay-init_2"), Some("relay-init_2"));
        let exe = std::env::current_exe().expect("a test has an executable");
        let programs = Programs::beside(&exe);
        let name = exe.file_name().and_then(|name| name.to_str());
        let name = name.expect("it is text");
        assert!(programs.read(name).is_some());
        assert!(programs.read("no-such-program").is_none());
        // A longer name than a sample has: only one file begins so, if there is no other build.
        assert!(name.len() > CUT, "{name}");
        let cut = programs.cut(&name[..name.len() - 1]);
        assert_eq!(cut.as_deref(), Some(exe.as_path()));
        assert!(programs.cut("relayctl").is_none());
    }

    #[test]
    fn what_is_not_there_has_no_names() {
        let programs = Programs::of(None);
        assert!(programs.frames("init", Address::Instruction(1)).is_empty());
        assert!(Programs::has(0x40_0000) && !Programs::has(0xffff_8000_0000_0000));
    }
}
