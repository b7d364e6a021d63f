// The inverse of an upper triangular matrix.
// In: R. Out: U = R⁻¹ in its place, or the diagonal element that made it impossible. Must not know where R comes from.
// Source: Golub & Van Loan, Matrix Computations, 3.1, in block columns: U₁₂ = U₁₁ (-R₁₂ U₂₂).
#pragma once

#include "core/linalg/gemm.h"
#include "core/linalg/pivot.h"

namespace gq {

// R (n, n) → U in place. Only the upper triangle with the diagonal is read and written. Not ok: the smallest index of a
// row whose diagonal element is zero, not finite, or too small to be inverted, or that the inverse left with a number
// that is not finite (value: that number). Extra memory: the workspace and n x 256 floats. Error(invalid_argument)
// where R is not square.
Pivot invert_upper(const Compute& compute, GemmWorkspace& workspace, const MatrixView& r);

}  // namespace gq
