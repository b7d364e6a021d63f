// Adds up the linears and the attentions of a network. See token_cost.h.
// In: shapes. Out: counts. Must not know bytes' meaning.
#include "core/runtime/token_cost.h"

#include <algorithm>

#include "core/kernels/activation_modes.h"

namespace gq {
namespace {

void add_linear(const PackedMatrix& matrix, Precision precision, TokenCost& cost) {
    if (!matrix.codes) return;
    const ActivationMode& mode = activation_mode(precision);
    const uint64_t macs = static_cast<uint64_t>(matrix.rows) * matrix.cols;
    const bool in_floats = matrix.codes->is_float || !mode.prepare;
    (in_floats ? cost.f32_macs : cost.int8_macs) += macs * (!in_floats && mode.has_shifts ? 2 : 1);
}

void add_linears(const BlockWeights& block, Precision precision, TokenCost& cost) {
    for (const Weight& weight : block.roles) {
        if (weight.vector) continue;
        for (const PackedMatrix* matrix : {&weight.matrix, &weight.low_rank.u, &weight.low_rank.v})
            add_linear(*matrix, precision, cost);
    }
}

}  // namespace

TokenCost token_cost(const Model& model, const SessionOptions& options, size_t position, bool want_logits) {
    TokenCost cost;
    for (const BlockWeights& block : model.blocks) add_linears(block, options.precision, cost);
    if (want_logits) {
        for (const Step& step : model.network.epilogue.steps)
            if (step.op == Op::linear) add_linear(model.outer.roles[step.weight].matrix, options.precision, cost);
        add_linear(model.head.matrix, options.precision, cost);
    }
    const KvGeometry geometry = kv_geometry(model, options);
    const size_t layer_position_bytes = geometry.page_bytes() / geometry.n_layers / kv_page_positions;
    for (const StepList& block : model.network.blocks) {
        for (const Step& step : block.steps) {
            if (step.op != Op::attention) continue;
            const size_t seen = position + 1, window = step.attention.window;
            cost.kv_bytes += layer_position_bytes * (window == 0 ? seen : std::min(seen, window));
        }
    }
    return cost;
}

}  // namespace gq
