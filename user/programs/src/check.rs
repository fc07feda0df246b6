//! The packets that `readers` takes: whether each byte is as it must be.
//!
//! Of every packet the [header](relay_format::packet) is checked by itself and against the packets
//! of the stream before it: magic number, sizes, CPU, times, packet and record numbers, losses. Of
//! streams whose records tell their length, `flood`, `shared` and what is formatted for `klog`, each
//! record is checked: stamps never go back, lengths add up, and those of the first two have the right
//! checksum and data. The lengths of other records are in the metadata, which this does not read: of
//! these, the first stamp is checked.

use core::fmt;

use crc::{CRC_32_ISCSI, Crc, Table};
use relay_format::packet::{CUT, FINAL, Header, MAGIC, MAX_CPUS, MAX_SIZE, SALVAGED, SIZE};
use relay_format::stamp::{self, Stamp, extend};
use relay_format::{Losses, filler};

/// The checksum of flood's records: CRC-32C.
const CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISCSI);

/// What is wrong with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is shorter than a header.
    Short,
    /// Its magic number.
    Magic,
    /// Its sizes do not fit together, or not to its length.
    Sizes,
    /// The numbers of its CPU.
    Cpu,
    /// It ends before it begins, or begins before the one before it has ended.
    Times,
    /// Its losses are not the sum of the reasons, or fewer than before.
    Losses,
    /// Unknown flags, or such that do not go together.
    Flags,
    /// It is of another boot or another stream than the one before.
    Stream,
    /// Its number is not the next.
    Number,
    /// The number of its first record is not the next, and nothing was overwritten.
    Ordinal,
    /// It is the last, and other records were overwritten than those that are not there.
    Overwritten,
    /// The kernel said something else of it than its header.
    Said,
    /// A record is cut off.
    RecordCut,
    /// A record's context is none, or its id is none of the stream's.
    RecordStamp,
    /// A record is older than the one before, or outside of the packet's times.
    RecordTime,
    /// A record's checksum.
    RecordChecksum,
    /// A record's data.
    RecordData,
    /// There are more or fewer records than the header says.
    RecordCount,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "it is shorter than a header",
            Self::Magic => "its magic number is wrong",
            Self::Sizes => "its sizes do not fit together",
            Self::Cpu => "its cpu is wrong",
            Self::Times => "its times go back",
            Self::Losses => "its losses do not add up",
            Self::Flags => "its flags are wrong",
            Self::Stream => "it is of another stream",
            Self::Number => "its number is not the next",
            Self::Ordinal => "the number of its first record is not the next",
            Self::Overwritten => "what is not there is not what was overwritten",
            Self::Said => "the kernel said something else of it",
            Self::RecordCut => "a record is cut off",
            Self::RecordStamp => "a record's stamp is wrong",
            Self::RecordTime => "a record's time is wrong",
            Self::RecordChecksum => "a record's checksum is wrong",
            Self::RecordData => "a record's data are wrong",
            Self::RecordCount => "it has more or fewer records than it says",
        })
    }
}

/// Which records a stream has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Those of scenarios.
    Flood,
    /// The same, of all CPUs in one stream.
    Shared,
    /// Lines that were formatted. Statements are among them, whose lengths the metadata tells.
    Klog,
    /// Others.
    Other,
}

impl Kind {
    /// Those of the file with this path.
    #[must_use]
    pub fn of(path: &str) -> Self {
        match path.split('/').nth(1) {
            Some("flood") => Self::Flood,
            Some("shared") => Self::Shared,
            Some("klog") => Self::Klog,
            _ => Self::Other,
        }
    }
}

/// What the kernel says of a packet beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// The packet's number.
    pub number: u64,
    /// Where its records begin.
    pub records_at: usize,
    /// How many records it has.
    pub records: u64,
}

/// A stream as far as it was taken.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    kind: Kind,
    /// What nobody has read is overwritten: packets may be absent.
    overwrites: bool,
    /// The header of the packet before.
    last: Option<Header>,
    /// Packets that were taken.
    pub packets: u64,
    /// Records in them, by their headers.
    pub records: u64,
    /// Records of which each byte was checked.
    pub checked: u64,
    /// Records in packets before the first that was taken.
    pub missed: u64,
    /// Records in packets that are not there between others.
    pub gaps: u64,
    /// Packets that are wrong.
    pub wrong: u64,
}

