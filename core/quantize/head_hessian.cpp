// The float model, block by block, to its end. See head_hessian.h.
// In: weights, read one block at a time. Out: a Hessian. Must not know what is solved with it.
#include "core/quantize/head_hessian.h"

namespace gq {
namespace {

void run_block(Stream& stream, const SourceModel& source, const RotatedSource& rotated, size_t layer) {
    BlockWeights weights;
    std::vector<AlignedBuffer<float>> floats;
    for (const WeightRow& row : source.arch().block_weights) {
        const float* values = floats.emplace_back(rotated.read(row, layer)).data();
        Weight& weight = weights.roles.emplace_back();
        if (row.kind == WeightKind::vector) {
            weight.vector = values;
        } else {
            weight.matrix = row_major_f32(values, row.rows(source.params()), row.cols(source.params()));
        }
    }
    const StepList& steps = source.network().blocks[layer];
    stream.run(steps, 0, steps.steps.size(), weights);
}

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

void embed_floats(Stream& stream, const SourceModel& source, const RotatedSource& rotated,
                  std::span<const std::vector<int32_t>> windows) {
    UsedRows used(windows, source.params().hidden);
    rotated.for_strips(source.arch().embedding, 0,
                       [&](size_t first, size_t n, const float* values) { used.take(first, n, values); });
    stream.embed(used.weight(), used.windows);
}

void run_floats(Stream& stream, const SourceModel& source, const RotatedSource& rotated,
                FunctionRef<void()> after_block) {
    for (size_t layer = 0; layer < source.params().n_layers; ++layer) {
        run_block(stream, source, rotated, layer);
        after_block();
    }
    const AlignedBuffer<float> norm = rotated.read(source.arch().final_norm, 0);
    BlockWeights tail;
    tail.roles.emplace_back().vector = norm.data();
    stream.run_epilogue(tail);
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
