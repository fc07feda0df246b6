//! Boots whose packets come in any order over several ports.

use super::*;

/// What is known of a capture, whatever the order of its boots: by UUID its sums, its streams'
/// bytes, its verdict.
fn known(out: &Path) -> BTreeMap<String, (String, BTreeMap<String, Vec<u8>>)> {
    let boots = Boots::of(out).expect("it can be read");
    assert_eq!(boots.problems, Vec::<String>::new());
    let known = boots.all.iter().map(|boot| {
        let stored = Stored::open(&boot.folder).expect("it can be read");
        let audit = Audit::of(&stored).expect("it can be read");
        let judged = format!("{:?} {:?}", audit.balance(), audit.verdict());
        let files = fs::read_dir(boot.folder.join("trace")).expect("it is there");
        let files = files.map(|file| file.expect("it can be read"));
        // The index says what the packets say.
        let files = files.filter(|file| file.path().is_file()).map(|file| {
            let name = file.file_name().into_string().expect("UTF-8");
            (name, fs::read(file.path()).expect("it can be read"))
        });
        (text_of(stored.schema.uuid), (judged, files.collect()))
    });
    known.collect()
}

/// Makes a capture of what came over several ports, chunk by chunk.
fn made_of(ports: &[Vec<Vec<u8>>], turns: &[(usize, usize)]) -> (PathBuf, Totals) {
    let out = folder("mixed").join("capture");
    let capture = Capture::create(&Options::new(&out, Kind::Live)).expect("it is writable");
    let mut bytes: Vec<_> = ports.iter().map(|packets| packets.concat()).collect();
    let mut open: Vec<_> = (0..ports.len() as u32).map(|n| capture.port(n)).collect();
    let mut turns = turns.iter().cycle();
    while bytes.iter().any(|rest| !rest.is_empty()) {
        let (port, length) = turns.next().expect("there is one");
        let port = port % ports.len();
        let length = (*length).min(bytes[port].len());
        let rest = bytes[port].split_off(length);
        open[port].push(&bytes[port]);
        bytes[port] = rest;
    }
    open.into_iter().for_each(|port| port.finish());
    let totals = capture.finish(json!({})).expect("it is writable");
    (out, totals)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// However the packets of two boots come, over several ports, in chunks of any length, with
    /// metadata again and again: the same two traces.
    #[test]
    fn any_interleaving_gives_the_same_traces(
        again in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<bool>()), 0..12),
        turns in prop::collection::vec((0usize..3, 1usize..900), 3..40),
        described_at in prop::collection::vec(0usize..3, 2),
    ) {
        let whole = known(&recorded("plain", &[other_boot(1, &small()), other_boot(2, &other())].concat()).0);
        prop_assert_eq!(whole.len(), 2);
        let mut ports = vec![Vec::new(); 3];
        for (boot, packets) in [(1, other_boot(1, &small())), (2, other_boot(2, &other()))] {
            let (described, log) = parts(&packets);
            ports[described_at[boot - 1]].extend(described);
            for packet in log {
                // As kernels do it: a stream stays with its port.
                ports[packet[24] as usize % 3].push(packet);
            }
        }
        let (one, _) = parts(&other_boot(1, &small()));
        let (two, _) = parts(&other_boot(2, &other()));
        let described = [one, two].concat();
        let repeated = again.len();
        let mut doubles = 0;
        for (at, which, is_salvaged) in again {
            let packet = &described[which.index(described.len())];
            doubles += usize::from(is_salvaged);
            let packet = if is_salvaged { salvaged(packet) } else { packet.clone() };
            let port = at.index(3);
            let place = at.index(ports[port].len() + 1);
            ports[port].insert(place, packet);
        }
        // Every port has its turn.
        let turns = [&turns[..], &[(0, 500), (1, 500), (2, 500)]].concat();
        let (out, totals) = made_of(&ports, &turns);
        prop_assert_eq!((totals.fragments, totals.left_out, totals.boots), (0, 0, 2));
        prop_assert!(totals.is_sound());
        let counted = [made(&out), made(&out.join("boot.2"))];
        let sum = |key: &str| counted.iter().map(|made| made[key].as_u64().unwrap_or(0) as usize).sum::<usize>();
        prop_assert_eq!((sum("repeated"), sum("doubles")), (repeated - doubles, doubles));
        prop_assert_eq!(known(&out), whole);
    }
}
