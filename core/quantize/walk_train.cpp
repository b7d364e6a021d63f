// Training of what was rounded: each block towards the float block, then the whole model's grids and norms towards the
// float model's predictions. See walk.h.
#include "core/base/log.h"
#include "core/linalg/gemm.h"
#include "core/quantize/walk.h"

namespace gq {

RefineBlock Walk::trainables(Block& block) const {
    RefineBlock result;
    for (size_t i = 0; i < block.weights.roles.size(); ++i) {
        const RoleId role = static_cast<RoleId>(i);
        if (block.vectors[i].size() > 0) {
            result.norms.push_back({role, block.vectors[i].data(), block.vectors[i].size()});
        } else {
            const float* weights = block.floats.empty() ? nullptr : block.floats[i].data();
            result.linears.push_back({role, weights, &block.rounded[i], gptq_options().grid});
        }
    }
    return result;
}

// The quantized stream goes through the block once more, as it has become.
void Walk::distill(Block& block, size_t layer) {
    const StepList& steps = source_.network().blocks[layer];
    const SlotId residual = source_.network().residual;
    const RefineBlock parts = trainables(block);
    const Matrix targets = reference_->rows(residual);
    DistillOptions options;
    options.epochs = options_.distill_epochs;
    options.between_windows = [&] { tell({.n_done = n_done_, .n_total = n_total_, .seconds = elapsed()}); };
    const DistillReport report = distill_block(compute_, source_.network(), steps, parts.linears, parts.norms,
                                               {block.inputs.view(), targets.view(), options_.window}, options);
    log_message(LogLevel::info, "block %zu: loss on held-out windows %.5f, %.5f after distillation (epoch %zu kept)",
                layer, report.before, report.after, report.kept_epoch);
    for (const DistillLinear& linear : parts.linears) pack(block, linear.role);
    stream_->set_rows(residual, block.inputs);
    stream_->run(steps, 0, steps.steps.size(), block.weights);
    block.inputs = {};
}

// The heads as plain matrices (vocabulary, hidden): what stands before them in a turned model is multiplied in.
RefineHead Walk::refine_head(Matrix& quantized, AlignedBuffer<float>& exact, AlignedBuffer<float>& norm) const {
    const Arch& arch = source_.arch();
    const size_t vocab = source_.params().vocab, hidden = source_.params().hidden;
    quantized = Matrix(vocab, hidden);
    unpack_rows(head_.matrix, 0, vocab, quantized.data(), hidden);
    exact = AlignedBuffer<float>(checked_mul(vocab, hidden, "head"));
    rotated_.read_rows(source_.params().tied_head ? arch.embedding : arch.head, 0, 0, vocab, exact.data());
    norm = rotated_.read(arch.final_norm, 0);
    if (rotated_.params().head_turn) {
        GemmWorkspace workspace;
        Matrix turn(hidden, hidden), product(vocab, hidden);
        const auto turned = [&](const float* head, const float* by, float* out) {
            gemm(compute_, workspace, Update::set, {head, vocab, hidden, hidden}, {by, hidden, hidden, hidden},
                 {out, vocab, hidden, hidden});
        };
        unpack_rows(head_turn_.matrix, 0, hidden, turn.data(), hidden);
        turned(quantized.data(), turn.data(), product.data());
        quantized = std::move(product);
        AlignedBuffer<float> exact_product(exact.size());
        turned(exact.data(), rotated_.head_turn().data(), exact_product.data());
        exact = std::move(exact_product);
    }
    return {quantized.view(), {exact.data(), vocab, hidden, hidden}, norm.data()};
}

void Walk::refine() {
    stream_.reset();  // the blocks' own outputs are not needed any more
    std::vector<RefineBlock> blocks;
    for (Block& block : kept_) blocks.push_back(trainables(block));
    Matrix quantized;
    AlignedBuffer<float> exact, norm;
    const RefineHead head = refine_head(quantized, exact, norm);
    const Matrix targets = reference_->rows(source_.network().residual);
    RefineOptions options;
    options.epochs = options_.refine_epochs;
    const double share = refine_cost() / static_cast<double>(options_.windows * options_.refine_epochs);
    options.between_windows = [&] {
        cost_done_ += share;
        tell({.n_done = n_done_, .n_total = n_total_, .seconds = elapsed()});
    };
    const RefineReport report = refine_model(compute_, source_.network(), blocks, head,
                                             {embedded_.view(), targets.view(), options_.window}, options);
    log_message(LogLevel::info, "model: KL on held-out windows %.5f, %.5f after refinement (epoch %zu kept)",
                report.before, report.after, report.kept_epoch);
    for (size_t layer = 0; layer < kept_.size(); ++layer) {
        for (const DistillLinear& linear : blocks[layer].linears) pack(kept_[layer], linear.role);
        write_trained(kept_[layer], layer);
        kept_[layer] = {};
    }
}

void Walk::write_trained(Block& block, size_t layer) {
    write_vectors(block, layer);
    for (size_t i = 0; i < block.packed.size(); ++i) {
        const WeightRow& row = source_.arch().block_weights[i];
        if (row.kind == WeightKind::vector) continue;
        write_tensor(rotated_.read(row, layer), layer, static_cast<RoleId>(i), block, std::move(block.reports[i]));
    }
}

}  // namespace gq
