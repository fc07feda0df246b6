//! Packets made by hand, and what is wrong with each.

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
