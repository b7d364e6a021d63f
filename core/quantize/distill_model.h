// Refinement end to end: scales, offsets, norms and biases of all blocks are trained until the whole model predicts
// what the float model does; codes stay. In: rounded blocks, embedded rows, the float stream's rows behind the last
// block, the heads. Out: the same blocks with other grids and norms. Must not know files or where the rows come from.
// Source: E2E-QP of EfficientQAT (Chen et al., arXiv 2407.11062), with KL(float ‖ quantized) of the predictions for a
// loss instead of the text's own tokens.
#pragma once

#include "core/model/model.h"
#include "core/quantize/distill.h"
#include "core/quantize/head_divergence.h"

namespace gq {

struct RefineOptions {
    size_t epochs = 2;
    // A step of Adam at its largest, in steps between codes at the end of a group's range: finer grids move less.
    // On SmolLM2, 2.5 times this loses a third of the gain and more at 2 and 3 bits, a third of this hardly anything.
    double grid_rate = 0.02;
    double norm_rate = 0.001, quiet = 1, held_out = 0.1;  // as in DistillOptions
    std::function<void()> between_windows = {};
};

// One block: DistillLinear::weights is not read.
struct RefineBlock {
    std::vector<DistillLinear> linears;
    std::vector<DistillNorm> norms;
};

struct RefineHead {
    HeadRows quantized, exact;
    std::span<const Weight> outer = {};  // Model::outer's roles, of which the epilogue reads vectors
};

// Losses: mean KL(float ‖ quantized) of a prediction, in nats, on held-out windows.
struct RefineReport {
    double before = 0, after = 0, training = 0;
    size_t kept_epoch = 0;
};

// rows.inputs: the embedded tokens; rows.targets: the float model's residual in front of its final norm. Changes grids
// and norms in place where that is better on the held-out windows. Memory: the activations of one block, the residuals
// of one window, what HeadDivergence holds. Results don't depend on the number of threads. Errors as distill_block.
RefineReport refine_model(const Compute& compute, const Network& network, std::span<const RefineBlock> blocks,
                          const RefineHead& head, const DistillRows& rows, const RefineOptions& options);

}  // namespace gq
