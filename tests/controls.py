#!/usr/bin/env python3
"""Puts faults into what the kernel writes with, and shows that the scenario `stress` catches each.

    tests/controls.py [CONTROL...]

A race test that passes says something only if it fails where there is a race. Each control is a fault
that no test on one thread would notice: the kernel is built with it (feature `stress`), and run by
`relayctl stress`, whose seeds fail the same each time; if none does, with all CPUs at once, until a
run fails or a capture is not complete. Works on a copy of the workspace; `relayctl` is the one without
faults. Exit 1 if a control is not caught, or if the kernel without any fault fails.

Needs QEMU. Not a part of .ci/run: it takes some minutes.
"""

import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "relay"))
from edits import applied, check_names, copy  # noqa: E402

TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
RELAYCTL = os.path.join(TARGET, "debug", "relayctl")

# The seeds that are tried.
SEEDS = "1..30"
# How long they may take, in seconds.
SEEDS_LIMIT = 300
# How often chance may help a fault then.
TRIES = 6
# How long a run may take, in seconds: with the time that it goes on for what comes rarely.
LIMIT = 150

CONTROLS = {
    "none": [],
    # Interrupts between the load and the store are overwritten.
    "swap-by-load-and-store": [
        (
            "sync.rs",
            """        // SAFETY: the operand is a live, aligned AtomicU64 for as long as `word` is borrowed;
        // cmpxchg reads and writes only it, rax and the flags (Intel SDM 2A, CMPXCHG).
        unsafe {
            asm!(""",
            """        if word.load(core::sync::atomic::Ordering::Relaxed) == old {
            // SAFETY: none is needed; it keeps the two apart.
            unsafe { asm!("jmp 2f\\n2:", options(nostack)) };
            word.store(new, core::sync::atomic::Ordering::Relaxed);
            return true;
        }
        // SAFETY: as it was.
        unsafe {
            asm!(""",
        )
    ],
    # What an interrupt commits in between is lost.
    "commit-by-load-and-store": [
        (
            "sync.rs",
            """        // SAFETY: as for `cas`; add touches the word and the flags (SDM 2A, ADD).
        unsafe {""",
            """        let before = word.load(core::sync::atomic::Ordering::Relaxed);
        // SAFETY: none is needed; it keeps the two apart.
        unsafe { asm!("jmp 2f\\n2:", options(nostack)) };
        word.store(before.wrapping_add(value), core::sync::atomic::Ordering::Relaxed);
        return before.checked_add(value).is_none();
        #[expect(unreachable_code, reason = "a control")]
        // SAFETY: it is not reached.
        unsafe {""",
        )
    ],
    # A record may be longer than what is left of its packet.
    "wrong-end-of-a-packet": [
        (
            "ring/reserve.rs",
            "offset != 0 && offset + wanted.len <= geometry.limit();",
            "offset != 0 && offset + wanted.len <= geometry.limit() + 16;",
        )
    ],
    # What an interrupt completes while delivery runs is left to nobody.
    "no-second-look": [
        (
            "ring/deliver.rs",
            "if broken(Mistake::NoRecheck) || self.look() == seen {",
            "if seen.is_some() || self.look() == seen {",
        )
    ],
    # NMIs write into the stream of another CPU.
    "another-cpu-writes": [
        (
            "../../kernel/src/cpu/machine.rs",
            "        (percpu::cpu_index(), ())",
            """        let cpu = percpu::cpu_index();
        let is_other = percpu::context() == Context::Nmi && cpu.is_multiple_of(2);
        (cpu + usize::from(is_other), ())""",
        )
    ],
}


def build(work):
    """The kernel of a copy."""
    target = os.path.join(TARGET, "controls")
    command = ["cargo", "build", "-q", "--release", "-p", "kernel", "--features", "stress"]
    command += ["--target", "x86_64-unknown-none", "--target-dir", target]
    built = subprocess.run(command, cwd=work, capture_output=True, text=True)
    if built.returncode != 0:
        sys.exit(built.stderr)
    return os.path.join(target, "x86_64-unknown-none", "release", "kernel")


def sweep(kernel):
    """Runs the scenario by seeds; what the first that fails has to say, or None."""
    with tempfile.TemporaryDirectory() as folder:
        command = [RELAYCTL, "stress", "--json", "--kernel", kernel, "--seeds", SEEDS, "--first"]
        command += ["--keep", folder]
        left = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SEEDS_LIMIT)
    try:
        failed = json.loads(left.stdout)["failed"]
    except (ValueError, KeyError):
        sys.exit(f"relayctl stress ended with {left.returncode}: {left.stderr[-500:]}")
    if not failed:
        return None
    return f"{failed[0]['name']}: {failed[0]['wrong'][0][:120]}"


def run(kernel, number):
    """Runs it once, all CPUs at once; why it is not as it should be, or None if it is."""
    mode = ["discard", "overwrite"][number % 2]
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "capture")
        command = [RELAYCTL, "run", "--json", "--quiet", "--kernel", kernel, "--scenario", "stress"]
        command += ["--set", f"seed={number + 1}", "--set", f"mode={mode}", "--set", "seconds=2"]
        command += ["--set", "extend=0", "--out", out, "--max-size", "2000M"]
        try:
            left = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            return f"no end within {LIMIT} s"
        if left.returncode == 0:
            verdict = json.loads(left.stdout)["run"]["capture"]["verdict"]
            return None if verdict == "complete" else verdict
        try:
            told = json.loads(left.stdout)["run"]
            problems = told["problems"] or [told["result"]]
        except (ValueError, KeyError):
            problems = left.stderr.splitlines()[-1:]
        return f"exit {left.returncode}: {(problems or ['?'])[0][:120]}"


def main():
    wanted = sys.argv[1:]
    check_names(wanted, CONTROLS)
    subprocess.run(["cargo", "build", "-q", "-p", "relayctl"], cwd=ROOT, check=True)
    wrong = 0
    with copy() as work:
        for name, edits in CONTROLS.items():
            if wanted and name not in wanted:
                continue
            with applied(work, edits):
                kernel = build(work)
                caught = sweep(kernel)
                for number in range(0 if caught else TRIES):
                    caught = run(kernel, number)
                    if caught:
                        caught += f" (run {number + 1} with all CPUs at once)"
                        break
            is_right = bool(caught) != (name == "none")
            wrong += not is_right
            what = caught or f"nothing by seeds {SEEDS}, nor in {TRIES} runs"
            print(f"{name}: {what}{'' if is_right else ': WRONG'}", flush=True)
    sys.exit(1 if wrong else 0)


main()
