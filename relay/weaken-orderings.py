#!/usr/bin/env python3
"""Weakens orderings of relay/src, one set at a time, and says which loom models notice.

    relay/weaken-orderings.py [--models MODEL] [SET...]

Works on a copy of the workspace; with --models, only the models with that in their name run. A set marked
`redundant` is expected to survive: another ordering covers for it, or it is there for what loom does not
model, as the ordering table in docs/ORDERINGS.md says. Exit 1 if anything is otherwise.
"""

import os
import re
import subprocess
import sys

from edits import ROOT, applied, check_names, copy

# What a weakened model may take before it counts as not ended, in seconds.
LIMIT = 240
# What it may take of the machine's memory before it counts as crashed, in bytes.
MEMORY = 12 << 30


def relaxed(name, text):
    """The edit that makes all orderings in `text` Relaxed."""
    return name, text, re.sub(r"Ordering::\w+", "Ordering::Relaxed", text)


def only(name, text, success, failure):
    """The edit that gives the compare-and-swap in `text` these orderings."""
    weaker = text.replace("Ordering::AcqRel", f"Ordering::{success}").replace(
        "Ordering::Acquire", f"Ordering::{failure}"
    )
    return name, text, weaker


def without_fence(name, text):
    """The edit that takes the fence out of `text`."""
    return name, text, text.replace("fence(Ordering::SeqCst);", "")


READER = (
    "ring/reader.rs",
    ".compare_exchange(entry.0, wanted.0, Ordering::AcqRel, Ordering::Acquire)",
)
PREPARE = (
    "ring/switch.rs",
    "entry.0,\n                prepared.0,\n                Ordering::AcqRel,\n                Ordering::Acquire,",
)
LEND = (
    "ring/observer.rs",
    ".compare_exchange(entry.0, lent.0, Ordering::AcqRel, Ordering::Acquire)",
)
LEND_BACK = (
    "ring/observer.rs",
    "self.readable.0,\n                Ordering::AcqRel,\n                Ordering::Acquire,",
)
ENTRY_LOAD = ("ring/words.rs", "entry.load(Ordering::Acquire)")
VISIBLE = ("ring/words.rs", "visible.store(end.0, Ordering::Release)")
READABLE = ("ring/deliver.rs", ".store(entry.with_state(State::Readable).0, Ordering::Release)")
SHARED_CAS = (
    "sync.rs",
    "return self\n                .0\n                .compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire)",
)
UNLOCK = ("sync.rs", "self.0.store(0, Ordering::Release)")
WAKE_FENCE = ("ring/wake.rs", "fence(Ordering::SeqCst);\n        if self.stream.remote.waiting")
OPEN = [
    relaxed("ring/fast.rs", "ring.open.load(Ordering::Acquire)"),
    relaxed("ring/switch.rs", "ring.open.store(sub, Ordering::Release)"),
]
BOUND = [
    relaxed("sync.rs", "word.load(Ordering::Acquire)"),
    relaxed("ring/stream.rs", ".store(geometry.fast_bound(packet), Ordering::Release)"),
]
CURRENT_LOADS = [
    ("ring/stream.rs", "unsafe { self.current.load(Ordering::Acquire).as_ref() }"),
    ("ring/fast.rs", "stream.current.load(Ordering::Acquire)"),
]
CURRENT_CAS = (
    "ring/succession.rs",
    "from,\n                new.as_ptr(),\n                Ordering::AcqRel,\n                Ordering::Acquire,",
)
SUCC_LOAD = ("ring/words.rs", "self.succ.load(Ordering::Acquire)")
DELIVERING = [
    ("ring/stream.rs", "self.delivering.load(Ordering::Acquire)"),
    ("ring/deliver.rs", ".store(ptr::from_ref(ring).cast_mut(), Ordering::Release)"),
]
FIRST = [
    (
        "ring/stream.rs",
        "let oldest = unsafe { self.remote.first.load(Ordering::Acquire).as_ref() }",
    ),
    ("ring/reclaim.rs", "first.store(next.cast_mut(), Ordering::Release)"),
]

