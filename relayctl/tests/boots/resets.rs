//! What is under way when a machine is reset.

use super::*;

#[test]
fn what_stopped_cpus_left_goes_to_its_boot() {
    let (first, second) = (other_boot(1, &other()), other_boot(2, &other()));
    let (described, log) = parts(&first);
    let copies: Vec<_> = log.iter().map(|packet| salvaged(packet)).collect();
    // The first boot panics; what it left comes on another port, while the second boots.
    let orders = [
        [&described[..], &log[..1], &copies, &second].concat(),
        [&described[..], &log[..1], &second, &copies].concat(),
        [&second[..], &copies, &described, &log[..1]].concat(),
    ];
    for packets in orders {
        let (out, left) = recorded("panic", &packets);
        assert_eq!(left.code, Some(0), "{left:?}");
        let judged = lines(&on(&["verify", "--json"], &out));
        assert_eq!(judged.len(), 3);
        for boot in &judged[..2] {
            assert_eq!(
                (&boot["verdict"], sums(&boot["total"])),
                (&"complete".into(), OTHER)
            );
            assert_eq!(boot["fragments"], 0);
        }
        let panicked = judged
            .iter()
            .position(|boot| boot["uuid"] == text_of(boot_uuid(1)));
        let place = ["", "boot.2"][panicked.expect("it is there")];
        let made = made(&out.join(place));
        assert_eq!(
            (&made["salvaged"], &made["doubles"]),
            (&3.into(), &1.into())
        );
        assert!(!out.join("salvaged").exists());
    }
}

#[test]
fn a_packet_that_a_reset_cut_off_costs_no_other() {
    let (first, second) = (other_boot(1, &other()), other_boot(2, &small()));
    let whole = first[..first.len() - 1].concat();
    let last = first.last().expect("there is one");
    for cut in (1..last.len()).step_by(7).chain([last.len() - 1]) {
        let bytes = [&whole, &last[..cut], &second.concat()].concat();
        for kind in [Kind::Live, Kind::Stored] {
            let out = folder("cut").join("capture");
            let capture = Capture::create(&Options::new(&out, kind)).expect("it is writable");
            let mut port = capture.port(0);
            port.push(&bytes);
            port.finish();
            let totals = capture.finish(json!({})).expect("it is writable");
            // Of less than a magic number nobody can tell that it is missing.
            if last.len() - cut > 3 {
                assert_eq!(
                    (totals.boots, totals.fragments),
                    (2, cut as u64),
                    "{kind:?} {cut}"
                );
                let second = Stored::open(&out.join("boot.2")).expect("it can be read");
                let audit = Audit::of(&second).expect("it can be read");
                assert_eq!(audit.verdict().name(), "complete", "{kind:?} {cut}");
            }
        }
    }
}

#[test]
fn packets_that_somebody_has_logged_are_contents() {
    // The log of one machine carries what another has sent.
    let carried = other_boot(9, &other()).concat();
    let mut packets = metadata_packets(&metadata(1), 1 << 16);
    let mut log = Stream::new(1, 0, 0);
    let mut payload = vec![6, 1, 0, 0, 0, 0, 0, 0, 0];
    payload.extend(
        u16::try_from(carried.len())
            .expect("it is short")
            .to_le_bytes(),
    );
    payload.extend(&carried);
    for n in 0..3 {
        log.record(1, n * 10 + 1, TASK, &payload);
        packets.push(log.packet(n * 10 + 5, u32::from(n == 2)));
    }
    // One of them, and noise on the line behind it.
    let one = other_boot(9, &other()).remove(0);
    payload.truncate(9);
    payload.extend(u16::try_from(one.len()).expect("it is short").to_le_bytes());
    payload.extend(&one);
    let noise = vec![0x5a; 400];
    let mut before = Stream::new(3, 0, 0);
    before.record(1, 1, TASK, &payload);
    packets.insert(1, noise.clone());
    packets.insert(1, before.packet(2, 1));
    for kind in [Kind::Live, Kind::Stored] {
        for chunk in [1, 100, 1 << 20] {
            let out = folder("carried").join("capture");
            let capture = Capture::create(&Options::new(&out, kind)).expect("it is writable");
            let mut port = capture.port(0);
            packets
                .concat()
                .chunks(chunk)
                .for_each(|chunk| port.push(chunk));
            port.finish();
            let totals = capture.finish(json!({})).expect("it is writable");
            let counts = (totals.packets, totals.fragments, totals.boots);
            assert_eq!(counts, (4, 400, 1), "{kind:?} {chunk}");
        }
    }
}
