// The scales and offsets of a quantized matrix in training, while its codes are fixed or trained elsewhere.
// In: gradients of the plain weights. Out: grids, always as they are stored. Must not know losses.
// With ŵ = scale · (code − zero_point) + offset: dL/dscale = Σ (code − zero_point) dL/dŵ, dL/doffset = Σ dL/dŵ over a
// group; rounding scale and offset to what is stored has slope 1. Integer zero points stay.
#pragma once

#include <vector>

#include "core/quantize/adam.h"
#include "core/quantize/grid_search.h"

namespace gq {

class TrainedGrids {
  public:
    // Begins with the grids of `start`, which must outlive this.
    TrainedGrids(const QuantizedMatrix& start, const GridOptions& options);

    const GroupGrid* row(size_t row) const { return &grids_[row * n_groups_]; }
    // Adds what the gradients d (cols) of a row's plain weights w (cols) ask of its grids.
    void add_gradients(size_t row, const float* d, const float* w);
    // Moves all grids: rates are relative to the scales of the start.
    void move(const Compute& compute, const AdamStep& step);
    const std::vector<GroupGrid>& all() const { return grids_; }  // (rows, groups), as they are stored

  private:
    void settle_row(size_t row);

    const QuantizedMatrix& start_;
    const GridOptions options_;
    const size_t n_groups_;
    Trained scales_, offsets_;      // (rows, groups): relative to the scale of the start, which is 1 and 0
    std::vector<GroupGrid> grids_;  // (rows, groups): as they are stored
    std::vector<double> scale_squares_, offset_squares_;  // of gradients, by row
};

// w[c] = the value of code codes[c] on the grids of a row's groups. Codes as floats, so that the loop vectorises.
template <class Code>
void values_on_grids(const Code* codes, size_t cols, const GridOptions& options, const GroupGrid* grids, float* w) {
    for (size_t begin = 0; begin < cols; ++grids) {
        const size_t end = options.group_end(begin, cols);
        const GroupGrid grid = *grids;
        for (size_t c = begin; c < end; ++c) w[c] = grid.value(static_cast<float>(codes[c]));
        begin = end;
    }
}

}  // namespace gq
