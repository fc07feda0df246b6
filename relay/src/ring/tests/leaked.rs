//! A slot that is leaked (`mem::forget`), or kept open for a whole lap: it costs its packet, which a task
//! passes over when it comes round, and stands in the ledger. Contexts that interrupt something pass over
//! nothing: what they meet may be what they interrupted.

extern crate std;

use super::world::OneCpu;
use crate::{
    Channel, Flushed, Geometry, Global, Loss, Mode, NoHooks, PerCpu, Reader, Stopped, Storage,
    StreamError, Usage, WriteError,
};
use core::mem;
use std::vec::Vec;

type Channels = Channel<OneCpu, 1>;

/// Four sub-buffers of eight records of eight bytes.
const SUBBUFS: usize = 4;
const PER_PACKET: u64 = 8;
/// Laps before and after a slot comes back.
const LAPS: u64 = if cfg!(miri) { 2 } else { 3 };
/// Enough for every leaked slot to be met again; an interpreter has time for a few laps only.
const MANY: u64 = if cfg!(miri) { 80 } else { 1000 };

fn channel(mode: Mode) -> Channels {
    channel_of(mode, SUBBUFS)
}

fn channel_of(mode: Mode, subbufs: usize) -> Channels {
    let channel = Channel::new(OneCpu::default(), &NoHooks);
    let geometry = Geometry::new(64, subbufs).unwrap().with_mode(mode).unwrap();
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

/// Two packets that are read, three records, a leaked slot, and then as much as is taken: in no-overwrite mode
/// until the ring is full. Returns how many records were written.
fn fill_behind_a_leak(channel: &Channels, reader: &mut Reader<'_>, most: u64) -> u64 {
    assert_eq!(write(channel, 0..16), (16, None));
    assert_eq!(read(reader), (0..16).collect::<Vec<_>>());
    assert_eq!(write(channel, 16..19), (3, None));
    leak(channel);
    19 + write(channel, 19..most).0
}

fn in_both_modes(check: fn(Mode)) {
    check(Mode::NoOverwrite);
    check(Mode::Continuous);
}

/// Runs `body` as an interrupt handler.
fn in_an_interrupt<R>(channel: &Channels, body: impl FnOnce() -> R) -> R {
    channel.platform().interrupt(true);
    let result = body();
    channel.platform().interrupt(false);
    result
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
fn an_interrupt_meets_a_leaked_slot_as_wrapped_a_lap_later() {
    in_both_modes(|mode| {
        let channel = channel(mode);
        let mut reader = channel.reader(0).unwrap();
        let written = in_an_interrupt(&channel, || {
            let written = fill_behind_a_leak(&channel, &mut reader, 1000);
            let refused = Some(WriteError::Lost(Loss::Wrapped));
            assert_eq!(write(&channel, written..1000), (0, refused));
            written
        });
        // All of a lap but the slot itself.
        assert_eq!(written, 16 + PER_PACKET * SUBBUFS as u64 - 1, "{mode:?}");
        assert_eq!(channel.stats(0).unwrap().lost.total(), 2);
        assert_eq!(channel.stats(0).unwrap().records, 16, "delivered");
        // The post-mortem finds all that waits, and the one that was not written.
        let (found, uncommitted) = salvage(&channel);
        assert_eq!(found, (16..written).collect::<Vec<_>>());
        assert_eq!(uncommitted, 1);
        // Then the task comes.
        assert_eq!(
            write(&channel, written..written + 1).0,
            u64::from(mode == Mode::Continuous)
        );
        assert_eq!(
            read(&mut reader).len() as u64,
            PER_PACKET * (SUBBUFS as u64 - 1)
                - if mode == Mode::Continuous {
                    PER_PACKET
                } else {
                    0
                }
        );
    });
}

#[test]
fn an_interrupt_cannot_end_a_stream_that_has_wrapped() {
    in_both_modes(|mode| {
        let channel = channel(mode);
        let mut reader = channel.reader(0).unwrap();
        in_an_interrupt(&channel, || {
            fill_behind_a_leak(&channel, &mut reader, 1000);
            assert_eq!(channel.close(), Err(StreamError::NoRoom), "{mode:?}");
        });
        assert!(read(&mut reader).is_empty());
    });
}

/// Everything is accounted for once the stream has ended, with so many records read.
fn check_end(channel: &Channels, reader: &mut Reader<'_>, mut seen: Vec<u64>, attempted: u64) {
    // In no-overwrite mode the last packet may need what is read here.
    while channel.close() == Err(StreamError::NoRoom) {
        let more = read(reader);
        assert!(!more.is_empty(), "no room, and nothing to read");
        seen.extend(more);
    }
    seen.extend(read(reader));
    assert!(reader.is_at_end());
    assert!(seen.is_sorted_by(|a, b| a < b));
    let stats = channel.stats(0).unwrap();
    let accounted = seen.len() as u64 + stats.overwritten + stats.lost.total();
    assert_eq!(accounted, attempted);
}

#[test]
fn a_leaked_slot_in_the_last_packet_costs_that() {
    in_both_modes(|mode| {
        let channel = channel(mode);
        let mut reader = channel.reader(0).unwrap();
        assert_eq!(write(&channel, 0..19), (19, None));
        leak(&channel);
        check_end(&channel, &mut reader, Vec::new(), 20);
        let stats = channel.stats(0).unwrap();
        assert_eq!((stats.overwritten, stats.lost.get(Loss::Wrapped)), (3, 1));
    });
}

/// Nothing is passed over, and no packet closed for that, where what is under way may go on.
#[test]
fn a_stream_ends_in_the_packet_of_a_slot_that_may_come_back() {
    fn end<U: Usage>(mode: Mode, is_interrupt: bool) {
        let channel = Channel::<OneCpu, 1, U>::new(OneCpu::default(), &NoHooks);
        let geometry = Geometry::new(64, SUBBUFS).unwrap().with_mode(mode).unwrap();
        let storage = Storage::allocate(&geometry).unwrap();
        channel.start(0, storage, geometry).unwrap();
        let slot = channel.reserve(8).unwrap();
        channel.platform().interrupt(is_interrupt);
        assert_eq!(channel.close(), Ok(()));
        channel.platform().interrupt(false);
        slot.commit();
        let mut reader = channel.reader(0).unwrap();
        let packets: Vec<_> = core::iter::from_fn(|| reader.next_subbuf())
            .map(|taken| (taken.packet().records, taken.packet().is_final))
            .collect();
        assert_eq!(packets, [(1, true)]);
    }
    in_both_modes(|mode| {
        end::<PerCpu>(mode, true);
        end::<Global>(mode, false);
        end::<Global>(mode, true);
    });
}

#[test]
fn a_new_ring_comes_behind_a_leaked_slot() {
    in_both_modes(|mode| {
        let channel = channel(mode);
        let mut reader = channel.reader(0).unwrap();
        let written = fill_behind_a_leak(&channel, &mut reader, 40);
        let geometry = Geometry::new(64, SUBBUFS).unwrap().with_mode(mode).unwrap();
        let storage = Storage::allocate(&geometry).unwrap();
        assert_eq!(channel.replace(storage, geometry), Ok(()));
        let (more, _) = write(&channel, written..written + 10);
        assert_eq!(more, 10);
        let seen = (0..16).collect();
        check_end(&channel, &mut reader, seen, written + more + 1);
    });
}

#[test]
fn a_slot_that_a_task_keeps_for_a_lap_is_passed_over_and_its_sub_buffer_comes_back() {
    in_both_modes(|mode| {
        for commits in [true, false] {
            let channel = channel(mode);
            let mut reader = channel.reader(0).unwrap();
            let slot = channel.reserve(8).unwrap();
            let (mut attempted, mut seen) = (1, Vec::new());
            let mut lap = |laps: u64, seen: &mut Vec<u64>| {
                for _ in 0..laps * PER_PACKET * SUBBUFS as u64 {
                    let _ = channel.write(&u64::to_le_bytes(attempted));
                    attempted += 1;
                    seen.extend(read(&mut reader));
                }
                attempted
            };
            lap(LAPS, &mut seen);
            assert_eq!(channel.stats(0).unwrap().lost.get(Loss::Wrapped), 1);
            if commits {
                slot.commit();
            } else {
                slot.discard();
            }
            let lost = channel.stats(0).unwrap().lost.total();
            for _ in 0..SUBBUFS {
                let attempted = lap(1, &mut seen);
                let missing = attempted - 1 - seen.last().unwrap();
                assert!(missing < PER_PACKET, "{missing} are not delivered");
            }
            let attempted = lap(LAPS, &mut seen);
            assert_eq!(channel.stats(0).unwrap().lost.total(), lost);
            channel.flush();
            seen.extend(read(&mut reader));
            let all = PER_PACKET * SUBBUFS as u64;
            let last = attempted + all;
            assert_eq!(write(&channel, attempted..last), (all, None));
            assert_eq!(channel.info(0).unwrap().unread, 4, "all four again");
            check_end(&channel, &mut reader, seen, last);
        }
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

/// Such a slot also has the end reserve.
#[test]
fn a_leaked_slot_that_fills_its_packet_is_passed_over() {
    let channel = Channels::new(OneCpu::default(), &NoHooks);
    let geometry = Geometry::new(64, 2).unwrap().with_reserves(8, 16).unwrap();
    let storage = Storage::allocate(&geometry).unwrap();
    channel.start(0, storage, geometry).unwrap();
    let mut reader = channel.reader(0).unwrap();
    channel.write(&[0; 32]).unwrap();
    mem::forget(channel.reserve(8).unwrap());
    for number in 0..20_u64 {
        let _ = channel.write(&number.to_le_bytes());
        read(&mut reader);
    }
    let stats = channel.stats(0).unwrap();
    assert_eq!((stats.overwritten, stats.lost.get(Loss::Wrapped)), (1, 1));
}

/// Not the levels of slots before and after it, however they are given back.
#[test]
fn a_leaked_slot_costs_its_own_level_only() {
    let channel = channel(Mode::NoOverwrite);
    let reserve = || channel.reserve(4);
    for order in [[0, 1], [1, 0]] {
        let before = reserve().unwrap();
        leak(&channel);
        let mut slots = [Some(before), Some(reserve().unwrap())];
        for number in order {
            slots[number].take().unwrap().commit();
        }
    }
    let free: Vec<_> = core::iter::from_fn(|| reserve().ok()).collect();
    assert_eq!(free.len(), 8 - 2);
}

/// All but one of the sub-buffers have a leaked slot, and the writer meets them one after the other, in one search.
#[test]
fn leaked_slots_in_a_row_are_passed_over_in_one_write() {
    let channel = channel(Mode::Continuous);
    let leaks = SUBBUFS as u64 - 1;
    let mut number = 0;
    for _ in 0..leaks {
        leak(&channel);
        for _ in 1..PER_PACKET {
            channel.write(&u64::to_le_bytes(number)).unwrap();
            number += 1;
        }
    }
    for _ in 0..2 * PER_PACKET {
        channel.write(&u64::to_le_bytes(number)).unwrap();
        number += 1;
    }
    let stats = channel.stats(0).unwrap();
    assert_eq!(stats.lost.get(Loss::Wrapped), leaks);
    assert_eq!(stats.lost.total(), leaks);
    // Of the last sub-buffer all but the last eight.
    assert_eq!(stats.overwritten, number - PER_PACKET);
}

#[test]
fn a_leaked_slot_costs_at_most_its_sub_buffer() {
    in_both_modes(|mode| {
        // Down to two sub-buffers: one is left.
        let shapes: &[usize] = if cfg!(miri) { &[2] } else { &[2, 4] };
        for &subbufs in shapes {
            for leaks in 1..subbufs as u64 {
                let channel = channel_of(mode, subbufs);
                let mut reader = channel.reader(0).unwrap();
                let (mut seen, mut attempted) = (Vec::new(), 0);
                for number in 0..MANY {
                    let _ = channel.write(&number.to_le_bytes());
                    attempted += 1;
                    if number % 19 == 18 && number / 19 < leaks {
                        leak(&channel);
                        attempted += 1;
                    }
                    seen.extend(read(&mut reader));
                }
                check_end(&channel, &mut reader, seen.clone(), attempted);
                let stats = channel.stats(0).unwrap();
                let lost = stats.overwritten + stats.lost.total();
                assert_eq!(stats.lost.get(Loss::Wrapped), leaks, "{mode:?} {subbufs}");
                // What waited behind the leaked slot becomes readable just when the ring is full: the
                // reader had no time to make room for the record that comes round, or, in continuous
                // mode, to save the oldest packet.
                let late = match mode {
                    Mode::NoOverwrite => 1,
                    Mode::Continuous => PER_PACKET,
                };
                assert!(
                    lost <= leaks * (PER_PACKET + late),
                    "{mode:?}: {lost} records lost by {leaks} slots, of {subbufs} sub-buffers"
                );
            }
        }
    });
}
