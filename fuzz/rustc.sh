#!/bin/sh
# Stands before rustc (RUSTC_WRAPPER): our own crates get the coverage counters that libFuzzer
# reads; dependencies are compiled as ever, without them, so that they need not be compiled anew.
rustc=$1
shift
name=
last=
for it in "$@"; do
    [ "$last" = --crate-name ] && name=$it
    last=$it
done
case $name in
    pointsman | sse | ndjson | event_stream | openai | anthropic | gemini | ollama | bedrock | requests)
        exec "$rustc" "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
            -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
            -Cllvm-args=-sanitizer-coverage-pc-table \
            -Cllvm-args=-sanitizer-coverage-trace-compares
        ;;
esac
exec "$rustc" "$@"
