//! Records that are filled in place: cut, given up, kept open for a lap, while a panic unwinds; and
//! what the post-mortem says of them.

extern crate std;

use super::stage::{
    Ch, check_sum, drain, every_step, filled, geometry, interrupt_at, on_channel, packets, salvage,
    small,
};
use super::world::OneCpu;
use crate::{
    Channel, Delivery, Global, Hooks, Loss, Mode, NoHooks, PerCpu, Records, Slot, Storage, Usage,
    WriteError,
};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

#[test]
fn what_is_given_up_gives_its_space_back() {
    on_channel(small().with_mode(Mode::Continuous).unwrap(), |ch| {
        let mut reader = ch.reader(0).unwrap();
        ch.write(&[7; 6]).unwrap();
        for len in [10, 3, 10] {
            ch.reserve_with(len, |slot| slot.give_up()).unwrap();
        }
        ch.write(&[7; 10]).unwrap();
        assert_eq!(packets(&mut reader)[0].records, 2);
    });
}

#[test]
fn a_slot_says_what_it_is() {
    on_channel(geometry(64, 2), |ch| {
        ch.write(&[7; 5]).unwrap();
        let written = ch.reserve_with(6, |slot| {
            assert_eq!(slot.len(), 6);
            let shown = std::format!("{slot:?}");
            let ticks = slot.timestamp();
            let wanted = std::format!("Slot {{ begin: 0x5, len: 6, ticks: {ticks}, .. }}");
            assert_eq!(shown, wanted);
            slot.write(b"longer than it is");
            slot.bytes_mut().to_vec()
        });
        assert_eq!(written.as_deref(), Ok(&b"longer"[..]));
    });
}

/// Whichever way it goes: first of its packet, behind another, filling it, nested, with all CPUs
/// writing.
#[test]
fn what_is_filled_in_place_is_read() {
    fn all<U: Usage>(delivery: Delivery) {
        for lens in [[5, 5, 5], [16, 16, 16], [6, 10, 6], [1, 15, 16]] {
            let shape = geometry(16, 8).with_delivery(delivery).unwrap();
            let ch = Channel::<OneCpu, 1, U>::new(OneCpu::default(), &NoHooks);
            ch.start(0, Storage::allocate(&shape).unwrap(), shape)
                .unwrap();
            for (value, len) in (1..).zip(lens) {
                ch.reserve_with(len, filled(value)).unwrap();
            }
            let [one, two, three] = lens;
            ch.reserve_with(one, |slot| {
                ch.reserve_with(two, |slot| {
                    slot.bytes_mut().fill(5);
                    ch.reserve_with(three, filled(6)).unwrap();
                })
                .unwrap();
                slot.bytes_mut().fill(4);
            })
            .unwrap();
            ch.flush();
            let mut records = Records::new(ch.reader(0).unwrap());
            let mut read = [0; 128];
            let len = records.read(&mut read);
            let wanted: Vec<u8> = (1..=6)
                .flat_map(|value| core::iter::repeat_n(value, lens[(value as usize - 1) % 3]))
                .collect();
            assert_eq!(read[..len], wanted);
        }
    }
    for delivery in [Delivery::Bulk, Delivery::Record] {
        all::<PerCpu>(delivery);
        all::<Global>(delivery);
    }
}

/// A record is held open while a lap is written: what comes round is lost, the record and all else
/// is delivered, and nothing is missing afterwards.
#[test]
fn a_lap_inside_a_record_costs_what_comes_round_and_nothing_else() {
    let modes = [Mode::NoOverwrite, Mode::Continuous];
    for (mode, gives_up) in modes
        .into_iter()
        .flat_map(|mode| [(mode, false), (mode, true)])
    {
        on_channel(geometry(64, 4).with_mode(mode).unwrap(), |ch| {
            let mut reader = ch.reader(0).unwrap();
            let mut attempted = 1;
            let mut write = |times: u64| {
                attempted += times;
                (0..times).filter(|_| ch.write(&[1; 8]).is_ok()).count()
            };
            let written = ch.reserve_with(8, |slot| {
                let written = write(3 * 32);
                assert_eq!(ch.write(&[1; 8]), Err(WriteError::Lost(Loss::Wrapped)));
                if gives_up {
                    slot.give_up();
                }
                written
            });
            // A lap, but for the record itself.
            assert_eq!(written, Ok(31), "{mode:?}");
            let lost = ch.stats(0).unwrap().lost;
            assert_eq!(lost.get(Loss::Wrapped), 3 * 32 - 31 + 1);
            let mut delivered = drain(&mut reader);
            assert_eq!(delivered, if gives_up { 31 } else { 32 }, "all of them");
            for _ in 0..100 {
                assert_eq!(write(1), 1, "no sub-buffer is missing");
                delivered += drain(&mut reader);
            }
            ch.close().unwrap();
            delivered += drain(&mut reader);
            assert!(reader.is_at_end());
            check_sum(ch, attempted + 1, delivered);
        });
    }
}

