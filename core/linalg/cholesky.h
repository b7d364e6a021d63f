// The factor that GPTQ needs of a damped Hessian: R upper triangular with H = R Rᵀ, so that H⁻¹ = Uᵀ U for U = R⁻¹.
// In: H, symmetric positive definite, by its upper triangle. Out: R in its place, or the pivot that failed.
// Must not know damping or GPTQ. Source: H = R Rᵀ is the Cholesky factorization of H with rows and columns in reverse
// order (Golub & Van Loan, Matrix Computations, 4.2, blocked right-looking); it spares GPTQ the inverse and second
// factorization of Frantar et al. 2022.
#pragma once

#include "core/linalg/gemm.h"
#include "core/linalg/pivot.h"

namespace gq {

// H (n, n) → R in place. Only the upper triangle with the diagonal is read and written, so a caller that mirrored H
// before still has it below the diagonal afterwards. Pivots run from n - 1 down to 0. After a failed pivot the upper
// triangle holds intermediate numbers. Extra memory: the workspace. Error(invalid_argument) where H is not square.
Pivot cholesky_reversed(const Compute& compute, GemmWorkspace& workspace, const MatrixView& h);

}  // namespace gq
