// Inside the solver: its loop over columns, and what its parts are given.
// In: a weight matrix, a PreparedHessian, options. Out: a QuantizedMatrix and each row's loss by the loop's own
// account. Must not know reports; callers outside of the solver come through gptq.h.
#pragma once

#include "core/quantize/gptq.h"

namespace gq {

// What a solve is given.
struct SolveProblem {
    const Compute& compute;
    const float* original;  // (rows, cols)
    const float* w;         // what the loop rounds: the original, or with QEP what the drift makes of it
    size_t rows, cols;
    const Matrix& h;
    const PreparedDrift* drift;
    const PreparedHessian& prepared;
    const GptqOptions& options;
};

struct LoopResult {
    QuantizedMatrix q;
    AlignedBuffer<double> row_loss;  // (rows, and padding): tr(e Hd eᵀ)/2, but not with GPTAQ or FOEM
};

LoopResult gptq_loop(const SolveProblem& problem);

}  // namespace gq
