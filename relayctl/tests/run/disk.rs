//! The disk is full in the middle of a run: what is there is sound, and run and verify agree.

use std::io::Write;

use super::ports::{run_changed, verify};
use super::pretended::print_good;
use super::synthetic::{Stream, limited, metadata, metadata_packets};

/// How a run and `verify` judge a capture whose files may have so many blocks of 512 bytes.
fn judged(blocks: u64) -> (Option<i32>, String, Option<i32>, String) {
    let mut packets = metadata_packets(&metadata(1), 1 << 16);
    let mut klog = Stream::new(1, 0, 0);
    for n in 0..200u64 {
        klog.klog(n * 10, 0, 3, 1, ["m", "f", &"x".repeat(100)]);
        packets.push(klog.packet(n * 10 + 5, u32::from(n == 199)));
    }
    packets.push(Stream::new(3, 0, 0).packet(1, 1));
    let mut claims = Stream::new(2, 0, 0);
    claims.claim(1, 1, 0, 200);
    packets.push(claims.packet(2, 1));
    let (left, _, out) = run_changed(
        |command| limited(&command, blocks),
        &[],
        &(print_good() + "exit 33"),
        1,
        |_, ports| {
            // Who has enough may close.
            let _ = ports[0].write_all(&packets.concat());
        },
    );
    let (code, verdict) = verify(&out);
    (left.code, left.err, code, verdict)
}

#[test]
fn a_run_whose_disk_is_full_says_so_and_leaves_what_is_sound() {
    // First the stream reaches the limit, then, in others, the list of packets.
    for blocks in [16, 17, 18, 30, 60] {
        let (run, err, code, verdict) = judged(blocks);
        assert_eq!(run, Some(1), "{blocks}: {err}");
        assert!(err.contains("the capture is cut off: "), "{blocks}: {err}");
        assert!(err.contains(": open, "), "{blocks}: {err}");
        assert_eq!(
            (code, verdict.as_str()),
            (Some(0), "open"),
            "{blocks}: {err}"
        );
    }
    let (run, err, code, verdict) = judged(1000);
    assert_eq!(
        (run, code, verdict.as_str()),
        (Some(0), Some(0), "complete"),
        "{err}"
    );
}
