//! What comes in the middle of passing a packet over, or of opening one.

use super::*;

/// An interrupt opens a packet in the middle of a write that was about to open it, and is interrupted itself: the delta counts
/// from the opening that was done.
#[test]
fn a_delta_counts_from_the_innermost_opening() {
    let mut nested = 0;
    for i in 1..40 {
        for j in 1..40 {
            let ch = channel(g(64, 2).with_reserves(4, 2).unwrap());
            ch.write(&[1; 52]).unwrap();
            let inner = move || ch.write_with_delta(&[3; 8], 0).unwrap();
            let outer =
                move || with_hook(at(j, inner), || ch.write_with_delta(&[2; 8], 0).unwrap());
            with_hook(at(i, outer), || ch.write_with_delta(&[1; 8], 0).unwrap());
            ch.flush();
            let mut reader = ch.reader(0).unwrap();
            let taken = core::iter::from_fn(|| reader.next_subbuf()).last().unwrap();
            let packet = *taken.packet();
            let (deltas, _) = taken.records().as_chunks::<8>();
            let times = deltas
                .iter()
                .map(|delta| packet.begin_ticks + u64::from_le_bytes(*delta));
            let times: Vec<_> = times.collect();
            let is_right =
                times.is_sorted_by(|a, b| a < b) && times.iter().all(|t| *t <= packet.end_ticks);
            assert!(is_right, "{i} {j}: {times:?} in {packet:?}");
            nested += usize::from(times.len() == 3);
        }
    }
    assert!(nested > 100, "{nested}");
}

/// A slot comes back from an interrupt at every step of the task that passes its packet over, beside others that do not.
#[test]
fn a_slot_that_comes_back_while_it_is_passed_over_is_counted_once() {
    let modes = [Mode::NoOverwrite, Mode::Continuous];
    let cases = modes
        .into_iter()
        .flat_map(|mode| [(mode, true), (mode, false)]);
    for (mode, commits) in cases {
        for [before, behind] in [[0, 0], [0, 1], [1, 0], [1, 1]] {
            let steps = (1..).take_while(|i| is_counted_once(mode, commits, before, behind, *i));
            assert!(steps.count() > 50);
        }
    }
}

/// False if there is no step `i`.
fn is_counted_once(mode: Mode, commits: bool, before: u64, behind: u64, i: u64) -> bool {
    let ch = channel(g(64, 2).with_mode(mode).unwrap());
    let mut reader = ch.reader(0).unwrap();
    let leak = |slots| (0..slots).for_each(|_| mem::forget(ch.reserve(8).unwrap()));
    leak(before);
    let aside = Rc::new(Cell::new(Some(ch.reserve(8).unwrap())));
    leak(behind);
    let mut attempted = before + 1 + behind;
    let hook = comes_back(ch, &aside, commits);
    let mut write = |times: u64| {
        (0..times).for_each(|_| _ = ch.write(&[1; 8]));
        attempted += times;
    };
    with_hook(at(i, hook), || write(24));
    if let Some(slot) = aside.take() {
        slot.commit();
        return false;
    }
    let mut delivered = 0;
    for _ in 0..40 {
        delivered += drain(&mut reader);
        write(1);
    }
    delivered += drain(&mut reader);
    let _ = ch.close();
    delivered += drain(&mut reader);
    check_sum(ch, attempted, delivered);
    true
}

/// Wherever a CPU is stopped in the middle of passing a packet over: what the post-mortem finds and what is counted are all.
#[test]
fn the_post_mortem_misses_nothing_of_what_is_being_passed_over() {
    let exact = Rc::new(Cell::new(0));
    for i in 1..400 {
        let ch = channel(g(64, 2));
        ch.write(&[1; 8]).unwrap();
        mem::forget(ch.reserve(8).unwrap());
        (0..14).for_each(|_| ch.write(&[1; 8]).unwrap());
        let is_exact = Rc::clone(&exact);
        let all = move || {
            // SAFETY: this thread is the CPU, and writes nothing meanwhile.
            let found = ch.salvage(unsafe { Stopped::new(0) }).unwrap();
            let found = found.map(|packet| {
                assert!(!packet.is_cut());
                packet.packet().records + packet.uncommitted() as u64
            });
            let stats = ch.stats(0).unwrap();
            found.sum::<u64>() + stats.overwritten + stats.lost.total()
        };
        let look = move || {
            let all = all();
            assert!(all >= 16, "step {i}: {all}");
            is_exact.set(is_exact.get() + u64::from(all == 16));
        };
        with_hook(at(i, look), || _ = ch.write(&[1; 8]));
        assert_eq!(all(), 17, "in the end");
    }
    assert!(exact.get() > 20, "{exact:?}");
}

/// A slot that fills its packet, beside one that is leaked, comes back from an interrupt at every step of a write for which the
/// packet is to be passed over: it may give its space back, and open the packet again.
#[test]
fn a_packet_that_is_opened_again_is_not_passed_over() {
    for commits in [true, false] {
        let steps = (1..).take_while(|i| is_opened_again(commits, *i)).count();
        assert!(steps > 40, "{steps}");
    }
}

/// False if there is no step `i`.
fn is_opened_again(commits: bool, i: u64) -> bool {
    let ch = channel(g(16, 2));
    let mut reader = ch.reader(0).unwrap();
    let (mut attempted, mut delivered) = (0, 0);
    let mut write = |len: usize| {
        let _ = ch.write(&vec![1; len]);
        attempted += 1;
    };
    // The second sub-buffer is passed over: the writer has the first one only.
    write(16);
    mem::forget(ch.reserve(8).unwrap());
    write(8);
    delivered += drain(&mut reader);
    write(16);
    write(16);
    delivered += drain(&mut reader);
    write(4);
    mem::forget(ch.reserve(2).unwrap());
    let aside = Rc::new(Cell::new(Some(ch.reserve(10).unwrap())));
    let hook = comes_back(ch, &aside, commits);
    with_hook(at(i, hook), || write(4));
    if aside.take().is_some() {
        return false;
    }
    for _ in 0..8 {
        write(4);
        delivered += drain(&mut reader);
    }
    let _ = ch.close();
    ch.tick();
    delivered += drain(&mut reader);
    check_sum(ch, attempted + 3, delivered);
    true
}

/// An interrupt in which the slot comes back.
pub(super) fn comes_back(
    ch: &'static Ch,
    aside: &Rc<Cell<Option<crate::Slot<'static, OneCpu>>>>,
    commits: bool,
) -> impl FnOnce() + 'static {
    let aside = Rc::clone(aside);
    move || {
        ch.platform().interrupt(true);
        let slot = aside.take().unwrap();
        if commits {
            slot.commit();
        } else {
            slot.discard();
        }
        ch.platform().interrupt(false);
    }
}
