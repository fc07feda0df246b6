//! Streams that were stuck, or records that were counted twice, because of what came back in the middle of passing over.

use super::passed::comes_back;
use super::*;

/// Runs `body`s at steps `i` and `j`.
fn at_two(
    i: u64,
    one: impl FnOnce() + 'static,
    j: u64,
    two: impl FnOnce() + 'static,
) -> impl FnMut() + 'static {
    let (mut one, mut two) = (at(i, one), at(j, two));
    move || {
        one();
        two();
    }
}

/// An interrupt steps over a packet that is given up only for the moment.
#[test]
fn a_packet_that_is_not_given_up_after_all_is_read() {
    for mode in [Mode::NoOverwrite, Mode::Continuous] {
        for i in 1..60 {
            (1..60).for_each(|j| stepped_over(mode, i, j));
        }
    }
}

fn stepped_over(mode: Mode, i: u64, j: u64) {
    let ch = channel(g(16, 4).with_mode(mode).unwrap());
    let mut reader = ch.reader(0).unwrap();
    let attempted = Rc::new(Cell::new(0));
    let write = {
        let attempted = Rc::clone(&attempted);
        move |len: usize| {
            attempted.set(attempted.get() + 1);
            ch.write(&vec![1; len])
        }
    };
    let mut delivered = 0;
    let _ = write(16); // 0
    let first = ch.reserve(8).unwrap(); // 1
    let _ = write(8);
    let _ = write(16); // 2
    let _ = write(16); // 3
    delivered += drain(&mut reader);
    let _ = write(16); // 4
    let _ = write(16); // passes 1 over; 5 is void; 6 is not read yet
    delivered += drain(&mut reader);
    let in_continuous_mode_6_is_there = mode == Mode::Continuous;
    if !in_continuous_mode_6_is_there {
        let _ = write(16); // 6
    }
    let _ = write(16); // 7
    delivered += drain(&mut reader);
    let second = ch.reserve(8).unwrap(); // 8
    let _ = write(8);
    attempted.set(attempted.get() + 2);
    first.commit(); // the sub-buffer may be taken back at 9
    let w = write.clone();
    let one = move || interrupt(ch, || _ = w(16));
    with_hook(at(i, one), || _ = write(16));
    let second = Rc::new(Cell::new(Some(second)));
    let (w, s) = (write.clone(), Rc::clone(&second));
    let two = move || {
        interrupt(ch, || {
            let _ = w(16);
            s.take().unwrap().commit();
        })
    };
    with_hook(at(j, two), || _ = write(16));
    drop(second.take());
    for _ in 0..24 {
        delivered += drain(&mut reader);
        let _ = write(16);
    }
    delivered += drain(&mut reader);
    let full = ch.stats(0).unwrap().lost.get(Loss::Full);
    let _ = ch.close();
    ch.tick();
    delivered += drain(&mut reader);
    check_sum(ch, attempted.get(), delivered);
    let what = (mode, i, j);
    assert!(full < 4, "{what:?}: {full} lost, though all was read");
}

/// An emptied packet is stepped over by an interrupt while it seems given up.
#[test]
fn an_emptied_packet_does_not_stop_delivery() {
    for i in 1..60 {
        for j in i + 1..60 {
            let ch = channel(g(16, 4));
            let mut reader = ch.reader(0).unwrap();
            let aside = Rc::new(Cell::new(Some(ch.reserve(16).unwrap())));
            let attempted = Rc::new(Cell::new(1));
            let a = Rc::clone(&attempted);
            let two = move || {
                interrupt(ch, || {
                    a.set(a.get() + 1);
                    let _ = ch.write(&[2; 8]);
                })
            };
            let one = comes_back(ch, &aside, false);
            with_hook(at_two(i, one, j, two), || _ = ch.close());
            drop(aside.take());
            for _ in 0..3 {
                let _ = ch.close();
                ch.tick();
            }
            let delivered = drain(&mut reader);
            assert!(reader.is_at_end(), "{i} {j}");
            check_sum(ch, attempted.get(), delivered);
        }
    }
}

/// A task that closes ends the stream, though an interrupt completes the first of two packets.
#[test]
fn close_passes_all_over() {
    for i in 1..200 {
        let ch = channel(g(64, 4));
        let mut reader = ch.reader(0).unwrap();
        let aside = Rc::new(Cell::new(Some(ch.reserve(8).unwrap())));
        ch.flush();
        mem::forget(ch.reserve(8).unwrap());
        ch.flush();
        ch.write(&[1; 8]).unwrap();
        let one = comes_back(ch, &aside, true);
        with_hook(at(i, one), || _ = ch.close());
        drop(aside.take());
        // Only the timer is left.
        interrupt(ch, || ch.tick());
        drain(&mut reader);
        assert!(reader.is_at_end(), "{i}");
    }
}

