//! Captures that have no samples, or damaged ones, or such of several boots.

use super::*;

#[test]
fn what_has_no_samples_says_so() {
    let (metadata, packets) = synthetic::machine();
    let out = capture("without", &[metadata, packets].concat());
    for command in [&["profile"][..], &["export", "-f", "folded"]] {
        let args = [command, &[out.to_str().expect("it is text")]].concat();
        let left = relayctl(&args);
        assert_eq!((left.code, left.out.as_str()), (Some(2), ""));
        assert!(
            left.err.contains("the capture has no channel 'profile'"),
            "{}",
            left.err
        );
        assert!(left.err.contains("--set profile=1000"), "{}", left.err);
    }
    let out = made("empty", 1, CLASSES, vec![Stream::new(PROFILE, 0, 0)]);
    let left = with_elf("profile", &out, &[]);
    assert_eq!(left.code, Some(1), "{}", left.err);
    assert!(left.out.starts_with("0 samples of 0 CPUs;"), "{}", left.out);
}

#[test]
fn what_is_damaged_fails_and_the_rest_is_shown() {
    let mut stream = Stream::new(PROFILE, 0, 0);
    let mut packets = metadata_packets(&with_profile(1, CLASSES), 1 << 12);
    for n in 1..4 {
        stream.sample(n * MS, (n, TASK, 0, &[]));
        packets.push(stream.packet(n * MS, u32::from(n == 3)));
    }
    let out = capture("damaged", &packets);
    assert_eq!(with_elf("profile", &out, &[]).code, Some(0));
    let file = out.join("trace/profile_0");
    let mut bytes = fs::read(&file).expect("it is there");
    // In the second packet.
    let at = bytes.len() / 3 + 170;
    bytes[at] ^= 0x10;
    fs::write(&file, bytes).expect("it is writable");
    let left = with_elf("profile", &out, &[]);
    assert_eq!(left.code, Some(1), "{}", left.err);
    assert!(
        left.out.contains("  0x1\n") && left.out.contains("  0x3\n"),
        "{}",
        left.out
    );
    assert!(left.err.contains("profile_0 at"), "{}", left.err);
    let left = with_elf("export", &out, &["-f", "folded"]);
    assert_eq!((left.code, left.out.as_str()), (Some(1), "0x1 1\n0x3 1\n"));
}

#[test]
fn boots_are_profiles_of_their_own() {
    let packets = |samples: u64| {
        let mut stream = Stream::new(PROFILE, 0, 0);
        for n in 1..=samples {
            stream.sample(n * MS, (0x10, TASK, 0, &[]));
        }
        let mut packets = metadata_packets(&with_profile(1, CLASSES), 1 << 12);
        packets.push(stream.packet(1000 * MS, 1));
        packets
    };
    let both = [other_boot(1, &packets(2)), other_boot(2, &packets(3))].concat();
    let out = capture("boots", &both);
    let left = with_elf("profile", &out, &["--json"]);
    let samples: Vec<_> = left
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("it is JSON"))
        .map(|boot| (boot["boot"].as_u64(), boot["samples"].as_u64()))
        .collect();
    assert_eq!(samples, [(Some(1), Some(2)), (Some(2), Some(3))]);
    let left = with_elf("profile", &out, &[]);
    assert!(left.out.contains("boot 2 of 2: "), "{}", left.out);
    let left = with_elf("export", &out, &["-f", "folded"]);
    assert_eq!((left.code, left.out.as_str()), (Some(0), "0x10 5\n"));
    let left = with_elf("export", &out, &["-f", "folded", "--boot", "last"]);
    assert_eq!(left.out, "0x10 3\n");
    let left = with_elf("export", &out, &["-f", "speedscope"]);
    let names: Vec<_> = speedscope(&left.out).into_iter().map(|it| it.0).collect();
    assert_eq!(names, ["boot 1, cpu 0", "boot 2, cpu 0"]);
}

#[test]
fn a_class_of_another_form_is_told() {
    let cases = [
        (
            "_ip;",
            "_pi;",
            "its field 'ip' should be an integer without sign",
        ),
        (
            "_from;",
            "_form;",
            "its field 'from' should be an enumeration of contexts",
        ),
        ("int32_t _tid", "uint32_t _dit", "its field 'tid' should be"),
        (
            "_stack[___stack_length]",
            "_more[___stack_length]",
            "its field 'stack' should be",
        ),
        (
            "_hertz;",
            "_rate;",
            "profile_source: its field 'hertz' should be",
        ),
        (
            "utf8_t _source",
            "uint8_t _source",
            "profile_source: its field 'source' should be",
        ),
    ];
    for (from, to, told) in cases {
        assert!(CLASSES.contains(from), "{from}");
        let mut stream = Stream::new(PROFILE, 0, 0);
        stream.source(1, "hpet", 1);
        stream.sample(2, (1, TASK, 0, &[2]));
        let out = made("form", 1, &CLASSES.replace(from, to), vec![stream]);
        let left = with_elf("profile", &out, &[]);
        assert_eq!(left.code, Some(1), "{from}: {}", left.err);
        assert!(
            left.err.contains("1 records cannot be used: "),
            "{}",
            left.err
        );
        assert!(left.err.contains(told), "{from}: {}", left.err);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever addresses, contexts and threads a kernel sends: each sample is counted once, and
    /// every export is as it should be.
    #[test]
    fn any_samples_do_no_harm(
        samples in prop::collection::vec(
            (any::<u64>(), any::<u8>(), any::<i32>(),
                prop::collection::vec(any::<u64>(), 0..40), any::<bool>()), 1..40),
        hertz in any::<u32>(), source in "\\PC{0,8}"
    ) {
        let mut stream = Stream::new(PROFILE, 0, 0);
        stream.source(0, &source, hertz);
        let near = address(hot);
        for (ip, from, thread, stack, is_near) in &samples {
            let place = |at: &u64| if *is_near { near.wrapping_add(at % 4096) } else { *at };
            let stack: Vec<_> = stack.iter().map(place).collect();
            let sample: Sample<'_> = (place(ip), *from, *thread, &stack);
            stream.sample(MS, sample);
        }
        let mut packets = metadata_packets(&with_profile(1, CLASSES), 1 << 12);
        packets.push(stream.packet(2 * MS, 1));
        let (out, _) = recorded("any", &packets);
        let profile = profiled(&out, &[]);
        prop_assert_eq!(profile["samples"].as_u64(), Some(samples.len() as u64));
        let own: u64 = rows(&profile).iter().filter_map(|(_, own, _)| *own).sum();
        prop_assert_eq!(own, samples.len() as u64);
        let text = with_elf("profile", &out, &["--by", "line"]);
        prop_assert_eq!(text.code, Some(0));
        let folded = with_elf("export", &out, &["-f", "folded"]).out;
        let mut sum = 0;
        for line in folded.lines() {
            let (stack, count) = line.rsplit_once(' ').expect("a count is behind the stack");
            prop_assert!(stack.split(';').all(|name| !name.is_empty()));
            sum += count.parse::<u64>().expect("it is a number");
        }
        prop_assert_eq!(sum, samples.len() as u64);
        let document = with_elf("export", &out, &["-f", "speedscope"]).out;
        let stacks: usize = speedscope(&document).iter().map(|(_, stacks)| stacks.len()).sum();
        prop_assert_eq!(stacks, samples.len());
        fs::remove_dir_all(out.parent().expect("a folder")).expect("it can be removed");
    }
}
