#!/usr/bin/env bash
# Measures what other Rust programs trace with: run.sh ROUNDS | instructions
#
# Builds the program beside this file and runs it: see src/main.rs. Exit: 0 good, 77 it cannot be
# built here (cargo has never fetched what it needs, and there is no network), anything else a
# failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

word=${1:?usage: run.sh ROUNDS | instructions}
target=${CARGO_TARGET_DIR:-../../../target}/peers

cargo build --release --locked --quiet --target-dir "$target" || exit 77
exec "$target/release/relay-peers" "$word"
