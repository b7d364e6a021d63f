// Corrections of low rank: what rounding did to a matrix, as far as U V of rank r can undo it at run time. In: E = W −
// Ŵ, and the Hessian of the inputs or none. Out: factors in 8 bits. Sources: LoRC (ZeroQuant-V2, Yao et al., arXiv
// 2303.08302): the SVD of E. EoRA (Liu et al., arXiv 2410.21271): the same where errors are measured at the output, |(E
// − U V) X|. Must not know what made E.
#pragma once

#include <string>

#include "core/linalg/gemm.h"
#include "core/quantize/grid_search.h"

namespace gq {

// y += U (V x).
struct LowRankFactors {
    Matrix u, v;  // (rows, rank), (rank, cols); balanced so that both have elements of like size
    size_t iterations = 0;
    bool converged = false;
};

// EoRA decomposes H = Q Λ Qᵀ, takes S_r = U Σ Vᵀ of E Q Λ^½ and projects back: B = U, A = Σ Vᵀ Λ^(-½) Qᵀ. But
// Σ Vᵀ = Uᵀ E Q Λ^½, so A = Uᵀ E (on the range of H; outside of it nothing is measured), and U holds the eigenvectors
// of E Q Λ Qᵀ Eᵀ = E H Eᵀ. So the correction is U Uᵀ E: no decomposition of H, no inverse, no eigenvalue to drop. LoRC
// is the same with H = I.
//
// added: to H's diagonal, as the solver's damping is. Where calibration has shown nothing, fp32 noise of H decides, and
// a refit against it may add any error there.
// e: (rows, cols). h: (cols, cols) symmetric, both triangles; null: LoRC. Error(invalid_argument) where shapes don't
// fit or the rank is not 1 … min(rows, cols), Error(numeric) where e or h is not finite.
LowRankFactors low_rank_factors(const Compute& compute, const Matrix& e, const Matrix* h, size_t rank, float added = 0);

// 8 bits, symmetric, one scale a row of each.
struct RoundedFactors {
    QuantizedMatrix u, v;
};

// Rounds V; then U is solved anew by least squares against the rounded V (in the norm of h, null: plainly), and
// rounded.
RoundedFactors round_factors(const Compute& compute, const Matrix& e, const Matrix* h, const LowRankFactors& factors,
                             float added = 0);

// E −= U V for the factors as they are stored.
void subtract_product(const Compute& compute, const RoundedFactors& factors, Matrix& e);

struct LorcOptions {
    size_t rank = 0;         // reduced to min(rows, cols), with a note
    bool by_outputs = true;  // EoRA where there is a Hessian
    float added = 0;         // to its diagonal
};

struct LorcReport {
    size_t rank = 0;          // 0: no correction
    bool by_outputs = false;  // EoRA
    double error = 0;         // that is left: |E − U V|² / |W|², of the weights aimed at
    double loss_left = 1;     // part of tr(E H Eᵀ) that is left, on up to 32 evenly spread rows; 1 without a Hessian
    std::string note;         // "" or what deserves attention
};

// The correction of what rounding w (rows, cols) to q did; w: what a solve aimed at (solve_aim), else the float
// weights. h: as above, of all inputs; null: there is none of use.
RoundedFactors correct_rounding(const Compute& compute, const float* w, const QuantizedMatrix& q, const Matrix* h,
                                const LorcOptions& options, LorcReport& report);

}  // namespace gq
