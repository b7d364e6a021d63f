// Grids: the scale and zero point that stand for a group of weights, and plain rounding onto them (RTN).
// In: floats of a weight matrix W (out, in). Out: scales, zero points, codes. Must not know Hessians, models or files.
// Source: the grid of GPTQ's reference implementation (Frantar et al., arXiv 2210.17323), except that a symmetric grid
// of a group with one sign is still symmetric (there it loses half of its codes), and that scales are rounded as they
// are stored.
#pragma once

#include <cstdint>

#include "core/base/memory.h"
#include "core/kernels/compute.h"
#include "core/packing/packing.h"

namespace gq {

// How values are rounded. Scales are stored in f16, so every scale here is exactly an f16.
struct GridOptions {
    unsigned bits = 4;       // 2 … 8
    size_t group = 128;      // inputs per scale, a multiple of 32; 0: the whole row
    bool symmetric = false;  // zero point 2^(bits - 1) for all

    float top_code() const { return static_cast<float>((1u << bits) - 1); }
    size_t n_groups(size_t cols) const { return group == 0 ? 1 : div_up(cols, group); }
    size_t group_of(size_t col) const { return group == 0 ? 0 : col / group; }
    bool starts_group(size_t col) const { return group == 0 ? col == 0 : col % group == 0; }
    size_t group_end(size_t begin, size_t cols) const {
        return group == 0 || cols - begin < group ? cols : begin + group;
    }
};

// value = scale * (code - zero_point), code and zero_point in [0, 2^bits - 1]; scale finite and above 0, exact in f16.
struct GroupGrid {
    float scale = 1;
    uint8_t zero_point = 0;
};

// The grid that spans the n weights of a group, and 0: 0 is always a value of it. A group of zeros gets scale 1.
// Subnormal f16 scales are rounded up, for their few bits would cut off the end of the range. Error(numeric) where a
// weight is not finite or the scale is larger than f16 holds; it names the weight by (row, col), the place of
// weights[0] in its matrix.
GroupGrid fit_grid(const float* weights, size_t n, const GridOptions& options, size_t row, size_t col);

// The grid that rounds the group with the least Σ importance (q − w)² among those that span 100, 98, … 22 % of
// fit_grid's range; the widest of equals. importance: (n), >= 0; the Hessian's diagonal makes it the loss of rounding
// without feedback. Errors as fit_grid. Source: the `mse` search of GPTQ's reference implementation, weighted.
GroupGrid clip_grid(const float* weights, const float* importance, size_t n, const GridOptions& options, size_t row,
                    size_t col);

// round(w / scale) + zero_point, ties to even, clamped to the codes: as a float, so that loops over it vectorise. NaN
// gives code 0.
inline float nearest_code(float w, float scale, float zero_point, float top_code) {
    constexpr float rounder = 0x1.8p+23f;  // t + rounder has no bits below 1: the addition rounds t, |t| < 2^22
    const float steps = w / scale, low = -zero_point, high = top_code - zero_point;
    const float above = steps > low ? steps : low;
    const float clamped = above < high ? above : high;
    return (clamped + rounder) - rounder + zero_point;
}

struct QuantizedMatrix {
    size_t rows = 0, cols = 0, group = 0;
    unsigned bits = 0;
    AlignedBuffer<uint8_t> codes;        // (rows, cols), original column order
    AlignedBuffer<float> scales;         // (rows, groups), exact in f16
    AlignedBuffer<uint8_t> zero_points;  // (rows, groups)

    QuantizedMatrix() = default;
    // All codes, scales and zero points 0. Error(invalid_argument) where options or shape are impossible.
    QuantizedMatrix(size_t n_rows, size_t n_cols, const GridOptions& options);

    size_t n_groups() const { return group == 0 ? 1 : div_up(cols, group); }
    LogicalWeights view() const { return {rows, cols, group, codes.data(), scales.data(), zero_points.data()}; }
    float value(size_t row, size_t col) const {  // one rounding
        const size_t at = row * n_groups() + (group == 0 ? 0 : col / group);
        return scales[at] * static_cast<float>(codes[row * cols + col] - zero_points[at]);
    }
};

// Rounds to nearest on the grid of each group; no Hessian. w: (rows, cols) contiguous. Error(numeric) as fit_grid.
QuantizedMatrix round_to_nearest(const Compute& compute, const float* w, size_t rows, size_t cols,
                                 const GridOptions& grid);

}  // namespace gq
