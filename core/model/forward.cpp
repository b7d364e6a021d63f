// Interprets steps on a Backend: the only place that says which operation each kind of step is. See forward.h.
// In: a range of steps, a batch's slots, bound weights. Out: the slots that the steps write; pages of the kv cache.
// Must not know architectures, tokens or machines behind the Backend.
#include "core/model/forward.h"

#include "core/base/status.h"

namespace gq {

SlotMemory::SlotMemory(Backend& backend, const Network& network, size_t max_rows) : max_rows_(max_rows) {
    for (const SlotSpec& spec : network.slots) {
        const size_t stride = round_up(spec.width, tile_cols);
        memory_.emplace_back(backend, checked_mul(stride, max_rows, spec.name));
        slots_.push_back({memory_.back().data(), stride, spec.width});
    }
}

void SlotMemory::place(SlotId slot, float* rows) {
    slots_[slot].data = rows ? rows : memory_[slot].data();
}

size_t SlotMemory::bytes_needed(const Network& network, size_t max_rows) {
    size_t total = 0;
    for (const SlotSpec& spec : network.slots)
        total += checked_mul(max_rows, round_up(spec.width, tile_cols) * sizeof(float), spec.name);
    return total;
}

void Forward::run(const StepList& list, size_t begin, size_t end, const BlockWeights& weights, const RowSet& rows,
                  const SlotMemory& slots) {
    for (size_t i = begin; i < end;) {
        if (list.steps[i].op == Op::linear) {
            i = run_linears(list, i, end, weights, rows.size(), slots);
        } else {
            run_step(list.steps[i++], weights, rows, slots);
        }
    }
}

namespace {

// The linear among `tasks` that the step adds a bias to, in place; null: none.
LinearTask* biased_by(const Step& step, std::vector<LinearTask>& tasks, const SlotMemory& slots) {
    if (step.op != Op::add_bias || step.in[0] != step.out) return nullptr;
    for (LinearTask& task : tasks)
        if (task.y.data == slots[step.out].data && !task.bias) return &task;
    return nullptr;
}

}  // namespace

// Neighbouring linears that share their input, and the biases behind them, are one call: x is prepared once and one
// barrier ends them all.
size_t Forward::run_linears(const StepList& list, size_t begin, size_t end, const BlockWeights& weights, size_t n_rows,
                            const SlotMemory& slots) {
    std::vector<LinearTask> tasks;
    size_t i = begin;
    for (; i < end && list.steps[i].op == Op::linear && list.steps[i].in[0] == list.steps[begin].in[0]; ++i) {
        const Weight& weight = weights.roles[list.steps[i].weight];
        tasks.push_back({&weight.matrix, weight.bias, slots[list.steps[i].out], &weight.low_rank});
    }
    while (i < end) {
        LinearTask* const task = biased_by(list.steps[i], tasks, slots);
        if (!task) break;
        task->bias = weights.roles[list.steps[i++].weight].vector;
    }
    backend_.linear(slots[list.steps[begin].in[0]], n_rows, tasks, precision_);
    return i;
}

void Forward::run_step(const Step& step, const BlockWeights& weights, const RowSet& rows, const SlotMemory& slots) {
    const Activations &x = slots[step.in[0]], &y = slots[step.in[1]], &out = slots[step.out];
    switch (step.op) {
        case Op::center:
            return backend_.center(x, rows.size(), out);
        case Op::rms_norm:
            return backend_.rms_norm(x, rows.size(), weights.roles[step.weight].vector, network_.norm_eps, out);
        case Op::rope:
            return backend_.rope(x, rows.positions, step.heads, network_.head_dim, network_.rope_inv_freq.data());
        case Op::attention:
            if (!rows.geometry) fail(Status::internal, "forward: attention outside of blocks");
            return backend_.attention(x, y, slots[step.in[2]], rows.segments, *rows.geometry, rows.layer,
                                      step.attention, out);
        case Op::silu_mul:
            return backend_.silu_mul(x, y, rows.size(), out);
        case Op::relu:
            return backend_.relu(x, rows.size(), out);
        case Op::gelu:
            return backend_.gelu(x, rows.size(), out);
        case Op::add_bias:
            return backend_.add_bias(x, weights.roles[step.weight].vector, rows.size(), out);
        case Op::position:
            return look_up_positions(step, weights.roles[step.weight].matrix, rows, slots);
        case Op::add:
            return backend_.add(x, y, rows.size(), out);
        case Op::linear:
            break;  // run_linears
    }
    fail(Status::internal, "forward: step of kind %d has no interpreter", static_cast<int>(step.op));
}

void Forward::look_up_positions(const Step& step, const PackedMatrix& table, const RowSet& rows,
                                const SlotMemory& slots) {
    std::vector<int32_t> ids;
    for (const int32_t position : rows.positions) {
        if (static_cast<size_t>(position) + step.first_row >= table.rows)
            fail(Status::invalid_argument, "position %d: this model has learned %zu positions and no more", position,
                 table.rows - step.first_row);
        ids.push_back(position + static_cast<int32_t>(step.first_row));
    }
    backend_.embed(table, ids, slots[step.out]);
}

void Forward::embed(const Weight& embedding, const BlockWeights& outer, std::span<const int32_t> tokens,
                    const RowSet& rows, const SlotMemory& slots) {
    backend_.embed(embedding.matrix, tokens, slots[network_.residual]);
    run(network_.prologue, 0, network_.prologue.steps.size(), outer, rows, slots);
}

void Forward::head(const Model& model, std::span<const size_t> wanted, const SlotMemory& slots,
                   const Activations& logits) {
    backend_.gather_rows(slots[network_.residual], wanted, slots[network_.selected]);
    const std::vector<int32_t> positions(wanted.size());  // the epilogue has no step that looks at them
    const RowSet rows{.positions = positions, .segments = {}, .geometry = nullptr, .layer = 0};
    run(network_.epilogue, 0, network_.epilogue.steps.size(), model.outer, rows, slots);
    const LinearTask task{&model.head.matrix, model.head.bias, logits};
    backend_.linear(slots[network_.head_input], wanted.size(), {&task, 1}, precision_);
}

}  // namespace gq