/// In record delivery with a start reserve: one record given up, one held open for a lap.
#[test]
fn a_record_held_open_does_not_stop_record_delivery() {
    let shape = geometry(64, 4)
        .with_reserves(8, 0)
        .and_then(|shape| shape.with_delivery(Delivery::Record))
        .unwrap();
    on_channel(shape, |ch| {
        let mut records = Records::new(ch.reader(0).unwrap());
        let mut bytes = [0; 4096];
        let (mut attempted, mut read) = (2, 0);
        ch.reserve_with(8, |slot| slot.give_up()).unwrap();
        ch.reserve_with(8, |_| {
            for _ in 0..100 {
                attempted += 1;
                let _ = ch.write(&[1; 8]);
                read += records.read(&mut bytes) / 8;
            }
        })
        .unwrap();
        for _ in 0..1000 {
            attempted += 1;
            read += records.read(&mut bytes) / 8;
            ch.write(&[1; 8]).unwrap();
        }
        read += records.read(&mut bytes) / 8;
        let lost = ch.stats(0).unwrap().lost;
        assert_eq!(attempted, read as u64 + lost.total());
        assert!(lost.get(Loss::Wrapped) < 100 && read > 1000);
    });
}

/// A panic that unwinds out of a record gives it up; the stream goes on.
#[test]
fn a_panic_gives_the_record_up() {
    for delivery in [Delivery::Bulk, Delivery::Record] {
        for behind in [0, 1, 20] {
            on_channel(geometry(64, 4).with_delivery(delivery).unwrap(), |ch| {
                let mut reader = ch.reader(0).unwrap();
                ch.write(&[1; 8]).unwrap();
                let fill = |_: &mut Slot<'_>| {
                    (0..behind).for_each(|_| ch.write(&[1; 8]).unwrap());
                    panic!("while it is being filled");
                };
                let result = catch_unwind(AssertUnwindSafe(|| ch.reserve_with(8, fill)));
                assert!(result.is_err());
                assert_eq!(ch.platform().pins(), 0, "a pin is left");
                ch.write(&[1; 8]).unwrap();
                ch.close().unwrap();
                assert_eq!(drain(&mut reader), behind + 2);
                assert!(reader.is_at_end());
                assert_eq!(ch.stats(0).unwrap().lost.get(Loss::Discarded), 1);
            });
        }
    }
}

/// Needs four bytes to mark what is to be skipped.
struct FourToFill;

impl Hooks for FourToFill {
    fn fill(&self, bytes: &mut [u8], _timestamp: u64) {
        assert!(bytes.len() >= 4);
        bytes.fill(0xFF);
    }

    fn least_fill(&self) -> usize {
        4
    }
}

#[test]
fn a_record_is_cut_where_that_leaves_room_for_a_filler() {
    let channel = Channel::<_, 1>::new(OneCpu::default(), &FourToFill);
    let shape = geometry(64, 2);
    channel
        .start(0, Storage::allocate(&shape).unwrap(), shape)
        .unwrap();
    channel
        .reserve_with(8, |slot| {
            assert_eq!(slot.keep(8), 8);
            assert_eq!(slot.keep(usize::MAX), 8, "there is no more");
            channel.write(&[1; 3]).unwrap();
            for len in [5, 6, 7] {
                assert_eq!((slot.keep(len), slot.len()), (8, 8), "{len}");
            }
            assert_eq!((slot.keep(4), slot.len()), (4, 4));
            assert_eq!(slot.keep(8), 4, "what was cut off does not come back");
            slot.write(&[7; 4]);
        })
        .unwrap();
    channel
        .reserve_with(8, |slot| {
            assert_eq!(slot.keep(7), 7, "nothing comes after it");
            slot.write(&[2; 7]);
        })
        .unwrap();
    let kept = channel.reserve_with(8, |slot| {
        slot.write(&[3]);
        slot.keep(0)
    });
    assert_eq!(kept, Ok(1), "a record has a byte at least");
    channel.flush();
    let mut reader = channel.reader(0).unwrap();
    let taken = reader.next_subbuf().unwrap();
    let wanted = [&[7; 4][..], &[0xFF; 4], &[1; 3], &[2; 7], &[3]].concat();
    assert_eq!(taken.records(), wanted);
    assert_eq!(taken.packet().records, 4);
}

