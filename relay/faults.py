#!/usr/bin/env python3
"""Puts faults into relay/src, one at a time, and says which tests notice.

    relay/faults.py [FAULT...]

Each is a fault that is easy to make in a place where two things meet, with the tests that were written for it. Works
on a copy of the workspace. Exit 1 if a test passes that should fail. What single operators and orderings do is tried by
relay/mutants and relay/weaken-orderings.py.
"""

import os
import re
import subprocess
import sys

from edits import ROOT, applied, check_names, copy

DESCRIBE = """        sub.origin.store(origin, Ordering::Relaxed);
        // Release: who sees the packet's end sees its block.
        sub.bound
            .store(geometry.fast_bound(packet), Ordering::Release);"""
BOUND_FIRST = """        sub.bound.store(geometry.fast_bound(packet), Ordering::Release);
        sub.origin.store(origin, Ordering::Relaxed);"""
OBSERVER_LOOKS = """        self.stream.announce_sleep();
        let visible = self.ring.visible();
        let has_more = self.ring.geometry.packet(visible) != self.cursor;"""
OBSERVER_LOOKS_FIRST = """        let visible = self.ring.visible();
        let has_more = self.ring.geometry.packet(visible) != self.cursor;
        self.stream.announce_sleep();"""
READER_LOOKS = """        self.stream.announce_sleep();
        !self.is_readable() && !self.is_at_end()"""
READER_LOOKS_FIRST = """        let may_sleep = !self.is_readable() && !self.is_at_end();
        self.stream.announce_sleep();
        may_sleep"""
LOOK = """        let committed = ring.sub(next).committed();
        let pos = ring.position();"""
LOOK_POSITION_FIRST = """        let pos = ring.position();
        let committed = ring.sub(next).committed();"""
ENDED = """        while ring.position().is_sealed() {
            match ring.successor() {
                Some(next) => ring = next,
                None => return true,
            }
        }
        false"""
ENDED_SUCCESSOR_FIRST = """        while let Some(next) = ring.successor() {
            ring = next;
        }
        ring.position().is_sealed()"""
OPEN = """        ring.describe(packet, block);
        // Where something has moved on meanwhile, its descriptor stays.
        if ring.geometry.packet(ring.position()) == packet {
            let sub = ptr::from_ref(sub).cast_mut();
            ring.open.store(sub, Ordering::Release);
        }"""
OPEN_FIRST = """        ring.open.store(ptr::from_ref(sub).cast_mut(), Ordering::Release);
        ring.describe(packet, block);"""
NOTE = """        if self.platform().context() == Context::Nmi {
            self.stream.wake_noted.store(true, Ordering::Relaxed);
        } else if"""
RECORD_SLEEPS = "may_sleep && self.taken.is_none() && self.open_range().is_none()"

