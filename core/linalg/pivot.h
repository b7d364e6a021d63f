// How a factorization or an inverse ended.
// In: nothing. Out: a result value that says which pivot failed; never NaN in a matrix.
// Must not know the algorithm.
#pragma once

#include <cstddef>

namespace gq {

// Where not ok: the first pivot met that was zero, negative, infinite or NaN, or too small to divide by.
struct Pivot {
    bool ok = true;
    size_t index = 0;
    double value = 0;
};

}  // namespace gq
