// H = R Rᵀ in strips of columns, from the last to the first. See cholesky.h.
//
//        strip
//   ┌────┬───┬───┐   the strip's columns are complete up to its own pivots when it is reached:
//   │ H' │ S │ R │   1. diagonal  D = R_d R_dᵀ                          one thread, in steps of 16 columns
//   └──┐ ├───┤   │   2. solve     S R_dᵀ → S                            threads share the rows of S, the same steps
//      └─┤ D │   │   3. update    H' -= S Sᵀ                            threads share the tiles of H'
//        └───┴───┘
// A step: columns [c, c + 16) of some rows. Subtract what the strip's columns to their right contribute (a gemm_f32
// with k = those columns), then multiply by the inverse of the step's own triangle (a gemm_f32 with k = 16). Only
// triangles of 16 are computed number by number, in double and in a fixed order. Explicit inverses of triangles that
// small keep the backward error of substitution (Higham, Accuracy and Stability of Numerical Algorithms, 8.4 and 14.2);
// of whole strips they would not.
#include "core/linalg/cholesky.h"

#include <algorithm>
#include <memory>

#include "core/base/status.h"
#include "core/linalg/small_triangle.h"

namespace gq {

namespace {

constexpr size_t strip_cols = 128;
constexpr size_t max_steps = strip_cols / panel_cols;
constexpr size_t padding = 16;  // neighbouring rows of a copied strip fall into different cache sets
constexpr size_t stride = strip_cols + padding;
constexpr size_t solve_rows = 48;  // rows of S that one thread solves at a time

// What eliminates columns [col, col + width) of a strip, as panels of gemm_f32: found on the diagonal, applied to the
// rows above it.
struct Step {
    size_t col, width, right;                // right: columns of the strip to the right of the step's
    float update[strip_cols * panel_cols];   // (right, 16): -R(col + lane, col + width + k)
    float inverse[panel_cols * panel_cols];  // (width, 16): R_step⁻¹(lane, k)
};

struct Strip {
    size_t begin, cols;
    size_t n_steps;
    Step steps[max_steps];  // in the order of elimination: right to left
};

// rows: a copy of rows of the strip, row stride `stride`.
void subtract_right(const KernelTable& kernels, const Step& step, float* rows, size_t n_rows) {
    if (step.right == 0) return;
    kernels.gemm_f32({.a = rows + step.col + step.width,
                      .a_stride = stride,
                      .panels = step.update,
                      .c = rows + step.col,
                      .c_stride = stride,
                      .m = n_rows,
                      .n_cols = step.width,
                      .k = step.right,
                      .accumulate = true});
}

void apply_inverse(const KernelTable& kernels, const Step& step, float* rows, size_t n_rows) {
    float numerators[solve_rows * panel_cols];
    for (size_t begin = 0; begin < n_rows; begin += solve_rows) {
        const size_t n = std::min(solve_rows, n_rows - begin);
        float* c = rows + begin * stride + step.col;
        for (size_t i = 0; i < n; ++i) std::copy_n(c + i * stride, step.width, numerators + i * panel_cols);
        kernels.gemm_f32({.a = numerators,
                          .a_stride = panel_cols,
                          .panels = step.inverse,
                          .c = c,
                          .c_stride = stride,
                          .m = n,
                          .n_cols = step.width,
                          .k = step.width});
    }
}

// Reads the rows of R that belong to the step out of the copied diagonal block.
void pack_update(const float* block, Step& step) {
    std::fill_n(step.update, step.right * panel_cols, 0.0f);
    for (size_t lane = 0; lane < step.width; ++lane) {
        const float* row = block + (step.col + lane) * stride + step.col + step.width;
        for (size_t k = 0; k < step.right; ++k) step.update[k * panel_cols + lane] = -row[k];
    }
}

// The step's own triangle: factored in place, and its inverse as a panel.
Pivot factor_step(float* block, Step& step) {
    const MatrixView triangle{block + step.col * stride + step.col, step.width, step.width, stride};
    const Pivot pivot = factor_small(triangle);
    if (!pivot.ok) return pivot;
    SmallTriangle inverse;
    const Pivot inverted = invert_small(triangle, inverse);
    std::fill_n(step.inverse, panel_cols * panel_cols, 0.0f);
    for (size_t lane = 0; lane < step.width; ++lane) {
        for (size_t k = lane; k < step.width; ++k)
            step.inverse[k * panel_cols + lane] = static_cast<float>(inverse[lane][k]);
    }
    return inverted;
}

void copy_upper(const MatrixView& from, const MatrixView& to) {
    for (size_t i = 0; i < from.rows; ++i) std::copy(from.row(i) + i, from.row(i) + from.cols, to.row(i) + i);
}

// Factors the strip's diagonal block and keeps its steps. A failed pivot's index counts within the strip.
Pivot factor_diagonal(const KernelTable& kernels, const MatrixView& h, Strip& strip) {
    alignas(cache_line) float block[strip_cols * stride] = {};
    const MatrixView copy{block, strip.cols, strip.cols, stride},
        diagonal = h.block(strip.begin, strip.begin, strip.cols, strip.cols);
    copy_upper(diagonal, copy);
    strip.n_steps = div_up(strip.cols, panel_cols);
    for (size_t s = 0; s < strip.n_steps; ++s) {
        Step& step = strip.steps[s];
        step.col = (strip.n_steps - 1 - s) * panel_cols;
        step.width = std::min(panel_cols, strip.cols - step.col);
        step.right = strip.cols - step.col - step.width;
        pack_update(block, step);
        subtract_right(kernels, step, block, step.col + step.width);
        const Pivot pivot = factor_step(block, step);
        if (!pivot.ok) return {false, step.col + pivot.index, pivot.value};
        apply_inverse(kernels, step, block, step.col);
    }
    copy_upper(copy, diagonal);
    return {};
}

void solve_above(const Compute& compute, const MatrixView& h, const Strip& strip) {
    compute.pool.for_each(div_up(strip.begin, solve_rows), [&](size_t unit, size_t) {
        const size_t begin = unit * solve_rows, n_rows = std::min(solve_rows, strip.begin - begin);
        alignas(cache_line) float rows[solve_rows * stride];
        for (size_t i = 0; i < n_rows; ++i) std::copy_n(h.row(begin + i) + strip.begin, strip.cols, rows + i * stride);
        for (size_t s = 0; s < strip.n_steps; ++s) {
            subtract_right(compute.kernels, strip.steps[s], rows, n_rows);
            apply_inverse(compute.kernels, strip.steps[s], rows, n_rows);
        }
        for (size_t i = 0; i < n_rows; ++i) std::copy_n(rows + i * stride, strip.cols, h.row(begin + i) + strip.begin);
    });
}

}  // namespace

Pivot cholesky_reversed(const Compute& compute, GemmWorkspace& workspace, const MatrixView& h) {
    if (h.rows != h.cols)
        fail(Status::invalid_argument, "cholesky: expected a square matrix, found (%zu, %zu)", h.rows, h.cols);
    const auto strip = std::make_unique<Strip>();
    for (size_t end = h.rows; end > 0; end = strip->begin) {
        strip->begin = (end - 1) / strip_cols * strip_cols;
        strip->cols = end - strip->begin;
        const Pivot pivot = factor_diagonal(compute.kernels, h, *strip);
        if (!pivot.ok) return {false, strip->begin + pivot.index, pivot.value};
        solve_above(compute, h, *strip);
        syrk_upper(compute, workspace, Update::subtract, h.block(0, strip->begin, strip->begin, strip->cols),
                   h.block(0, 0, strip->begin, strip->begin));
    }
    return {};
}

}  // namespace gq
