//! Hooks that write or keep a slot; streams that end, or are quiet, while something is under way.

use super::*;

/// A hook keeps a slot that it has reserved.
struct Stash;
std::thread_local! {
    static SLOT: std::cell::RefCell<Option<crate::Slot<'static, crate::host::Host>>> = const { std::cell::RefCell::new(None) };
    static ARMED: Cell<bool> = const { Cell::new(false) };
}
static HOST: Channel<crate::host::Host, 64> = Channel::new(crate::host::Host, &Stash);
impl Hooks for Stash {
    fn deliver(&self, _cpu: usize) {
        if ARMED.take() {
            let slot = HOST.reserve(8).unwrap();
            SLOT.with(|s| *s.borrow_mut() = Some(slot));
        }
    }
}

#[test]
fn a_slot_that_a_hook_puts_aside_keeps_its_ring() {
    let cpu = crate::host::Cpu::claim();
    let geometry = g(64, 2);
    HOST.start(
        cpu.number(),
        Storage::allocate(&geometry).unwrap(),
        geometry,
    )
    .unwrap();
    let mut reader = HOST.reader(cpu.number()).unwrap();
    HOST.write(&[1; 8]).unwrap();
    // A signal handler flushes in the middle of a write, which so completes its packet.
    let mut k = 0;
    let hook = move || {
        k += 1;
        if k == 8 {
            HOST.flush();
            ARMED.set(true);
        }
    };
    with_hook(hook, || HOST.write(&[1; 8]).unwrap());
    assert!(SLOT.with(|s| s.borrow().is_some()));
    SLOT.with(|s| s.borrow_mut().as_mut().unwrap().write(&[7; 8]));
    for _ in 0..8 {
        let _ = HOST.write(&[2; 64]);
        drain(&mut reader);
    }
    HOST.replace(Storage::allocate(&geometry).unwrap(), geometry)
        .unwrap();
    for _ in 0..8 {
        let _ = HOST.write(&[2; 64]);
        drain(&mut reader);
    }
    HOST.tick();
    HOST.tick();
    let freed = HOST.reclaim(cpu.number());
    mem::forget(SLOT.take());
    assert_eq!(freed, 0, "the ring of an open slot was freed");
}

/// Closed by an interrupt: never ends.
#[test]
fn a_task_ends_what_an_interrupt_has_closed() {
    let ch = channel(g(64, 4));
    let mut reader = ch.reader(0).unwrap();
    ch.write(&[1; 8]).unwrap();
    mem::forget(ch.reserve(8).unwrap());
    ch.request_close(0).unwrap();
    ch.platform().interrupt(true);
    ch.tick();
    ch.platform().interrupt(false);
    assert!(ch.is_closed(0));
    for _ in 0..3 {
        ch.tick();
        let _ = ch.close();
        let _ = ch.write(&[1; 8]);
        drain(&mut reader);
    }
    assert!(reader.is_at_end(), "{:?}", ch.stats(0));
}

/// Quiet time after a leak.
#[test]
fn it_is_quiet_although_a_slot_was_leaked() {
    let ch = channel(g(64, 2));
    let mut reader = ch.reader(0).unwrap();
    mem::forget(ch.reserve(8).unwrap());
    for _ in 0..100 {
        let _ = ch.write(&[1; 8]);
        drain(&mut reader);
    }
    let before = reader.quiet_since();
    ch.flush();
    drain(&mut reader);
    ch.tick();
    assert_ne!(reader.quiet_since(), before, "it stands still");
}

/// A CPU stops in the middle of a discard that completes the final packet.
#[test]
fn the_post_mortem_of_a_final_packet_tells_of_all_losses() {
    let mut told = 0;
    for i in 1.. {
        let ch = channel(g(64, 2));
        let slot = ch.reserve(8).unwrap();
        ch.write(&[2; 8]).unwrap();
        interrupt(ch, || ch.close().unwrap());
        let seen = Rc::new(Cell::new(None));
        let is_seen = Rc::clone(&seen);
        let look = move || {
            // SAFETY: the calling thread is the CPU, and writes nothing meanwhile.
            let left = ch.salvage(unsafe { Stopped::new(0) }).unwrap();
            let last = left.last().unwrap();
            assert!(last.packet().is_final);
            assert_eq!(last.packet().lost, ch.stats(0).unwrap().lost, "step {i}");
            is_seen.set(Some(last.packet().lost.get(Loss::Discarded)));
        };
        with_hook(at(i, look), || slot.discard());
        match seen.get() {
            Some(discarded) => told += discarded,
            None => break,
        }
    }
    assert!(told > 5);
}

/// Too much is under way for a write: it fails for that reason until the final packet has told of it.
#[test]
fn what_is_nested_too_deep_after_the_end_is_closed() {
    let ch = channel(g(64, 4));
    let mut reader = ch.reader(0).unwrap();
    (0..8).for_each(|_| mem::forget(ch.reserve(4).unwrap()));
    assert_eq!(ch.write(b"x"), Err(WriteError::Lost(Loss::Nested)));
    ch.close().unwrap();
    assert_eq!(ch.write(b"x"), Err(WriteError::Lost(Loss::Closed)));
    let last = *reader.next_subbuf().unwrap().packet();
    assert!(last.is_final);
    let told = [Loss::Nested, Loss::Wrapped, Loss::Closed].map(|loss| last.lost.get(loss));
    assert_eq!(told, [1, 8, 0]);
    let stats = ch.stats(0).unwrap();
    assert_eq!(stats.lost.since(&last.lost).total(), 1);
    assert_eq!(stats.lost.get(Loss::Closed), 1);
}

