// Triangles of up to 16 x 16, as wide as a panel of gemm_f32, number by number: the seeds of the blocked factorization
// and inverse. In: the upper triangle of a small view. Out: its factor or its inverse, computed in double in one fixed
// order, so the same on every machine. Must not know the blocks around it.
#pragma once

#include "core/kernels/kernels.h"
#include "core/linalg/matrix.h"
#include "core/linalg/pivot.h"

namespace gq {

using SmallTriangle = double[panel_cols][panel_cols];

// H → R in place, H = R Rᵀ, upper triangles only, from the last column to the first.
Pivot factor_small(const MatrixView& h);

// out = R⁻¹; the strict lower triangle of out is zero.
Pivot invert_small(const MatrixView& r, SmallTriangle& out);

}  // namespace gq
