//! What a capture keeps when it has its largest size.
//!
//! The oldest: nothing more is written. The newest: the oldest packets make room. Their bytes are
//! given back to the file system where they lie, so that nothing moves while somebody reads; the
//! list says what is left out. When the capture ends, the files are written anew without the holes,
//! because other readers of CTF want none; a stream that keeps nothing has no file then, since an
//! empty one is no stream to them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use nix::fcntl::{FallocateFlags, fallocate};

use super::folder::{METADATA, PACKETS, TRACE, open_file};
use super::index::{self, Index};
use super::left_out::{LeftOut, Runs};
use super::lttng_index;
use crate::wire::Header;

/// The folder of a boot within that of its capture, and the name of a stream's file there.
pub(super) type Place = (PathBuf, String);

/// What is kept of more than there is room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// What came first.
    #[default]
    Oldest,
    /// What came last.
    Newest,
}

/// A packet that is kept.
#[derive(Debug)]
struct Kept {
    /// The folder of its boot within the capture's, and its stream's file.
    file: Place,
    /// Where it ends there.
    end: u64,
    /// Its size.
    size: u64,
    /// Where its line in the list begins.
    line: u64,
    /// Which it is.
    packet: LeftOut,
}

/// The packets that are kept, in the order in which they came, and what is left out.
#[derive(Debug, Default)]
pub(super) struct Newest {
    kept: VecDeque<Kept>,
    /// By file.
    left_out: BTreeMap<Place, Runs>,
}

/// What made room, of one boot.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    /// How many packets.
    pub(super) packets: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// All files of the boot of which something is left out, with what that is now.
    pub(super) files: Vec<(String, Runs)>,
    /// Where the line of the boot's first packet that is kept begins in its list.
    pub(super) line: u64,
}

impl Newest {
    /// Notes a packet that was written at `offset` of its file; its line will be at `line`.
    pub(super) fn note(&mut self, file: Place, offset: u64, line: u64, header: &Header) {
        let size = header.packet_size;
        self.kept.push_back(Kept {
            file,
            end: offset.saturating_add(size),
            size,
            line,
            packet: LeftOut::of(header),
        });
    }

    /// Takes the oldest packets until there are so many bytes, or no more packets. What made room,
    /// by the folders of the boots.
    pub(super) fn drop_oldest(&mut self, bytes: u64) -> BTreeMap<PathBuf, Dropped> {
        let mut boots: BTreeMap<PathBuf, Dropped> = BTreeMap::new();
        let mut sum = 0;
        while sum < bytes
            && let Some(oldest) = self.kept.pop_front()
        {
            sum += oldest.size;
            let dropped = boots.entry(oldest.file.0.clone()).or_default();
            dropped.packets += 1;
            dropped.bytes += oldest.size;
            let left_out = self.left_out.entry(oldest.file).or_default();
            left_out.add(oldest.packet);
            left_out.set_hole(oldest.end);
        }
        for (within, dropped) in &mut boots {
            let mut kept = self.kept.iter();
            let first = kept.find(|kept| kept.file.0 == *within);
            dropped.line = first.map_or(u64::MAX, |kept| kept.line);
            let files = self.left_out.iter();
            let files = files.filter(|((of, _), _)| of == within);
            dropped.files = files
                .map(|((_, file), all)| (file.clone(), all.clone()))
                .collect();
        }
        boots
    }

    /// Whether nothing had to make room yet.
    pub(super) fn is_new(&self) -> bool {
        self.left_out.is_empty()
    }

    /// What is left out of a stream's file.
    pub(super) fn left_out(&self, file: &Place) -> Option<&Runs> {
        self.left_out.get(file)
    }

    /// The folders of the boots of which something is left out.
    pub(super) fn boots(&self) -> BTreeSet<PathBuf> {
        let places = self.left_out.keys();
        places.map(|(within, _)| within.clone()).collect()
    }
}

/// Gives the beginning of a file back to the file system: it reads as zeros.
///
/// # Errors
///
/// When the file system cannot do that.
pub(super) fn punch(path: &Path, length: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    let length = length.try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
    fallocate(file, hole, 0, length)?;
    Ok(())
}

/// Writes the files of a boot anew, without their holes, and the list. Files of streams that keep
/// nothing are removed, with their indexes: what they are called. What is left out of them stays in
/// the list.
///
/// # Errors
///
/// When they cannot be read or written. What is there then is what was there before.
pub(super) fn close_holes(folder: &Path) -> io::Result<Vec<String>> {
    let path = folder.join(PACKETS);
    let all = Index::read(BufReader::new(open_file(&path)?))?;
    let mut list = String::new();
    for file in all.files() {
        let mut left_out = all.left_out(file);
        left_out.set_hole(0);
        list += &left_out.lines(file);
    }
    let old = open_file(&path)?;
    let mut is_described = false;
    index::each_packet(BufReader::new(old), |file, offset, entry| {
        // Its line may have come again.
        if file == METADATA && std::mem::replace(&mut is_described, true) {
            return;
        }
        if let Some(offset) = offset.checked_sub(all.begin(file)) {
            list += &index::line(file, offset, entry.size.into(), entry.crc);
        }
    })?;
    let streams = all.files().filter(|file| all.begin(file) > 0);
    let (mut new, mut emptied) = (Vec::new(), Vec::new());
    for file in streams {
        let path = folder.join(TRACE).join(file);
        // By its length: bytes that have no line are not thrown away.
        match fs::metadata(&path)?.len() <= all.begin(file) {
            true => emptied.push(file.to_owned()),
            false => new.push((path, all.begin(file))),
        }
    }
    let mut written = fs::write(new_name(&path), list);
    for (path, begin) in &new {
        written = written.and_then(|()| copy_without(path, *begin));
    }
    // All of them are there before the first takes its place.
    new.push((path, 0));
    if let Err(error) = written {
        for (path, _) in &new {
            let _ = fs::remove_file(new_name(path));
        }
        return Err(error);
    }
    // Before the list: to the old one what lies in a hole is not there either.
    for file in &emptied {
        let _ = fs::remove_file(folder.join(lttng_index::path_of(file)));
        fs::remove_file(folder.join(TRACE).join(file))?;
    }
    for (path, _) in &new {
        fs::rename(new_name(path), path)?;
    }
    Ok(emptied)
}

/// What a file is called until it takes the place of the one before.
fn new_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Writes a file anew, without its beginning.
fn copy_without(path: &Path, begin: u64) -> io::Result<()> {
    let mut from = open_file(path)?;
    from.seek(SeekFrom::Start(begin))?;
    let mut to = BufWriter::new(File::create(new_name(path))?);
    io::copy(&mut from, &mut to)?;
    to.flush()
}