/// A write that fails is interrupted by the close, alone or behind a new ring.
#[test]
fn nobody_hears_of_a_loss_that_the_final_packet_does_not_tell() {
    for replaces in [false, true] {
        let steps = (1..).take_while(|i| is_told(replaces, *i));
        assert!(steps.count() > 5);
    }
}

/// False if there is no step `i`.
fn is_told(replaces: bool, i: u64) -> bool {
    let ch = channel(g(16, 2));
    let mut reader = ch.reader(0).unwrap();
    ch.write(&[1; 3]).unwrap();
    let done = Rc::new(Cell::new(false));
    let is_done = Rc::clone(&done);
    let end = move || {
        if replaces {
            ch.replace(Storage::allocate(&g(16, 2)).unwrap(), g(16, 2))
                .unwrap();
        }
        ch.close().unwrap();
        is_done.set(true);
    };
    let mut heard = Ok(());
    with_hook(at(i, move || interrupt(ch, end)), || {
        heard = ch.write(&[1; 17])
    });
    if !done.get() {
        return false;
    }
    let mut last = None;
    while let Some(t) = reader.next_subbuf() {
        last = Some(*t.packet());
    }
    let last = last.unwrap();
    assert!(last.is_final);
    let told = last.lost.get(Loss::TooBig);
    assert_eq!(
        told == 1,
        heard == Err(WriteError::Lost(Loss::TooBig)),
        "step {i}"
    );
    // A write after that is counted, too, but as one to a closed stream.
    let stats = ch.stats(0).unwrap();
    assert_eq!(stats.lost.total(), 1);
    assert_eq!(stats.lost.get(Loss::TooBig), told);
    true
}

/// A slot that is discarded after the close.
#[test]
fn a_discard_after_the_close_is_in_the_final_packet() {
    let ch = channel(g(64, 2));
    let mut reader = ch.reader(0).unwrap();
    ch.write(&[1; 3]).unwrap();
    let slot = ch.reserve(8).unwrap();
    ch.platform().interrupt(true);
    ch.request_close(0).unwrap();
    ch.tick();
    ch.platform().interrupt(false);
    slot.discard();
    let last = *reader.next_subbuf().unwrap().packet();
    assert!(last.is_final && reader.is_at_end());
    assert_eq!(ch.stats(0).unwrap().lost.get(Loss::Discarded), 1);
    assert_eq!(
        last.ordinal + last.records + last.lost.total(),
        2,
        "{last:?}"
    );
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
    let geometry = g(64, 2);
    FILLED
        .start(
            cpu.number(),
            Storage::allocate(&geometry).unwrap(),
            geometry,
        )
        .unwrap();
    let slot = FILLED.reserve(8).unwrap();
    for _ in 0..15 {
        FILLED.write(&[1; 8]).unwrap();
    }
    slot.discard();
    let mut reader = FILLED.reader(cpu.number()).unwrap();
    let mut delivered = 0;
    delivered += drain(&mut reader);
    let _ = FILLED.close();
    delivered += drain(&mut reader);
    let stats = FILLED.stats(cpu.number()).unwrap();
    assert_eq!(17, delivered + stats.overwritten + stats.lost.total());
}

/// A slot is put aside by what interrupts a tick, which also passes it over and goes on in another ring.
#[test]
fn a_slot_that_is_put_aside_during_a_tick_keeps_its_ring() {
    for i in 1.. {
        let ch = channel(g(16, 2));
        let mut reader = ch.reader(0).unwrap();
        let aside = Rc::new(Cell::new(None));
        let mut steps = 0;
        let hook = {
            let aside = Rc::clone(&aside);
            move || {
                steps += 1;
                if steps == i {
                    aside.set(Some(leave_behind(ch)));
                }
            }
        };
        with_hook(hook, || ch.tick());
        let Some(slot) = aside.take() else {
            assert!(i > 3, "only {} steps", i - 1);
            break;
        };
        drain(&mut reader);
        ch.tick();
        // Another CPU frees what it can: nothing, until this one is out of the old ring.
        let free = move || assert_eq!(ch.reclaim(0), 0, "step {i}: freed under a slot");
        free();
        with_hook(free, || slot.commit());
        free();
        ch.tick();
        assert_eq!(ch.reclaim(0), 1, "step {i}");
    }
}

/// A ring that was left, with a packet that was passed over, is freed when the slot has come back.
#[test]
fn a_ring_is_freed_once_its_late_slot_came_back() {
    for commits in [true, false] {
        let ch = channel(g(16, 2));
        let mut reader = ch.reader(0).unwrap();
        let slot = leave_behind(ch);
        for _ in 0..3 {
            ch.tick();
            drain(&mut reader);
            assert_eq!(ch.reclaim(0), 0);
            ch.write(&[3; 16]).unwrap();
        }
        if commits {
            slot.commit();
        } else {
            slot.discard();
        }
        ch.tick();
        assert_eq!(ch.reclaim(0), 1);
        drain(&mut reader);
        assert_eq!(ch.close(), Ok(()));
        assert_eq!(drain(&mut reader) + u64::from(reader.is_at_end()), 1);
    }
}

/// Reserves a slot, writes on until a task has passed it over, and goes on in another ring.
fn leave_behind(ch: &'static Ch) -> crate::Slot<'static, OneCpu> {
    let slot = ch.reserve(16).unwrap();
    let passed = || ch.stats(0).unwrap().lost.get(Loss::Wrapped) != 0;
    for _ in 0..3 {
        let _ = ch.write(&[1; 16]);
    }
    assert!(passed());
    ch.replace(Storage::allocate(&g(16, 2)).unwrap(), g(16, 2))
        .unwrap();
    slot
}
