// Triangles of up to 16 x 16, number by number: the seeds of the blocked factorization and inverse.
// In: the upper triangle of a small view. Out: its factor or its inverse, computed in double in one fixed order, so the
// same on every machine. Must not know the blocks around it.
#pragma once

#include <cstddef>

#include "core/linalg/matrix.h"
#include "core/linalg/pivot.h"

namespace gq {

inline constexpr size_t small_triangle = 16;  // also the width of a panel of gemm_f32
using SmallTriangle = double[small_triangle][small_triangle];

// H → R in place, H = R Rᵀ, upper triangles only, from the last column to the first.
Pivot factor_small(const MatrixView& h);

// out = R⁻¹; the strict lower triangle of out is zero.
Pivot invert_small(const MatrixView& r, SmallTriangle& out);

}  // namespace gq
