#!/usr/bin/env python3
"""Writes jinja_case_tables.cpp beside this file from the case mappings that Python carries.

    core/text/make_jinja_case_tables.py

In: what str's methods say of every code point. Out: the arrays that jinja_case_tables.h declares and explains; they depend on
Python's Unicode version only, which the file names. Lower case is in unicode_tables.cpp.
"""
import pathlib
import unicodedata

from make_unicode_tables import EVERY, array, case_ranges


def spans(holds):
    """Inclusive ranges of the code points for which it holds."""
    found = []
    for c in filter(holds, EVERY):
        if found and found[-1][1] == c - 1:
            found[-1][1] = c
        else:
            found.append([c, c])
    return [f"{{0x{a:X}, 0x{b:X}}}" for a, b in found]


def category(c):
    return unicodedata.category(chr(c))


def full_mapping(c, to):
    parts = [f"0x{ord(p):X}" for p in to] + ["0", "0"]
    return f"{{0x{c:X}, {{{', '.join(parts[:3])}}}}}"


def main():
    upper = {c: chr(c).upper() for c in EVERY if chr(c).upper() != chr(c)}
    title = {c: chr(c).title() for c in EVERY if chr(c).title() != chr(c).upper()}
    simple = {c: ord(to) for c, to in upper.items() if len(to) == 1}
    out = [f"// Written by make_jinja_case_tables.py from Unicode {unicodedata.unidata_version}; do not edit.",
           "// In: nothing. Out: arrays; jinja_case_tables.h says what each of them holds.",
           "// Must not know what text is.",
           '#include "core/text/jinja_case_tables.h"', "", "#include <iterator>", "",
           "namespace gq::jinja::case_tables {", "", "// clang-format off"]
    out += array("Range", "upper_ranges", [f"{{0x{a:X}, 0x{b:X}, {s}, {d}}}" for a, b, s, d in case_ranges(simple)])
    out += array("Full", "upper_full", [full_mapping(c, to) for c, to in upper.items() if len(to) > 1])
    out += array("Full", "title_full", [full_mapping(c, to) for c, to in title.items()])
    out += array("Span", "extra_digits", spans(lambda c: chr(c).isdigit() and category(c) != "Nd"))
    out += array("Span", "extra_numerics", spans(lambda c: chr(c).isnumeric() and category(c)[0] != "N"))
    out += array("Span", "extra_lowers", spans(lambda c: chr(c).islower() and category(c) != "Ll"))
    out += array("Span", "extra_uppers", spans(lambda c: chr(c).isupper() and category(c) != "Lu"))
    out += ["// clang-format on", "}  // namespace gq::jinja::case_tables", ""]
    pathlib.Path(__file__).with_name("jinja_case_tables.cpp").write_text("\n".join(out))


if __name__ == "__main__":
    main()
