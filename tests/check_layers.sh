#!/bin/sh
# Holds every #include of the tree against the table of arrows between folders; prints what stands against it and fails.
# In: nothing; run from the repository's root. Out: one line per forbidden include.
set -u
# folder : folders (or files) that its sources may include besides themselves
table='
formats:
core/base:formats/element_type.h
core/packing:core/base formats/element_type.h
core/kernels:core/base core/packing formats/element_type.h
core/linalg:core/base core/kernels
core/text:core/base formats
core/model:core/base core/packing core/kernels core/text formats
core/runtime:core/base core/packing core/kernels core/model core/text
core/quantize:core/base core/packing core/kernels core/linalg core/model core/text core/runtime formats
core/api:core formats
cpu_simd:core/kernels core/packing core/base
cuda:core/kernels core/packing core/base
apps:core/api/gq.h
'
failed=0
# A folder that the table does not name would be held by nothing.
sources='-name *.h -o -name *.cpp -o -name *.cu -o -name *.cuh'
set -f
for file in $(find core formats cpu_simd cuda apps $sources 2>/dev/null | sort); do
    folder=${file%/*}
    case $folder in apps/*) folder=apps ;; esac
    case $table in *"
$folder:"*) ;; *) printf 'no row in the table: %s\n' "$folder"; failed=1 ;; esac
done
while IFS=: read -r folder allowed; do
    [ -n "$folder" ] && [ -d "$folder" ] || continue
    includes=$(find "$folder" $sources | sort | xargs grep -Hn '^#include "' 2>/dev/null)
    bad=$(printf '%s\n' "$includes" | while IFS= read -r line; do
        [ -n "$line" ] || continue
        target=${line##*#include \"}
        target=${target%%\"*}
        for prefix in "$folder" registry.inc $allowed; do
            case $target in "$prefix" | "$prefix"/*) continue 2 ;; esac
        done
        printf '%s\n' "$line"
    done)
    if [ -n "$bad" ]; then
        printf 'arrow against the plan:\n%s\n' "$bad"
        failed=1
    fi
done <<EOF
$table
EOF
[ "$failed" -eq 0 ] && echo "layers: every include follows the table"
exit "$failed"
