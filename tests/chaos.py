#!/usr/bin/env python3
"""Runs the kernel while everything around it is stopped, killed and closed, and checks each verdict.

    tests/chaos.py [--runs N] [--seed S] [--smp CPUS]

Every run is one of:

- `relayctl run`, while relayctl and QEMU are stopped and continued at random, and now and then one of
  them is killed (SIGKILL);
- the kernel with readers of our own, who close their ports at random. What they got is a recording.

Each has to end in time. relayctl's exit, the verdict that it prints, and what `verify` says of the
capture must agree; nothing may be called complete that another reader of the format, the one below,
finds not to be; and babeltrace2 reads whatever is called complete or open. Exit 1 if anything is
otherwise; what was captured then stays.

Needs QEMU and babeltrace2, builds relayctl and the kernel. Not a part of .ci/run: it takes minutes.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
RELAYCTL = os.path.join(TARGET, "debug", "relayctl")
KERNEL = os.path.join(TARGET, "x86_64-unknown-none", "debug", "kernel")

# How long a run may take, in seconds: with all patience of kernel and relayctl, and our own pauses.
LIMIT = 90
# Channels that every CPU has a stream of.
CHANNELS = 3

MAGIC = 0xC1FC1FC1
FINAL = 1


def build():
    subprocess.run(["cargo", "build", "-q"], cwd=ROOT, check=True)
    kernel = ["cargo", "build", "-q", "-p", "kernel", "--target", "x86_64-unknown-none"]
    subprocess.run(kernel, cwd=ROOT, check=True)


def is_whole(streams, smp):
    """Whether all streams begin with packet 0, have no gap, and end: by their headers alone."""
    wanted = {(channel, cpu) for channel in range(1, CHANNELS + 1) for cpu in range(smp)}
    for stream in wanted:
        packets = streams.get(stream, [])
        numbers = [number for number, _ in packets]
        finals = [final for _, final in packets]
        if numbers != list(range(len(numbers))) or finals.count(True) != 1 or not finals[-1]:
            return False
    return True


def packets(data):
    """The packets in bytes: channel, CPU, number, whether it is the last one."""
    at = 0
    while at + 168 <= len(data):
        if struct.unpack_from("<I", data, at)[0] != MAGIC:
            at += 1
            continue
        size = struct.unpack_from("<Q", data, at + 56)[0] // 8
        if size < 168 or at + size > len(data):
            return
        channel, number = struct.unpack_from("<I", data, at + 20)[0], struct.unpack_from("<Q", data, at + 64)[0]
        cpu, flags = struct.unpack_from("<II", data, at + 80)
        yield channel, cpu, number, bool(flags & FINAL)
        at += size


def streams_of(blobs):
    streams = {}
    for blob in blobs:
        for channel, cpu, number, final in packets(blob):
            streams.setdefault((channel, cpu), []).append((number, final))
    return streams


def trace_of(capture):
    """The bytes of a capture's streams."""
    trace = os.path.join(capture, "trace")
    names = [name for name in os.listdir(trace) if name != "metadata"] if os.path.isdir(trace) else []
    # Not the folder of index files.
    paths = [path for path in (os.path.join(trace, name) for name in names) if os.path.isfile(path)]
    blobs = []
    for path in paths:
        with open(path, "rb") as file:
            blobs.append(file.read())
    return blobs


class Wrong(Exception):
    pass


def verify(capture):
    """The exit and the verdict of `verify`."""
    done = subprocess.run(
        [RELAYCTL, "verify", "--json", capture], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT
    )
    if not done.stdout:
        raise Wrong(f"verify says nothing: {done.stderr}")
    return done.returncode, json.loads(done.stdout)["verdict"]


def check(capture, smp):
    """Judges a capture; the verdict."""
    code, verdict = verify(capture)
    if code != {"complete": 0, "open": 0, "broken": 1}[verdict]:
        raise Wrong(f"verify says {verdict} and exits {code}")
    whole = is_whole(streams_of(trace_of(capture)), smp)
    if verdict == "complete" and not whole:
        raise Wrong("called complete, and is not whole")
    metadata = os.path.join(capture, "trace", "metadata")
    if verdict != "broken" and os.path.exists(metadata):
        read = subprocess.run(
            ["babeltrace2", os.path.join(capture, "trace")], capture_output=True, timeout=LIMIT
        )
        if read.returncode != 0:
            raise Wrong(f"called {verdict}, and babeltrace2 fails: {read.stderr[-300:]}")
    return verdict, whole


