#!/bin/sh
# Runs libFuzzer targets, as many at a time as there are processors. In: build folder, seconds each, names.
# Out: a line per target; exit 1 where one has a finding, which is left in the build folder with the target's log.
set -eu
build=$1 seconds=$2
shift 2

# one TARGET
if [ "${GQ_FUZZ_ONE:-}" ]; then
    target=$1
    seeds=tests/fuzz/corpus/${target#fuzz_}
    [ -d "$seeds" ] || { echo "$target: seed corpus $seeds expected, not found" >&2; exit 1; }
    mkdir -p "$build/corpus/$target"
    if "$build/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=3000 -artifact_prefix="$build/$target-" \
        -print_final_stats=1 "$build/corpus/$target" "$seeds" >"$build/$target.log" 2>&1; then
        echo "$target: $seconds s, $(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$target.log") runs, no finding"
    else
        echo "$target: a finding, $build/$target.log:" >&2
        tail -40 "$build/$target.log" >&2
        exit 1
    fi
    exit 0
fi
printf '%s\n' "$@" | GQ_FUZZ_ONE=1 xargs -P "$(getconf _NPROCESSORS_ONLN)" -n 1 sh "$0" "$build" "$seconds"