impl Stream {
    /// One of which nothing was taken, and whether it overwrites what nobody has read.
    #[must_use]
    pub const fn new(kind: Kind, overwrites: bool) -> Self {
        Self {
            kind,
            overwrites,
            last: None,
            packets: 0,
            records: 0,
            checked: 0,
            missed: 0,
            gaps: 0,
            wrong: 0,
        }
    }

    /// Takes the next packet's bytes.
    ///
    /// # Errors
    /// What is wrong with it, of which the first; it is counted.
    pub fn take(&mut self, bytes: &[u8], said: &Said) -> Result<(), Wrong> {
        let taken = self.try_take(bytes, said);
        self.packets += 1;
        self.wrong += u64::from(taken.is_err());
        taken
    }

    fn try_take(&mut self, bytes: &[u8], said: &Said) -> Result<(), Wrong> {
        let head = bytes.first_chunk::<SIZE>().ok_or(Wrong::Short)?;
        let header = Header::from_bytes(head);
        let content = sound(&header, bytes.len())?;
        let last = self.last.replace(header);
        self.records += header.records;
        match &last {
            Some(last) => self.gaps += follows(&header, last, self.overwrites)?,
            None => self.missed = header.ordinal,
        }
        // What is overwritten is counted by the packets that are written after that, and a packet may
        // be written before others in front of it are overwritten: only the last one tells of all.
        let (gaps, missed) = (self.gaps, self.missed);
        let is_final = header.flags & FINAL != 0;
        let told = gaps..=gaps + missed;
        if is_final && self.overwrites && !told.contains(&header.overwritten) {
            return Err(Wrong::Overwritten);
        }
        if (said.number, said.records, said.records_at)
            != (header.packet_seq_num, header.records, SIZE)
        {
            return Err(Wrong::Said);
        }
        self.checked += records(&header, &bytes[SIZE..content], self.kind)?;
        Ok(())
    }

    /// What is lost so far, by reason.
    #[must_use]
    pub fn lost(&self) -> Losses {
        self.last.as_ref().map_or(Losses::NONE, Header::losses)
    }

    /// Records that were overwritten so far, and such that were under way when their CPU stopped.
    #[must_use]
    pub fn gone(&self) -> (u64, u64) {
        let last = self.last.as_ref();
        last.map_or((0, 0), |last| (last.overwritten, last.uncommitted))
    }

    /// Whether the last packet that was taken is the stream's last.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.last.is_some_and(|last| last.flags & FINAL != 0)
    }
}

/// Whether a header is sound by itself, and fits to so many bytes. Returns how many of them are
/// header and records.
fn sound(header: &Header, length: usize) -> Result<usize, Wrong> {
    if header.magic != MAGIC {
        return Err(Wrong::Magic);
    }
    let (content, packet) = (header.content_size, header.packet_size);
    let fits = (SIZE as u64 * 8..=packet).contains(&content)
        && packet <= MAX_SIZE * 8
        && content.is_multiple_of(8)
        && packet.is_multiple_of(64);
    // What is taken may lack the padding.
    let bytes = length as u64;
    if !fits || bytes < content / 8 || bytes > packet / 8 {
        return Err(Wrong::Sizes);
    }
    if header.stream_instance_id != u64::from(header.cpu_id) || u64::from(header.cpu_id) >= MAX_CPUS
    {
        return Err(Wrong::Cpu);
    }
    if header.timestamp_begin > header.timestamp_end {
        return Err(Wrong::Times);
    }
    if header.losses().checked_total() != Some(header.events_discarded) {
        return Err(Wrong::Losses);
    }
    let flags = header.flags;
    let is_cut = flags & CUT != 0;
    if flags & !(FINAL | SALVAGED | CUT) != 0
        || is_cut && (flags & SALVAGED == 0 || flags & FINAL != 0)
    {
        return Err(Wrong::Flags);
    }
    Ok((content / 8) as usize)
}

