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

// How a group's grid is found.
enum class GridSearch : uint8_t {
    span,  // it spans the weights: fit_grid
    clip,  // the share of that range that costs least: clip_grid
    joint  // the scale and the place of zero that cost least: joint_grid
};

// How values are rounded. Every grid here is exactly as it is stored.
struct GridOptions {
    unsigned bits = 4;   // of a code as grids see it: 2 … 8
    size_t group = 128;  // inputs per scale, 16 or a multiple of 32; 0: the whole row
    const Grid* grid = find_grid("zero_point");
    const Codes* codes = nullptr;  // of value_bits = bits; null: the integers of that width

    // Codes::nearest of the codes.
    const uint8_t* table() const { return codes ? codes->nearest : nullptr; }

    float top_code() const { return static_cast<float>((1u << bits) - 1); }
    size_t n_groups(size_t cols) const { return group == 0 ? 1 : div_up(cols, group); }
    size_t group_of(size_t col) const { return group == 0 ? 0 : col / group; }
    size_t group_end(size_t begin, size_t cols) const { return end_of(group, begin, cols); }
    // Groups are found a unit at a time: see Grid::unit_groups.
    size_t unit() const { return group * grid->unit_groups(group); }
    bool starts_unit(size_t col) const { return group == 0 ? col == 0 : col % unit() == 0; }
    size_t unit_end(size_t begin, size_t cols) const { return end_of(unit(), begin, cols); }

  private:
    static size_t end_of(size_t length, size_t begin, size_t cols) {
        return length == 0 || cols - begin < length ? cols : begin + length;
    }
};

// The stored grid nearest to value = scale · (code − old zero point) + offset. `old` where the scale is not positive,
// where numbers can't be stored, or where an integer zero point would have to move.
GroupGrid stored_or(const GroupGrid& old, double scale, double offset, const GridOptions& options);

// The grid that spans the n weights of a group, and 0. Error(numeric) where a weight is not finite or the scale is
// larger than the grid can store; it names the weight by (row, col), the place of weights[0] in its matrix.
GroupGrid fit_grid(const float* weights, size_t n, const GridOptions& options, size_t row, size_t col);

// The grid that rounds the group with the least Σ importance (q − w)² among those that span 100, 98, … 22 % of
// fit_grid's range; the widest of equals. importance: (n), >= 0; the Hessian's diagonal makes it the loss of rounding
// without feedback. Errors as fit_grid. Source: the `mse` search of GPTQ's reference implementation, weighted.
GroupGrid clip_grid(const float* weights, const float* importance, size_t n, const GridOptions& options, size_t row,
                    size_t col);

// The grid with the least such error over scales and places of zero together (NeUQI): 30 to 80 scales, coarse to fine,
// each with its best offset, or with each zero point where the grid has no offsets; with a table what clip_grid finds.
// Never worse than clip_grid's before what units settle. Arguments and errors as there.
GroupGrid joint_grid(const float* weights, const float* importance, size_t n, const GridOptions& options, size_t row,
                     size_t col);

// Σ importance (q − w)² of a group on a grid.
double weighted_error(const float* weights, const float* importance, size_t n, const GroupGrid& grid,
                      const GridOptions& options);

// The grids of the groups of one unit, the weights of columns col … col + n of a row, as they are stored: out has one a
// group. importance: (n); null for GridSearch::span. Errors as fit_grid.
void find_unit(GridSearch search, const float* weights, const float* importance, size_t n, const GridOptions& options,
               size_t row, size_t col, GroupGrid* out);

// round(w / scale) + zero_point, ties to even, clamped to the codes: as a float, so that loops over it vectorise. NaN
// gives code 0.
inline float nearest_code(float w, float scale, float zero_point, float top_code) {
    constexpr float rounder = 0x1.8p+23f;  // t + rounder has no bits below 1: the addition rounds t, |t| < 2^22
    const float steps = w / scale, low = -zero_point, high = top_code - zero_point;
    const float above = steps > low ? steps : low;
    const float clamped = above < high ? above : high;
    return (clamped + rounder) - rounder + zero_point;
}

// The code that stands in a table for what nearest_code gave; table: GridOptions::table, or null.
inline float existing_code(float code, const uint8_t* table) {
    return table ? static_cast<float>(table[static_cast<uint8_t>(static_cast<int>(code))]) : code;
}

struct QuantizedMatrix {
    size_t rows = 0, cols = 0, group = 0;
    unsigned bits = 0;
    AlignedBuffer<uint8_t> codes;        // (rows, cols), original column order
    AlignedBuffer<float> scales;         // (rows, groups), exact in f16
    AlignedBuffer<uint8_t> zero_points;  // (rows, groups)
    AlignedBuffer<float> offsets;        // (rows, groups); empty for grids without offsets

    QuantizedMatrix() = default;
    // All codes, scales, zero points and offsets 0. Error(invalid_argument) where options or shape are impossible.
    QuantizedMatrix(size_t n_rows, size_t n_cols, const GridOptions& options);

    size_t n_groups() const { return group == 0 ? 1 : div_up(cols, group); }
    LogicalWeights view() const {
        return {rows, cols, group, codes.data(), scales.data(), zero_points.data(), offsets.data()};
    }
    // `at` is row * n_groups() + group.
    GroupGrid grid(size_t at) const { return {scales[at], zero_points[at], offsets.size() == 0 ? 0 : offsets[at]}; }
    void set_grid(size_t at, const GroupGrid& grid) {
        scales[at] = grid.scale;
        zero_points[at] = grid.zero_point;
        if (offsets.size() != 0) offsets[at] = grid.offset;
    }
    float value(size_t row, size_t col) const {
        return grid(row * n_groups() + (group == 0 ? 0 : col / group)).value(codes[row * cols + col]);
    }
};

// Rounds to nearest on the grid of each group; no feedback of errors. w: (rows, cols) contiguous. importance: (cols);
// null for GridSearch::span. Error(numeric) as fit_grid.
QuantizedMatrix round_to_nearest(const Compute& compute, const float* w, size_t rows, size_t cols,
                                 const GridOptions& grid, GridSearch search = GridSearch::span,
                                 const float* importance = nullptr);

}  // namespace gq
