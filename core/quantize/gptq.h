// The solver: one weight matrix and the Hessian of its inputs → codes, scales, zero points, loss. Pure: it knows no
// model, file or calibration. In: W (out, in), H (in, in) = 2/N Σ x xᵀ, options. Out: a QuantizedMatrix and what
// happened on the way. Sources: GPTQ (Frantar et al., arXiv 2210.17323), loop and grids as its reference implementation
// except where said; U = R⁻¹ with H = R Rᵀ instead of the Cholesky factor of H⁻¹, which is the same matrix.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/kernels/compute.h"
#include "core/linalg/matrix.h"
#include "core/quantize/grid_search.h"

namespace gq {

// Which column is rounded first. All but `column` find the grids beforehand, from the original weights of the original
// groups (static groups), so that no order is left to the reader of the file.
enum class Order : uint8_t {
    column,  // as they stand; grids are found when their group is reached, from weights with all errors before it
    act,     // by descending diagonal of the Hessian
    gar  // inside a group by descending diagonal, groups by their largest (group-aware reordering, arXiv 2505.14638)
};

struct GptqOptions {
    GridOptions grid = {};
    GridSearch search = GridSearch::span;  // weighted with the Hessian's diagonal
    Order order = Order::act;
    double damping = 0.01;      // of the mean diagonal, added to it; 0 … 1
    double qep = 0, gptaq = 0;  // 0 … 1, α of either: how much of a drift is corrected; one of them at most; 0: none
    double foem = 0;            // 0 … below 1, β of the first-order term (FOEM); 0: none
    size_t sweeps = 0;          // coordinate descent over the codes after the solve, each after a re-fit of the grids
    bool refit = false;         // after all that, grids by least squares
    size_t block = 128;         // columns per lazy update, a multiple of 32; changes rounding errors only
    bool stale_grids = false;   // as the reference implementation: grids that start inside a block ignore that block's
                                // pending errors (for comparisons; in Order::column only)

    bool static_grids() const { return order != Order::column; }
};

// What a solve reports. Losses are in units of H.
struct SolveReport {
    // E is the error against what the solve aims at: W, or with a drift W (I + α D H⁻¹). The loss against that is, but
    // for damping, half of the error of the layer's outputs against the float model's, the drift counted α times, less
    // what no weights could mend.

    // tr(E Hd Eᵀ)/2 with the damped Hd by the solver's own account: Σ (w − q)² / (2 U_jj²), less what sweeps and
    // re-fits gained. GPTAQ and FOEM without either have no account: then measured as true_loss is.
    double loss = 0;
    // Measured on up to 32 evenly spread rows and scaled up, for on all rows they would cost more than the solve:
    double true_loss = 0;  // tr(E H Eᵀ)/2 of the result on the undamped H
    double rtn_loss = 0;   // the same of plain rounding
    // The self-check of the account: |tr(E Hd Eᵀ)/2 / loss − 1| of those rows, rounding errors only (< 1e-4).
    // 0 without an account.
    double check_error = 0;
    double damping = 0;  // that succeeded, of the mean diagonal
    size_t damping_retries = 0;
    size_t dead_columns = 0;  // inputs that were always zero; their weights became 0
    bool held_out = false;    // whether keep_better of held_out.h looked at the result; then, on held-out rows:
    double held_out_loss = 0, held_out_rtn_loss = 0;  // of the result, and of plain rounding on searched grids
    bool kept_rtn = false;                            // the latter was less and is what was kept; true_loss is of it
    bool fell_back_to_rtn = false;  // no damping made H positive definite, or H or the solve was not finite; `reason`
                                    // says why. The losses are then those of plain rounding, 0 where H is not finite
    std::string reason;
};

// What the solves of one stage share: H prepared for one order of columns. q, k, v (gate, up) have the same input,
// hence the same factor.
struct PreparedHessian {
    Matrix u;  // (cols, cols), upper triangle: H⁻¹ = Uᵀ U of the damped, ordered H; 0 below the diagonal
    std::vector<size_t> order;  // position → original column
    std::vector<uint8_t> dead;  // (cols) in original order: 1 where the diagonal is 0
    double damping = 0;         // of the mean diagonal
    double added = 0;           // to the diagonal: damping times its mean
    size_t retries = 0;
    bool usable = false;  // false: H is not finite or zero, or no damping of the ladder worked; `reason` says why
    std::string reason;
};

// h: (cols, cols) symmetric, both triangles filled; left as it was. Damping ladder: options.damping, then × 10 while at
// most the mean diagonal. Dead columns get the mean diagonal of the others, and the mean that damping refers to is that
// of the others: unlike the reference (which sets them to 1) nothing here depends on the scale of H.
// Error(invalid_argument) where h is not square or options are impossible. Peak memory: h, u, and a GemmWorkspace.
PreparedHessian prepare_hessian(const Compute& compute, const Matrix& h, const GptqOptions& options);

// What the solves of one stage share of the drift D = 2/N Σ (x_float − x) xᵀ: how far the inputs have moved from those
// of the float model, as far as they tell. Sources: QEP (arXiv 2504.09629), GPTAQ (arXiv 2504.02692).
struct PreparedDrift {
    Matrix shift;  // (cols, cols), original order: α D H⁻¹, damped. W (I + shift) is what a solve aims at
    Matrix pull;   // (cols, cols), the solve's order, strict upper triangle: α striu(D Uᵀ) U. GPTAQ only, else empty
};

// drift: (cols, cols) in the original order of columns. prepared: of the same inputs, usable; α comes from the options.
// Error(invalid_argument) where shapes don't fit.
PreparedDrift prepare_drift(const Compute& compute, const Matrix& drift, const PreparedHessian& prepared,
                            const GptqOptions& options);

// W (I + shift), what a solve of w (rows, cols as the drift) aims at and its errors are counted from.
Matrix solve_aim(const Compute& compute, const float* w, size_t rows, const PreparedDrift& drift);

// e H eᵀ/2 for each row e of the errors E (rows, cols) of a weight matrix: what they cost at its output. h as above.
std::vector<double> hessian_losses(const Compute& compute, const Matrix& errors, const Matrix& h);

// w: (rows, cols) contiguous. h is the undamped Hessian, for the report. prepared comes from the same h, with the same
// damping, order and group. drift: null without a float stream. Rows are split over threads; the result does not depend
// on their number. Falls back to round_to_nearest where prepared is not usable. Error(numeric) as fit_grid,
// Error(invalid_argument) where shapes or options don't fit.
QuantizedMatrix gptq_solve(const Compute& compute, const float* w, size_t rows, size_t cols, const Matrix& h,
                           const PreparedDrift* drift, const PreparedHessian& prepared, const GptqOptions& options,
                           SolveReport& report);

}  // namespace gq
