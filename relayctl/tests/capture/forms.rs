//! The forms in which a capture comes, and where it lies.

use super::*;

#[test]
fn raw_bytes_are_as_good_as_a_capture() {
    let packets = small();
    let out = capture("raw", &packets);
    let raw = folder("raw").join("raw");
    fs::write(&raw, packets.concat()).unwrap();
    let show = |path: &Path| relayctl(&["cat".as_ref(), path.as_os_str()]).out;
    assert_eq!(show(&raw), show(&out));
    assert_eq!(verify(&raw), (Some(0), "complete".to_owned()));
    let piped = std::process::Command::new(env!("CARGO_BIN_EXE_relayctl"))
        .args(["cat", "-"])
        .stdin(fs::File::open(&raw).unwrap())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(piped.stdout).unwrap(), show(&out));
}

/// Runs `tar`, which packs what is in a folder.
fn tar(args: &[&str], folder: &Path) {
    let output = std::process::Command::new("tar")
        .args(args)
        .current_dir(folder)
        .output()
        .expect("there is tar");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_packed_capture_is_as_good_as_its_folder() {
    let out = capture("packed", &small());
    let home = out.parent().unwrap();
    let show = |path: &Path| relayctl(&["cat".as_ref(), path.as_os_str()]).out;
    for (args, name) in [
        (&["-cf", "a.tar", "capture"][..], "a.tar"),
        (&["-czf", "a.tar.gz", "capture"], "a.tar.gz"),
        (
            &["-czf", "named-like-nothing", "--format=posix", "./capture"],
            "named-like-nothing",
        ),
        (&["-cf", "within.tar", "-C", "capture", "."], "within.tar"),
    ] {
        tar(args, home);
        assert_eq!(
            verify(&home.join(name)),
            (Some(0), "complete".to_owned()),
            "{name}"
        );
        assert_eq!(show(&home.join(name)), show(&out), "{name}");
    }
    let piped = std::process::Command::new(env!("CARGO_BIN_EXE_relayctl"))
        .args(["verify", "-"])
        .stdin(fs::File::open(home.join("a.tar.gz")).unwrap())
        .output()
        .unwrap();
    assert!(piped.stdout.ends_with(b"complete\n"));
    // A raw stream, in gzip.
    let gzip = std::process::Command::new("gzip")
        .arg("-k")
        .arg(home.join("raw"))
        .status();
    assert!(gzip.expect("there is gzip").success());
    assert_eq!(
        verify(&home.join("raw.gz")),
        (Some(0), "complete".to_owned())
    );
    // Cut off.
    let whole = fs::read(home.join("a.tar")).unwrap();
    fs::write(home.join("cut.tar"), &whole[..whole.len() * 2 / 3]).unwrap();
    let left = relayctl(&["verify".as_ref(), home.join("cut.tar").as_os_str()]);
    assert_eq!(left.code, Some(1));
    assert!(left.out.contains("cut.tar: "), "{left:?}");
    // It does not grow.
    let left = relayctl(&[
        "cat".as_ref(),
        "-f".as_ref(),
        home.join("a.tar.gz").as_os_str(),
    ]);
    assert_eq!(left.code, Some(2), "{left:?}");
    assert!(left.err.contains("without --follow"), "{left:?}");
    fs::write(home.join("z"), b"\x28\xb5\x2f\xfd").unwrap();
    let left = relayctl(&["verify".as_ref(), home.join("z").as_os_str()]);
    assert_eq!(left.code, Some(3));
    assert!(left.err.contains("packed by zstd"), "{left:?}");
}

#[test]
fn a_trace_by_itself_is_open_at_best() {
    let out = capture("trace", &small());
    let show = |path: &Path| relayctl(&["cat".as_ref(), path.as_os_str()]).out;
    // The path of the trace within a capture means the capture.
    assert_eq!(verify(&out.join("trace")), (Some(0), "complete".to_owned()));
    let home = out.parent().unwrap();
    tar(&["-cf", "only.tar", "capture/trace"], home);
    tar(&["-cf", "files.tar", "-C", "capture/trace", "."], home);
    fs::create_dir(home.join("copied")).unwrap();
    tar(&["-xf", "only.tar", "-C", "copied"], home);
    for copy in [
        "copied/capture",
        "copied/capture/trace",
        "only.tar",
        "files.tar",
    ] {
        let copy = home.join(copy);
        let left = relayctl(&["verify".as_ref(), copy.as_os_str()]);
        assert_eq!(
            (left.code, left.out.lines().last()),
            (Some(0), Some("open")),
            "{left:?}"
        );
        assert!(
            left.out.starts_with("open: only the trace is there: "),
            "{left:?}"
        );
        assert_eq!(show(&copy), show(&out));
        for command in ["cat", "stat"] {
            let left = relayctl(&[command.as_ref(), copy.as_os_str()]);
            assert_eq!(left.code, Some(0));
            assert!(left.err.contains("only the trace is there"), "{left:?}");
        }
        let left = relayctl(&["verify".as_ref(), "--json".as_ref(), copy.as_os_str()]);
        let json: serde_json::Value = serde_json::from_str(&left.out).expect("it is JSON");
        assert_eq!(json["unproven"].as_array().map(Vec::len), Some(1));
    }
    // It proves what is wrong nevertheless.
    let klog = home.join("copied/capture/trace/klog_1");
    let mut bytes = fs::read(&klog).unwrap();
    bytes.drain(..bytes.len() / 2);
    fs::write(&klog, bytes).unwrap();
    assert_eq!(
        verify(&home.join("copied/capture/trace")),
        (Some(1), "broken".to_owned())
    );
}

#[test]
fn an_existing_folder_needs_force() {
    let out = capture("force", &small());
    let raw = out.with_file_name("raw");
    let left = record(&raw, &out);
    assert_eq!(left.code, Some(2));
    assert!(left.err.contains("--force"), "{left:?}");
    let forced = |out: &Path| {
        relayctl(&[
            "record",
            "--force",
            "--from",
            raw.to_str().unwrap(),
            "--out",
            out.to_str().unwrap(),
        ])
    };
    assert_eq!(forced(&out).code, Some(0));
    assert_eq!(verify(&out).1, "complete");
    // Nothing that is no capture is removed.
    let other = folder("other");
    fs::write(other.join("precious"), "x").unwrap();
    assert_eq!(forced(&other).code, Some(2));
    assert!(other.join("precious").exists());
}

#[test]
fn the_newest_capture_is_the_default() {
    // Outside of the workspace, so that its captures stay as they are.
    let scratch = relay_decode::capture::Scratch::new().expect("there is room");
    let here = scratch.path();
    let run = |args: &[&str]| -> synthetic::Left {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_relayctl"));
        let output = command.args(args).current_dir(here).output();
        output.expect("relayctl starts").into()
    };
    let left = run(&["verify"]);
    assert_eq!(left.code, Some(3));
    assert!(left.err.contains("there is no capture yet"), "{left:?}");
    fs::write(here.join("raw"), small().concat()).unwrap();
    fs::write(here.join("part"), &small().concat()[..7500]).unwrap();
    for (file, verdict) in [("part", "open"), ("raw", "complete"), ("part", "open")] {
        assert_eq!(run(&["record", "--from", file]).code, Some(0));
        assert_eq!(run(&["verify"]).out.lines().last(), Some(verdict));
    }
    let entries = fs::read_dir(here.join("captures")).unwrap();
    assert_eq!(entries.count(), 4, "three captures and the link");
    let latest = || fs::read_link(here.join("captures/latest")).unwrap();
    let link = latest();
    for command in ["cat", "stat", "verify"] {
        let left = run(&[command]);
        let reads = format!("relayctl: reading captures/{}\n", link.display());
        assert!(left.err.starts_with(&reads), "{left:?}");
        let named = run(&[command, &format!("captures/{}", link.display())]);
        assert_eq!((named.code, named.out), (left.code, left.out));
        assert!(!named.err.contains("reading"), "{}", named.err);
    }
    // Nothing came: that is the newest one nevertheless, and none before it.
    fs::write(here.join("nothing"), "").unwrap();
    let left = run(&["record", "--from", "nothing"]);
    assert_eq!(
        (left.code, left.err.as_str()),
        (Some(1), "relayctl: nothing: nothing came\n")
    );
    assert_ne!(latest(), link);
    let left = run(&["verify"]);
    assert_eq!(
        (left.code, left.out.lines().last()),
        (Some(1), Some("broken"))
    );
    assert!(
        left.out.contains("nothing can be read without metadata"),
        "{left:?}"
    );
    let empty = latest();
    assert!(
        left.err.contains(&format!("captures/{}", empty.display())),
        "{left:?}"
    );
    assert_ne!(run(&["cat"]).code, Some(0));
    assert!(
        link.is_relative() && link.components().count() == 1,
        "{link:?}"
    );
}
