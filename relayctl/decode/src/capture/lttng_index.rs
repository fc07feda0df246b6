//! Index files as LTTng writes them, `trace/index/STREAM.idx`: where each packet of a stream lies,
//! and which times it has. Viewers use them: Trace Compass, which without one reads a stream only
//! up to its first empty packet, and babeltrace2. Nothing here reads them: packets say it all.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::folder::{TRACE, open_file};
use crate::wire::{HEADER_SIZE, Header};

/// The folder of index files within a trace.
pub(super) const INDEX: &str = "index";

/// What an index file begins with.
const MAGIC: u32 = 0xC1F1_DCC1;

/// The version of the format: 1.1 has the packet's number.
const VERSION: [u32; 2] = [1, 1];

/// Bytes of an entry.
const ENTRY: usize = 72;

/// The index file of a stream's file, within the folder of a boot.
pub(super) fn path_of(file: &str) -> PathBuf {
    Path::new(TRACE).join(INDEX).join(format!("{file}.idx"))
}

/// What an index file begins with.
pub(super) fn head() -> Vec<u8> {
    let words = [MAGIC, VERSION[0], VERSION[1], ENTRY as u32];
    words.map(u32::to_be_bytes).concat()
}

/// The entry of a packet that lies at `offset` of its stream's file. All numbers are big-endian,
/// whatever those of the trace are.
pub(super) fn entry(offset: u64, header: &Header) -> Vec<u8> {
    let words = [
        offset,
        header.packet_size.saturating_mul(8),
        header.content_size.saturating_mul(8),
        header.begin,
        header.end,
        // Since the stream began, as in the packet itself.
        header.lost.total(),
        header.stream_id.into(),
        header.cpu.into(),
        header.number,
    ];
    words.map(u64::to_be_bytes).concat()
}

/// Writes the index of a stream anew, from the packets in its file; `folder` is that of the boot.
///
/// # Errors
///
/// When the file cannot be read, holds something else than whole packets, or the index cannot be
/// written. There is none then.
pub(super) fn write_anew(folder: &Path, file: &str) -> io::Result<()> {
    let path = folder.join(path_of(file));
    let mut new = path.clone().into_os_string();
    new.push(".new");
    let written = write(&folder.join(TRACE).join(file), Path::new(&new))
        .and_then(|()| fs::rename(&new, &path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
        let _ = fs::remove_file(&path);
    }
    written
}

/// Writes an index of the packets in a file.
fn write(packets: &Path, to: &Path) -> io::Result<()> {
    let from = open_file(packets)?;
    let length = from.metadata()?.len();
    let mut from = BufReader::with_capacity(1 << 16, from);
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut to = BufWriter::new(File::create(to)?);
    to.write_all(&head())?;
    let mut offset = 0u64;
    while offset < length {
        let mut bytes = [0; HEADER_SIZE];
        from.read_exact(&mut bytes)?;
        let header = Header::parse(&bytes).map_err(|_| io::ErrorKind::InvalidData)?;
        to.write_all(&entry(offset, &header))?;
        offset = offset.saturating_add(header.packet_size);
        let rest = header.packet_size.saturating_sub(HEADER_SIZE as u64);
        from.seek_relative(i64::try_from(rest).unwrap_or(i64::MAX))?;
    }
    match offset == length {
        true => to.flush(),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
