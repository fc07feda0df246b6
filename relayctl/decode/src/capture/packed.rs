//! Captures that somebody has packed: tar archives, with gzip around them or not; and raw streams
//! in gzip.
//!
//! Nothing that an archive says is believed: its files are written below the folder that is given,
//! never over one another, links and devices are left out, and there is a limit to everything.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use tar::{Archive, Entry, EntryType, PaxExtensions};

use super::boots::number_of;
use crate::escape::printable;

/// The most bytes that an archive is unpacked to: twice the largest capture, unless somebody asked
/// for a larger one.
pub const MAX_UNPACKED: u64 = 2 << 30;

/// The most files and folders of an archive.
const MAX_ENTRIES: usize = 100_000;

/// The longest header of an archive that is read as a whole, in bytes: it has a long path, or what
/// else a program had to say of a file.
const MAX_HEADER: u64 = 1 << 16;

/// The longest path within an archive, in bytes.
const MAX_PATH: usize = 4096;

/// The most parts of a path within an archive.
const MAX_DEPTH: usize = 32;

/// The most things that are told of one archive.
const MAX_TOLD: usize = 16;

/// How many bytes tell what a file is.
const HEAD: usize = 512;

/// Why a packed capture cannot be read.
#[derive(Debug)]
pub enum PackedError {
    /// It cannot be read.
    Read(io::Error),
    /// Its files cannot be written.
    Write(PathBuf, io::Error),
    /// It is packed by this program, which is not known here.
    Foreign(&'static str),
    /// Unpacked, it has more than this many bytes.
    TooLarge(u64),
    /// It has more than this many files.
    TooMany(usize),
    /// There is no capture in it.
    NoCapture,
    /// There are several captures in it: at these paths.
    Several(Vec<String>),
}

impl fmt::Display for PackedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "it cannot be unpacked: {error}"),
            Self::Write(path, error) => {
                write!(f, "it cannot be unpacked: {}: {error}", path.display())
            }
            Self::Foreign(program) => write!(
                f,
                "it is packed by {program}; relayctl reads .tar and .tar.gz: unpack it first"
            ),
            Self::TooLarge(limit) => write!(
                f,
                "unpacked, it has more than {limit} bytes: unpack it by hand"
            ),
            Self::TooMany(limit) => write!(f, "it has more than {limit} files: unpack it by hand"),
            Self::NoCapture => f.write_str("there is no capture in it"),
            Self::Several(paths) => write!(
                f,
                "there are several captures in it: unpack it, and name one of {}",
                paths.join(", ")
            ),
        }
    }
}

impl std::error::Error for PackedError {}

/// What somebody has packed, or not.
pub enum Packed<'a> {
    /// A raw stream of packets.
    Raw(Box<dyn Read + 'a>),
    /// A tar archive.
    Archive(Box<dyn Read + 'a>),
}

impl fmt::Debug for Packed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raw(_) => "Raw",
            Self::Archive(_) => "Archive",
        })
    }
}

impl<'a> Packed<'a> {
    /// Finds out what an input is by its first bytes, whatever it is called, and takes gzip off.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is packed by something else.
    pub fn of(input: impl Read + 'a) -> Result<Self, PackedError> {
        let (head, input) = peek(input).map_err(PackedError::Read)?;
        if !head.starts_with(&[0x1f, 0x8b]) {
            return Self::plain(&head, input);
        }
        let input = MultiGzDecoder::new(BufReader::new(input));
        let (head, input) = peek(input).map_err(PackedError::Read)?;
        Self::plain(
            &head,
            Limited {
                input,
                left: MAX_UNPACKED,
            },
        )
    }

