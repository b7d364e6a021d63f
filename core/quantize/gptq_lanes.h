// Inside the solver: what its loops over columns share, the loop of GPTQ and the sweeps after it. Both round 16 columns
// (a step) of 32 rows side by side. In: rows. Out: tiles of lanes, and grids in the same order.
// Must not know what is computed with them.
#pragma once

#include <algorithm>

#include "core/kernels/compute.h"
#include "core/linalg/matrix.h"
#include "core/quantize/grid_search.h"

namespace gq {

// Rows side by side in the inner loops, padded to a multiple; loops of 16 GCC unrolls before it vectorises.
inline constexpr size_t lanes = 32;
static_assert(half_tile_cols % panel_cols == 0);  // a step is one panel of gemm_f32, and divides every block and group
// Rows that go through a block together: their block of W and of errors stays in the L2 cache.
inline constexpr size_t chunk_rows = 64;

// Grids while they are worked with: (groups, rows), so that lanes load them side by side.
struct GridTable {
    size_t rows;
    AlignedBuffer<float> scale, zero_point, offset;

    GridTable(size_t n_groups, size_t n_rows)
        : rows(n_rows), scale(checked_mul(n_groups, n_rows, "grids")), zero_point(scale.size()), offset(scale.size()) {
        std::fill(scale.begin(), scale.end(), 1.0f);
    }
    void set(size_t group, size_t row, const GroupGrid& grid) {
        scale[group * rows + row] = grid.scale;
        zero_point[group * rows + row] = grid.zero_point;
        offset[group * rows + row] = grid.offset;
    }
    GroupGrid get(size_t group, size_t row) const {
        const size_t at = group * rows + row;
        return {scale[at], static_cast<uint8_t>(zero_point[at]), offset[at]};
    }
};

// A step of 32 rows: columns outside, rows inside.
using Tile = float[panel_cols][lanes];

template <size_t rows, size_t cols>
void transpose(const float* __restrict in, size_t in_stride, float* __restrict out, size_t out_stride) {
    for (size_t j = 0; j < cols; ++j) {
        for (size_t i = 0; i < rows; ++i) out[j * out_stride + i] = in[i * in_stride + j];
    }
}

// The part of a square matrix that a block of columns [begin, end) hands to its later columns, in the order of
// gemm_f32: (block / 16, block, 16).
inline void pack_steps(const ConstMatrixView& from, size_t begin, size_t end, size_t block_cols, float* panels) {
    for (size_t col = begin; col < end; col += panel_cols) {
        const size_t n = std::min(panel_cols, end - col);
        float* panel = panels + (col - begin) * block_cols;
        for (size_t k = begin; k < col; ++k, panel += panel_cols) std::copy_n(&from(k, col), n, panel);
    }
}

}  // namespace gq
