// Gradients of scales and offsets, and their steps. See trained_grids.h.
// In: gradients of plain weights, row by row; a row belongs to one thread. Out: grids. Must not know losses.
#include "core/quantize/trained_grids.h"

#include <algorithm>

namespace gq {

TrainedGrids::TrainedGrids(const QuantizedMatrix& start, const GridOptions& options)
    : start_(start),
      options_(options),
      n_groups_(start.n_groups()),
      scales_(start.scales.size()),
      offsets_(start.offsets.size()),
      scale_squares_(start.rows),
      offset_squares_(start.rows) {
    std::fill(scales_.value.begin(), scales_.value.end(), 1.0f);
    for (size_t at = 0; at < start.scales.size(); ++at) grids_.push_back(start.grid(at));
}

void TrainedGrids::add_gradients(size_t row, const float* d, const float* w) {
    for (size_t begin = 0, g = row * n_groups_; begin < start_.cols; ++g) {
        const size_t end = options_.group_end(begin, start_.cols);
        float by_offset = 0, by_scale = 0;
        for (size_t c = begin; c < end; ++c) {
            by_offset += d[c];
            by_scale += d[c] * (w[c] - grids_[g].offset);
        }
        scales_.gradient[g] += by_scale * start_.scales[g] / grids_[g].scale;
        if (offsets_.value.size() != 0) offsets_.gradient[g] += by_offset * start_.scales[g];
        begin = end;
    }
}

void TrainedGrids::move(const Compute& compute, const AdamStep& step) {
    const bool has_offsets = offsets_.value.size() != 0;
    const auto for_rows = [&](auto work) {
        compute.pool.for_ranges(start_.rows, 1, [&](size_t begin, size_t end, size_t) {
            for (size_t row = begin; row < end; ++row) work(row);
        });
    };
    for_rows([&](size_t row) {
        scale_squares_[row] = sum_of_squares(scales_.gradient.data() + row * n_groups_, n_groups_);
        if (has_offsets) offset_squares_[row] = sum_of_squares(offsets_.gradient.data() + row * n_groups_, n_groups_);
    });
    const float scale_epsilon = epsilon_of(scale_squares_, grids_.size(), step),
                offset_epsilon = epsilon_of(offset_squares_, grids_.size(), step);
    constexpr float smallest_share = 0.1f, largest_share = 4, furthest = 100;  // far beyond what training needs
    for_rows([&](size_t row) {
        const size_t begin = row * n_groups_, end = begin + n_groups_;
        scales_.move(step, scale_epsilon, smallest_share, largest_share, begin, end);
        if (has_offsets) offsets_.move(step, offset_epsilon, -furthest, furthest, begin, end);
        settle_row(row);
    });
}

// The stored grids nearest to what is trained.
void TrainedGrids::settle_row(size_t row) {
    const Grid& kind = *options_.grid;
    GroupGrid* grids = &grids_[row * n_groups_];
    for (size_t g = 0; g < n_groups_; ++g) {
        const size_t at = row * n_groups_ + g;
        const GroupGrid start = start_.grid(at);
        const float scale = start.scale * scales_.value[at];
        const float offset = start.offset + (offsets_.value.size() == 0 ? 0 : start.scale * offsets_.value[at]);
        grids[g] = stored_or(start, scale, offset, options_);
    }
    if (!kind.settle) return;
    const size_t unit = kind.unit_groups(options_.group);
    for (size_t g = 0; g < n_groups_; g += unit) kind.settle(grids + g, std::min(unit, n_groups_ - g), options_.bits);
}

}  // namespace gq
