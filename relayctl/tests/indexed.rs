//! Index files beside the streams: they say what the packets say, for viewers, and nobody here
//! believes them.

mod synthetic;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use relay_decode::capture::{Capture, Keep, Options};
use relay_decode::wire::Kind;
use relay_machine::install::{self, BABELTRACE, Need, RealSystem};
use serde_json::json;
use synthetic::{
    Left, Stream, TASK, capture, folder, metadata, metadata_packets, relayctl, salvaged, small,
};

/// The numbers of an index file, by its fields: a header of four, then nine for each packet.
fn read(path: &Path) -> (Vec<u32>, Vec<[u64; 9]>) {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (head, entries) = bytes.split_at(16);
    let head = head.chunks(4).map(|word| word.try_into().expect("four"));
    let entries = entries.chunks(72).map(|entry| {
        let mut words = entry.chunks(8).map(|word| word.try_into().expect("eight"));
        std::array::from_fn(|_| u64::from_be_bytes(words.next().expect("a whole entry")))
    });
    (head.map(u32::from_be_bytes).collect(), entries.collect())
}

/// What the index of a stream should be, from the bytes of its packets.
fn expected(stream: &Path) -> Vec<[u64; 9]> {
    let bytes = fs::read(stream).expect("it is there");
    let mut all = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let u64_at = |field: usize| {
            let bytes = &bytes[at + field..at + field + 8];
            u64::from_le_bytes(bytes.try_into().expect("eight"))
        };
        let [instance, begin, end, content, packet, number, lost] =
            [24, 32, 40, 48, 56, 64, 72].map(u64_at);
        let id = u64_at(20) & 0xFFFF_FFFF;
        all.push([
            at as u64, packet, content, begin, end, lost, id, instance, number,
        ]);
        at += usize::try_from(packet / 8).expect("it is small");
    }
    all
}