def children(pid):
    """QEMU below relayctl."""
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    found = [int(word) for word in done.stdout.split()]
    return found + [grandchild for child in found for grandchild in children(child)]


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def signals(random, folder, smp):
    """relayctl runs, and is disturbed."""
    capture = os.path.join(folder, "capture")
    command = [RELAYCTL, "run", "--smp", str(smp), "--out", capture, "--kernel", KERNEL]
    log = open(os.path.join(folder, "log"), "wb")
    run = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
    begin, killed, below = time.monotonic(), None, []
    for _ in range(random.randrange(5)):
        time.sleep(random.random() * 0.12)
        if run.poll() is not None:
            break
        below = children(run.pid) or below
        victim = random.choice([run.pid] + below)
        if random.random() < 0.2:
            killed = "relayctl" if victim == run.pid else "qemu"
            send(victim, signal.SIGKILL)
            break
        send(victim, signal.SIGSTOP)
        time.sleep(random.random() * 1.5)
        send(victim, signal.SIGCONT)
    try:
        code = run.wait(LIMIT)
    except subprocess.TimeoutExpired:
        for pid in [run.pid] + children(run.pid):
            send(pid, signal.SIGKILL)
        raise Wrong("relayctl did not end")
    took = time.monotonic() - begin
    for pid in below:
        # QEMU does not outlive relayctl: give it a moment.
        for _ in range(100):
            if not os.path.exists(f"/proc/{pid}") or "Z" in open(f"/proc/{pid}/stat").read().split(")")[1][:3]:
                break
            time.sleep(0.05)
        else:
            send(pid, signal.SIGKILL)
            raise Wrong(f"process {pid} outlives relayctl")
    log.close()
    text = open(os.path.join(folder, "log"), errors="replace").read()
    if not os.path.isdir(os.path.join(capture, "trace")):
        if killed is None:
            raise Wrong("no capture")
        return f"{killed} killed, nothing captured"
    verdict, whole = check(capture, smp)
    said = re.search(r"^capture \S+: (complete|open|broken)", text, re.M)
    if said and said[1] != verdict:
        raise Wrong(f"run says {said[1]}, verify {verdict}")
    if killed is None and (code, verdict) != (0, "complete"):
        raise Wrong(f"nothing was killed, and run exits {code}, {verdict}")
    if code == 0 and verdict != "complete":
        raise Wrong(f"run exits 0, and the capture is {verdict}")
    if killed == "qemu" and code == 0 and not whole:
        raise Wrong("QEMU was killed, and run exits 0")
    return f"{killed or 'nothing'} killed: exit {code}, {verdict}, {took:.1f} s"


def ports(random, folder, smp):
    """The kernel runs, and its ports are closed by who reads them."""
    path = os.path.join(folder, "s")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(smp + 1)
    listener.settimeout(LIMIT)
    environment = dict(
        os.environ,
        RELAY_SMP=str(smp),
        RELAY_PORTS=str(smp),
        RELAY_PORTS_SOCKET=path,
        RELAY_SERIAL=f"file:{folder}/console.log",
        RELAY_EXEC="1",
    )
    words = ["scenario=smoke"] if random.random() < 0.5 else ["scenario=flood", "records=20000"]
    run = subprocess.Popen(
        [os.path.join(ROOT, "qemu-runner.sh"), KERNEL] + words,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    got, closed = [b""] * (smp + 1), set()

    def read(number, connection, end):
        with connection:
            connection.settimeout(0.05)
            while end is None or time.monotonic() < end:
                try:
                    more = connection.recv(1 << 16)
                except TimeoutError:
                    continue
                except OSError:
                    return
                if not more:
                    return
                got[number] += more
            closed.add(number)

    readers = []
    for number in range(smp + 1):
        connection, _ = listener.accept()
        ends = random.random() < 0.2
        end = time.monotonic() + random.random() * 0.6 if ends else None
        readers.append(threading.Thread(target=read, args=(number, connection, end)))
        readers[-1].start()
    try:
        code = run.wait(LIMIT)
    except subprocess.TimeoutExpired:
        run.kill()
        raise Wrong("the kernel did not end")
    for reader in readers:
        reader.join()
    passed = code == 33
    raw = os.path.join(folder, "raw")
    with open(raw, "wb") as file:
        file.write(b"".join(got))
    capture = os.path.join(folder, "capture")
    recorded = subprocess.run(
        [RELAYCTL, "record", "--from", raw, "--out", capture], cwd=ROOT, capture_output=True, timeout=LIMIT
    )
    if not os.path.exists(os.path.join(capture, "trace", "metadata")):
        if 0 not in closed:
            raise Wrong(f"no metadata: {recorded.stderr[-300:]}")
        return "port 0 was closed before the metadata"
    verdict, whole = check(capture, smp)
    if not closed and not (passed and verdict == "complete"):
        raise Wrong(f"no port was closed, and the kernel exits {code}, {verdict}")
    if whole and verdict != "complete":
        raise Wrong(f"all is there, and it is called {verdict}")
    return f"{words[0]}, {len(closed)} closed: {'pass' if passed else 'fail'}, {verdict}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--smp", type=int, default=4)
    options = parser.parse_args()
    build()
    wrong, seen = 0, {}
    for number in range(options.runs):
        chance = random.Random(f"{options.seed} {number}")
        folder = tempfile.mkdtemp(prefix="relay-chaos-")
        try:
            act = signals if chance.random() < 0.6 else ports
            what = act(chance, folder, options.smp)
            shutil.rmtree(folder)
        except (Wrong, subprocess.TimeoutExpired) as error:
            wrong += 1
            what = f"WRONG: {error} ({folder})"
        print(f"{number}: {what}", flush=True)
        kind = re.sub(r", [0-9.]+ s$", "", what)
        seen[kind] = seen.get(kind, 0) + 1
    print()
    for kind, count in sorted(seen.items(), key=lambda item: -item[1]):
        print(f"{count:4} {kind}")
    print(f"{options.runs} runs, {wrong} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
