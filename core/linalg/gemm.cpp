// Blocks the products of gemm.h for the caches and shares them among threads.
// In: views. Out: C, tile by tile through KernelTable::gemm_f32. Must not know instruction sets.
//
//   for each chunk of 4096 rows of A, for each block of up to 384 of k:
//     pack     A: rows one after another, padded so that neighbours fall into different cache sets; sign and
//                 transposition are settled here
//              B: panels of 16 columns, (k, 16) each, the last one filled up with zeros
//     multiply tiles of C, 144 x 384: 230 KB of A and 590 KB of B stay in a core's L2 cache
#include "core/linalg/gemm.h"

#include <algorithm>
#include <cstring>

#include "core/base/status.h"

namespace gq {

namespace {

constexpr size_t depth = 384;  // of k per pass: one pass reads all of A and B first
constexpr size_t a_padding = 16;
constexpr size_t chunk_rows = 4096;
constexpr size_t tile_m = 144, tile_n = 384;  // multiples of triangle_block
constexpr size_t triangle_block = 48;  // squares on the diagonal of a triangular C go through a buffer of this width
static_assert(gemm_in_place <= depth && gemm_in_place <= chunk_rows);
constexpr size_t pack_rows = 64, pack_panels = 16;  // rows of A, panels of B per unit of packing

struct Product {
    Update update;
    bool c_upper;  // only C's upper triangle is computed
    bool a_upper;  // A's strict lower triangle counts as zero
    ConstMatrixView a, b;
    MatrixView c;
};

// One pass: A (rows, k), B (k, cols), C (rows, cols) of one chunk and one block of k. The diagonal of a triangular C
// starts at C's corner.
struct Pass {
    ConstMatrixView a, b;
    MatrixView c;
    float sign;
    bool accumulate;
    bool c_upper;
    ptrdiff_t a_diagonal;  // A(i, k) counts as zero where i > k + a_diagonal
    float* packed_a;       // (rows, k), row stride k + a_padding
    float* packed_b;       // (panels, k, 16)

