//! ELF files, and whether one is the program that ran.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use gimli::Error as DwarfError;
use object::{Object, ObjectSegment};
use relay_decode::capture::Image;
use relay_decode::wire::crc32c_append;

/// The largest ELF file that is read, in bytes.
const MAX_ELF: u64 = 1 << 30;

/// Why there are no symbols.
#[derive(Debug)]
pub(crate) enum ElfError {
    /// The file cannot be read.
    Io(io::Error),
    /// The file is larger than an ELF file may be (1 GiB).
    TooLarge(u64),
    /// The file is not an ELF file.
    Elf(object::Error),
    /// The file's debug information cannot be read.
    Dwarf(DwarfError),
}

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::TooLarge(size) => write!(f, "it has {size} bytes, more than {MAX_ELF}"),
            Self::Elf(error) => write!(f, "it is not a good ELF file: {error}"),
            Self::Dwarf(error) => write!(f, "its debug information is damaged: {error}"),
        }
    }
}

impl std::error::Error for ElfError {}

/// An ELF file's bytes.
pub(crate) struct ElfFile(pub(super) Vec<u8>);

impl fmt::Debug for ElfFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ElfFile").field(&self.0.len()).finish()
    }
}

impl ElfFile {
    /// Reads a file. Whether it is an ELF file shows when it is used.
    ///
    /// # Errors
    ///
    /// When it cannot be read, is too large, or is no plain file: others may have no end.
    pub(crate) fn read(path: &Path) -> Result<Self, ElfError> {
        if !std::fs::metadata(path).map_err(ElfError::Io)?.is_file() {
            return Err(ElfError::Io(io::Error::other("this is not a plain file")));
        }
        let file = File::open(path).map_err(ElfError::Io)?;
        let size = file.metadata().map_err(ElfError::Io)?.len();
        if size > MAX_ELF {
            return Err(ElfError::TooLarge(size));
        }
        let mut bytes = Vec::new();
        let mut limited = file.take(MAX_ELF);
        limited.read_to_end(&mut bytes).map_err(ElfError::Io)?;
        Ok(Self(bytes))
    }

    /// What of the file is loaded to run: the same whether its symbols and its debug information
    /// were stripped or not.
    ///
    /// # Errors
    ///
    /// When it is not a good ELF file.
    pub(crate) fn image(&self) -> Result<Image, ElfError> {
        let elf = object::File::parse(&*self.0).map_err(ElfError::Elf)?;
        let mut image = Image { bytes: 0, crc: 0 };
        for segment in elf.segments() {
            let data = segment.data().map_err(ElfError::Elf)?;
            if data.is_empty() {
                continue;
            }
            for part in [
                &segment.address().to_le_bytes()[..],
                &(data.len() as u64).to_le_bytes(),
                data,
            ] {
                image.crc = crc32c_append(image.crc, part);
            }
            image.bytes = image.bytes.saturating_add(data.len() as u64);
        }
        Ok(image)
    }
}