    /// The same of what has no gzip around it.
    fn plain(head: &[u8], input: impl Read + 'a) -> Result<Self, PackedError> {
        // GNU's and POSIX's archives have this at the same place.
        if head.get(257..262) == Some(b"ustar") {
            return Ok(Self::Archive(Box::new(input)));
        }
        let foreign: [(&[u8], &str); 5] = [
            (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
            (b"\xfd7zXZ\0", "xz"),
            (b"BZh", "bzip2"),
            (b"PK\x03\x04", "zip"),
            (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
        ];
        match foreign.iter().find(|(magic, _)| head.starts_with(magic)) {
            Some((_, program)) => Err(PackedError::Foreign(program)),
            None => Ok(Self::Raw(Box::new(input))),
        }
    }
}

/// Whether a file that begins like this is packed.
#[must_use]
pub fn is_packed(head: &[u8]) -> bool {
    head.starts_with(&[0x1f, 0x8b])
        || !matches!(Packed::plain(head, io::empty()), Ok(Packed::Raw(_)))
}

/// The first bytes of an input, and the whole input.
fn peek<R: Read>(mut input: R) -> io::Result<(Vec<u8>, impl Read)> {
    let mut head = Vec::new();
    input.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    Ok((head.clone(), io::Cursor::new(head).chain(input)))
}

/// An input that fails when it has had its bytes.
struct Limited<R> {
    input: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(buffer)?;
        match self.left.checked_sub(length as u64) {
            Some(left) => self.left = left,
            None => {
                let error = PackedError::TooLarge(MAX_UNPACKED);
                return Err(io::Error::new(
                    io::ErrorKind::FileTooLarge,
                    error.to_string(),
                ));
            }
        }
        Ok(length)
    }
}

/// A capture that was unpacked.
#[derive(Debug)]
pub struct Unpacked {
    /// Its folder.
    pub folder: PathBuf,
    /// What was left out, and what is damaged.
    pub problems: Vec<String>,
}

/// Unpacks a tar archive with one capture into a folder that is empty. An archive that is cut off
/// or damaged is unpacked up to there.
///
/// # Errors
///
/// When it has not one capture, is too large, or cannot be written.
pub fn unpack(archive: impl Read, into: &Path) -> Result<Unpacked, PackedError> {
    let mut unpacking = Unpacking {
        root: into,
        left: MAX_UNPACKED,
        captures: BTreeSet::new(),
        problems: Vec::new(),
    };
    unpacking.all(archive)?;
    let all = &unpacking.captures;
    let is_boot = |folder: &&PathBuf| {
        let name = folder.file_name().and_then(|name| name.to_str());
        // A further boot belongs to the capture around it.
        name.is_some_and(|name| number_of(name).is_some())
            && folder.parent().is_some_and(|parent| all.contains(parent))
    };
    let captures: Vec<_> = all.iter().filter(|folder| !is_boot(folder)).collect();
    match &captures[..] {
        [] => Err(PackedError::NoCapture),
        [one] => Ok(Unpacked {
            folder: into.join(one),
            problems: unpacking.problems,
        }),
        several => {
            let shown = several.iter().take(MAX_TOLD);
            let shown =
                shown.map(|path| printable(path.as_os_str().as_encoded_bytes()).into_owned());
            Err(PackedError::Several(shown.collect()))
        }
    }
}

/// An archive on its way to the disk.
struct Unpacking<'a> {
    root: &'a Path,
    /// How many bytes may still be written.
    left: u64,
    /// Where captures are, within the archive.
    captures: BTreeSet<PathBuf>,
    problems: Vec<String>,
}

