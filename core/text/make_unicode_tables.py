#!/usr/bin/env python3
"""Writes unicode_tables.cpp beside this file from the Unicode data that Python carries (module unicodedata).

    core/text/make_unicode_tables.py

In: nothing but Python's own tables. Out: the arrays that unicode_tables.h declares and explains. The output depends on Python's
Unicode version only, which it names.
"""
import pathlib
import unicodedata as u

CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co Cn".split()
EVERY = range(0x110000)
COLUMNS = 120


def ranges(value_of):
    """(first code point, value) of each maximal run of code points with one value."""
    previous = None
    for c in EVERY:
        value = value_of(c)
        if value != previous:
            yield c, value
        previous = value


def raw_decomposition(c):
    """(compatibility?, code points) as UnicodeData.txt has it; Hangul is arithmetic and not listed."""
    fields = u.decomposition(chr(c)).split()
    compat = bool(fields) and fields[0].startswith("<")
    return compat, [int(f, 16) for f in fields[compat:]]


def simple_lower(c):
    lower = chr(c).lower()
    return ord(lower) if len(lower) == 1 else c


def simple_fold(c):
    fold = chr(c).casefold()
    return ord(fold) if len(fold) == 1 else simple_lower(c)


def case_ranges(mapping):
    """Runs (first, last, step 1 or 2, difference) of code points that move by one difference."""
    runs = []
    for c, to in sorted(mapping.items()):
        if runs:
            first, last, step, delta = runs[-1]
            if to - c == delta and (c - last == step or (first == last and c - last <= 2)):
                runs[-1] = (first, c, c - last, delta)
                continue
        runs.append((c, c, 1, to - c))
    return runs


def array(kind, name, values):
    out, line = [f"const {kind} {name}[] = {{"], "    "
    for v in values:
        if len(line) + len(v) + 1 > COLUMNS:
            out.append(line)
            line = "    "
        line += f"{v},"
    return out + [line, "};", f"const size_t {name}_count = std::size({name});", ""]


def decompositions():
    keys, offsets, pool = [], [], []
    for c in EVERY:
        compat, parts = raw_decomposition(c)
        if parts:
            keys.append(f"0x{c | compat << 31:X}")
            offsets.append(str(len(pool)))
            pool += [f"0x{p | (i + 1 == len(parts)) << 31:X}" for i, p in enumerate(parts)]
    return (array("uint32_t", "decomposition_keys", keys) + array("uint16_t", "decomposition_offsets", offsets)
            + array("uint32_t", "decomposition_pool", pool))


def compositions():
    pairs = []
    for c in EVERY:
        compat, parts = raw_decomposition(c)
        if not compat and len(parts) == 2 and u.normalize("NFC", chr(c)) == chr(c):
            pairs.append((parts, c))
    return array("uint32_t", "compositions", [f"0x{c:X}" for _, c in sorted(pairs)])


def main():
    lower = {c: simple_lower(c) for c in EVERY if simple_lower(c) != c}
    fold = {c: simple_fold(c) for c in EVERY if simple_fold(c) != simple_lower(c)}
    out = [f"// Written by make_unicode_tables.py from Unicode {u.unidata_version}; do not edit.",
           "// In: nothing. Out: arrays; unicode_tables.h says what each of them holds.",
           "// Must not know what text is.",
           '#include "core/text/unicode_tables.h"', "", "#include <iterator>", "", "namespace gq::unicode_tables {", "",
           "// clang-format off"]
    out += array("uint32_t", "category_ranges",
                 [f"0x{c << 5 | CATEGORIES.index(v):X}" for c, v in ranges(lambda c: u.category(chr(c)))])
    out += array("uint32_t", "combining_ranges", [f"0x{c << 8 | v:X}" for c, v in ranges(lambda c: u.combining(chr(c)))])
    out += decompositions() + compositions()
    out += array("CaseRange", "lower_ranges", [f"{{0x{a:X}, 0x{b:X}, {s}, {d}}}" for a, b, s, d in case_ranges(lower)])
    out += array("CaseRange", "fold_ranges", [f"{{0x{a:X}, 0x{b:X}, {s}, {d}}}" for a, b, s, d in case_ranges(fold)])
    out += ["// clang-format on", "}  // namespace gq::unicode_tables", ""]
    pathlib.Path(__file__).with_name("unicode_tables.cpp").write_text("\n".join(out))


if __name__ == "__main__":
    main()