# name, tests that must fail, edits
FAULTS = [
    # Cut records and the post-mortem.
    (
        "cut-moves-the-intent",
        ["the_post_mortem_finds_a_record_that_was_cut"],
        [
            (
                "ring/slot.rs",
                "            self.fill_from(len);\n        }\n        self.len = len;",
                "            self.fill_from(len);\n            self.intent.announce(self.begin, Intent::of(len as u64));\n"
                "        }\n        self.len = len;",
            ),
        ],
    ),
    (
        "cut-leaves-the-intent",
        ["the_post_mortem_finds_a_record_that_was_cut"],
        [
            (
                "ring/slot.rs",
                "            .announce(self.begin, Intent::of(self.reserved as u64));",
                "            .announce(self.begin, Intent::of(self.len as u64));",
            ),
        ],
    ),
    (
        "cut-knows-one-length",
        ["the_post_mortem_finds_what_is_written_while_a_record_is_cut"],
        [
            ("ring/slot.rs", "self.intent.set_kept(len as u64) && ", ""),
        ],
    ),
    (
        "cut-leaves-the-note",
        ["a_given_up_exact_fit_leaves_no_mark_that_the_post_mortem_believes"],
        [
            (
                "ring/slot.rs",
                "if is_exact {\n            let other",
                "if false {\n            let other",
            ),
        ],
    ),
    # Record delivery and open records.
    (
        "position-before-commit-word",
        ["nothing_is_shown_behind_a_record_that_is_open"],
        [
            ("ring/deliver.rs", LOOK, LOOK_POSITION_FIRST),
        ],
    ),
    # Readers and their announcement.
    (
        "observer-knows-no-seal",
        ["no_observer_sleeps_beside_what_came_before"],
        [
            ("ring/observer.rs", "!has_more && !visible.is_sealed()", "!has_more"),
        ],
    ),
    (
        "observer-looks-before-it-announces",
        ["no_observer_sleeps_beside_what_comes"],
        [
            ("ring/observer.rs", OBSERVER_LOOKS, OBSERVER_LOOKS_FIRST),
        ],
    ),
    (
        "reader-looks-before-it-announces",
        ["no_reader_of_sub_buffers_sleeps_beside_what_comes"],
        [
            ("ring/reader.rs", READER_LOOKS, READER_LOOKS_FIRST),
        ],
    ),
    (
        "reader-forgets-the-end",
        ["no_reader_of_sub_buffers_sleeps_beside_what_came_before"],
        [
            (
                "ring/reader.rs",
                READER_LOOKS,
                "        self.stream.announce_sleep();\n        !self.is_readable()",
            ),
        ],
    ),
    (
        "records-forget-the-open-packet",
        ["no_reader_of_records_sleeps_beside_what_came_before"],
        [
            ("ring/records.rs", RECORD_SLEEPS, "may_sleep && self.taken.is_none()"),
        ],
    ),
    (
        "wakes-in-an-nmi",
        ["who_sleeps_is_woken_outside_of_nmis"],
        [("ring/wake.rs", NOTE, "        if")],
    ),
    (
        "notes-nothing",
        ["who_sleeps_is_woken_outside_of_nmis"],
        [
            ("ring/wake.rs", "self.stream.wake_noted.store(true, Ordering::Relaxed);", "{}"),
        ],
    ),
    (
        "the-note-stays",
        ["a_note_of_an_nmi_wakes_once"],
        [
            (
                "ring/wake.rs",
                "            noted.store(false, Ordering::Relaxed);\n            self.wake_readers();",
                "            self.platform().wake(self.number());",
            ),
        ],
    ),
    # Unusual reserves.
    (
        "available-counts-the-channel-start",
        ["only_records_are_available"],
        [
            (
                "ring/reader.rs",
                "complete + open.saturating_sub(self.records_start(limit) as u64)",
                "complete + open.saturating_sub(geometry.start_reserve() as u64)",
            ),
        ],
    ),
    # Texts that are cut.
    (
        "cut-inside-a-character",
        ["nothing_is_missing_that_is_not_told"],
        [
            (
                "clients/klog/line.rs",
                "self.missing.saturating_add(text.len() - kept.len())",
                "self.missing.saturating_add(text.len() - self.room.min(text.len()))",
            ),
        ],
    ),
    # Exchanged blocks.
    (
        "bound-before-origin-after-open",
        ["blocks_are_exchanged_at_every_step_of_an_opening"],
        [
            ("ring/stream.rs", DESCRIBE, BOUND_FIRST),
            ("ring/switch.rs", OPEN, OPEN_FIRST),
        ],
    ),
    (
        "bound-before-origin",
        ["loom:a_cpu_that_is_a_lap_behind_finds_the_block_that_came"],
        [
            ("ring/stream.rs", DESCRIBE, BOUND_FIRST),
        ],
    ),
    (
        "bound-and-open-show-no-origin",
        ["loom:two_cpus_write_while_a_block_is_exchanged"],
        [
            (
                "ring/stream.rs",
                ".store(geometry.fast_bound(packet), Ordering::Release)",
                ".store(geometry.fast_bound(packet), Ordering::Relaxed)",
            ),
            (
                "ring/switch.rs",
                "ring.open.store(sub, Ordering::Release)",
                "ring.open.store(sub, Ordering::Relaxed)",
            ),
        ],
    ),
    (
        "block-before-exchange",
        ["blocks_are_exchanged_at_every_step_of_an_opening"],
        [
            (
                "ring/switch.rs",
                "return Ok(entry.block());",
                "return Ok(ring.geometry.index(packet));",
            ),
        ],
    ),
    # Chains of rings.
    (
        "successor-before-seal",
        ["a_stream_is_not_closed_because_its_ring_is_replaced"],
        [
            ("ring/stream.rs", ENDED, ENDED_SUCCESSOR_FIRST),
        ],
    ),
    (
        "short-lengths-wrap",
        ["no_record_goes_into_a_sealed_ring_where_positions_wrap"],
        [
            ("ring/position.rs", " || self.is_near_the_end(packet)", ""),
        ],
    ),
    # Times that have more bits than a stamp.
    (
        "late-the-fast-way",
        ["a_record_that_comes_late_has_its_time"],
        [
            (
                "ring/fast.rs",
                "let is_in_time = !stamped\n        || unsafe {",
                "let is_in_time = true\n        || unsafe {",
            ),
        ],
    ),
    (
        "late-the-slow-way",
        ["a_record_that_comes_late_has_its_time"],
        [
            ("ring/reserve.rs", "fits && ring.sub(geometry.packet(pos)).takes(ticks)", "fits"),
        ],
    ),
    (
        "late-limit-after-the-swap",
        ["wherever_time_passes_every_record_has_its_own"],
        [
            (
                "ring/reserve.rs",
                "        ring.sub(packet).limit_time(wanted.ticks);\n        self.swap(&wanted, ring, begin, end)?;",
                "        self.swap(&wanted, ring, begin, end)?;\n        ring.sub(packet).limit_time(u64::MAX);",
            ),
        ],
    ),
    (
        "late-begin-not-noted",
        ["the_post_mortem_knows_the_times_too"],
        [
            (
                "ring/subbuf.rs",
                "noted.max(limit.saturating_sub(TIME_SPAN))",
                "noted.max(limit.saturating_sub(limit))",
            ),
        ],
    ),
]


