// What a model's head reads: the Hessian of its inputs, from a pass of the float model over calibration windows before
// anything is rounded. In: a source, turned or not; windows of tokens. Out: H as gptq.h takes it. Must not know how the
// head is rounded. Memory: a block's floats, the residual stream of the windows.
#pragma once

#include <span>
#include <vector>

#include "core/base/threads.h"
#include "core/quantize/calibrate.h"
#include "core/quantize/rotate.h"

namespace gq {

// The weights of some rows as floats, and their memory.
struct FloatWeights {
    BlockWeights weights;
    std::vector<AlignedBuffer<float>> floats;

    FloatWeights(const SourceModel& source, const RotatedSource& rotated, std::span<const WeightRow> rows,
                 size_t layer);
};

// The float model's embedding of the windows, into a stream of as many.
void embed_floats(Stream& stream, const SourceModel& source, const RotatedSource& rotated,
                  std::span<const std::vector<int32_t>> windows);

// Takes such a stream through the float model to what the head reads (Network::head_input), weights read block by
// block. after_block is called behind each block; what it throws passes.
void run_floats(Stream& stream, const SourceModel& source, const RotatedSource& rotated,
                FunctionRef<void()> after_block);

// H (hidden, hidden) = 2 / tokens · Σ x xᵀ, both triangles; x is what the head's rows, as `rotated` gives them, are
// multiplied with: the normed residual stream, behind head_turn where there is one.
struct HeadHessians {
    Matrix solved, held_out;  // held_out: (0, 0) without such windows
};

// Windows are equally long; the last n_held_out of them are held out. after_block as above.
HeadHessians head_hessians(const Compute& compute, const SourceModel& source, const RotatedSource& rotated,
                           std::span<const std::vector<int32_t>> windows, size_t n_held_out,
                           FunctionRef<void()> after_block);

}  // namespace gq
