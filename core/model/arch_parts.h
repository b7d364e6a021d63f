// What several families of networks are made of: shapes of weights, rows of their tables, steps that go together.
// In: hyper-parameters, slots, roles. Out: sizes, rows, steps. Must not know any one family.
#pragma once

#include <cmath>

#include "core/model/arch.h"

namespace gq::parts {

inline size_t one(const HyperParams&) {
    return 1;
}
inline size_t vocab(const HyperParams& p) {
    return p.vocab;
}
inline size_t hidden(const HyperParams& p) {
    return p.hidden;
}
inline size_t ffn(const HyperParams& p) {
    return p.ffn;
}
inline size_t q_width(const HyperParams& p) {
    return p.n_heads * p.head_dim;
}
inline size_t kv_width(const HyperParams& p) {
    return p.n_kv_heads * p.head_dim;
}

// Rows of families that no GGUF file is read of.
constexpr WeightRow vector_row(const char* role, const char* name, size_t (*length)(const HyperParams&),
                               HeadPart part = {}) {
    return {role, name, "", WeightKind::vector, RowOrder::same, one, length, part};
}
constexpr WeightRow linear_row(const char* role, const char* name, size_t (*rows)(const HyperParams&),
                               size_t (*cols)(const HyperParams&), HeadPart part = {}) {
    return {role, name, "", WeightKind::linear, RowOrder::same, rows, cols, part};
}

inline AttentionShape attention_shape(const HyperParams& p) {
    return {.n_heads = p.n_heads,
            .n_kv_heads = p.n_kv_heads,
            .head_dim = p.head_dim,
            .window = p.sliding_window,
            .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(p.head_dim))),
            .alibi = false};
}

inline Step linear(SlotId in, RoleId role, SlotId out) {
    return {.op = Op::linear, .in = {in}, .out = out, .weight = role};
}
inline Step bias(SlotId slot, RoleId role) {
    return {.op = Op::add_bias, .in = {slot}, .out = slot, .weight = role};
}

struct LayerNormSlots {
    SlotId centered, normed;
};
// normed = LayerNorm(in) by weights of two roles.
inline void add_layer_norm(std::vector<Step>& steps, SlotId in, const LayerNormSlots& slots, RoleId norm,
                           RoleId norm_bias) {
    steps.push_back({.op = Op::center, .in = {in}, .out = slots.centered});
    steps.push_back({.op = Op::rms_norm, .in = {slots.centered}, .out = slots.normed, .weight = norm});
    steps.push_back(bias(slots.normed, norm_bias));
}

// A block of two halves, x += attention(LayerNorm(x)), x += down(activation(up(LayerNorm(x)))), with a bias on every
// linear.
struct BiasedBlock {
    SlotId x, q, k, v, mixed, delta, up;
    LayerNormSlots norm_slots;
    // Roles, each with that of its bias behind it.
    RoleId attn_norm, attn_q, attn_k, attn_v, attn_o, ffn_norm, ffn_up, ffn_down;
};

inline StepList biased_block(const BiasedBlock& b, const AttentionShape& shape, Op activation) {
    const SlotId normed = b.norm_slots.normed;
    const Step residual{.op = Op::add, .in = {b.x, b.delta}, .out = b.x};
    const auto behind = [](RoleId role) { return static_cast<RoleId>(role + 1); };
    StepList list;
    const auto add = [&](std::initializer_list<Step> more) { list.steps.insert(list.steps.end(), more); };
    add_layer_norm(list.steps, b.x, b.norm_slots, b.attn_norm, behind(b.attn_norm));
    add({linear(normed, b.attn_q, b.q),
         linear(normed, b.attn_k, b.k),
         linear(normed, b.attn_v, b.v),
         bias(b.q, behind(b.attn_q)),
         bias(b.k, behind(b.attn_k)),
         bias(b.v, behind(b.attn_v)),
         {.op = Op::attention, .in = {b.q, b.k, b.v}, .out = b.mixed, .attention = shape}});
    add({linear(b.mixed, b.attn_o, b.delta), bias(b.delta, behind(b.attn_o)), residual});
    add_layer_norm(list.steps, b.x, b.norm_slots, b.ffn_norm, behind(b.ffn_norm));
    add({linear(normed, b.ffn_up, b.up), bias(b.up, behind(b.ffn_up)), {.op = activation, .in = {b.up}, .out = b.up}});
    add({linear(b.up, b.ffn_down, b.delta), bias(b.delta, behind(b.ffn_down)), residual});
    list.cut_into_stages();
    return list;
}

}  // namespace gq::parts
