#!/usr/bin/env bash
# Measures LTTng-UST: run.sh ROUNDS
#
# Builds bench.c and runs it in a session that overwrites (nobody reads) and in one that discards (a
# consumer empties the buffers between the batches, a fifth as many). Prints one line for each: NAME MIN
# MEDIAN, in ns per event. Exit: 0 good, 77 LTTng is not installed, anything else a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

rounds=${1:?usage: run.sh ROUNDS}
compiler=${CC:-cc}

for program in lttng lttng-sessiond "$compiler"; do
    command -v "$program" >/dev/null || exit 77
done
printf '#include <lttng/tracepoint.h>\n' | "$compiler" -E -o /dev/null - 2>/dev/null || exit 77

work=$(mktemp -d)
readonly work session=relay-bench-$$
daemon=''

cleanup() {
    lttng --no-sessiond destroy "$session" >/dev/null 2>&1 || true
    [[ -z $daemon ]] || kill "$daemon" 2>/dev/null || true
    [[ -z $daemon ]] || wait "$daemon" 2>/dev/null || true
    rm -rf -- "$work"
}
trap cleanup EXIT

# The step's output, if it fails.
quiet() {
    timeout 30 "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; return 1; }
}

# A session daemon that is there already will do.
start_daemon() {
    lttng --no-sessiond list >/dev/null 2>&1 && return
    lttng-sessiond --no-kernel >"$work/daemon.log" 2>&1 &
    daemon=$!
    local try
    for ((try = 0; try < 100; try++)); do
        lttng --no-sessiond list >/dev/null 2>&1 && return
        sleep 0.1
    done
    cat "$work/daemon.log" >&2
    return 1
}

# measure NAME MODE PAUSE [words for lttng create...]
measure() {
    local -r name=$1 mode=$2 pause=$3
    shift 3
    quiet lttng --no-sessiond create "$session" "$@"
    quiet lttng --no-sessiond enable-channel --session="$session" --userspace "--$mode" \
        --subbuf-size=16K --num-subbuf=8 channel
    quiet lttng --no-sessiond enable-event --session="$session" --userspace --channel=channel \
        relay_bench:record
    quiet lttng --no-sessiond start "$session"
    LTTNG_UST_REGISTER_TIMEOUT=10000 timeout 300 "$work/bench" "$name" "$((pause > 0 ? (rounds + 4) / 5 : rounds))" "$pause"
    quiet lttng --no-sessiond stop "$session"
    quiet lttng --no-sessiond list "$session"
    # A discarded event would be a cheap one.
    if grep -E 'Discarded events: [1-9]' "$work/log" >&2; then
        printf '%s: events were discarded while measuring\n' "$name" >&2
        return 1
    fi
    quiet lttng --no-sessiond destroy "$session"
}

"$compiler" -O2 -I. -o "$work/bench" bench.c -llttng-ust -ldl
start_daemon
measure 'overwrite, nobody reads' overwrite 0 --snapshot --output="$work/snapshot"
measure 'discard, emptied between batches' discard 20000 --output="$work/trace"
