// Networks of pre-norm blocks with LayerNorms and a bias on every linear, as OPT and BLOOM are.
// In: hyper-parameters, what attention and activation are. Out: roles, slots, steps; all but what stands in front of
// the blocks. Must not know either family's names.
#pragma once

#include "core/base/status.h"
#include "core/model/arch_parts.h"

namespace gq::parts {

inline Step linear(SlotId in, RoleId role, SlotId out) {
    return {.op = Op::linear, .in = {in}, .out = out, .weight = role};
}
inline Step bias(SlotId slot, RoleId role) {
    return {.op = Op::add_bias, .in = {slot}, .out = slot, .weight = role};
}

// A network of two-halved blocks, x += attention(LayerNorm(x)), x += down(activation(up(LayerNorm(x)))), with a bias on
// every linear: roles of a block, each with its bias behind it, and slots.
enum BiasedRole : RoleId {
    attn_norm,
    attn_norm_bias,
    attn_q,
    attn_q_bias,
    attn_k,
    attn_k_bias,
    attn_v,
    attn_v_bias,
    attn_o,
    attn_o_bias,
    ffn_norm,
    ffn_norm_bias,
    ffn_up,
    ffn_up_bias,
    ffn_down,
    ffn_down_bias
};
enum BiasedSlot : SlotId { residual, centered, normed, q, k, v, mixed, delta, up };

// normed = LayerNorm(in).
inline void add_layer_norm(std::vector<Step>& steps, SlotId in, RoleId norm, RoleId norm_bias) {
    steps.push_back({.op = Op::center, .in = {in}, .out = centered});
    steps.push_back({.op = Op::rms_norm, .in = {centered}, .out = normed, .weight = norm});
    steps.push_back(bias(normed, norm_bias));
}

inline StepList biased_block(const AttentionShape& shape, Op activation) {
    const Step add_delta{.op = Op::add, .in = {residual, delta}, .out = residual};
    StepList list;
    const auto add = [&](std::initializer_list<Step> more) { list.steps.insert(list.steps.end(), more); };
    add_layer_norm(list.steps, residual, attn_norm, attn_norm_bias);
    add({linear(normed, attn_q, q), linear(normed, attn_k, k), linear(normed, attn_v, v)});
    add({bias(q, attn_q_bias), bias(k, attn_k_bias), bias(v, attn_v_bias)});
    add({{.op = Op::attention, .in = {q, k, v}, .out = mixed, .attention = shape}});
    add({linear(mixed, attn_o, delta), bias(delta, attn_o_bias), add_delta});
    add_layer_norm(list.steps, residual, ffn_norm, ffn_norm_bias);
    add({linear(normed, ffn_up, up), bias(up, ffn_up_bias), {.op = activation, .in = {up}, .out = up}});
    add({linear(up, ffn_down, delta), bias(delta, ffn_down_bias), add_delta});
    list.cut_into_stages();
    return list;
}

// All but the prologue; final_norm, final_norm_bias: outer roles.
inline Network biased_network(const HyperParams& p, const AttentionShape& shape, Op activation, RoleId final_norm,
                              RoleId final_norm_bias) {
    Network net;
    net.slots = {{"residual", p.hidden}, {"centered", p.hidden}, {"normed", p.hidden},
                 {"q", q_width(p)},      {"k", kv_width(p)},     {"v", kv_width(p)},
                 {"mixed", q_width(p)},  {"delta", p.hidden},    {"up", p.ffn}};
    net.residual = residual;
    net.blocks.assign(p.n_layers, biased_block(shape, activation));
    net.selected = delta;
    net.head_input = normed;
    add_layer_norm(net.epilogue.steps, delta, final_norm, final_norm_bias);
    net.norm_eps = static_cast<float>(p.norm_eps);
    net.head_dim = p.head_dim;
    return net;
}

// Heads that share the hidden width evenly; checks all sizes.
inline void divide_hidden(HyperParams& p, size_t n_heads) {
    p.n_heads = p.n_kv_heads = n_heads;
    p.head_dim = n_heads > 0 ? p.hidden / n_heads : 0;
    p.check_sizes();
    if (p.head_dim * n_heads != p.hidden)
        fail(Status::bad_file, "config.json: a hidden size that is a multiple of the %zu heads expected, found %zu",
             n_heads, p.hidden);
}

}  // namespace gq::parts
