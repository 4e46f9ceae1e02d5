#!/usr/bin/env bash
# Fuzzes the decoders: fuzz/run.sh [SECONDS [TARGET...]]. Builds every target (stable Rust, a C++
# compiler), then runs each for SECONDS (60), two at a time, and fails if one finds anything. Corpora
# and finds stay below the target folder: $CARGO_TARGET_DIR, or target/fuzz.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-60}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(sse ndjson event_stream openai anthropic gemini ollama bedrock requests)
at_once=2

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/../target/fuzz}
case $CARGO_TARGET_DIR in /*) ;; *) echo "CARGO_TARGET_DIR must be absolute" >&2; exit 2 ;; esac
RUSTC_WRAPPER=$PWD/rustc.sh cargo build --quiet --locked --bins
programs=$CARGO_TARGET_DIR/debug
work=$CARGO_TARGET_DIR/work
mkdir -p "$work"

one() {
    local target=$1 corpus=$work/$1/corpus log=$work/$1/log code=0
    mkdir -p "$corpus"
    "$programs/seed" ../tests/cassettes "$target" "$corpus"
    timeout --kill-after=10 $((seconds + 60)) "$programs/$target" -max_total_time="$seconds" \
        -rss_limit_mb=1024 -malloc_limit_mb=512 -max_len=65536 -timeout=10 -print_final_stats=1 \
        -artifact_prefix="$work/$target/" "$corpus" >"$log" 2>&1 || code=$?
    local runs covered
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    covered=$(grep -o ' cov: [0-9]*' "$log" | tail -n 1 | tr -dc 0-9 || true)
    if [ "$code" -eq 0 ]; then
        echo "$target: ${runs:-0} inputs in $seconds s, ${covered:-0} edges, nothing found"
    else
        echo "$target: FAILED ($code), see $work/$target"
        tail -n 40 "$log"
    fi
    return "$code"
}

failed=0
running=0
for target in "${targets[@]}"; do
    one "$target" &
    running=$((running + 1))
    if [ "$running" -ge "$at_once" ]; then
        wait -n || failed=1
        running=$((running - 1))
    fi
done
while [ "$running" -gt 0 ]; do
    wait -n || failed=1
    running=$((running - 1))
done
exit "$failed"
