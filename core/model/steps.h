// A network as data: steps between slots, cut into stages. An arch_X.cpp builds it; forward.cpp interprets it.
// In: nothing. Out: lists that know their shapes before anything runs. Must not know weights' bytes, files or
// sequences.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/kernels/backend.h"

namespace gq {

// The kinds of step. `in` and `out` are slots; `weight` is a role of the block.
enum class Op : uint8_t {
    center,     // out = in[0] - mean(in[0])
    rms_norm,   // out = norm(in[0]) * weight
    linear,     // out = weight · in[0]
    add_bias,   // out = in[0] + weight
    position,   // out = the weight's row of the position
    rope,       // out = in[0] with every head turned by its position (in place: out == in[0])
    attention,  // out = attention(in[0] = q, in[1] = k, in[2] = v)
    silu_mul,   // out = silu(in[0]) * in[1]
    relu,       // out = max(in[0], 0)
    gelu,       // out = gelu(in[0])
    add,        // out = in[0] + in[1]
};

size_t n_inputs(Op op);  // slots that it reads

using SlotId = uint8_t;
using RoleId = uint8_t;

struct Step {
    Op op;
    SlotId in[3] = {};
    SlotId out = 0;
    RoleId weight = 0;       // linear, rms_norm, add_bias, position
    uint32_t heads = 0;      // rope: heads of the slot
    uint32_t first_row = 0;  // position: the table's row of position 0
    AttentionShape attention = {};

    bool operator==(const Step&) const = default;
};

struct SlotSpec {
    const char* name;
    size_t width;
};

// A list of steps and where its stages begin. A stage starts at each run of linears that share one input;
// the steps before the first one prepare that input.
struct StepList {
    std::vector<Step> steps;
    std::vector<size_t> stage_begin;  // ascending; stage i is [stage_begin[i], stage_begin[i + 1] or the end)

    // Fills stage_begin from the steps.
    void cut_into_stages();
    size_t stage_end(size_t stage) const {
        return stage + 1 < stage_begin.size() ? stage_begin[stage + 1] : steps.size();
    }
    // The linears that open a stage, as step indices; they share steps[stage_begin[stage]].in[0].
    std::vector<size_t> stage_linears(size_t stage) const;
    // Slots that a step at or after `step` reads before any writes them, and `kept` (what the list's successor reads)
    // unless overwritten first.
    std::vector<SlotId> live_slots(size_t step, SlotId kept) const;
};

struct Network {
    std::vector<SlotSpec> slots;
    SlotId residual = 0;           // the slot that the embedding fills and blocks pass on
    StepList prologue;             // on the embedding's rows; it and the epilogue use the weights of Model::outer
    std::vector<StepList> blocks;  // one a layer; layers may differ
    StepList epilogue;             // residual → head_input
    SlotId selected = 0;           // where the rows that want logits are gathered before the epilogue
    SlotId head_input = 0;
    float norm_eps = 0;
    size_t head_dim = 0;
    std::vector<float> rope_inv_freq;
    size_t most_positions = 0;  // 0: any number
};

}  // namespace gq