#[test]
fn what_is_given_up_becomes_zeros_where_the_client_has_no_filler() {
    on_channel(small(), |ch| {
        ch.reserve_with(4, |slot| {
            slot.write(&[7; 4]);
            ch.write(&[1; 2]).unwrap();
            slot.give_up();
        })
        .unwrap();
        ch.flush();
        let mut reader = ch.reader(0).unwrap();
        assert_eq!(reader.next_subbuf().unwrap().records(), [0, 0, 0, 0, 1, 1]);
    });
}

/// A hook that writes while it fills.
struct Fills;
static FILLED: Channel<crate::host::Host, 64> = Channel::new(crate::host::Host, &Fills);
impl Hooks for Fills {
    fn fill(&self, bytes: &mut [u8], _: u64) {
        bytes.fill(0);
        let _ = FILLED.write(&[5; 8]);
    }
}

#[test]
fn a_hook_that_writes_a_lap_while_it_fills_counts_nothing_twice() {
    let cpu = crate::host::Cpu::claim();
    let shape = geometry(64, 2);
    FILLED
        .start(cpu.number(), Storage::allocate(&shape).unwrap(), shape)
        .unwrap();
    FILLED
        .reserve_with(8, |slot| {
            for _ in 0..15 {
                FILLED.write(&[1; 8]).unwrap();
            }
            slot.give_up();
        })
        .unwrap();
    let mut reader = FILLED.reader(cpu.number()).unwrap();
    let mut delivered = drain(&mut reader);
    let _ = FILLED.close();
    delivered += drain(&mut reader);
    let stats = FILLED.stats(cpu.number()).unwrap();
    assert_eq!(17, delivered + stats.overwritten + stats.lost.total());
}

#[test]
fn a_given_up_exact_fit_leaves_no_mark_that_the_post_mortem_believes() {
    for (start, end) in [(0, 0), (2, 3)] {
        let shape = small().with_reserves(start, end).unwrap();
        every_step(|i| {
            on_channel(shape, |ch| {
                ch.write(&[7; 6]).unwrap();
                ch.reserve_with(16 - start - end - 6, |slot| slot.give_up())
                    .unwrap();
                let autopsy = move || {
                    let lens = salvage(ch)
                        .flat_map(|packet| packet.committed().map(<[u8]>::len).collect::<Vec<_>>());
                    let found: usize = lens.sum();
                    assert!(found >= 6, "reserves {start}, {end}, step {i}: {found}");
                };
                interrupt_at(i, || ch.write(&[7; 9]).unwrap(), autopsy)
            })
        });
    }
}

/// A record that is given up is under way, or lost: the post-mortem never counts it twice.
#[test]
fn a_record_given_up_is_counted_once_wherever_the_cpu_is_stopped() {
    let sums = Rc::new(Cell::new((0, 0)));
    every_step(|i| {
        on_channel(small(), |ch| {
            ch.write(&[7; 3]).unwrap();
            let is_behind = Rc::new(Cell::new(false));
            let (looks, behind) = (Rc::clone(&sums), Rc::clone(&is_behind));
            let look = move || {
                if !behind.get() {
                    return;
                }
                for packet in salvage(ch) {
                    assert!(!packet.is_cut(), "step {i}: {packet:?}");
                }
                let uncommitted: usize = salvage(ch).map(|packet| packet.uncommitted()).sum();
                let lost = ch.stats(0).unwrap().lost.get(Loss::Discarded);
                let (under_way, given_up) = looks.get();
                assert!(uncommitted as u64 + lost <= 1, "step {i}");
                looks.set((under_way + uncommitted, given_up + lost));
            };
            let fill = |slot: &mut Slot<'_>| {
                ch.write(&[7; 2]).unwrap();
                is_behind.set(true);
                slot.give_up();
            };
            interrupt_at(i, || ch.reserve_with(5, fill).unwrap(), look)
        })
    });
    let (under_way, given_up) = sums.get();
    assert!(under_way > 0 && given_up > 0 || cfg!(miri));
}

