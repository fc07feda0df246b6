//! A slot that is leaked (`mem::forget`): never committed, never dropped.
//!
//! What holds: the other records are neither torn nor lost silently. Those before its packet are read,
//! those after it wait behind it, writers go on until they meet its sub-buffer a lap later and hear
//! `wrapped`, and the post-mortem finds every record that was committed and the one that was not.
//!
//! What does not hold: that it costs no more than its sub-buffer. Packets are delivered in order, so
//! everything behind it waits for ever; [`a_leaked_slot_costs_at_most_its_sub_buffer`] says what is wanted.

extern crate std;

use super::world::OneCpu;
use crate::{
    Channel, CloseError, Flushed, Geometry, Loss, Mode, NoHooks, Reader, Stopped, Storage,
    WriteError,
};
use core::mem;
use std::vec::Vec;

type Channels = Channel<OneCpu, 1>;

/// Four sub-buffers of eight records of eight bytes.
const SUBBUFS: usize = 4;
const PER_PACKET: u64 = 8;

fn channel(mode: Mode) -> Channels {
    let channel = Channel::new(OneCpu::default(), &NoHooks);
    let geometry = Geometry::new(64, SUBBUFS).unwrap().with_mode(mode).unwrap();
    let storage = Storage::allocate(&geometry).unwrap();
    channel.start(0, storage, geometry).unwrap();
    channel
}

/// Writes the records that are numbered so, until one is refused; says how many were written, and
/// why the next was not.
fn write(channel: &Channels, numbers: core::ops::Range<u64>) -> (u64, Option<WriteError>) {
    let begin = numbers.start;
    for number in numbers.clone() {
        if let Err(error) = channel.write(&number.to_le_bytes()) {
            return (number - begin, Some(error));
        }
    }
    (numbers.end - begin, None)
}

fn leak(channel: &Channels) {
    let mut slot = channel.reserve(8).unwrap();
    slot.bytes_mut().fill(0xDD);
    mem::forget(slot);
}

/// The numbers of a run of records.
fn numbers(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let (records, rest) = bytes.as_chunks::<8>();
    assert!(rest.is_empty());
    records.iter().map(|record| u64::from_le_bytes(*record))
}

/// The records of all packets that are readable.
fn read(reader: &mut Reader<'_>) -> Vec<u64> {
    let mut found = Vec::new();
    while let Some(taken) = reader.next_subbuf() {
        found.extend(numbers(taken.records()));
    }
    found
}

/// The committed records that the post-mortem finds, and how many were under way.
fn salvage(channel: &Channels) -> (Vec<u64>, usize) {
    // SAFETY: the calling thread is the CPU, and writes nothing while the result is used.
    let stopped = unsafe { Stopped::new(0) };
    let (mut found, mut uncommitted) = (Vec::new(), 0);
    for packet in channel.salvage(stopped).unwrap() {
        assert!(!packet.is_cut());
        uncommitted += packet.uncommitted();
        found.extend(packet.committed().flat_map(numbers));
    }
    (found, uncommitted)
}

/// Two packets that are read, three records, a leaked slot, and then as much as is taken: a lap.
/// Returns how many records were written.
fn fill_behind_a_leak(channel: &Channels, reader: &mut Reader<'_>) -> u64 {
    assert_eq!(write(channel, 0..16), (16, None));
    assert_eq!(read(reader), (0..16).collect::<Vec<_>>());
    assert_eq!(write(channel, 16..19), (3, None));
    leak(channel);
    let (more, refused) = write(channel, 19..1000);
    assert_eq!(refused, Some(WriteError::Lost(Loss::Wrapped)));
    19 + more
}

fn in_both_modes(check: fn(Mode)) {
    check(Mode::NoOverwrite);
    check(Mode::Continuous);
}

#[test]
fn what_comes_before_a_leaked_slot_is_read() {
    in_both_modes(|mode| {
        let channel = channel(mode);
        let mut reader = channel.reader(0).unwrap();
        assert_eq!(write(&channel, 0..19), (19, None));
        leak(&channel);
        assert_eq!(channel.flush(), Flushed::Packet);
        assert_eq!(read(&mut reader), (0..16).collect::<Vec<_>>(), "{mode:?}");
    });
}

#[test]
fn writers_meet_a_leaked_slot_as_wrapped_a_lap_later() {
    in_both_modes(|mode| {
        let channel = channel(mode);
        let mut reader = channel.reader(0).unwrap();
        let written = fill_behind_a_leak(&channel, &mut reader);
        // All of a lap but the slot itself.
        assert_eq!(written, 16 + PER_PACKET * SUBBUFS as u64 - 1, "{mode:?}");
        assert_eq!(channel.stats(0).unwrap().lost.total(), 1);
        assert_eq!(channel.stats(0).unwrap().records, 16, "delivered");
    });
}