/// Whether a packet follows the one before it, in a stream that may overwrite. Returns how many records
/// are absent between them.
fn follows(header: &Header, last: &Header, overwrites: bool) -> Result<u64, Wrong> {
    let stream = |of: &Header| (of.uuid, of.stream_id, of.cpu_id);
    if stream(header) != stream(last) {
        return Err(Wrong::Stream);
    }
    if header.timestamp_begin < last.timestamp_end {
        return Err(Wrong::Times);
    }
    let (now, before) = (header.losses().0, last.losses().0);
    let shrinks = now.iter().zip(&before).any(|(now, before)| now < before);
    if shrinks || header.overwritten < last.overwritten {
        return Err(Wrong::Losses);
    }
    let overwritten = header.overwritten - last.overwritten;
    let number = last.packet_seq_num.wrapping_add(1);
    let may_lack = overwrites || overwritten > 0;
    if header.packet_seq_num != number && !may_lack || header.packet_seq_num < number {
        return Err(Wrong::Number);
    }
    let next = last.ordinal.wrapping_add(last.records);
    match header.ordinal.checked_sub(next) {
        Some(gap) if gap <= overwritten || overwrites => Ok(gap),
        _ => Err(Wrong::Ordinal),
    }
}

/// Checks the records of a packet. Returns of how many each byte was checked.
fn records(header: &Header, bytes: &[u8], kind: Kind) -> Result<u64, Wrong> {
    let (mut rest, mut time) = (bytes, header.timestamp_begin);
    let (mut found, mut checked) = (0, 0);
    while !rest.is_empty() {
        let (head, body) = rest
            .split_first_chunk::<{ stamp::SIZE }>()
            .ok_or(Wrong::RecordCut)?;
        let stamp = Stamp::from_bytes(*head);
        let context = stamp.context().ok_or(Wrong::RecordStamp)?;
        // The first time not before the one before with these bits: one that went back is behind
        // the packet's end.
        time = extend(stamp.time(), time);
        if time > header.timestamp_end {
            return Err(Wrong::RecordTime);
        }
        let id = stamp.id();
        let length = if id >= stamp::EVENTS {
            filler::length(id, body).ok_or(Wrong::RecordCut)?
        } else {
            let length = match kind {
                Kind::Flood => flood(id, body, header.cpu_id, context as u8)?,
                Kind::Shared => {
                    let (cpu, body) = body.split_first_chunk().ok_or(Wrong::RecordCut)?;
                    size_of_val(cpu) + flood(id, body, u32::from_le_bytes(*cpu), context as u8)?
                }
                Kind::Klog => match klog(id, body)? {
                    Some(length) => length,
                    None => return Ok(checked),
                },
                Kind::Other => return Ok(checked),
            };
            found += 1;
            checked += 1;
            length
        };
        rest = body.get(length..).ok_or(Wrong::RecordCut)?;
    }
    // Of a salvaged packet that was cut some are missing.
    match found == header.records || header.flags & CUT != 0 {
        true => Ok(checked),
        false => Err(Wrong::RecordCount),
    }
}

/// Checks a record of flood, behind its stamp: number, checksum, length, data. Returns its length.
fn flood(id: u16, body: &[u8], cpu: u32, context: u8) -> Result<usize, Wrong> {
    const HEAD: usize = 14;
    if id != 1 {
        return Err(Wrong::RecordStamp);
    }
    let (head, rest) = body.split_first_chunk::<HEAD>().ok_or(Wrong::RecordCut)?;
    let (sequence, after) = head.split_first_chunk::<8>().ok_or(Wrong::RecordCut)?;
    let (sum, length) = after.split_first_chunk::<4>().ok_or(Wrong::RecordCut)?;
    let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
    let mut digest = CRC.digest();
    digest.update(sequence);
    digest.update(&cpu.to_le_bytes());
    digest.update(&[context]);
    if digest.finalize() != u32::from_le_bytes(*sum) {
        return Err(Wrong::RecordChecksum);
    }
    let data = rest.get(..length).ok_or(Wrong::RecordCut)?;
    match data.iter().all(|byte| *byte == sequence[0]) {
        true => Ok(HEAD + length),
        false => Err(Wrong::RecordData),
    }
}

/// The length of a line of klog behind its stamp; `None`: it is a statement.
fn klog(id: u16, body: &[u8]) -> Result<Option<usize>, Wrong> {
    if id != 1 {
        return Ok(None);
    }
    crate::lines::length(body).map(Some).ok_or(Wrong::RecordCut)
}

#[cfg(test)]
mod tests;
