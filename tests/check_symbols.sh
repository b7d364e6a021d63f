#!/bin/sh
# The exported symbols of libgq.so are exactly those listed in tests/api/symbols.txt. In: the library. Out: the difference, exit 1.
set -eu
export LC_ALL=C  # the order of the list
nm -D --defined-only "$1" | awk '{print $3}' | sed 's/@.*//' | sort >"${TMPDIR:-/tmp}/gq_symbols.$$"
trap 'rm -f "${TMPDIR:-/tmp}/gq_symbols.$$"' EXIT
diff tests/api/symbols.txt "${TMPDIR:-/tmp}/gq_symbols.$$" || { echo "exported symbols differ from tests/api/symbols.txt" >&2; exit 1; }
echo "symbols: $(wc -l <tests/api/symbols.txt) as listed"
