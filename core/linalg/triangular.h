// The inverse of an upper triangular matrix.
// In: R. Out: U = R⁻¹ in its place, or the diagonal element that made it impossible. Must not know where R comes from.
// Source: Golub & Van Loan, Matrix Computations, 3.1, by rows of blocks, from R U = I.
#pragma once

#include "core/linalg/gemm.h"
#include "core/linalg/pivot.h"

namespace gq {

// R (n, n) → U in place. Only the upper triangle with the diagonal is read and written. Not ok: the first diagonal
// element that is zero, not finite, or too small to be inverted; or, where R was not finite elsewhere or U does not fit
// floats, the first row of the result that is not finite, with the number that stands there. Extra memory: the
// workspace and a square of 256 per thread. Error(invalid_argument) where R is not square.
Pivot invert_upper(const Compute& compute, GemmWorkspace& workspace, const MatrixView& r);

}  // namespace gq
