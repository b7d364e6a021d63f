// The float model, block by block, to its end. See head_hessian.h.
// In: weights, read one block at a time. Out: a Hessian. Must not know what is solved with it.
#include "core/quantize/head_hessian.h"

namespace gq {
namespace {

// T H Tᵀ
void turn_inputs(const Compute& compute, const AlignedBuffer<float>& turn, Matrix& h) {
    const size_t n = h.rows();
    const ConstMatrixView t(turn.data(), n, n, n);
    GemmWorkspace workspace;
    Matrix half(n, n);
    gemm(compute, workspace, Update::set, t, h.view(), half.view());
    gemm(compute, workspace, Update::set, half.view(), t.transposed(), h.view());
}

}  // namespace

FloatWeights::FloatWeights(const SourceModel& source, const RotatedSource& rotated, std::span<const WeightRow> rows,
                           size_t layer) {
    for (const WeightRow& row : rows) {
        const float* values = floats.emplace_back(rotated.read(row, layer)).data();
        Weight& weight = weights.roles.emplace_back();
        if (row.kind == WeightKind::vector) {
            weight.vector = values;
        } else {
            weight.matrix = row_major_f32(values, row.rows(source.params()), row.cols(source.params()));
        }
    }
}

void embed_floats(Stream& stream, const SourceModel& source, const RotatedSource& rotated,
                  std::span<const std::vector<int32_t>> windows) {
    UsedRows used(windows, source.params().hidden);
    rotated.for_strips(source.arch().embedding, 0,
                       [&](size_t first, size_t n, const float* values) { used.take(first, n, values); });
    const FloatWeights outer(source, rotated, source.arch().outer_weights, 0);
    stream.embed(used.weight(), outer.weights, used.windows);
}

void run_floats(Stream& stream, const SourceModel& source, const RotatedSource& rotated,
                FunctionRef<void()> after_block) {
    for (size_t layer = 0; layer < source.params().n_layers; ++layer) {
        const FloatWeights block(source, rotated, source.arch().block_weights, layer);
        const StepList& steps = source.network().blocks[layer];
        stream.run(steps, 0, steps.steps.size(), block.weights);
        after_block();
    }
    stream.run_epilogue(FloatWeights(source, rotated, source.arch().outer_weights, 0).weights);
}

HeadHessians head_hessians(const Compute& compute, const SourceModel& source, const RotatedSource& rotated,
                           std::span<const std::vector<int32_t>> windows, size_t n_held_out,
                           FunctionRef<void()> after_block) {
    Stream stream(source.network(), float_kv_layer(source.params()), compute, windows.size(), windows.front().size());
    embed_floats(stream, source, rotated, windows);
    run_floats(stream, source, rotated, after_block);
    const auto of = [&](WindowRange range) {
        Matrix h = stream.hessian(source.network().head_input, range);
        if (rotated.params().head_turn) turn_inputs(compute, rotated.head_turn(), h);
        return h;
    };
    const size_t n_solved = windows.size() - n_held_out;
    return {of({0, n_solved}), n_held_out > 0 ? of({n_solved, windows.size()}) : Matrix()};
}

}  // namespace gq
