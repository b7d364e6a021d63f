// How the grid of a group is found, and rounding to nearest. In: weights and GridOptions. Out: grids and codes.
// Every row is worked on alone, so threads share rows and the result does not depend on their number.
// Must not know Hessians, models or files. See grid_search.h.
#include "core/quantize/grid_search.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <vector>

namespace gq {

namespace {

constexpr int largest_cut = 80;                // percent of the range that clip_grid may cut off, in steps of 2
constexpr size_t max_group = size_t{1} << 31;  // sums with it do not overflow

struct Range {
    float low = 0, high = 0;  // holds 0
    bool finite = true;       // all weights are; else low and high mean nothing
};

// The smallest range that holds the weights and 0. Sixteen lanes, so that the loop vectorises: minima don't depend on
// the order.
Range range_of(const float* weights, size_t n) {
    constexpr size_t lanes = 16;
    constexpr uint32_t exponent = 0x7F800000;  // all ones: infinity or NaN
    float low[lanes] = {}, high[lanes] = {};
    uint32_t largest_exponent[lanes] = {};
    const auto take = [&](size_t i, size_t lane) {
        const float w = weights[i];
        const uint32_t bits = std::bit_cast<uint32_t>(w) & exponent;
        low[lane] = w < low[lane] ? w : low[lane];
        high[lane] = w > high[lane] ? w : high[lane];
        largest_exponent[lane] = bits > largest_exponent[lane] ? bits : largest_exponent[lane];
    };
    size_t i = 0;
    for (; i + lanes <= n; i += lanes) {
        for (size_t lane = 0; lane < lanes; ++lane) take(i + lane, lane);
    }
    for (; i < n; ++i) take(i, i % lanes);
    return {*std::min_element(low, low + lanes), *std::max_element(high, high + lanes),
            *std::max_element(largest_exponent, largest_exponent + lanes) < exponent};
}

[[noreturn]] void fail_not_finite(const float* weights, size_t n, size_t row, size_t col) {
    const float* bad = std::find_if_not(weights, weights + n, [](float w) { return std::isfinite(w); });
    fail(Status::numeric, "weight (%zu, %zu): expected a finite number, found %g", row,
         col + static_cast<size_t>(bad - weights), static_cast<double>(*bad));
}

// How much wider than the range a grid is, so that the ends of a table, which are not those of its bits, reach it.
struct Stretch {
    float low = 1, high = 1;
};

Stretch stretch_of(const GridOptions& options) {
    if (!options.table()) return {};
    const float top = options.top_code(), middle = (top + 1) / 2;
    const float lowest = options.table()[0], highest = options.table()[static_cast<size_t>(top)];
    return {middle / (middle - lowest), (top - middle) / (highest - middle)};
}

// The grid that spans `shrink` of the range.
GroupGrid grid_of(const Range& range, float shrink, const GridOptions& options) {
    const Stretch stretch = stretch_of(options);
    return options.grid->span(range.low * shrink * stretch.low, range.high * shrink * stretch.high, options.bits);
}

// The range of a group of finite weights, whose grid can be stored.
Range checked_range(const float* weights, size_t n, const GridOptions& options, size_t row, size_t col) {
    const Range range = range_of(weights, n);
    if (!range.finite) fail_not_finite(weights, n, row, col);
    if (!std::isfinite(grid_of(range, 1, options).scale)) {
        fail(Status::numeric,
             "weights (%zu, %zu … %zu): expected a range whose %u-bit scale is at most 65504, the largest of f16, "
             "found %g … %g",
             row, col, col + n - 1, options.bits, static_cast<double>(range.low), static_cast<double>(range.high));
    }
    return range;
}

void round_row(GridSearch search, const float* w, const float* importance, size_t row, const GridOptions& options,
               QuantizedMatrix& out) {
    const float top = options.top_code();
    uint8_t* codes = out.codes.data() + row * out.cols;
    std::vector<GroupGrid> grids(out.n_groups());
    for (size_t begin = 0; begin < out.cols; begin = options.unit_end(begin, out.cols)) {
        const size_t n = options.unit_end(begin, out.cols) - begin;
        find_unit(search, w + begin, importance ? importance + begin : nullptr, n, options, row, begin,
                  &grids[options.group_of(begin)]);
    }
    for (size_t begin = 0, group = 0; begin < out.cols; ++group) {
        const size_t end = options.group_end(begin, out.cols);
        const GroupGrid& grid = grids[group];
        for (size_t c = begin; c < end; ++c) {
            const float nearest = nearest_code(w[c] - grid.offset, grid.scale, grid.zero_point, top);
            const float code = existing_code(nearest, options.table());
            codes[c] = static_cast<uint8_t>(static_cast<int>(code));
        }
        out.set_grid(row * out.n_groups() + group, grid);
        begin = end;
    }
}

// Sixteen lanes whose sums are added in order: vectorised or not, the same bits.
template <bool has_table>
double error_on(const float* weights, const float* importance, size_t n, const GroupGrid& grid,
                const GridOptions& options) {
    const float top_code = options.top_code();
    const uint8_t* table = has_table ? options.table() : nullptr;
    constexpr size_t lanes = 16;
    const float zero_point = grid.zero_point;
    float sums[lanes] = {};
    const auto take = [&](size_t i, size_t lane) {
        const float nearest = nearest_code(weights[i] - grid.offset, grid.scale, zero_point, top_code);
        const float code = has_table ? existing_code(nearest, table) : nearest;
        const float error = grid.scale * (code - zero_point) + grid.offset - weights[i];
        sums[lane] += error * error * importance[i];
    };
    size_t i = 0;
    for (; i + lanes <= n; i += lanes) {
        for (size_t lane = 0; lane < lanes; ++lane) take(i + lane, lane);
    }
    for (; i < n; ++i) take(i, i % lanes);
    return std::accumulate(sums, sums + lanes, 0.0);
}

}  // namespace

double weighted_error(const float* weights, const float* importance, size_t n, const GroupGrid& grid,
                      const GridOptions& options) {
    return (options.table() ? error_on<true> : error_on<false>)(weights, importance, n, grid, options);
}

GroupGrid fit_grid(const float* weights, size_t n, const GridOptions& options, size_t row, size_t col) {
    return grid_of(checked_range(weights, n, options, row, col), 1, options);
}

GroupGrid clip_grid(const float* weights, const float* importance, size_t n, const GridOptions& options, size_t row,
                    size_t col) {
    const Range range = checked_range(weights, n, options, row, col);
    GroupGrid best = grid_of(range, 1, options);
    double least = weighted_error(weights, importance, n, best, options);
    for (int percent = 2; percent < largest_cut && range.low < range.high; percent += 2) {
        const GroupGrid grid = grid_of(range, 1 - static_cast<float>(percent) / 100, options);
        const double error = weighted_error(weights, importance, n, grid, options);
        if (error >= least) continue;
        least = error;
        best = grid;
    }
    return best;
}

void find_unit(GridSearch search, const float* weights, const float* importance, size_t n, const GridOptions& options,
               size_t row, size_t col, GroupGrid* out) {
    size_t n_groups = 0;
    for (size_t begin = 0; begin < n; ++n_groups) {
        const size_t end = options.group_end(begin, n), size = end - begin;
        const auto with = [&](auto* find) {
            return find(weights + begin, importance + begin, size, options, row, col + begin);
        };
        if (search == GridSearch::span) out[n_groups] = fit_grid(weights + begin, size, options, row, col + begin);
        if (search == GridSearch::clip) out[n_groups] = with(clip_grid);
        if (search == GridSearch::joint) out[n_groups] = with(joint_grid);
        begin = end;
    }
    if (options.grid->settle) options.grid->settle(out, n_groups, options.bits);
}

QuantizedMatrix::QuantizedMatrix(size_t n_rows, size_t n_cols, const GridOptions& options)
    : rows(n_rows), cols(n_cols), group(options.group), bits(options.bits) {
    if (rows == 0 || cols == 0) {
        fail(Status::invalid_argument, "matrix to quantize: expected rows and columns, found %zu x %zu", rows, cols);
    }
    if (bits < 2 || bits > 8) fail(Status::invalid_argument, "bits of a code: expected 2 to 8, found %u", bits);
    if (!is_group(group) || group > max_group) {
        fail(Status::invalid_argument, "group: expected %s, at most %zu, found %zu", group_words, max_group, group);
    }
    codes = AlignedBuffer<uint8_t>(checked_mul(rows, cols, "codes"));
    scales = AlignedBuffer<float>(checked_mul(rows, n_groups(), "scales"));
    zero_points = AlignedBuffer<uint8_t>(scales.size());
    if (options.grid->has_offsets) offsets = AlignedBuffer<float>(scales.size());
}

GroupGrid stored_or(const GroupGrid& old, double scale, double offset, const GridOptions& options) {
    if (!std::isfinite(scale) || !std::isfinite(offset) || scale <= 0) return old;
    const GroupGrid found = options.grid->nearest(static_cast<float>(scale),
                                                  static_cast<float>(offset - scale * old.zero_point), options.bits);
    const bool fits = std::isfinite(found.scale) && std::isfinite(found.offset) && found.scale > 0;
    return fits && (options.grid->has_offsets || found.zero_point == old.zero_point) ? found : old;
}

QuantizedMatrix round_to_nearest(const Compute& compute, const float* w, size_t rows, size_t cols,
                                 const GridOptions& grid, GridSearch search, const float* importance) {
    QuantizedMatrix out(rows, cols, grid);
    compute.pool.for_ranges(rows, 1, [&](size_t begin, size_t end, size_t) {
        for (size_t row = begin; row < end; ++row) round_row(search, w + row * cols, importance, row, grid, out);
    });
    return out;
}

}  // namespace gq