def failed(work, test):
    """Whether the test fails in the copy."""
    name = test.removeprefix("loom:")
    command = ["cargo", "test", "-p", "relayfs", "--lib", name]
    # Built fast, run fast enough; what fails need not be made small.
    env = dict(
        os.environ,
        CARGO_TARGET_DIR=str(ROOT / "target/faults"),
        CARGO_PROFILE_TEST_DEBUG="0",
        CARGO_PROFILE_TEST_LTO="off",
        CARGO_INCREMENTAL="1",
        PROPTEST_MAX_SHRINK_ITERS="0",
    )
    if name != test:
        command += ["--profile", "loom"]
        env |= {"RUSTFLAGS": "--cfg loom", "CARGO_TARGET_DIR": str(ROOT / "target/weakened")}
    result = subprocess.run(command, cwd=work, env=env, capture_output=True, text=True)
    # One that ends the process is noticed, too.
    if "running 0 tests" in result.stdout or "\nrunning " not in result.stdout:
        sys.exit(f"{test} did not run:\n{result.stderr}")
    return result.returncode != 0


def main():
    wanted = sys.argv[1:]
    check_names(wanted, [name for name, _, _ in FAULTS])
    unnoticed = 0
    with copy() as work:
        for name, tests, edits in FAULTS:
            if wanted and name not in wanted:
                continue
            with applied(work, edits):
                passed = [test for test in tests if not failed(work, test)]
            unnoticed += len(passed)
            verdict = "NOT noticed by" if passed else "noticed by"
            print(f"{name}: {verdict} {', '.join(passed or tests)}", flush=True)
    sys.exit(1 if unnoticed else 0)


main()
