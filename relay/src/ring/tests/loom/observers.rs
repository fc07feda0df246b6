//! Observers, beside the owner and beside the reader.

use super::*;

/// Copies what it can, and checks it.
pub(super) fn observe(observer: &mut Observer<'_>) {
    let mut bytes = [0; 16];
    while let Ok(Some(packet)) = observer.next_copy(&mut bytes) {
        assert_eq!(packet.content as u64, 4 * packet.records);
        for record in bytes[..packet.content].chunks(4) {
            assert!(
                record.iter().all(|byte| *byte == record[0]),
                "torn: {record:?}"
            );
        }
    }
}

/// An observer copies while the owner, whose ring is full, writes one more record.
fn owner_against_observer(mode: Mode, spares: usize) {
    model_with(2, move |order| {
        let stream = stream(geometry(mode, spares));
        let cpu = Cpu::new();
        for value in 1..=4 {
            write(&stream, &cpu, value);
        }
        let (observed, owned) = (Arc::clone(&stream), Arc::clone(&stream));
        order.run(
            move || {
                let mut observer = Observer::open(&observed, 0).unwrap();
                let mut bytes = [0; 8];
                if let Ok(Some(_)) = observer.next_copy(&mut bytes) {
                    assert!(bytes[..4] == [bytes[0]; 4] && bytes[4..] == [bytes[4]; 4]);
                }
            },
            move || write(&owned, &cpu, 5),
        );
        owner(&stream, &Cpu::new()).flush();
        observe(&mut Observer::open(&stream, 0).unwrap());

        let mut seen = Seen::default();
        let mut reader = Reader::open(&stream, 0).unwrap();
        read(&mut reader, &mut seen);
        let stats = stream.stats();
        let delivered = seen.records.len() as u64;
        assert_eq!(delivered + stats.overwritten + stats.lost.total(), 5);
        let is_overwritten = mode == Mode::Continuous;
        assert_eq!(is_overwritten, stats.overwritten != 0);
    });
}

#[test]
fn an_observer_while_overwriting() {
    owner_against_observer(Mode::Continuous, 1);
}

#[test]
fn an_observer_without_overwriting() {
    owner_against_observer(Mode::NoOverwrite, 0);
}

/// An observer copies while the reader takes everything.
fn reader_against_observer(mode: Mode) {
    model_with(2, move |order| {
        let stream = stream(geometry(mode, 1));
        let cpu = Cpu::new();
        for value in 1..=4 {
            write(&stream, &cpu, value);
        }
        let (read_from, observed) = (Arc::clone(&stream), Arc::clone(&stream));
        let (mut seen, ()) = order.run(
            move || {
                let mut seen = Seen::default();
                read(&mut Reader::open(&read_from, 0).unwrap(), &mut seen);
                seen
            },
            move || observe(&mut Observer::open(&observed, 0).unwrap()),
        );
        // What was being copied when the reader came by was not passed over.
        read(&mut Reader::open(&stream, 0).unwrap(), &mut seen);
        assert_eq!(seen.records, [1, 2, 3, 4]);
    });
}

#[test]
fn an_observer_beside_the_reader() {
    reader_against_observer(Mode::NoOverwrite);
}

#[test]
fn an_observer_beside_the_reader_while_overwriting() {
    reader_against_observer(Mode::Continuous);
}
