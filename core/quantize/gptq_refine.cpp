// The order of what follows the loop. In: a result. Out: a better one. See gptq_refine.h.
// Must not know how grids or codes are improved.
#include "core/quantize/gptq_refine.h"

#include "core/quantize/gptq_lanes.h"

namespace gq {

void find_errors(RefineState& state, size_t row) {
    const size_t cols = state.q.cols;
    float* e = state.errors.row(row);
    const float* w = state.aim + row * cols;
    const std::vector<uint8_t>& dead = state.problem.prepared.dead;
    for (size_t c = 0; c < cols; ++c) e[c] = dead[c] ? 0.0f : state.q.value(row, c) - w[c];
}

void refine(const SolveProblem& problem, const float* aim, QuantizedMatrix& q, AlignedBuffer<double>& row_loss) {
    RefineState state{problem, aim, q, row_loss, Matrix(round_up(q.rows, lanes), round_up(q.cols, panel_cols))};
    problem.compute.pool.for_each(q.rows, [&](size_t row, size_t) { find_errors(state, row); });
    for (size_t i = 0; i < problem.options.sweeps; ++i) {
        refit_grids(state);
        sweep_codes(state);
    }
    if (problem.options.refit) refit_grids(state);
}

}  // namespace gq
