// Factor and inverse of triangles of up to 16 x 16, by the textbook's loops in double. See small_triangle.h.
// In: the upper triangle of a view. Out: R or R⁻¹, or the pivot that can't be divided by.
// Must not know blocks, kernels or threads.
#include "core/linalg/small_triangle.h"

#include <cmath>
#include <cstring>

namespace gq {

namespace {

// A number that floats can divide by: 1 / x is finite too.
bool invertible(double x) {
    return std::isnormal(static_cast<float>(x));
}

}  // namespace

Pivot factor_small(const MatrixView& h) {
    SmallTriangle r = {};
    for (size_t j = h.cols; j-- > 0;) {
        double pivot = h(j, j);
        for (size_t k = j + 1; k < h.cols; ++k) pivot -= r[j][k] * r[j][k];
        r[j][j] = std::sqrt(pivot);
        if (!(pivot > 0) || !invertible(r[j][j])) return {false, j, pivot};
        for (size_t i = 0; i < j; ++i) {
            double sum = h(i, j);
            for (size_t k = j + 1; k < h.cols; ++k) sum -= r[i][k] * r[j][k];
            r[i][j] = sum / r[j][j];
        }
    }
    for (size_t i = 0; i < h.rows; ++i) {
        for (size_t j = i; j < h.cols; ++j) h(i, j) = static_cast<float>(r[i][j]);
    }
    return {};
}

Pivot invert_small(const MatrixView& r, SmallTriangle& out) {
    std::memset(out, 0, sizeof out);
    for (size_t j = 0; j < r.cols; ++j) {
        if (!invertible(r(j, j))) return {false, j, r(j, j)};
        out[j][j] = 1.0 / r(j, j);
        for (size_t i = j; i-- > 0;) {
            double sum = 0;
            for (size_t k = i + 1; k <= j; ++k) sum += r(i, k) * out[k][j];
            out[i][j] = -sum / r(i, i);
        }
    }
    return {};
}

}  // namespace gq