/// A record is reserved and cut to half, another is written behind it before or after that, and the
/// CPU stops at each step from there on: the other is found, and it is too, once its bytes are
/// there; nothing is in doubt.
#[test]
fn the_post_mortem_finds_a_record_that_was_cut() {
    for is_cut_first in [false, true] {
        let found_both = Rc::new(Cell::new(0));
        let steps = every_step(|i| {
            on_channel(geometry(64, 2), |ch| {
                let is_cut = Rc::new(Cell::new(false));
                let (finds, cut) = (Rc::clone(&found_both), Rc::clone(&is_cut));
                let look = move || {
                    if !cut.get() {
                        return;
                    }
                    let found = Found::of(ch);
                    assert!(!found.is_cut, "step {i}");
                    assert_eq!(found.records + found.uncommitted, 2, "step {i}");
                    let filler = if is_cut_first { 0 } else { 8 };
                    let both = [&[1; 8][..], &[0; 8][..filler], &[2; 8]].concat();
                    match found.records {
                        1 => assert_eq!(found.bytes, [2; 8], "step {i}"),
                        _ => {
                            assert_eq!(found.bytes, both, "step {i}");
                            finds.set(finds.get() + 1);
                        }
                    }
                };
                let fill = |slot: &mut Slot<'_>| {
                    if is_cut_first {
                        assert_eq!(slot.keep(8), 8);
                    }
                    ch.write(&[2; 8]).unwrap();
                    assert_eq!(slot.keep(8), 8);
                    is_cut.set(true);
                    slot.bytes_mut().fill(1);
                };
                interrupt_at(i, || ch.reserve_with(16, fill).unwrap(), look)
            })
        });
        assert!(
            steps > 12 && found_both.get() >= 2 || cfg!(miri),
            "{steps} {found_both:?}"
        );
    }
}

/// Another record is written at each step of a cut, and then the CPU stops: the other is found.
/// Whether what is cut is in the middle of its packet or fills it, and whether the other fills it
/// then.
#[test]
fn the_post_mortem_finds_what_is_written_while_a_record_is_cut() {
    for (before, len) in [(8, 8), (8, 3), (48, 8), (48, 3)] {
        let steps = every_step(|i| {
            on_channel(geometry(64, 2), |ch| {
                ch.write(&vec![1; before]).unwrap();
                let fill = |slot: &mut Slot<'_>| {
                    let stop = move || {
                        ch.write(&vec![2; len]).unwrap();
                        let found = Found::of(ch);
                        assert!(!found.is_cut, "{before} {len}, step {i}");
                        assert_eq!((found.records, found.uncommitted), (2, 1), "step {i}");
                        assert_eq!(found.bytes, [vec![1; before], vec![2; len]].concat());
                    };
                    interrupt_at(i, || _ = slot.keep(8), stop)
                };
                ch.reserve_with(16, fill).unwrap()
            })
        });
        assert!(steps >= 4, "{steps}");
    }
}

/// The same while a record is given up: the other is found, and what is given up is no record under
/// way, or counted as lost.
#[test]
fn the_post_mortem_finds_what_is_written_while_a_record_is_given_up() {
    for (before, len) in [(8, 16), (8, 3), (48, 8), (48, 16)] {
        let stopped = Rc::new(Cell::new(0));
        every_step(|i| {
            on_channel(geometry(64, 2), |ch| {
                ch.write(&vec![1; before]).unwrap();
                let is_given_up = Rc::new(Cell::new(false));
                let (armed, stops) = (Rc::clone(&is_given_up), Rc::clone(&stopped));
                let stop = move || {
                    if !armed.get() {
                        return;
                    }
                    ch.write(&vec![2; len]).unwrap();
                    let found = Found::of(ch);
                    assert!(!found.is_cut, "{before} {len}, step {i}");
                    assert_eq!(found.records, 2, "{before} {len}, step {i}");
                    let records = [vec![1; before], vec![2; len]].concat();
                    let fillers = found.bytes.len() - records.len();
                    let whole = [vec![1; before], vec![0; fillers], vec![2; len]].concat();
                    assert!([0, 16].contains(&fillers), "step {i}");
                    assert_eq!(found.bytes, whole, "{before} {len}, step {i}");
                    stops.set(stops.get() + 1);
                };
                let fill = |slot: &mut Slot<'_>| {
                    slot.give_up();
                    is_given_up.set(true);
                };
                interrupt_at(i, || ch.reserve_with(16, fill).unwrap(), stop)
            })
        });
        assert!(stopped.get() > 6 || cfg!(miri), "{stopped:?}");
    }
}