#[test]
fn the_post_mortem_accounts_for_all_that_waits_behind_a_leaked_slot() {
    in_both_modes(|mode| {
        let channel = channel(mode);
        let mut reader = channel.reader(0).unwrap();
        let written = fill_behind_a_leak(&channel, &mut reader);
        let (found, uncommitted) = salvage(&channel);
        assert_eq!(found, (16..written).collect::<Vec<_>>(), "{mode:?}");
        assert_eq!(uncommitted, 1);
        // Attempted: what was written, the leaked one, the refused one.
        let stats = channel.stats(0).unwrap();
        let waiting = found.len() as u64 + uncommitted as u64;
        let accounted = stats.records + waiting + stats.lost.total();
        assert_eq!(accounted, written + 1 + 1);
    });
}

#[test]
fn a_stream_with_a_leaked_slot_closes_but_does_not_end() {
    in_both_modes(|mode| {
        let channel = channel(mode);
        let mut reader = channel.reader(0).unwrap();
        assert_eq!(write(&channel, 0..19), (19, None));
        leak(&channel);
        assert_eq!(channel.close(), Ok(()));
        let closed = WriteError::Lost(Loss::Closed);
        assert_eq!(write(&channel, 19..20), (0, Some(closed)));
        assert_eq!(read(&mut reader), (0..16).collect::<Vec<_>>());
        assert!(!reader.is_at_end(), "the final packet is not complete");
        assert_eq!(salvage(&channel).1, 1);
    });
}

#[test]
fn a_stream_that_has_wrapped_cannot_be_closed() {
    in_both_modes(|mode| {
        let channel = channel(mode);
        let mut reader = channel.reader(0).unwrap();
        fill_behind_a_leak(&channel, &mut reader);
        assert_eq!(channel.close(), Err(CloseError::NoRoom), "{mode:?}");
        assert_eq!(read(&mut reader), []);
        assert_eq!(channel.close(), Err(CloseError::NoRoom), "{mode:?}");
    });
}

#[test]
fn a_new_ring_waits_behind_a_leaked_slot_too() {
    in_both_modes(|mode| {
        let channel = channel(mode);
        let mut reader = channel.reader(0).unwrap();
        let written = fill_behind_a_leak(&channel, &mut reader);
        let geometry = Geometry::new(64, SUBBUFS).unwrap().with_mode(mode).unwrap();
        let storage = Storage::allocate(&geometry).unwrap();
        assert_eq!(channel.replace(storage, geometry), Ok(()));
        assert_eq!(write(&channel, written..written + 10), (10, None));
        assert_eq!(read(&mut reader), [], "{mode:?}");
        let (found, uncommitted) = salvage(&channel);
        // All but the sixteen that were read, and the ten in the new ring.
        assert_eq!((found.len() as u64, uncommitted), (written - 16 + 10, 1));
    });
}

#[test]
fn a_slot_that_comes_back_late_has_held_up_everything_and_cost_nothing() {
    in_both_modes(|mode| {
        let channel = channel(mode);
        let mut reader = channel.reader(0).unwrap();
        let mut slot = channel.reserve(8).unwrap();
        slot.bytes_mut().copy_from_slice(&0u64.to_le_bytes());
        assert_eq!(write(&channel, 1..32), (31, None));
        let wrapped = Some(WriteError::Lost(Loss::Wrapped));
        assert_eq!(write(&channel, 32..33), (0, wrapped));
        assert_eq!(read(&mut reader), []);
        slot.commit();
        assert_eq!(read(&mut reader), (0..32).collect::<Vec<_>>(), "{mode:?}");
        assert_eq!(write(&channel, 32..33), (1, None));
    });
}

#[test]
fn leaked_slots_keep_their_levels() {
    let channel = channel(Mode::NoOverwrite);
    for _ in 0..8 {
        leak(&channel);
    }
    let nested = WriteError::Lost(Loss::Nested);
    assert_eq!(write(&channel, 0..1), (0, Some(nested)));
}

/// What is wanted: all but its sub-buffer goes on.
#[test]
#[ignore = "packets are delivered in order: what comes after a leaked slot waits for it"]
fn a_leaked_slot_costs_at_most_its_sub_buffer() {
    in_both_modes(|mode| {
        let channel = channel(mode);
        let mut reader = channel.reader(0).unwrap();
        assert_eq!(write(&channel, 0..19), (19, None));
        leak(&channel);
        let mut seen = read(&mut reader);
        let mut written = 19;
        for number in 19..1000u64 {
            written += u64::from(channel.write(&number.to_le_bytes()).is_ok());
            seen.extend(read(&mut reader));
        }
        assert_eq!(channel.close(), Ok(()));
        seen.extend(read(&mut reader));
        assert!(reader.is_at_end());
        let stats = channel.stats(0).unwrap();
        let missing = written - seen.len() as u64 - stats.overwritten;
        assert!(missing < PER_PACKET, "{mode:?}: {missing} records missing");
    });
}
