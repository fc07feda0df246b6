//! Rings that grow and shrink by their load.

use super::*;

#[test]
fn a_ring_is_adapted_within_its_limits_and_only_if_it_can_be_full() {
    let shape = geometry(4);
    for (shape, limits) in [
        (shape, 4..=16),
        (shape.with_mode(Mode::Continuous).unwrap(), 2..=16),
    ] {
        let channel = channel(shape, client());
        for _ in 0..3 {
            assert_eq!(channel.adapt(0, limits.clone()), Ok(None));
            channel.tick();
            assert_eq!(channel.geometry(0), Some(shape));
        }
    }
}

#[test]
fn a_ring_outside_its_limits_is_brought_into_them() {
    let limits = |range: RangeInclusive<usize>| {
        let channel = channel(geometry(4), client());
        let wanted = channel.adapt(0, range).unwrap();
        channel.tick();
        let count = channel.geometry(0).unwrap().subbuf_count();
        assert_eq!(count, wanted.unwrap_or(4));
        count
    };
    assert_eq!(limits(16..=64), 16);
    assert_eq!(limits(9..=64), 16, "a power of two");
    assert_eq!(limits(2..=3), 2, "nothing was unread");
    for without in [
        9..=15,
        0..=0,
        usize::MAX..=usize::MAX,
        RangeInclusive::new(8, 2),
    ] {
        assert_eq!(limits(without), 4, "there is no such number");
    }
}

#[test]
fn a_ring_of_which_a_quarter_is_unread_or_held_does_not_shrink() {
    for unread in 0..6 {
        for holds in [false, true] {
            let channel = channel(geometry(8), client());
            for _ in 0..unread {
                channel.write(&[1; 64]).unwrap();
            }
            let _ = channel.take_peak(0);
            let mut reader = channel.reader(0).unwrap();
            let held = holds.then(|| reader.next_subbuf());
            let wanted = (unread < 2).then_some(4);
            assert_eq!(channel.adapt(0, 2..=64), Ok(wanted), "{unread}, {holds}");
            drop(held);
        }
    }
}

#[test]
fn what_a_ring_needs_is_not_forgotten_while_another_request_is_under_way() {
    let channel = channel(geometry(4), client());
    let storage = || Storage::allocate(&geometry(4)).unwrap();
    channel.resize(0, storage(), geometry(4)).unwrap();
    for _ in 0..4 {
        channel.write(&[1; 64]).unwrap();
    }
    assert_eq!(channel.adapt(0, 2..=64), Err(StreamError::Busy));
    let mut reader = channel.reader(0).unwrap();
    while reader.next_subbuf().is_some() {}
    channel.tick();
    assert_eq!(channel.adapt(0, 2..=64), Ok(Some(8)));
}

#[test]
fn a_ring_grows_with_its_load_and_shrinks_without() {
    let client = client();
    let channel = channel(geometry(4), client);
    let mut reader = channel.reader(0).unwrap();
    let mut written = 0;
    let fill = |packets: usize, written: &mut u64| {
        for _ in 0..packets * 4 {
            channel.write(&[0; 16]).unwrap();
            *written += 1;
        }
    };
    assert_eq!(channel.adapt(0, 2..=16), Ok(Some(2)), "nothing was unread");
    channel.tick();
    fill(2, &mut written);
    assert_eq!(client.needs.load(Ordering::Relaxed), 1);
    assert_eq!(channel.adapt(0, 2..=16), Ok(Some(4)));
    assert_eq!(channel.adapt(0, 2..=16), Ok(None), "the peak was taken");
    channel.tick();
    for count in [8, 16] {
        let room = channel.geometry(0).unwrap().subbuf_count();
        fill(room, &mut written);
        assert_eq!(channel.adapt(0, 2..=16), Ok(Some(count)));
        channel.tick();
    }
    let mut read = 0;
    while let Some(taken) = reader.next_subbuf() {
        assert_eq!(taken.packet().ordinal, read);
        read += taken.packet().records;
    }
    assert_eq!(read, written, "nothing is lost or doubled on the way");
    // As the load falls, so does the ring, to the smallest allowed.
    let _ = channel.take_peak(0);
    for count in [8, 4, 2] {
        channel.tick();
        assert_eq!(channel.adapt(0, 2..=16), Ok(Some(count)));
        channel.tick();
        assert!(reader.next_subbuf().is_none());
    }
    channel.tick();
    assert_eq!(channel.adapt(0, 2..=16), Ok(None));
    assert_eq!(channel.info(0).unwrap().rings, 1, "all others were freed");
    assert_eq!(channel.stats(0).unwrap().lost.total(), 0);
}
