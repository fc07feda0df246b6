//! The packets that `readers` takes: whether each byte is as it must be.
//!
//! Of every packet the [header](relay_format::packet) is checked by itself and against the packets
//! of the stream before it: magic number, sizes, CPU, times, packet and record numbers, losses. Of
//! streams whose records tell their length, `flood`, `shared` and what is formatted for `klog`, each
//! record is checked: stamps never go back, lengths add up, and those of the first two have the right
//! checksum and data. The lengths of other records are in the metadata, which this does not read: of these, the
//! first stamp is checked.

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
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use relay_format::{Context, Loss};

    /// What is done to a packet to make it wrong.
    type OfHeader = fn(&mut Header);
    type OfPacket = fn(&mut Header, &mut Vec<u8>);

    /// A record of flood, with its stamp.
    fn record(sequence: u64, cpu: u32, time: u64, length: u16) -> Vec<u8> {
        let mut digest = CRC.digest();
        digest.update(&sequence.to_le_bytes());
        digest.update(&cpu.to_le_bytes());
        digest.update(&[Context::Irq as u8]);
        let mut bytes = Stamp::new(1, Context::Irq, time).to_bytes().to_vec();
        bytes.extend(sequence.to_le_bytes());
        bytes.extend(digest.finalize().to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.resize(bytes.len() + usize::from(length), sequence as u8);
        bytes
    }

    /// The header of a packet of three records, and the packet.
    fn packet(change: impl FnOnce(&mut Header, &mut Vec<u8>)) -> (Vec<u8>, Said) {
        let mut records: Vec<u8> = (0..3)
            .flat_map(|i| record(7 + i, 3, 1000 + i, 5 * i as u16))
            .collect();
        let mut filled = [0; 9];
        filler::fill(&mut filled, Context::Task, 1003);
        records.extend(filled);
        let content = SIZE + records.len();
        let mut header = Header {
            magic: MAGIC,
            uuid: [9; 16],
            stream_id: 3,
            stream_instance_id: 3,
            timestamp_begin: 990,
            timestamp_end: 1010,
            content_size: content as u64 * 8,
            packet_size: content.next_multiple_of(8) as u64 * 8,
            cpu_id: 3,
            records: 3,
            ..Header::default()
        };
        change(&mut header, &mut records);
        let mut bytes = header.to_bytes().to_vec();
        bytes.extend(records);
        bytes.resize((header.packet_size / 8).min(1 << 20) as usize, 0);
        let said = Said {
            number: header.packet_seq_num,
            records_at: SIZE,
            records: header.records,
        };
        (bytes, said)
    }

    /// The same as the second of a stream.
    fn second(change: impl FnOnce(&mut Header)) -> (Vec<u8>, Said) {
        packet(|header, records| {
            header.packet_seq_num = 1;
            header.ordinal = 3;
            header.records = 0;
            header.timestamp_begin = 1010;
            header.timestamp_end = 1020;
            records.clear();
            header.content_size = SIZE as u64 * 8;
            header.packet_size = SIZE as u64 * 8;
            change(header);
        })
    }

    fn take(change: impl FnOnce(&mut Header, &mut Vec<u8>)) -> Result<(), Wrong> {
        let (bytes, said) = packet(change);
        Stream::new(Kind::Flood, false).take(&bytes, &said)
    }

    fn take_second(change: impl FnOnce(&mut Header)) -> Result<(), Wrong> {
        let mut stream = Stream::new(Kind::Flood, false);
        let (bytes, said) = packet(|_, _| {});
        stream.take(&bytes, &said).expect("it is right");
        let (bytes, said) = second(change);
        stream.take(&bytes, &said)
    }

    #[test]
    fn what_is_right_is_counted() {
        let mut stream = Stream::new(Kind::Flood, false);
        let (bytes, said) = packet(|_, _| {});
        assert_eq!(stream.take(&bytes, &said), Ok(()));
        assert!(!stream.is_final());
        let (bytes, said) = second(|header| {
            header.flags = FINAL;
            *header = header.with_losses(&Losses([4, 0, 0, 1, 0, 0]));
        });
        assert_eq!(stream.take(&bytes, &said), Ok(()));
        assert_eq!((stream.packets, stream.records, stream.checked), (2, 3, 3));
        assert_eq!(
            (stream.missed, stream.wrong, stream.is_final()),
            (0, 0, true)
        );
        assert_eq!(
            (stream.lost().get(Loss::Full), stream.lost().total()),
            (4, 5)
        );
        // Without the padding.
        let (bytes, said) = packet(|_, _| {});
        let content = bytes.len() - 1;
        let mut other = Stream::new(Kind::Other, false);
        assert_eq!(other.take(&bytes[..content], &said), Ok(()));
        assert_eq!((other.records, other.checked), (3, 0));
    }

    #[test]
    fn every_part_of_a_header_is_checked() {
        let cases: [(OfHeader, Wrong); 11] = [
            (|header| header.magic += 1, Wrong::Magic),
            (|header| header.content_size = 8, Wrong::Sizes),
            (|header| header.content_size += 4, Wrong::Sizes),
            (|header| header.packet_size += 8, Wrong::Sizes),
            (|header| header.packet_size = !63, Wrong::Sizes),
            (|header| header.cpu_id += 1, Wrong::Cpu),
            (|header| header.timestamp_end = 989, Wrong::Times),
            (|header| header.events_discarded = 1, Wrong::Losses),
            (|header| header.flags = 8, Wrong::Flags),
            (|header| header.flags = CUT, Wrong::Flags),
            (|header| header.flags = CUT | SALVAGED | FINAL, Wrong::Flags),
        ];
        for (case, wanted) in cases {
            assert_eq!(take(|header, _| case(header)), Err(wanted));
        }
        let said = Said {
            number: 0,
            records_at: SIZE,
            records: 0,
        };
        let mut stream = Stream::new(Kind::Flood, false);
        assert_eq!(stream.take(&[0; SIZE - 1], &said), Err(Wrong::Short));
        assert_eq!((stream.packets, stream.wrong), (1, 1));
    }

    #[test]
    fn every_part_of_a_record_is_checked() {
        const FIRST: usize = stamp::SIZE;
        let cases: [(OfPacket, Wrong); 9] = [
            (|_, records| records[5] = 2, Wrong::RecordStamp),
            (|_, records| records[6] |= 0xC0, Wrong::RecordStamp),
            (|_, records| records[0] = 0, Wrong::RecordTime),
            (|header, _| header.timestamp_end = 1001, Wrong::RecordTime),
            (|_, records| records[FIRST + 2] = 1, Wrong::RecordChecksum),
            (|_, records| records[FIRST + 8] ^= 1, Wrong::RecordChecksum),
            (
                |_, records| records[FIRST * 2 + 14 * 2] = 1,
                Wrong::RecordData,
            ),
            (|_, records| records[FIRST + 13] = 1, Wrong::RecordCut),
            (|header, _| header.records = 4, Wrong::RecordCount),
        ];
        for (place, (case, wanted)) in cases.into_iter().enumerate() {
            assert_eq!(take(case), Err(wanted), "case {place}");
        }
        let (bytes, said) = packet(|_, _| {});
        let mut wrong = said;
        wrong.records = 2;
        let mut stream = Stream::new(Kind::Flood, false);
        assert_eq!(stream.take(&bytes, &wrong), Err(Wrong::Said));
    }

    #[test]
    fn a_packet_follows_the_one_before() {
        assert_eq!(take_second(|_| {}), Ok(()));
        let cases: [(OfHeader, Wrong); 7] = [
            (|header| header.uuid[0] = 1, Wrong::Stream),
            (|header| header.stream_id = 4, Wrong::Stream),
            (|header| header.timestamp_begin = 1009, Wrong::Times),
            (|header| header.packet_seq_num = 2, Wrong::Number),
            (|header| header.packet_seq_num = 0, Wrong::Number),
            (|header| header.ordinal = 4, Wrong::Ordinal),
            (|header| header.ordinal = 2, Wrong::Ordinal),
        ];
        for (place, (case, wanted)) in cases.into_iter().enumerate() {
            assert_eq!(take_second(case), Err(wanted), "case {place}");
        }
        // What was overwritten leaves a gap of as many records.
        let gap = |overwritten| {
            take_second(move |header| {
                header.packet_seq_num = 5;
                header.ordinal = 13;
                header.overwritten = overwritten;
            })
        };
        assert_eq!((gap(10), gap(9)), (Ok(()), Err(Wrong::Ordinal)));
        let mut stream = Stream::new(Kind::Flood, false);
        let (bytes, said) = packet(|header, _| *header = header.with_losses(&Losses([2; 6])));
        assert_eq!(stream.take(&bytes, &said), Ok(()));
        let (bytes, said) = second(|_| {});
        assert_eq!(stream.take(&bytes, &said), Err(Wrong::Losses));
    }

    #[test]
    fn what_overwrites_may_lack_packets_and_its_last_one_tells_of_how_many_records() {
        let end = |overwritten| {
            let mut stream = Stream::new(Kind::Flood, true);
            let (bytes, said) = packet(|header, _| header.ordinal = 2);
            stream.take(&bytes, &said).expect("it is right");
            let (bytes, said) = second(|header| {
                header.packet_seq_num = 4;
                header.ordinal = 10;
            });
            assert_eq!(stream.take(&bytes, &said), Ok(()), "a later one will tell");
            let (bytes, said) = second(|header| {
                header.packet_seq_num = 5;
                header.ordinal = 10;
                header.overwritten = overwritten;
                header.timestamp_begin = 1020;
                header.flags = FINAL;
            });
            let taken = stream.take(&bytes, &said);
            assert_eq!((stream.missed, stream.gaps), (2, 5));
            taken
        };
        assert_eq!([5, 7].map(end), [Ok(()); 2]);
        assert_eq!([4, 8].map(end), [Err(Wrong::Overwritten); 2]);
    }

    #[test]
    fn records_of_all_cpus_say_whose_they_are() {
        let take = |cpu: u32| {
            let (bytes, said) = packet(|header, records| {
                records.clear();
                let record = record(7, 6, 1000, 5);
                records.extend(&record[..stamp::SIZE]);
                records.extend(cpu.to_le_bytes());
                records.extend(&record[stamp::SIZE..]);
                header.records = 1;
                let content = SIZE + records.len();
                header.content_size = content as u64 * 8;
                header.packet_size = content.next_multiple_of(8) as u64 * 8;
            });
            let mut stream = Stream::new(Kind::Shared, false);
            stream.take(&bytes, &said).map(|()| stream.checked)
        };
        assert_eq!(take(6), Ok(1));
        assert_eq!(take(5), Err(Wrong::RecordChecksum));
    }

    #[test]
    fn any_bytes_do_no_harm() {
        let (bytes, said) = packet(|_, _| {});
        let mut state = 1_u32;
        for _ in 0..20_000 {
            let mut bytes = bytes.clone();
            for _ in 0..3 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (state >> 8) as usize % bytes.len();
                bytes[at] = state as u8;
            }
            for kind in [Kind::Flood, Kind::Shared, Kind::Klog, Kind::Other] {
                // It must not panic; what is wrong is told.
                let _ = Stream::new(kind, true).take(&bytes, &said);
            }
        }
    }
}