    size_t k() const { return a.cols; }
    size_t a_stride() const { return k() + a_padding; }
};

// out[i * out_stride + j] = sign * in[i * in_stride + j]
void copy_rows(const float* in, size_t in_stride, size_t rows, size_t cols, float sign, float* out, size_t out_stride) {
    for (size_t i = 0; i < rows; ++i) {
        const float* from = in + i * in_stride;
        float* to = out + i * out_stride;
        for (size_t j = 0; j < cols; ++j) to[j] = sign * from[j];
    }
}

// Four floats; __builtin_shufflevector makes the moves of a transposed square the same few on every machine.
using Four [[gnu::vector_size(16), gnu::aligned(4), gnu::may_alias]] = float;

// out (4, 4) = sign * in transposed
inline void transpose_square(const float* in, size_t in_stride, float sign, float* out, size_t out_stride) {
    Four rows[4], pairs[4];
    for (size_t i = 0; i < 4; ++i) rows[i] = *reinterpret_cast<const Four*>(in + i * in_stride) * sign;
    pairs[0] = __builtin_shufflevector(rows[0], rows[1], 0, 4, 1, 5);
    pairs[1] = __builtin_shufflevector(rows[0], rows[1], 2, 6, 3, 7);
    pairs[2] = __builtin_shufflevector(rows[2], rows[3], 0, 4, 1, 5);
    pairs[3] = __builtin_shufflevector(rows[2], rows[3], 2, 6, 3, 7);
    for (size_t half = 0; half < 2; ++half) {
        Four* to[2] = {reinterpret_cast<Four*>(out + 2 * half * out_stride),
                       reinterpret_cast<Four*>(out + (2 * half + 1) * out_stride)};
        *to[0] = __builtin_shufflevector(pairs[half], pairs[half + 2], 0, 1, 4, 5);
        *to[1] = __builtin_shufflevector(pairs[half], pairs[half + 2], 2, 3, 6, 7);
    }
}

// out[j * out_stride + i] = sign * in[i * in_stride + j], in squares that stay in the L1 cache
void copy_transposed(const float* in, size_t in_stride, size_t rows, size_t cols, float sign, float* out,
                     size_t out_stride) {
    constexpr size_t square = 16, four = 4;
    for (size_t i0 = 0; i0 < rows; i0 += square) {
        for (size_t j0 = 0; j0 < cols; j0 += square) {
            const size_t i1 = std::min(i0 + square, rows), j1 = std::min(j0 + square, cols);
            size_t i = i0;
            for (; i + four <= i1; i += four) {
                size_t j = j0;
                for (; j + four <= j1; j += four)
                    transpose_square(in + i * in_stride + j, in_stride, sign, out + j * out_stride + i, out_stride);
                for (; j < j1; ++j)
                    for (size_t k = i; k < i + four; ++k) out[j * out_stride + k] = sign * in[k * in_stride + j];
            }
            for (; i < i1; ++i)
                for (size_t j = j0; j < j1; ++j) out[j * out_stride + i] = sign * in[i * in_stride + j];
        }
    }
}

// The numbers of a view, row-major.
void copy_view(const ConstMatrixView& in, float sign, float* out, size_t out_stride) {
    if (in.col_stride == 1) {
        copy_rows(in.data, in.row_stride, in.rows, in.cols, sign, out, out_stride);
    } else {
        copy_transposed(in.data, in.col_stride, in.cols, in.rows, sign, out, out_stride);
    }
}

void pack_a(const Pass& pass, size_t row_begin, size_t row_end) {
    float* out = pass.packed_a + row_begin * pass.a_stride();
    copy_view(pass.a.block(row_begin, 0, row_end - row_begin, pass.k()), pass.sign, out, pass.a_stride());
    for (size_t i = row_begin; i < row_end; ++i) {
        const ptrdiff_t below = static_cast<ptrdiff_t>(i) - pass.a_diagonal;
        std::fill_n(pass.packed_a + i * pass.a_stride(), std::clamp<ptrdiff_t>(below, 0, pass.k()), 0.0f);
    }
}

// Panels [begin, end). A row-major B is read along its rows, so that it arrives as a few long streams.
void pack_b(const Pass& pass, size_t begin, size_t end) {
    const size_t k = pass.k(), first = begin * panel_cols, cols = std::min(end * panel_cols, pass.b.cols) - first;
    const size_t full = cols / panel_cols, rest = cols % panel_cols;
    float* out = pass.packed_b + first * k;
    const ConstMatrixView b = pass.b.block(0, first, k, cols);
    if (b.col_stride == 1) {
        for (size_t row = 0; row < k; ++row) {
            for (size_t p = 0; p < full; ++p)
                std::memcpy(out + (p * k + row) * panel_cols, &b(row, p * panel_cols), panel_cols * sizeof(float));
        }
    } else {
        for (size_t p = 0; p < full; ++p)
            copy_view(b.block(0, p * panel_cols, k, panel_cols), 1.0f, out + p * k * panel_cols, panel_cols);
    }
    if (rest > 0) {
        std::fill_n(out + full * k * panel_cols, k * panel_cols, 0.0f);
        copy_view(b.block(0, full * panel_cols, k, rest), 1.0f, out + full * k * panel_cols, panel_cols);
    }
}

void multiply(const Compute& compute, const Pass& pass, size_t row, size_t rows, size_t col, size_t cols, float* c,
              size_t c_stride) {
    if (cols == 0) return;
    compute.kernels.gemm_f32({.a = pass.packed_a + row * pass.a_stride(),
                              .a_stride = pass.a_stride(),
                              .panels = pass.packed_b + col * pass.k(),
                              .panel_stride = pass.k() * panel_cols,
                              .c = c,
                              .c_stride = c_stride,
                              .m = rows,
                              .n_cols = cols,
                              .k = pass.k(),
                              .accumulate = pass.accumulate});
}

// The upper triangle of a square of C at (at, at).
void multiply_diagonal(const Compute& compute, const Pass& pass, size_t at, size_t rows, size_t cols) {
    float square[triangle_block * triangle_block] = {};
    const MatrixView c = pass.c.block(at, at, rows, cols);
    for (size_t i = 0; i < rows; ++i)
        std::copy(c.row(i) + std::min(i, cols), c.row(i) + cols, square + i * triangle_block + std::min(i, cols));
    multiply(compute, pass, at, rows, at, cols, square, triangle_block);
    for (size_t i = 0; i < std::min(rows, cols); ++i)
        std::copy(square + i * triangle_block + i, square + i * triangle_block + cols, c.row(i) + i);
}

void multiply_upper_tile(const Compute& compute, const Pass& pass, size_t row_begin, size_t row_end, size_t col_begin,
                         size_t col_end) {
    for (size_t row = row_begin; row < std::min(row_end, col_end); row += triangle_block) {
        const size_t rows = std::min(triangle_block, row_end - row);
        size_t col = col_begin;
        if (row >= col_begin) {
            const size_t cols = std::min(triangle_block, col_end - row);
            multiply_diagonal(compute, pass, row, rows, cols);
            col = row + cols;
        }
        multiply(compute, pass, row, rows, col, col_end - col, &pass.c(row, col), pass.c.stride);
    }
}

void run_pass(const Compute& compute, const Pass& pass) {
    const size_t rows = pass.c.rows, cols = pass.c.cols;
    const size_t panels = div_up(cols, panel_cols), a_units = div_up(rows, pack_rows),
                 b_units = div_up(panels, pack_panels);
    compute.pool.for_each(a_units + b_units, [&](size_t unit, size_t) {
        if (unit < a_units) {
            pack_a(pass, unit * pack_rows, std::min(rows, (unit + 1) * pack_rows));
        } else {
            const size_t panel = (unit - a_units) * pack_panels;
            pack_b(pass, panel, std::min(panels, panel + pack_panels));
        }
    });
    const size_t down = div_up(rows, tile_m), across = div_up(cols, tile_n);
    compute.pool.for_each(down * across, [&](size_t tile, size_t) {
        const size_t row = tile % down * tile_m, row_end = std::min(rows, row + tile_m);
        const size_t col = tile / down * tile_n, col_end = std::min(cols, col + tile_n);
        if (pass.c_upper) {
            multiply_upper_tile(compute, pass, row, row_end, col, col_end);
        } else {
            multiply(compute, pass, row, row_end - row, col, col_end - col, &pass.c(row, col), pass.c.stride);
        }
    });
}

void set_zero(const Compute& compute, const MatrixView& c, bool c_upper) {
    compute.pool.for_ranges(c.rows, pack_rows, [&](size_t begin, size_t end, size_t) {
        for (size_t i = begin; i < end; ++i)
            std::fill(c.row(i) + (c_upper ? std::min(i, c.cols) : 0), c.row(i) + c.cols, 0.0f);
    });
}

void run_product(const Compute& compute, GemmWorkspace& workspace, const Product& product) {
    const size_t m = product.c.rows, n = product.c.cols, k = product.a.cols;
    if (m == 0 || n == 0) return;
    // With a triangular A some rows begin inside a block of k, where others go on: all are added to zero.
    const bool from_zero = product.update == Update::set && (k == 0 || product.a_upper);
    if (from_zero) set_zero(compute, product.c, product.c_upper);
    const size_t k_step = k == 0 ? 1 : round_up(div_up(k, div_up(k, depth)), panel_cols);
    workspace.a.reserve_discard(std::min(m, chunk_rows) * (k_step + a_padding));
    workspace.b.reserve_discard(round_up(n, panel_cols) * k_step);
    for (size_t row = 0; row < m; row += chunk_rows) {
        for (size_t k0 = 0; k0 < k; k0 += k_step) {
            const size_t k1 = std::min(k, k0 + k_step);
            const size_t row_end = std::min(product.a_upper ? std::min(m, k1) : m, row + chunk_rows);
            if (row >= row_end) continue;
            const size_t col = product.c_upper ? row : 0;
            run_pass(compute, {.a = product.a.block(row, k0, row_end - row, k1 - k0),
                               .b = product.b.block(k0, col, k1 - k0, n - col),
                               .c = product.c.block(row, col, row_end - row, n - col),
                               .sign = product.update == Update::subtract ? -1.0f : 1.0f,
                               .accumulate = product.update != Update::set || from_zero || k0 > 0,
                               .c_upper = product.c_upper,
                               .a_diagonal = static_cast<ptrdiff_t>(product.a_upper ? k0 - row : m),
                               .packed_a = workspace.a.data(),
                               .packed_b = workspace.b.data()});
        }
    }
}

void check_shapes(const char* operation, const ConstMatrixView& a, const ConstMatrixView& b, const MatrixView& c) {
    if (a.cols == b.rows && c.rows == a.rows && c.cols == b.cols) return;
    fail(Status::invalid_argument, "%s: expected (m, k) x (k, n) = (m, n), found (%zu, %zu) x (%zu, %zu) = (%zu, %zu)",
         operation, a.rows, a.cols, b.rows, b.cols, c.rows, c.cols);
}

}  // namespace

void gemm(const Compute& compute, GemmWorkspace& workspace, Update update, const ConstMatrixView& a,
          const ConstMatrixView& b, const MatrixView& c) {
    check_shapes("gemm", a, b, c);
    run_product(compute, workspace, {.update = update, .c_upper = false, .a_upper = false, .a = a, .b = b, .c = c});
}

void syrk_upper(const Compute& compute, GemmWorkspace& workspace, Update update, const ConstMatrixView& a,
                const MatrixView& c) {
    check_shapes("syrk", a, a.transposed(), c);
    run_product(compute, workspace,
                {.update = update, .c_upper = true, .a_upper = false, .a = a, .b = a.transposed(), .c = c});
}

// Rows that start inside a block of k would have to be set by it and those above added to: all are added to zero
// instead.
void multiply_upper(const Compute& compute, GemmWorkspace& workspace, const ConstMatrixView& u,
                    const ConstMatrixView& b, const MatrixView& c) {
    check_shapes("multiply_upper", u, b, c);
    if (u.rows != u.cols)
        fail(Status::invalid_argument, "multiply_upper: expected a square factor, found (%zu, %zu)", u.rows, u.cols);
    run_product(compute, workspace, {.update = Update::set, .c_upper = false, .a_upper = true, .a = u, .b = b, .c = c});
}

void mirror_upper(const Compute& compute, const MatrixView& c) {
    if (c.rows != c.cols)
        fail(Status::invalid_argument, "mirror_upper: expected a square matrix, found (%zu, %zu)", c.rows, c.cols);
    const size_t n = c.rows;
    compute.pool.for_each(div_up(n, pack_rows), [&](size_t unit, size_t) {
        const size_t begin = unit * pack_rows, end = std::min(n, begin + pack_rows);
        for (size_t i = begin; i < end; ++i) {  // the square on the diagonal
            for (size_t j = begin; j < i; ++j) c(i, j) = c(j, i);
        }
        if (begin > 0) copy_transposed(&c(0, begin), c.stride, begin, end - begin, 1.0f, c.row(begin), c.stride);
    });
}

}  // namespace gq
