// The leading part of a singular value decomposition: A ~ U diag(sigma) Vᵀ of a given rank, the best of its rank up to
// the tolerance. In: a matrix, or anything that can multiply a few columns from both sides. Out: the factors. The same
// bits at any thread count and for every instruction set (the start is random from a fixed seed). Must not know what is
// approximated.
// Source: randomised subspace iteration (Halko, Martinsson & Tropp, "Finding Structure with Randomness", 2011, 4.5),
// orthonormal bases by the eigenvectors of Gram matrices (Stathopoulos & Wu, "A Block Orthogonalization Procedure with
// Constant Synchronization Requirements", 2002).
#pragma once

#include <cstdint>
#include <vector>

#include "core/linalg/gemm.h"

namespace gq {

// y = A x and x = Aᵀ y for matrices of up to `rank + oversampling` columns. Borrowed functions: they outlive the call.
struct LinearOperator {
    size_t rows = 0, cols = 0;
    FunctionRef<void(const ConstMatrixView& x, const MatrixView& y)> multiply;             // (cols, k) → (rows, k)
    FunctionRef<void(const ConstMatrixView& y, const MatrixView& x)> multiply_transposed;  // (rows, k) → (cols, k)
};

struct SvdOptions {
    size_t rank = 0;          // 1 … min(rows, cols)
    double tolerance = 3e-4;  // ends when an iteration adds less than this part to the sum of the squared values
    size_t max_iterations = 50;
};

struct TruncatedSvd {
    Matrix u, v;                // (rows, rank), (cols, rank): orthonormal columns, as far as sigma is not 0
    std::vector<double> sigma;  // (rank), descending; 0 with columns of 0 where A's own rank ends
    size_t iterations = 0;
    bool converged = false;
};

// Products are in fp32, everything else in double. So with u = 2^-24 and s the largest singular value, a sigma is off
// by a few u · s · sqrt(rows + cols), and what is below 2^-23 · s counts as 0. |A v - sigma u| is of that size too; the
// captured sum of squares is within the tolerance's order of the best, and exact where rank + oversampling reaches
// min(rows, cols). Error(invalid_argument) for an impossible rank, Error(numeric) where A holds numbers that are not
// finite.
TruncatedSvd truncated_svd(const Compute& compute, const LinearOperator& a, const SvdOptions& options);
TruncatedSvd truncated_svd(const Compute& compute, GemmWorkspace& workspace, const ConstMatrixView& a,
                           const SvdOptions& options);

}  // namespace gq
