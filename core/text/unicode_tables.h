// The arrays of unicode_tables.cpp, which make_unicode_tables.py writes. Only unicode.cpp reads them.
// In: nothing. Out: sorted arrays for binary search; each has a `_count` beside it. Must not know what text is.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gq::unicode_tables {

// first code point << 5 | Category: holds up to the next entry's first code point. Entry 0 starts at U+0000.
extern const uint32_t category_ranges[];
extern const size_t category_ranges_count;

// first code point << 8 | canonical combining class, in the same manner.
extern const uint32_t combining_ranges[];
extern const size_t combining_ranges_count;

// Decompositions as UnicodeData.txt has them (not applied to their own parts): key i is a code point, with bit 31 set
// when the mapping is a compatibility one; its parts start at decomposition_pool[decomposition_offsets[i]]; bit 31 of a
// part marks the last. Keys are sorted by code point.
extern const uint32_t decomposition_keys[];
extern const size_t decomposition_keys_count;
extern const uint16_t decomposition_offsets[];
extern const size_t decomposition_offsets_count;
extern const uint32_t decomposition_pool[];
extern const size_t decomposition_pool_count;

// The code points that canonical composition may produce, sorted by the two parts of their decomposition.
extern const uint32_t compositions[];
extern const size_t compositions_count;

// Code points first, first + step, …, last map to themselves + delta.
struct CaseRange {
    uint32_t first, last;
    int32_t step, delta;
};

// To the simple lower case.
extern const CaseRange lower_ranges[];
extern const size_t lower_ranges_count;

// Simple case folding where it differs from the lower case.
extern const CaseRange fold_ranges[];
extern const size_t fold_ranges_count;

}  // namespace gq::unicode_tables
