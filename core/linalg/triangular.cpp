// U = R⁻¹ in rows of blocks of 256, from the last to the first. See triangular.h.
//
//   0. every square on the diagonal: U_b = R_b⁻¹. Squares are independent: one thread each, in steps of 16 columns.
//   ┌──────────┬───┬─────────┐   From R U = I: U_b,later = U_b (-Σ R_b,l U_l,later). The sums stand where they are
//   │  R       │ A │  sums   │   needed: at block b, what R had to the right of A is used up and makes room for them.
//   └───────┐  ├───┼─────────┤   1. finish   sums of b → U_b (sums of b)
//           └──┤U_b│sums of b│   2. update   sums → sums - A U_b,later
//              └───┼─────────┤   3. begin    A → -A U_b
//                  └──┐  U   │   All three are products of gemm.h, shared by all threads.
//                     └──────┘
// A step inside a square: a triangle of 16 number by number, then two small products.
#include "core/linalg/triangular.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/base/status.h"
#include "core/linalg/small_triangle.h"

namespace gq {

namespace {

constexpr size_t block = 256;
constexpr size_t stride = block + 16;  // of a copied square: neighbouring rows fall into different cache sets
// Rows of U₁₁ taken together inside a square; columns left of them are zero and skipped.
constexpr size_t product_rows = 48;

// Columns [col, col + width) above the step's own triangle: C = U₁₁ (R₁₂ (-inverse)). `negated`: (width, 16).
void finish_step(const KernelTable& kernels, const MatrixView& square, size_t col, size_t width, const float* negated) {
    float panel[block * panel_cols] = {};
    kernels.gemm_f32({.a = square.data + col,
                      .a_stride = stride,
                      .panels = negated,
                      .c = panel,
                      .c_stride = panel_cols,
                      .m = col,
                      .n_cols = width,
                      .k = width});
    for (size_t row = 0; row < col; row += product_rows) {
        kernels.gemm_f32({.a = &square(row, row),
                          .a_stride = stride,
                          .panels = panel + row * panel_cols,
                          .c = &square(row, col),
                          .c_stride = stride,
                          .m = std::min(product_rows, col - row),
                          .n_cols = width,
                          .k = col - row});
    }
}

// A copied square, zero below its diagonal, inverted in place. A failed index counts within the square.
Pivot invert_square(const KernelTable& kernels, const MatrixView& square) {
    for (size_t col = 0; col < square.cols; col += panel_cols) {
        const size_t width = std::min(panel_cols, square.cols - col);
        const MatrixView triangle = square.block(col, col, width, width);
        SmallTriangle inverse;
        const Pivot pivot = invert_small(triangle, inverse);
        if (!pivot.ok) return {false, col + pivot.index, pivot.value};
        float negated[panel_cols * panel_cols] = {};
        for (size_t i = 0; i < width; ++i) {
            for (size_t j = i; j < width; ++j) {
                triangle(i, j) = static_cast<float>(inverse[i][j]);
                negated[i * panel_cols + j] = -triangle(i, j);
            }
        }
        finish_step(kernels, square, col, width, negated);
    }
    return {};
}

Pivot first_failed(const std::vector<Pivot>& pivots) {
    const auto failed = std::find_if(pivots.begin(), pivots.end(), [](const Pivot& pivot) { return !pivot.ok; });
    return failed == pivots.end() ? Pivot{} : *failed;
}

void copy_upper(const MatrixView& from, const MatrixView& to, float sign) {
    for (size_t i = 0; i < from.rows; ++i) {
        for (size_t j = i; j < from.cols; ++j) to(i, j) = sign * from(i, j);
    }
}

MatrixView diagonal_block(const MatrixView& r, size_t begin) {
    const size_t n = std::min(block, r.rows - begin);
    return r.block(begin, begin, n, n);
}

Pivot invert_diagonal(const Compute& compute, const MatrixView& r) {
    std::vector<Pivot> pivots(div_up(r.rows, block));
    AlignedBuffer<float> squares(compute.pool.size() * block * stride);  // one a thread; 0 below the diagonal
    compute.pool.for_each(pivots.size(), [&](size_t i, size_t thread) {
        const MatrixView in_place = diagonal_block(r, i * block);
        const MatrixView square{squares.data() + thread * block * stride, in_place.rows, in_place.cols, stride};
        copy_upper(in_place, square, 1.0f);
        pivots[i] = invert_square(compute.kernels, square);
        pivots[i].index += i * block;
        copy_upper(square, in_place, 1.0f);
    });
    return first_failed(pivots);
}

// The first row with a number that is not finite.
Pivot check_finite(const Compute& compute, const MatrixView& upper) {
    std::vector<Pivot> pivots(upper.rows);
    compute.pool.for_ranges(upper.rows, 1, [&](size_t begin, size_t end, size_t) {
        for (size_t i = begin; i < end; ++i) {
            const float *first = upper.row(i) + i, *last = upper.row(i) + upper.cols;
            const float* odd = std::find_if(first, last, [](float x) { return !std::isfinite(x); });
            if (odd != last) pivots[i] = {false, i, *odd};
        }
    });
    return first_failed(pivots);
}

}  // namespace

Pivot invert_upper(const Compute& compute, GemmWorkspace& workspace, const MatrixView& r) {
    const size_t n = r.rows;
    if (n != r.cols)
        fail(Status::invalid_argument, "invert_upper: expected a square matrix, found (%zu, %zu)", n, r.cols);
    if (const Pivot pivot = invert_diagonal(compute, r); !pivot.ok) return pivot;
    Matrix u_b(block, block), negated(block, block);  // zero below their diagonals
    for (size_t end = n, begin; end > 0; end = begin) {
        begin = (end - 1) / block * block;
        const size_t width = end - begin;
        copy_upper(r.block(begin, begin, width, width), u_b.view(), 1.0f);
        copy_upper(r.block(begin, begin, width, width), negated.view(), -1.0f);
        const MatrixView sums = r.block(begin, end, width, n - end), a = r.block(0, begin, begin, width);
        gemm(compute, workspace, Update::set, u_b.view().block(0, 0, width, width), sums, sums);
        gemm(compute, workspace, Update::subtract, a, sums, r.block(0, end, begin, n - end));
        gemm(compute, workspace, Update::set, a, negated.view().block(0, 0, width, width), a);
    }
    return check_finite(compute, r);
}

}  // namespace gq
