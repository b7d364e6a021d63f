// Inside the solver: what follows the loop. Grids by least squares while codes stay; codes by coordinate descent while
// grids stay. In: a result, what it aims at. Out: a better one, and what each row then loses.
// Must not know how the result was found.
#pragma once

#include "core/quantize/gptq_loop.h"

namespace gq {

// options.sweeps times a re-fit and a sweep, then a re-fit if options.refit. The loss is tr(E Hd Eᵀ)/2 with the damped
// Hd, E = Q − aim; that of no row rises but by rounding errors. row_loss: each row's loss at the end.
void refine(const SolveProblem& problem, const float* aim, QuantizedMatrix& q, AlignedBuffer<double>& row_loss);

// What both steps work on.
struct RefineState {
    const SolveProblem& problem;
    const float* aim;  // (rows, cols)
    QuantizedMatrix& q;
    AlignedBuffer<double>& row_loss;
    Matrix errors;  // (padded rows, padded cols): Q − aim; 0 for dead inputs and in padding
};

// Each row's grids by least squares, as they are stored, where the row's loss falls; E follows. Also finds row_loss
// anew.
void refit_grids(RefineState& state);

// One sweep of coordinate descent (QuantEase, arXiv 2309.01885): each code in turn becomes the best one, all others
// given. E and row_loss follow.
void sweep_codes(RefineState& state);

// E of one row, from its codes and grids.
void find_errors(RefineState& state, size_t row);

}  // namespace gq
