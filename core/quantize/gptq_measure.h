// Inside the solver: what a result costs, measured on some of its rows.
// In: a SolveProblem, its result, the solver's account. Out: losses for the report. Must not know how codes were found.
#pragma once

#include "core/quantize/gptq_loop.h"

namespace gq {

// Evenly spread rows of W, up to 32: all of them would cost more than the solve.
struct RowSample {
    std::vector<size_t> rows;
    Matrix weights;  // (rows.size(), cols), what the solve aims at
    Matrix rounded;  // the same rounded to nearest, of the weights as they are

    // aim: (rows, cols), W or what a drift makes of it.
    RowSample(const SolveProblem& problem, const float* aim);
};

// Fills in true_loss and rtn_loss; raises check_error to self_check's where there is an account (row_loss); finds loss
// where there is none (null).
void measure_losses(const SolveProblem& problem, const RowSample& sample, const QuantizedMatrix& q,
                    const AlignedBuffer<double>* row_loss, SolveReport& report);

// |tr(E Hd Eᵀ)/2 / account − 1| over the rows of the sample; tr(E Hd Eᵀ)/2 = tr(E H Eᵀ)/2 + added · |E|²/2.
double self_check(const SolveProblem& problem, const RowSample& sample, const QuantizedMatrix& q,
                  const AlignedBuffer<double>& row_loss);

}  // namespace gq
