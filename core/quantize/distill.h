// Layer-wise distillation: a quantized block is trained until its output is near the float block's.
// In: a block's rounded linears, norms and biases; rows of the residual before the block (of the quantized stream) and
// what the float stream has behind it. Out: the same linears on the same kind of grid with other codes, scales and
// offsets, and other norms. Must not know models, files or where the rows come from. Sources: ZQ-Local (Yao et al.,
// ZeroQuant-V2, arXiv 2303.08302); what is trained is Block-AP's (Chen et al., EfficientQAT, arXiv 2407.11062), with
// weights in units of codes: ŵ = scale · (round(v) − zero_point) + offset, round's slope taken as 1 for v, so that
// scale and offset have their exact slopes. Integer zero points stay.
#pragma once

#include <functional>

#include "core/quantize/backward.h"
#include "core/quantize/grid_search.h"

namespace gq {

struct DistillOptions {
    size_t epochs = 2;
    // Steps of Adam at their largest, falling to 0 along a cosine: of v in codes; of scales and offsets relative to the
    // scale that they began with; of norms relative to their mean size. Behind a solve with QEP, four times these
    // rates gained nothing in most blocks of SmolLM2 at 3 bits; behind one with sweeps at 2 bits, twice these nothing
    // in two of its first three blocks, and 0.4 times less than these in all three.
    double weight_rate = 0.005, scale_rate = 0.0025, norm_rate = 0.0005;
    double quiet = 3;  // of the root mean square of a tensor's gradients: smaller ones move it less than a step
    std::function<void()> between_windows = {};  // may throw, to cancel
    double held_out = 0.1;  // without unseen windows: of all, evenly spread, at least one, in their place
};

struct DistillLinear {
    RoleId role = 0;
    const float* weights = nullptr;  // (rows, cols) contiguous: what was rounded
    QuantizedMatrix* rounded = nullptr;
    GridOptions grid;
};
// Or a bias: what is not rounded. One of zeros stays so, for steps go with its size.
struct DistillNorm {
    RoleId role = 0;
    float* weights = nullptr;
    size_t n = 0;
};

// The rows that a block is trained on: windows of `window` rows each.
struct DistillRows {
    ConstMatrixView inputs, targets;
    size_t window = 0;
    // Windows at the end that no solve has seen: they choose the epoch that is kept; 0: a share of all does.
    size_t unseen = 0;
};

// Losses: mean over held-out rows of |output − target|² / |target|², each row by itself, for norms and attention behind
// the block see directions only.
struct DistillReport {
    double before = 0, after = 0;  // on held-out windows; after <= before
    double training = 0;           // mean loss of the last epoch on its own windows
    size_t kept_epoch = 0;         // 0: nothing was better than the start
};

// Changes linears' `rounded` and norms' `weights` in place where that is better on the held-out windows. Results don't
// depend on the number of threads. Error(invalid_argument) for fewer than 2 windows.
DistillReport distill_block(const Compute& compute, const Network& network, const StepList& steps,
                            std::span<const DistillLinear> linears, std::span<const DistillNorm> norms,
                            const DistillRows& rows, const DistillOptions& options);

// Every window for training or held out: unseen ones, else evenly spread ones; at least one of each.
// Error(invalid_argument) for fewer than 2, or where all are unseen.
void split_windows(const DistillRows& rows, double share, std::vector<size_t>& training, std::vector<size_t>& held_out);
// In another order each epoch, the same in every run.
std::vector<size_t> shuffled(std::vector<size_t> windows, size_t epoch);

}  // namespace gq