/// What a signal handler (a task, too) passes over in the middle of a write, beside a leaked slot.
#[test]
fn a_signal_handler_counts_the_interrupted_write_once() {
    for i in 1..40 {
        let ch = channel(g(64, 2));
        let mut reader = ch.reader(0).unwrap();
        mem::forget(ch.reserve(8).unwrap());
        let hit = Rc::new(Cell::new(0));
        let h = Rc::clone(&hit);
        let lap = move || {
            for _ in 0..20 {
                let _ = ch.write(&[3; 8]);
                h.set(h.get() + 1);
            }
        };
        with_hook(at(i, lap), || _ = ch.write(&[1; 8]));
        let _ = go_on(ch, &mut reader, 2 + hit.get(), 60, &[4; 8]);
    }
}

/// The same in the middle of a discard.
#[test]
fn a_signal_handler_counts_the_interrupted_discard_once() {
    for i in 1..40 {
        let ch = channel(g(64, 2));
        let mut reader = ch.reader(0).unwrap();
        mem::forget(ch.reserve(8).unwrap());
        let slot = ch.reserve(8).unwrap();
        ch.write(&[2; 8]).unwrap();
        let hit = Rc::new(Cell::new(0));
        let h = Rc::clone(&hit);
        let lap = move || {
            (0..20).for_each(|_| _ = ch.write(&[3; 8]));
            h.set(20);
        };
        with_hook(at(i, lap), || slot.discard());
        let _ = go_on(ch, &mut reader, 3 + hit.get(), 60, &[4; 8]);
    }
}

/// A sub-buffer a lap ahead is claimed for a writer that then does not get there.
#[test]
fn no_sub_buffer_is_claimed_a_lap_ahead() {
    for mode in [Mode::NoOverwrite, Mode::Continuous] {
        for i in 1..60 {
            for j in i + 1..60 {
                let ch = channel(g(16, 2).with_mode(mode).unwrap());
                let mut reader = ch.reader(0).unwrap();
                let [a, b] = [0, 1].map(|_| {
                    let slot = ch.reserve(8).unwrap();
                    ch.write(&[1; 8]).unwrap();
                    Rc::new(Cell::new(Some(slot)))
                });
                // Passes both over: there is no sub-buffer left.
                ch.write(&[1; 8]).unwrap_err();
                let first = comes_back(ch, &a, true);
                let second = comes_back(ch, &b, true);
                let one = move || {
                    first();
                    second();
                };
                let two = move || interrupt(ch, || (0..2).for_each(|_| _ = ch.write(&[2; 8])));
                with_hook(at_two(i, one, j, two), || _ = ch.write(&[1; 8]));
                drop((a.take(), b.take()));
                // Now nothing is under way, and everything is read.
                for _ in 0..8 {
                    drain(&mut reader);
                    let _ = ch.write(&[3; 8]);
                }
                drain(&mut reader);
                assert_eq!(ch.write(&[3; 8]), Ok(()), "{mode:?} {i} {j}");
            }
        }
    }
}

/// What a writer has seen void is claimed meanwhile, and emptied again: the position is as it was.
#[test]
fn a_packet_emptied_by_an_interrupt_is_not_stepped_over() {
    for i in 1..60 {
        let ch = channel(g(16, 4));
        let mut reader = ch.reader(0).unwrap();
        let a = ch.reserve(8).unwrap(); // 0
        ch.write(&[1; 8]).unwrap();
        (0..3).for_each(|_| ch.write(&[1; 16]).unwrap()); // 1, 2, 3
        ch.write(&[1; 8]).unwrap_err(); // passes 0 over; 1 is unread
        drain(&mut reader);
        let a = Rc::new(Cell::new(Some(a)));
        let back = comes_back(ch, &a, true);
        let hook = move || {
            back();
            interrupt(ch, || {
                if let Ok(slot) = ch.reserve(8) {
                    slot.discard()
                }
            });
        };
        with_hook(at(i, hook), || _ = ch.write(&[1; 8]));
        if let Some(slot) = a.take() {
            slot.commit();
        }
        for _ in 0..3 {
            let _ = ch.close();
            ch.tick();
            drain(&mut reader);
        }
        assert!(reader.is_at_end(), "{i}: {:?}", ch.stats(0));
    }
}

/// An interrupt closes the stream in the middle of a discard: the final packet tells of it.
#[test]
fn the_final_packet_tells_of_a_discard_that_was_interrupted() {
    for behind in [false, true] {
        for i in 1.. {
            let ch = channel(g(64, 2));
            let mut reader = ch.reader(0).unwrap();
            let slot = ch.reserve(8).unwrap();
            if behind {
                ch.write(&[1; 8]).unwrap();
            }
            let steps = Rc::new(Cell::new(0));
            let count = Rc::clone(&steps);
            let mut close = at(i, move || interrupt(ch, || ch.close().unwrap()));
            let hook = move || {
                count.set(count.get() + 1);
                close();
            };
            with_hook(hook, || slot.discard());
            if steps.get() < i {
                assert!(i > 5, "only {i} steps");
                break;
            }
            let last = core::iter::from_fn(|| reader.next_subbuf().map(|taken| *taken.packet()));
            let last = last.last().unwrap();
            assert!(last.is_final && reader.is_at_end());
            assert_eq!(last.lost.get(Loss::Discarded), 1, "step {i}");
        }
    }
}
