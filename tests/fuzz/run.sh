#!/bin/sh
# Runs libFuzzer targets one after another. In: build folder, seconds each, names. Out: exit 1 at the first finding, which is left in the build folder.
set -eu
build=$1 seconds=$2
shift 2
for target in "$@"; do
    echo "== $target, $seconds s"
    mkdir -p "$build/corpus/$target"
    seeds=tests/fuzz/corpus/${target#fuzz_}
    [ -d "$seeds" ] || { echo "$target: seed corpus $seeds expected, not found" >&2; exit 1; }
    "$build/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=3000 -artifact_prefix="$build/$target-" -print_final_stats=0 -verbosity=0 \
        "$build/corpus/$target" "$seeds"
done
echo "fuzzing: no finding in $# targets"