/// Checks every index file of a boot; how many packets they have.
fn check(folder: &Path) -> usize {
    let trace = folder.join("trace");
    let names = |folder: &Path| -> Vec<String> {
        let entries = fs::read_dir(folder).expect("it is there");
        let entries = entries.map(|entry| entry.expect("it is readable"));
        let files = entries.filter(|entry| entry.path().is_file());
        let mut names: Vec<_> = files
            .map(|entry| entry.file_name().into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    };
    let mut streams = names(&trace);
    streams.retain(|name| name != "metadata");
    let indexes: Vec<_> = streams.iter().map(|name| format!("{name}.idx")).collect();
    assert_eq!(names(&trace.join("index")), indexes);
    let mut packets = 0;
    for (stream, index) in streams.iter().zip(&indexes) {
        let (head, entries) = read(&trace.join("index").join(index));
        assert_eq!(head, [0xC1F1_DCC1, 1, 1, 72], "{stream}");
        assert_eq!(entries, expected(&trace.join(stream)), "{stream}");
        packets += entries.len();
    }
    packets
}

/// A log of two CPUs, which lose something, and end with an empty packet.
fn log(packets: u64) -> Vec<Vec<u8>> {
    let mut all = metadata_packets(&metadata(2), 4000);
    let mut klogs = [Stream::new(1, 0, 0), Stream::new(1, 1, 0)];
    for at in 0..packets {
        for klog in &mut klogs {
            klog.klog(at * 100 + 10, TASK, 3, 1, ["m", "f", "some text"]);
            klog.lost[0] += at % 3;
            klog.padding = usize::try_from(at % 5).expect("it is small");
            all.push(klog.packet(at * 100 + 50, 0));
        }
    }
    all.extend(klogs.iter_mut().map(|klog| klog.packet(packets * 100, 1)));
    all
}

/// A capture with a largest size.
fn kept(max_size: u64, keep: Keep, packets: &[Vec<u8>], panic: &[Vec<u8>]) -> PathBuf {
    let out = folder("indexed").join("capture");
    let options = Options {
        max_size,
        keep,
        ..Options::new(&out, Kind::Live)
    };
    let capture = Capture::create(&options).expect("it is writable");
    for (number, packets) in (0..).zip([packets, panic]) {
        let mut port = capture.port(number);
        packets.iter().for_each(|packet| port.push(packet));
        port.finish();
    }
    capture.finish(json!({})).expect("it is writable");
    out
}

fn verify(out: &Path) -> Left {
    relayctl(&["verify".as_ref(), out.as_os_str()])
}

#[test]
fn an_index_says_what_the_packets_say() {
    assert_eq!(check(&capture("indexed", &small())), 12);
    assert_eq!(check(&capture("indexed", &log(40))), 82);
}

#[test]
fn it_is_there_while_the_capture_is_made() {
    let out = folder("indexed").join("capture");
    let capture = Capture::create(&Options::new(&out, Kind::Live)).expect("it is writable");
    let mut port = capture.port(0);
    let packets = log(5);
    let mut counts = Vec::new();
    for packet in &packets {
        port.push(packet);
        if out.join("trace/klog_0").exists() {
            counts.push(check(&out));
        }
    }
    assert_eq!(counts.last(), Some(&12));
    assert!(counts.is_sorted() && counts[0] == 1, "{counts:?}");
}

#[test]
fn it_is_right_where_packets_are_left_out_and_salvaged() {
    let packets = log(200);
    let (before, after) = packets.split_at(packets.len() - 12);
    let panic: Vec<_> = after.iter().map(|packet| salvaged(packet)).collect();
    for keep in [Keep::Oldest, Keep::Newest] {
        for max_size in [20_000, 1 << 20] {
            let out = kept(max_size, keep, before, &panic);
            let packets = check(&out);
            let is_whole = max_size > 20_000;
            assert_eq!(packets == 402, is_whole, "{keep:?} {max_size}: {packets}");
            assert!(packets > 12);
            let (_, entries) = read(&out.join("trace/index/klog_0.idx"));
            let numbers: Vec<_> = entries.iter().map(|entry| entry[8]).collect();
            assert_eq!(numbers[0] > 0, keep == Keep::Newest && !is_whole);
            assert!(numbers.is_sorted());
            assert_eq!(numbers.last(), Some(&200));
        }
    }
}

#[test]
fn each_boot_has_its_own() {
    let again = log(3).into_iter().map(|mut packet| {
        packet[4] ^= 1;
        // The metadata says the same in hexadecimal digits.
        replace(packet, b"6d7a3c1e", b"6c7a3c1e")
    });
    let again: Vec<_> = again.collect();
    let packets = [log(5), again].concat();
    let out = kept(u64::MAX, Keep::Oldest, &packets, &[]);
    assert_eq!((check(&out), check(&out.join("boot.2"))), (12, 8));
}

/// The same bytes with a word replaced by one of the same length.
fn replace(mut bytes: Vec<u8>, word: &[u8], by: &[u8]) -> Vec<u8> {
    if let Some(at) = bytes.windows(word.len()).position(|at| at == word) {
        bytes[at..at + by.len()].copy_from_slice(by);
    }
    bytes
}

#[test]
fn nothing_here_believes_an_index() {
    let out = capture("indexed", &small());
    let good = (verify(&out), cat(&out));
    assert_eq!(good.0.code, Some(0), "{:?}", good.0);
    let index = out.join("trace/index");
    let path = index.join("klog_0.idx");
    let bytes = fs::read(&path).expect("it is there");
    let damages: [&dyn Fn(); 6] = [
        &|| fs::write(&path, b"").expect("it is writable"),
        &|| fs::write(&path, &bytes[..bytes.len() - 1]).expect("it is writable"),
        &|| fs::write(&path, vec![0xFF; bytes.len()]).expect("it is writable"),
        &|| fs::remove_file(&path).expect("it is there"),
        &|| fs::write(index.join("what_0.idx"), b"?").expect("it is writable"),
        &|| fs::remove_dir_all(&index).expect("it is there"),
    ];
    for (number, damage) in damages.iter().enumerate() {
        damage();
        let left = (verify(&out), cat(&out));
        assert_eq!(left.0.out, good.0.out, "{number}");
        assert_eq!((left.0.code, &left.1), (Some(0), &good.1), "{number}");
    }
    // What is no folder is no index.
    fs::write(&index, b"what is this").expect("it is writable");
    let left = verify(&out);
    assert_eq!(left.code, Some(1), "{left:?}");
    assert!(left.out.contains("trace/index: no stream"), "{left:?}");
}

fn cat(out: &Path) -> String {
    let left = relayctl(&["cat".as_ref(), out.as_os_str()]);
    assert_eq!(left.code, Some(0), "{left:?}");
    left.out
}

/// What babeltrace2 says of a trace, and how many packets and events it finds.
fn babeltrace(out: &Path) -> (String, BTreeMap<&'static str, usize>) {
    let left = Command::new(BABELTRACE)
        .args(["-c", "sink.text.details"])
        .arg(out.join("trace"))
        .output()
        .expect("it starts");
    let text = String::from_utf8_lossy(&left.stdout).into_owned();
    let count = |word: &str| text.lines().filter(|line| line.contains(word)).count();
    let counts = [
        ("packets", count("Packet beginning")),
        ("events", count("Event `")),
    ];
    let said = String::from_utf8_lossy(&left.stderr).into_owned();
    (said, counts.into_iter().collect())
}

/// The reference reader takes times and places of packets from the index, and says so if it is
/// wrong: what is there is what it wants.
#[test]
fn babeltrace2_uses_the_index() {
    let mut system = RealSystem {
        folder: PathBuf::from(env!("CARGO_MANIFEST_DIR")),
        say: |what| eprintln!("{what}"),
    };
    if let Err(error) = install::ensure(&mut system, &[Need::Babeltrace]) {
        // Not captured by the test harness, unlike `eprintln!`.
        let notice = format!("SKIPPED, not tested against babeltrace2: {error}\n");
        let _ = fs::write("/dev/stderr", notice);
        return;
    }
    let out = capture("indexed", &small());
    let (said, with) = babeltrace(&out);
    assert_eq!(said, "");
    let path = out.join("trace/index/klog_0.idx");
    let bytes = fs::read(&path).expect("it is there");
    // The third word of the first entry: its packet's size.
    let mut wrong = bytes.clone();
    wrong[16 + 15] ^= 8;
    fs::write(&path, &wrong).expect("it is writable");
    let (said, _) = babeltrace(&out);
    assert!(
        said.contains("index"),
        "a wrong index is not noticed: {said}"
    );
    // Without one it finds the same.
    fs::remove_dir_all(out.join("trace/index")).expect("it is there");
    let (said, without) = babeltrace(&out);
    assert_eq!((said.as_str(), &without), ("", &with));
}
