// Training of what was rounded: each block towards the float block, then the whole model's grids and norms towards the
// float model's predictions. See walk.h.
#include "core/base/log.h"
#include "core/quantize/walk.h"

namespace gq {

RefineBlock Walk::trainables(Block& block, size_t layer) const {
    RefineBlock result;
    for (size_t i = 0; i < block.weights.roles.size(); ++i) {
        const RoleId role = static_cast<RoleId>(i);
        if (block.vectors[i].size() > 0) {
            result.norms.push_back({role, block.vectors[i].data(), block.vectors[i].size()});
        } else {
            const float* weights = block.floats.empty() ? nullptr : block.floats[i].data();
            result.linears.push_back({role, weights, &block.rounded[i], choice_of(role, layer)});
        }
    }
    return result;
}

// cost: of all windows in all epochs, those that a training holds out itself included, after which nothing is told.
std::function<void()> Walk::counted_windows(double cost, size_t epochs, std::string activity) {
    const double share = cost / static_cast<double>(windows_.size() * epochs);
    return [this, share, activity = std::move(activity)] {
        cost_done_ += share;
        tell_activity(activity);
    };
}

DistillRows Walk::trained_rows(const Matrix& inputs, const Matrix& targets) const {
    return {.inputs = inputs.view(), .targets = targets.view(), .window = options_.window, .unseen = options_.held_out};
}

// The quantized stream goes through the block once more, as it has become.
void Walk::distill(Block& block, size_t layer) {
    const StepList& steps = source_.network().blocks[layer];
    const SlotId residual = source_.network().residual;
    const RefineBlock parts = trainables(block, layer);
    const Matrix targets = reference_->rows(residual);
    DistillOptions options;
    options.epochs = options_.distill_epochs;
    const double cost = cost_done_ + distill_cost();
    options.between_windows =
        counted_windows(distill_cost(), options_.distill_epochs, "training of " + place_of(layer));
    const DistillReport report = distill_block(compute_, source_.network(), steps, parts.linears, parts.norms,
                                               trained_rows(block.inputs, targets), options);
    cost_done_ = cost;
    log_message(LogLevel::info, "block %zu: loss on held-out windows %.5f, %.5f after distillation (epoch %zu kept)",
                layer, report.before, report.after, report.kept_epoch);
    for (const DistillLinear& linear : parts.linears) pack(block, layer, linear.role);
    stream_->set_rows(residual, block.inputs);
    stream_->run(steps, 0, steps.steps.size(), block.weights);
    block.inputs = {};
}

// In strips; turn: memory for what hidden rows are turned by in front of it.
HeadRows Walk::quantized_head(AlignedBuffer<float>& turn) const {
    const size_t hidden = source_.params().hidden;
    HeadRows head;
    head.vocab = source_.params().vocab;
    head.read = [this, hidden](size_t begin, size_t end, float* out) {
        compute_.pool.for_ranges(end - begin, 1, [&](size_t first, size_t last, size_t) {
            unpack_rows(head_.matrix, begin + first, begin + last, out + first * hidden, hidden);
        });
    };
    if (!rotated_.params().head_turn) return head;
    turn = AlignedBuffer<float>(hidden * hidden);
    unpack_rows(head_turn_.matrix, 0, hidden, turn.data(), hidden);
    head.turn = {turn.data(), hidden, hidden, hidden};
    return head;
}

void Walk::refine() {
    stream_.reset();  // the blocks' own outputs are not needed any more
    std::vector<RefineBlock> blocks;
    for (size_t layer = 0; layer < kept_.size(); ++layer) blocks.push_back(trainables(kept_[layer], layer));
    AlignedBuffer<float> turn, exact_turn;
    RefineHead head{.quantized = quantized_head(turn), .exact = float_head(source_), .outer = outer_.roles};
    if (rotated_.turned()) {  // of the head's inputs: reading the head itself turned would take longer than its product
        const size_t hidden = source_.params().hidden;
        exact_turn = rotated_.turn_back();
        head.exact.turn = {exact_turn.data(), hidden, hidden, hidden};
    }
    const Matrix targets = reference_->rows(source_.network().residual);
    RefineOptions options;
    options.epochs = options_.refine_epochs;
    const double cost = cost_done_ + refine_cost();
    options.between_windows = counted_windows(refine_cost(), options_.refine_epochs, "training of scales and norms");
    const RefineReport report =
        refine_model(compute_, source_.network(), blocks, head, trained_rows(embedded_, targets), options);
    cost_done_ = cost;
    log_message(LogLevel::info, "model: KL on held-out windows %.5f, %.5f after refinement (epoch %zu kept)",
                report.before, report.after, report.kept_epoch);
    run_.refinement = {report.before, report.after, report.kept_epoch};
    for (size_t layer = 0; layer < kept_.size(); ++layer) {
        for (const DistillLinear& linear : blocks[layer].linears) pack(kept_[layer], layer, linear.role);
        if (judge_) judge_->run(source_.network().blocks[layer], kept_[layer].weights);
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
