// The arrays of jinja_case_tables.cpp, which make_jinja_case_tables.py writes. Only jinja_text.cpp reads them.
// In: nothing. Out: arrays sorted by code point; each has a `_count` beside it.
// Must not know what text is.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gq::jinja::case_tables {

// Code points first, first + step, …, last map to themselves + delta.
struct Range {
    uint32_t first, last;
    int32_t step, delta;
};
extern const Range upper_ranges[];
extern const size_t upper_ranges_count;

// One code point becomes up to three; 0 marks unused ones.
struct Full {
    uint32_t from;
    uint32_t to[3];
};
extern const Full upper_full[];
extern const size_t upper_full_count;

// The title case, where it differs from the upper case.
extern const Full title_full[];
extern const size_t title_full_count;

// Code points that a class of str's methods takes beyond one general category: isdigit beyond Nd, isnumeric beyond N,
// islower beyond Ll, isupper beyond Lu.
struct Span {
    uint32_t first, last;
};
extern const Span extra_digits[];
extern const size_t extra_digits_count;
extern const Span extra_numerics[];
extern const size_t extra_numerics_count;
extern const Span extra_lowers[];
extern const size_t extra_lowers_count;
extern const Span extra_uppers[];
extern const size_t extra_uppers_count;

}  // namespace gq::jinja::case_tables