# name, redundant, edits
SETS = [
    # The owner and the readers.
    (
        "spares",
        False,
        [
            relaxed("ring/reader.rs", "swap(0, Ordering::AcqRel)"),
            relaxed(
                "ring/reader.rs", ".compare_exchange(0, word, Ordering::AcqRel, Ordering::Acquire)"
            ),
        ],
    ),
    ("reader-cas-no-release", False, [only(*READER, "Acquire", "Acquire")]),
    ("reader-cas-no-acquire", True, [only(*READER, "Release", "Relaxed")]),
    ("prepare", True, [relaxed(*PREPARE)]),
    ("entry-load", False, [relaxed(*ENTRY_LOAD)]),
    ("entry-load-and-prepare", False, [relaxed(*ENTRY_LOAD), relaxed(*PREPARE)]),
    ("give-back", False, [relaxed("ring/reader.rs", ".store(empty.0, Ordering::Release)")]),
    ("visible-load", False, [relaxed("ring/words.rs", "visible.load(Ordering::Acquire)")]),
    ("visible-store", False, [relaxed(*VISIBLE)]),
    ("readable", True, [relaxed(*READABLE)]),
    ("visible-and-readable", False, [relaxed(*VISIBLE), relaxed(*READABLE)]),
    ("quiet-store", True, [relaxed("ring/tick.rs", "quiet_since.store(now, Ordering::Release)")]),
    ("quiet-load", False, [relaxed("ring/reader.rs", "quiet_since.load(Ordering::Acquire)")]),
    # Observers.
    ("lend-no-release", False, [only(*LEND, "Acquire", "Acquire")]),
    ("lend-no-acquire", True, [only(*LEND, "Release", "Relaxed")]),
    ("lend-back-no-release", False, [only(*LEND_BACK, "Acquire", "Acquire")]),
    # Readers that sleep.
    ("wake-fence", False, [without_fence(*WAKE_FENCE)]),
    ("sleep-fence", False, [without_fence("ring/wake.rs", "fence(Ordering::SeqCst);\n    }")]),
    # Chains of rings.
    ("succ-load", True, [relaxed(*SUCC_LOAD)]),
    (
        "new-ring",
        False,
        [
            relaxed(
                "ring/tick.rs",
                "place.compare_exchange(offered, TAKEN.as_ptr(), Ordering::AcqRel, Ordering::Acquire)",
            ),
        ],
    ),
    (
        "offer",
        False,
        [
            relaxed(
                "ring/tick.rs",
                "ring.as_ptr(),\n            Ordering::AcqRel,\n            Ordering::Acquire,",
            ),
        ],
    ),
    ("first", True, [relaxed(*edit) for edit in FIRST]),
    (
        "walker-fence",
        False,
        [without_fence("ring/stream.rs", "fence(Ordering::SeqCst);\n        // SAFETY: null")],
    ),
    (
        "unlink-fence",
        False,
        [without_fence("ring/reclaim.rs", "fence(Ordering::SeqCst);\n        let walkers")],
    ),
    (
        "walker-leaves",
        False,
        [relaxed("ring/stream.rs", "walkers.fetch_sub(1, Ordering::Release)")],
    ),
    ("walkers-load", False, [relaxed("ring/reclaim.rs", "walkers.load(Ordering::Acquire)")]),
    (
        "holder-leaves",
        False,
        [relaxed("ring/chain.rs", "(*holders).fetch_sub(1, Ordering::Release)")],
    ),
    ("holders-load", False, [relaxed("ring/reclaim.rs", "holders.0.load(Ordering::Acquire)")]),
    (
        "join-fence",
        False,
        [without_fence("ring/local.rs", "fence(Ordering::SeqCst);\n        if before")],
    ),
    (
        "joined-fence",
        True,
        [without_fence("ring/reclaim.rs", "fence(Ordering::SeqCst);\n        if !has_left")],
    ),
    ("left-store", False, [relaxed("ring/local.rs", "left.store(serial, Ordering::Release)")]),
    ("left-load", True, [relaxed("ring/local.rs", "left.load(Ordering::Acquire)")]),
    # A stream that all CPUs write.
    ("shared-cas", False, [relaxed(*SHARED_CAS)]),
    ("shared-unlock", True, [relaxed(*UNLOCK)]),
    ("shared-unlock-and-wake-fence", False, [relaxed(*UNLOCK), without_fence(*WAKE_FENCE)]),
    (
        "unlock-fence",
        False,
        [
            without_fence("sync.rs", "fence(Ordering::SeqCst);\n        } else {"),
        ],
    ),
    ("deliver-fence", False, [without_fence("ring/deliver.rs", "fence(Ordering::SeqCst);")]),
    ("shared-add", False, [relaxed("sync.rs", "self.0.fetch_add(value, Ordering::AcqRel)")]),
    ("commit-load", False, [relaxed("ring/subbuf.rs", "self.commit.load(Ordering::Acquire)")]),
    (
        "commit-store",
        True,
        [
            relaxed(
                "ring/subbuf.rs",
                "self.commit\n            .store(Committed::nothing(geometry).0, Ordering::Release)",
            ),
        ],
    ),
    ("open", True, OPEN),
    ("bound", False, BOUND),
    ("open-and-bound", False, OPEN + BOUND),
    ("current", False, [relaxed(*edit) for edit in CURRENT_LOADS]),
    ("current-cas", True, [relaxed(*CURRENT_CAS)]),
    ("delivering", False, [relaxed(*edit) for edit in DELIVERING]),
]


def run(work, models):
    """The models that fail in the copy."""
    command = ["cargo", "test", "-p", "relayfs", "--profile", "loom", "--lib", models]
    # A folder of its own: cargo takes what was built of the copy for what is built of the original.
    env = dict(os.environ, RUSTFLAGS="--cfg loom", CARGO_TARGET_DIR=str(ROOT / "target/weakened"))
    # A model that has gone astray may also want all memory there is.
    limited = ["prlimit", f"--as={MEMORY}", "timeout", str(LIMIT), *command]
    result = subprocess.run(limited, cwd=work, env=env, capture_output=True, text=True)
    if result.returncode == 124:
        return ["a model that does not end"]
    if re.search(r"signal: \d+, SIG(SEGV|BUS|ABRT)", result.stderr):
        return ["a model that crashes"]
    if "test result:" not in result.stdout:
        sys.exit(result.stderr)
    return re.findall(r"test ring::tests::loom::(?:\w+::)?(\w+) \.\.\. FAILED", result.stdout)


def main():
    wanted, models = sys.argv[1:], "loom"
    if wanted[:1] == ["--models"]:
        models, wanted = wanted[1], wanted[2:]
    check_names(wanted, [name for name, _, _ in SETS])
    surprises = 0
    with copy() as work:
        # What all sets need is built first: it does not count against the limit.
        if failed := run(work, models):
            sys.exit(f"without a change: {', '.join(failed)}")
        for name, redundant, edits in SETS:
            if wanted and name not in wanted:
                continue
            with applied(work, edits):
                failed = run(work, models)
            surprises += bool(failed) == redundant
            verdict = "noticed by " + ", ".join(failed) if failed else "not noticed"
            print(f"{name}: {verdict}{' (redundant)' if redundant else ''}", flush=True)
    sys.exit(1 if surprises else 0)


main()