impl Unpacking<'_> {
    /// Unpacks everything.
    fn all(&mut self, archive: impl Read) -> Result<(), PackedError> {
        let mut archive = Archive::new(archive);
        // Raw: long paths are read here, where they have a limit.
        let entries = archive.entries().map_err(PackedError::Read)?.raw(true);
        let mut long = None;
        for (count, entry) in entries.enumerate() {
            if count >= MAX_ENTRIES {
                return Err(PackedError::TooMany(MAX_ENTRIES));
            }
            let result = entry.and_then(|mut entry| match entry.header().entry_type() {
                EntryType::GNULongName => {
                    let mut path = read_header(&mut entry)?;
                    path.retain(|byte| *byte != 0);
                    long = Some(path);
                    Ok(None)
                }
                EntryType::XHeader => {
                    long = pax_path(&read_header(&mut entry)?);
                    Ok(None)
                }
                // The long target of a link: links are left out.
                EntryType::XGlobalHeader | EntryType::GNULongLink => Ok(None),
                _ => {
                    let path = long.take();
                    Ok(Some((
                        path.unwrap_or_else(|| entry.path_bytes().into_owned()),
                        entry,
                    )))
                }
            });
            match result {
                Ok(None) => {}
                Ok(Some((path, mut entry))) => self.entry(&path, &mut entry)?,
                Err(error) => return self.damaged(&error),
            }
        }
        // Up to the end: there gzip has its checksum.
        let rest = &mut archive.into_inner().take(MAX_UNPACKED);
        match io::copy(rest, &mut io::sink()) {
            Ok(_) => Ok(()),
            Err(error) => self.damaged(&error),
        }
    }

    /// Notes that the rest cannot be read.
    fn damaged(&mut self, error: &io::Error) -> Result<(), PackedError> {
        if error.kind() == io::ErrorKind::FileTooLarge {
            return Err(PackedError::TooLarge(MAX_UNPACKED));
        }
        self.problem(format!("the archive is damaged or cut off: {error}"));
        Ok(())
    }

    /// Unpacks one file or folder.
    fn entry(&mut self, path: &[u8], entry: &mut Entry<'_, impl Read>) -> Result<(), PackedError> {
        let shown = || printable(path).into_owned();
        let Some(within) = safe(path) else {
            self.problem(format!("{}: left out, it would lie elsewhere", shown()));
            return Ok(());
        };
        let target = self.root.join(&within);
        let failed = |error| PackedError::Write(target.clone(), error);
        match entry.header().entry_type() {
            EntryType::Directory => return fs::create_dir_all(&target).map_err(failed),
            EntryType::Regular | EntryType::Continuous => {}
            // A link to the newest capture is no part of any.
            EntryType::Symlink | EntryType::Link => return Ok(()),
            _ => {
                self.problem(format!("{}: left out, it is no plain file", shown()));
                return Ok(());
            }
        }
        self.note_capture(&within);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        let mut file = match File::create_new(&target) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.problem(format!("{}: it is in the archive twice", shown()));
                return Ok(());
            }
            file => file.map_err(failed)?,
        };
        let mut buffer = vec![0; 1 << 16];
        let mut missing = entry.size();
        loop {
            let length = match entry.read(&mut buffer) {
                Ok(0) if missing > 0 => {
                    self.problem(format!("{}: cut off, {missing} bytes are missing", shown()));
                    return Ok(());
                }
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                    return Err(PackedError::TooLarge(MAX_UNPACKED));
                }
                Err(error) => {
                    self.problem(format!("{}: cut off: {error}", shown()));
                    return Ok(());
                }
            };
            missing = missing.saturating_sub(length as u64);
            let left = self.left.checked_sub(length as u64);
            self.left = left.ok_or(PackedError::TooLarge(MAX_UNPACKED))?;
            io::Write::write_all(&mut file, &buffer[..length]).map_err(failed)?;
        }
    }

    /// Remembers where a capture is, if this is a file of one.
    fn note_capture(&mut self, file: &Path) {
        use super::folder::{METADATA, PACKETS, RUN, TRACE};
        let parent = file.parent().unwrap_or(Path::new(""));
        let is = |name: &str| file.file_name().is_some_and(|own| own == name);
        if is(METADATA) && parent.file_name().is_some_and(|name| name == TRACE) {
            let folder = parent.parent().unwrap_or(Path::new(""));
            self.captures.insert(folder.to_owned());
        } else if is(METADATA) || is(PACKETS) || is(RUN) {
            self.captures.insert(parent.to_owned());
        }
    }

    fn problem(&mut self, what: String) {
        if self.problems.len() < MAX_TOLD {
            self.problems.push(what);
        }
    }
}

/// Reads the contents of an entry that is a header of the next one.
fn read_header(entry: &mut Entry<'_, impl Read>) -> io::Result<Vec<u8>> {
    if entry.size() > MAX_HEADER {
        return Err(io::Error::other("a header is too long"));
    }
    let mut header = Vec::new();
    entry.take(MAX_HEADER).read_to_end(&mut header)?;
    Ok(header)
}

/// The path that POSIX's extended header has, if it has one.
fn pax_path(header: &[u8]) -> Option<Vec<u8>> {
    let extensions = PaxExtensions::new(header).map_while(Result::ok);
    let mut paths = extensions.filter(|extension| extension.key_bytes() == b"path");
    paths.next().map(|path| path.value_bytes().to_owned())
}

/// A path of an archive, if it leads nowhere else than down.
fn safe(path: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    if path.len() > MAX_PATH || path.contains(&0) {
        return None;
    }
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    let mut within = PathBuf::new();
    for (depth, part) in path.components().enumerate() {
        match part {
            _ if depth >= MAX_DEPTH => return None,
            Component::Normal(part) => within.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(within)
}

#[cfg(test)]
mod tests;
