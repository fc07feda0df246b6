use super::*;

/// A packet whose records are numbered from `ordinal` on.
fn packet(ordinal: u64, is_final: bool) -> Packet {
    Packet {
        cpu: 0,
        sequence: 0,
        ordinal,
        records: 1,
        start: 0,
        content: 0,
        begin_ticks: ordinal + 100,
        end_ticks: ordinal + 200,
        lost: Losses([ordinal, 1, 2, 3, 4, 5]),
        overwritten: 0,
        is_final,
    }
}

/// Bytes that tell which packet's they are.
fn bytes(ordinal: u64, length: usize) -> Vec<u8> {
    (0..length).map(|i| (ordinal as usize + i) as u8).collect()
}

/// Takes the first packet, and checks that it is `ordinal`, as it was pushed.
fn take(copies: &Copies, ordinal: u64, length: usize) {
    let copied = copies.first().expect("there is one");
    let pushed = packet(ordinal, copied.is_final);
    assert_eq!(
        (copied.ordinal, copied.records, copied.lost),
        (ordinal, 1, pushed.lost)
    );
    assert_eq!(copied.begin_ticks, pushed.begin_ticks);
    assert_eq!(copied.end_ticks, pushed.end_ticks);
    let mut buffer = vec![0; klog::MAX_PACKET];
    assert_eq!(copies.read(&copied, &mut buffer), bytes(ordinal, length));
    copies.release(&copied);
}

#[test]
fn packets_come_out_as_they_went_in_also_around_the_end_of_memory() {
    let copies = Copies::new(4096);
    let lengths = [0, 1, 7, 8, 9, 100, 1023, klog::MAX_PACKET];
    for ordinal in 0..200 {
        let length = lengths[ordinal as usize % lengths.len()];
        assert!(copies.push(&packet(ordinal, false), &bytes(ordinal, length)));
        take(&copies, ordinal, length);
        assert!(copies.first().is_none());
    }
}

#[test]
fn a_queue_holds_what_was_not_printed_and_all_of_it_can_be_looked_at() {
    let copies = Copies::new(4096);
    let mut pushed = 0;
    while copies.has_room() {
        assert!(copies.push(&packet(pushed, false), &bytes(pushed, 500)));
        pushed += 1;
    }
    let mut seen = 0;
    let mut next = copies.first();
    while let Some(copied) = next {
        assert_eq!(copied.ordinal, seen);
        seen += 1;
        next = copies.at(copied.next);
    }
    assert_eq!(seen, pushed, "looking at them takes nothing away");
    for ordinal in 0..pushed {
        take(&copies, ordinal, 500);
    }
    assert!(copies.has_room() && copies.first().is_none());
}

#[test]
fn where_there_is_no_room_a_packet_is_skipped_but_not_the_last_one() {
    let copies = Copies::new(4096);
    let long = klog::MAX_PACKET;
    let mut pushed = 0;
    while copies.push(&packet(pushed, false), &bytes(pushed, long)) {
        pushed += 1;
    }
    assert_eq!(pushed, 2, "the room of a third is kept");
    assert!(!copies.push(&packet(pushed, false), &bytes(pushed, long)));
    assert!(copies.push(&packet(9, true), &bytes(9, long)));
    for ordinal in [0, 1, 9] {
        take(&copies, ordinal, long);
    }
}

#[test]
fn a_producer_and_a_consumer_on_two_cpus_lose_and_mix_nothing() {
    const PACKETS: u64 = if cfg!(miri) { 20 } else { 20_000 };
    let copies = Copies::new(4096);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for ordinal in 0..PACKETS {
                let length = ordinal as usize * 37 % 1500;
                while !copies.push(&packet(ordinal, false), &bytes(ordinal, length)) {
                    std::thread::yield_now();
                }
                copies.set_quiet(ordinal + 1);
            }
        });
        let mut ordinal = 0;
        while ordinal < PACKETS {
            let quiet = copies.quiet();
            match copies.first() {
                Some(_) => {
                    take(&copies, ordinal, ordinal as usize * 37 % 1500);
                    ordinal += 1;
                }
                None => {
                    assert!(quiet <= ordinal, "what is older than a quiet time is here");
                    std::thread::yield_now();
                }
            }
        }
    });
}
