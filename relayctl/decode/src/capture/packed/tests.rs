use std::io::Write;

use proptest::prelude::*;
use tar::{Builder, Header};

use super::super::raw::Scratch;
use super::*;

/// An archive of files, whatever their paths are.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (path, data) in files {
        let mut header = Header::new_gnu();
        header.set_size(data.len() as u64);
        // Not by `set_path`, which refuses hostile ones.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        builder
            .append(&header, *data)
            .expect("a Vec takes everything");
    }
    builder.into_inner().expect("a Vec takes everything")
}

/// Unpacks an archive: the path of the capture within, and the problems.
fn unpacked(bytes: &[u8]) -> Result<(Scratch, String, Vec<String>), PackedError> {
    let scratch = Scratch::new().expect("there is room");
    let Packed::Archive(input) = Packed::of(bytes)? else {
        panic!("it is an archive");
    };
    let found = unpack(input, scratch.path())?;
    let within = found.folder.strip_prefix(scratch.path());
    let within = within.expect("it lies within").display().to_string();
    Ok((scratch, within, found.problems))
}

fn wrong(bytes: &[u8]) -> String {
    unpacked(bytes).expect_err("it is wrong").to_string()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("a Vec takes everything");
    encoder.finish().expect("a Vec takes everything")
}

#[test]
fn a_capture_is_found_wherever_it_lies() {
    for (files, place) in [
        (&["trace/metadata", "trace/klog_0", "packets"][..], ""),
        (
            &["./a/b/trace/metadata", "a/b/run.json", "a/b/console.log"],
            "a/b",
        ),
        (&["copied/metadata", "copied/klog_0"], "copied"),
        (&["metadata", "klog_0"], ""),
        (&["nothing/run.json"], "nothing"),
    ] {
        let files: Vec<_> = files.iter().map(|file| (*file, &b"x"[..])).collect();
        for bytes in [archive(&files), gzip(&archive(&files))] {
            let (scratch, within, problems) = unpacked(&bytes).expect("there is one");
            assert_eq!((within.as_str(), problems), (place, vec![]));
            for (file, data) in &files {
                assert_eq!(fs::read(scratch.path().join(file)).expect(file), *data);
            }
        }
    }
    assert_eq!(wrong(&archive(&[("x", b"")])), "there is no capture in it");
    let two = archive(&[("a/packets", b""), ("b\x1b/packets", b"")]);
    assert!(
        wrong(&two).ends_with(r"name one of a, b\x1b"),
        "{}",
        wrong(&two)
    );
}

#[test]
fn nothing_is_written_elsewhere() {
    for path in ["../evil", "/tmp/evil", "a/../../evil", "a/./../b/evil"] {
        let bytes = archive(&[("packets", b"x"), (path, b"x")]);
        let (scratch, _, problems) = unpacked(&bytes).expect("the rest is good");
        assert_eq!(
            problems,
            [format!("{path}: left out, it would lie elsewhere")]
        );
        let files = fs::read_dir(scratch.path()).expect("it is there");
        assert_eq!(files.count(), 1, "{path}");
    }
    // A link that a later file would go through.
    let mut builder = Builder::new(Vec::new());
    let mut link = Header::new_gnu();
    link.set_entry_type(EntryType::Symlink);
    link.set_size(0);
    builder
        .append_link(&mut link, "trace", "/tmp")
        .expect("a Vec takes everything");
    let mut file = Header::new_gnu();
    file.set_size(1);
    builder
        .append_data(&mut file, "trace/metadata", &b"x"[..])
        .expect("a Vec takes everything");
    let bytes = builder.into_inner().expect("a Vec takes everything");
    let (scratch, _, _) = unpacked(&bytes).expect("there is one");
    assert!(
        scratch
            .path()
            .join("trace")
            .symlink_metadata()
            .expect("it is there")
            .is_dir()
    );
    // The first of two counts.
    let twice = archive(&[("packets", b"first"), ("packets", b"second")]);
    let (scratch, _, problems) = unpacked(&twice).expect("there is one");
    assert_eq!(problems, ["packets: it is in the archive twice"]);
    assert_eq!(
        fs::read(scratch.path().join("packets")).expect("it is there"),
        b"first"
    );
}

