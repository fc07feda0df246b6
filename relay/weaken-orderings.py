#!/usr/bin/env python3
"""Weakens orderings of relay/src, one set at a time, and says which loom models notice.

    relay/weaken-orderings.py [NAME...]

Works on a copy of the workspace. A set marked `redundant` is expected to survive: another ordering
covers for it, as the ordering table in docs/ARCHITECTURE.md says. Exit 1 if anything is otherwise.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RELAXED = "Ordering::Relaxed"


def cas(expected, new, success, failure="Ordering::Acquire"):
    return f".compare_exchange({expected}, {new}, {success}, {failure})"


READER_CAS = cas("entry.0", "wanted.0", "Ordering::AcqRel")
CLAIM = cas("entry.0", "claimed.0", "Ordering::AcqRel")
CLAIM_RELAXED = cas("entry.0", "claimed.0", RELAXED, RELAXED)
ENT_LOAD = ("ring/mod.rs", "ent.load(Ordering::Acquire)", "ent.load(Ordering::Relaxed)")
VISIBLE = (
    "ring/deliver.rs",
    ".store(geometry.position(after, 0).0, Ordering::Release)",
    ".store(geometry.position(after, 0).0, Ordering::Relaxed)",
)
READABLE = (
    "ring/deliver.rs",
    ".store(entry.with_state(State::Readable).0, Ordering::Release)",
    ".store(entry.with_state(State::Readable).0, Ordering::Relaxed)",
)

# name, redundant, edits (file, old, new)
SETS = [
    ("spares", False, [
        ("ring/reader.rs", "swap(0, Ordering::AcqRel)", "swap(0, Ordering::Relaxed)"),
        ("ring/reader.rs", cas("0", "word", "Ordering::AcqRel"), cas("0", "word", RELAXED, RELAXED)),
    ]),
    ("reader-cas-no-release", False, [
        ("ring/reader.rs", READER_CAS, cas("entry.0", "wanted.0", "Ordering::Acquire")),
    ]),
    ("reader-cas-no-acquire", True, [
        ("ring/reader.rs", READER_CAS, cas("entry.0", "wanted.0", "Ordering::Release", RELAXED)),
    ]),
    ("claim", True, [("ring/writer.rs", CLAIM, CLAIM_RELAXED)]),
    ("ent-load", True, [ENT_LOAD]),
    ("ent-load-and-claim", False, [ENT_LOAD, ("ring/writer.rs", CLAIM, CLAIM_RELAXED)]),
    ("give-back", False, [
        ("ring/reader.rs", ".store(empty.0, Ordering::Release)", ".store(empty.0, Ordering::Relaxed)"),
    ]),
    ("visible-load", False, [
        ("ring/reader.rs",
         "let visible = Position(self.ring.visible.load(Ordering::Acquire));\n            let geometry",
         "let visible = Position(self.ring.visible.load(Ordering::Relaxed));\n            let geometry"),
    ]),
    ("visible-store", False, [VISIBLE]),
    ("visible-end-store", False, [
        ("ring/deliver.rs",
         "ring.visible.store(end.0, Ordering::Release)",
         "ring.visible.store(end.0, Ordering::Relaxed)"),
    ]),
    ("readable", True, [READABLE]),
    ("visible-and-readable", False, [VISIBLE, READABLE]),
    ("succ-load", True, [
        ("ring/mod.rs", "self.succ.load(Ordering::Acquire)", "self.succ.load(Ordering::Relaxed)"),
    ]),
    ("quiet-store", False, [
        ("ring/flush.rs", "quiet_since.store(now, Ordering::Release)", "quiet_since.store(now, Ordering::Relaxed)"),
    ]),
    ("quiet-load", False, [
        ("ring/reader.rs", "quiet_since.load(Ordering::Acquire)", "quiet_since.load(Ordering::Relaxed)"),
    ]),
]


def run(work, edits):
    """The models that fail with these edits; None if they do not run at all."""
    saved = {}
    for name, old, new in edits:
        path = work / "relay/src" / name
        text = path.read_text()
        saved.setdefault(path, text)
        if text.count(old) != 1:
            sys.exit(f"{name}: {old!r} is there {text.count(old)} times, want once")
        path.write_text(text.replace(old, new))
    command = ["cargo", "test", "-p", "relay", "--profile", "loom", "--lib", "loom"]
    env = dict(os.environ, RUSTFLAGS="--cfg loom", CARGO_TARGET_DIR=str(ROOT / "target/loom"))
    result = subprocess.run(command, cwd=work, env=env, capture_output=True, text=True)
    for path, text in saved.items():
        path.write_text(text)
    if "test result:" not in result.stdout:
        sys.exit(result.stderr)
    return re.findall(r"test ring::tests::loom::(\S+) \.\.\. FAILED", result.stdout)


def main():
    wanted = sys.argv[1:]
    surprises = 0
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "relay"
        skip = shutil.ignore_patterns("target", "captures", ".git")
        shutil.copytree(ROOT, work, ignore=skip)
        for name, redundant, edits in SETS:
            if wanted and name not in wanted:
                continue
            failed = run(work, edits)
            surprises += bool(failed) == redundant
            verdict = "noticed by " + ", ".join(failed) if failed else "not noticed"
            print(f"{name}: {verdict}{' (redundant)' if redundant else ''}", flush=True)
    sys.exit(1 if surprises else 0)


main()
