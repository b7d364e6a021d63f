// What inputs that no solve has seen say about a result: whether it is better than plain rounding, which damping suits.
// In: weights, statistics of held-out calibration rows. Out: the better of two, the best of some. Must not know where
// rows come from.
#pragma once

#include "core/quantize/gptq.h"

namespace gq {

// As gptq.h has them, of other tokens than those that a solve gets.
struct HeldOut {
    Matrix hessian;
    Matrix drift;  // (0, 0) without a float stream
};

// tr(E H Eᵀ)/2 − tr(W D Eᵀ), E = Q − W: half of the error of the layer's outputs against W x_float, less what no
// rounding changes, so it may be negative. w: (rows, cols), as the rows of q. Dead inputs
// of the solve count here: held-out tokens may use them.
double held_out_loss(const Compute& compute, const float* w, const QuantizedMatrix& q, const HeldOut& held_out);

// The better on held-out rows of q and of rounding to nearest with options.search (at least clip_grid) under the
// diagonal of h. The report says which, and both losses. q is a solve of w with the Hessian h. Where an eighth of the
// rows shows a solve that is clearly better, by a tenth of what rounding loses, the others are not looked at.
QuantizedMatrix keep_better(const Compute& compute, const float* w, const Matrix& h, const HeldOut& held_out,
                            const GptqOptions& options, QuantizedMatrix q, SolveReport& report);

// Of .003, .01, .03 and .1 the damping whose solve of some sample rows of weights loses least on held-out rows, the
// smallest of equals. drift: null without a float stream. Costs four factorizations and four solves of the sample.
// options.damping where no solve came about.
double best_damping(const Compute& compute, const Matrix& weights, const Matrix& h, const Matrix* drift,
                    const HeldOut& held_out, const GptqOptions& options);

}  // namespace gq
