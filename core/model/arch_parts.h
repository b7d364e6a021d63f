// What several families of networks are made of: shapes of weights, rows of their tables.
// In: hyper-parameters, names. Out: sizes, rows. Must not know any one family.
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

}  // namespace gq::parts
