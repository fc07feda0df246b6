#!/usr/bin/env bash
# Measures LTTng-UST: run.sh ROUNDS
#
# Builds bench.c and runs it in a session that overwrites (nobody reads) and in one that discards (a
# consumer empties the buffers between the batches, a tenth as many). Prints one line for each:
# LTTng-UST NAME MIN MEDIAN NOTE, with tabs between, in ns per event. Exit: 0 good, 77 LTTng is not installed, anything else a failure.
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

# once NAME MODE ROUNDS PAUSE [words for lttng create...]: leaves the line in $work/line, and in
# $discarded what was discarded: those events were cheap ones.
once() {
    local -r name=$1 mode=$2 rounds=$3 pause=$4
    shift 4
    quiet lttng --no-sessiond create "$session" "$@"
    quiet lttng --no-sessiond enable-channel --session="$session" --userspace "--$mode" \
        --subbuf-size=16K --num-subbuf=8 channel
    quiet lttng --no-sessiond enable-event --session="$session" --userspace --channel=channel \
        relay_bench:record
    quiet lttng --no-sessiond start "$session"
    LTTNG_UST_REGISTER_TIMEOUT=10000 timeout 300 "$work/bench" "$name" "$rounds" "$pause" >"$work/line"
    quiet lttng --no-sessiond stop "$session"
    quiet lttng --no-sessiond list "$session"
    mv -- "$work/log" "$work/list"
    quiet lttng --no-sessiond destroy "$session"
    discarded=$(grep -E 'Discarded events: [1-9]' "$work/list") || true
}

"$compiler" -O2 -I. -o "$work/bench" bench.c -llttng-ust -ldl
start_daemon
once 'overwrite, nobody reads' overwrite "$rounds" 0 --snapshot --output="$work/snapshot"
cat "$work/line"
# On a busy machine the consumer needs more time to empty the buffers.
for pause in 5000 20000 80000; do
    once 'discard, emptied between batches' discard "$(((rounds + 9) / 10))" "$pause" \
        --output="$work/trace-$pause"
    [[ -n $discarded ]] || break
done
if [[ -n $discarded ]]; then
    printf 'run.sh: the machine is too busy to measure: %s\n' "$discarded" >&2
    false
fi
cat "$work/line"
