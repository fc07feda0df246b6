//! Tests of `live`.

use super::*;
use std::os::unix::fs::MetadataExt;

#[test]
fn what_was_read_of_an_own_stream_is_given_back() {
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join(TRACE).join("klog_0");
    std::fs::create_dir(folder.path().join(TRACE)).expect("it is writable");
    let size = 1 << 20;
    let entry = Entry { size, crc: 0 };
    let packets = GIVE_BACK as usize / size as usize + 1;
    std::fs::write(&path, vec![1; packets * size as usize]).expect("it is writable");
    let blocks = || path.metadata().expect("it is there").blocks() * 512;
    for is_own in [false, true] {
        let stream = Stream {
            channel: 0,
            cpu: 0,
            file: "klog_0".to_owned(),
        };
        let mut source = LivePackets::new(folder.path(), &stream, is_own);
        source.add(vec![(0, vec![entry; packets - 1])], Instant::now());
        let mut buffer = Vec::new();
        for _ in 1..packets {
            // It is no packet, which does not matter here.
            let item = source.next(&mut buffer).expect("it is readable");
            assert!(matches!(item, Some(Item::Problem { .. })), "{item:?}");
        }
        assert_eq!(source.next(&mut buffer).expect("it is readable"), None);
        let is_given_back = blocks() < GIVE_BACK;
        assert_eq!(is_given_back, is_own, "{} bytes are left", blocks());
    }
}