#[test]
fn long_paths_have_a_limit() {
    let long = |length: usize| {
        let mut builder = Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.set_size(1);
        let folder = vec!["x".repeat(50); length / 51].join("/");
        let path = format!("{folder}/packets");
        builder
            .append_data(&mut header, &path, &b"x"[..])
            .expect("a Vec takes everything");
        builder.into_inner().expect("a Vec takes everything")
    };
    let (scratch, within, problems) = unpacked(&long(500)).expect("there is one");
    assert!(within.len() > 400 && problems.is_empty(), "{problems:?}");
    assert!(scratch.path().join(within).join("packets").is_file());
    assert_eq!(wrong(&long(5000)), "there is no capture in it");
    assert_eq!(wrong(&long(80_000)), "there is no capture in it");
    // POSIX's way.
    let mut builder = Builder::new(Vec::new());
    builder
        .append_pax_extensions([("mtime", &b"1.5"[..]), ("path", b"far/away/packets")])
        .expect("a Vec takes everything");
    let mut bytes = builder.into_inner().expect("a Vec takes everything");
    bytes.truncate(bytes.len() - 1024);
    bytes.extend(archive(&[("short", b"x")]));
    assert_eq!(unpacked(&bytes).expect("there is one").1, "far/away");
}

#[test]
fn a_bomb_ends_at_the_limit() {
    // Without their contents: these are never reached.
    let mut header = Header::new_gnu();
    header.set_path("packets").expect("it is short");
    header.set_size(u64::MAX / 4);
    header.set_cksum();
    let bomb = header
        .as_bytes()
        .chain(io::repeat(0))
        .take(MAX_UNPACKED + (1 << 20));
    let scratch = Scratch::new().expect("there is room");
    let mut unpacking = Unpacking {
        root: scratch.path(),
        left: 1 << 20,
        captures: BTreeSet::new(),
        problems: Vec::new(),
    };
    assert!(matches!(
        unpacking.all(bomb),
        Err(PackedError::TooLarge(MAX_UNPACKED))
    ));
    let written = fs::metadata(scratch.path().join("packets"))
        .expect("it is there")
        .len();
    assert!(written <= 1 << 20);
    let mut limited = Limited {
        input: io::repeat(0),
        left: 100,
    };
    let error = io::copy(&mut limited, &mut io::sink()).expect_err("it has an end");
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
}

#[test]
fn what_is_cut_off_is_unpacked_up_to_there() {
    let whole = archive(&[("trace/metadata", b"x"), ("trace/klog_0", &[7; 5000])]);
    let (scratch, _, problems) = unpacked(&whole[..3000]).expect("there is one");
    assert_eq!(problems[0], "trace/klog_0: cut off, 3536 bytes are missing");
    let klog = fs::read(scratch.path().join("trace/klog_0")).expect("it is there");
    assert_eq!(klog, [7; 3000 - 1536]);
    let packed = gzip(&whole);
    let (_, _, problems) = unpacked(&packed[..packed.len() - 9]).expect("there is one");
    assert!(problems[0].contains("damaged or cut off"), "{problems:?}");
}

#[test]
fn other_programs_are_named() {
    for (head, program) in [(&b"\x28\xb5\x2f\xfd"[..], "zstd"), (b"BZh9", "bzip2")] {
        let error = Packed::of(head).expect_err("it is not known").to_string();
        assert!(
            error.contains(program) && error.contains(".tar.gz"),
            "{error}"
        );
        assert!(is_packed(head));
    }
    assert!(matches!(Packed::of(&b"anything"[..]), Ok(Packed::Raw(_))));
    assert!(matches!(Packed::of(&b""[..]), Ok(Packed::Raw(_))));
    assert!(!is_packed(b"\xc1\x1f\xfc\xc1") && is_packed(&gzip(b"")));
    let raw = gzip(b"raw");
    let Ok(Packed::Raw(mut input)) = Packed::of(&raw[..]) else {
        panic!("it is raw");
    };
    let mut text = String::new();
    input.read_to_string(&mut text).expect("it is text");
    assert_eq!(text, "raw");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A damaged archive gives something or an error, never a panic.
    #[test]
    fn damage_does_no_harm(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        is_packed in any::<bool>()
    ) {
        let mut bytes = archive(&[("trace/metadata", b"x"), ("trace/klog_0", &[7; 900]), ("packets", b"y")]);
        if is_packed {
            bytes = gzip(&bytes);
        }
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let scratch = Scratch::new().expect("there is room");
        if let Ok(Packed::Archive(input)) = Packed::of(&bytes[..]) {
            let _ = unpack(input, scratch.path());
        }
    }
}
