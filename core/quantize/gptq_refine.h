// Inside the solver: what follows the loop. Grids by least squares while codes stay; codes by coordinate descent while
// grids stay. In: a result, what it aims at. Out: a better one, and what each row then loses.
// Must not know how the result was found.
#pragma once

#include "core/quantize/gptq_loop.h"

namespace gq {

// options.sweeps times a re-fit and a sweep, then a re-fit if options.refit. The loss is tr(E Hd Eᵀ)/2 with the damped
// Hd, E = Q − aim; that of no row rises but by rounding errors. row_loss: each row's loss at the end.
void refine(const SolveProblem& problem, const float* aim, QuantizedMatrix& q, AlignedBuffer<double>& row_loss);

}  // namespace gq