/// What the post-mortem finds.
struct Found {
    bytes: Vec<u8>,
    records: u64,
    uncommitted: u64,
    is_cut: bool,
}

impl Found {
    /// All packets together, if the CPU stops here.
    fn of(ch: &Ch) -> Self {
        let packets: Vec<_> = salvage(ch).collect();
        let runs = packets.iter().flat_map(|packet| packet.committed());
        Self {
            bytes: runs.flatten().copied().collect(),
            records: packets.iter().map(|packet| packet.packet().records).sum(),
            uncommitted: packets
                .iter()
                .map(|packet| packet.uncommitted() as u64)
                .sum(),
            is_cut: packets.iter().any(|packet| packet.is_cut()),
        }
    }
}

/// Between the last byte of a record and its commit, the post-mortem finds it, whole.
#[test]
fn a_record_is_found_from_its_last_byte_on() {
    let seen = Rc::new(Cell::new(Vec::new()));
    every_step(|i| {
        on_channel(small(), |ch| {
            ch.write(&[7; 3]).unwrap();
            let sees = Rc::clone(&seen);
            let look = move || {
                let ring = ch.stream_of(0).current().unwrap();
                let committed = ring.sub(0).committed().records();
                let (mut records, mut uncommitted) = (0, 0);
                for packet in salvage(ch) {
                    records += packet.packet().records;
                    uncommitted += packet.uncommitted();
                }
                let mut all = sees.take();
                all.push((committed, records, uncommitted));
                sees.set(all);
            };
            interrupt_at(i, || ch.write(&[7; 5]).unwrap(), look)
        })
    });
    // Nothing yet; under way; written; counted.
    let stages = [(1, 1, 0), (1, 1, 1), (1, 2, 0), (2, 2, 0)];
    let seen = seen.take();
    let mut order = seen
        .iter()
        .map(|now| stages.iter().position(|stage| stage == now).unwrap());
    assert!(order.clone().is_sorted(), "{seen:?}");
    assert!(cfg!(miri) || (0..stages.len()).all(|stage| order.any(|now| now == stage)));
}

#[test]
fn no_run_of_records_that_the_post_mortem_finds_is_empty() {
    on_channel(small(), |ch| {
        let look = |_: &mut Slot<'_>| {
            let packets: Vec<_> = salvage(ch).collect();
            assert_eq!((packets.len(), packets[0].uncommitted()), (1, 3));
            assert!(packets[0].committed().eq([&[9; 2][..]]));
        };
        let inner = |_: &mut Slot<'_>| {
            ch.write(&[9; 2]).unwrap();
            ch.reserve_with(4, look).unwrap();
        };
        ch.reserve_with(3, |_| ch.reserve_with(4, inner).unwrap())
            .unwrap();
    });
}

/// The post-mortem finds what was committed between records under way, before and behind them.
#[test]
fn the_post_mortem_finds_what_lies_between_records_under_way() {
    on_channel(geometry(64, 2), |ch| {
        let look = |_: &mut Slot<'_>| {
            ch.write(&[9; 2]).unwrap();
            let packets: Vec<_> = salvage(ch).collect();
            assert_eq!((packets.len(), packets[0].uncommitted()), (1, 2));
            let found: Vec<_> = packets[0].committed().collect();
            assert_eq!(found, [&[7, 7][..], &[8], &[9; 2]]);
        };
        ch.write(&[7; 2]).unwrap();
        ch.reserve_with(3, |_| {
            ch.write(&[8]).unwrap();
            ch.reserve_with(4, look).unwrap();
        })
        .unwrap();
    });
}

/// Nested deeper than there are intents: counted, and over when the records are.
#[test]
fn nine_records_are_one_too_many() {
    /// How many records it writes, each within the one before.
    fn nest(ch: &Ch) -> usize {
        let inner = |_: &mut Slot<'_>| 1 + nest(ch);
        match ch.reserve_with(4, inner) {
            Ok(deep) => deep,
            Err(error) => {
                assert_eq!(error, WriteError::Lost(Loss::Nested));
                0
            }
        }
    }
    on_channel(geometry(64, 4), |ch| {
        for times in 1..=3 {
            assert_eq!(nest(ch), 8);
            assert_eq!(ch.stats(0).unwrap().lost.get(Loss::Nested), times);
        }
    });
}
