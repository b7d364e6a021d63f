// What computing one token takes, by the sizes of a model: what speed is held against the machine's limits with.
// In: a model, a session's options. Out: counts. Must not know speed.
#pragma once

#include <cstdint>

#include "core/runtime/session.h"

namespace gq {

struct TokenCost {
    uint64_t kv_bytes = 0;                 // of the cache, that its attention reads
    uint64_t int8_macs = 0, f32_macs = 0;  // multiply-adds of its linears, by the numbers that they multiply
};

// Of the token at `position`, 0 being a sequence's first; want_logits: with the head, and what stands before it.
TokenCost token_cost(const Model& model, const SessionOptions& options, size_t position, bool want_logits);

}  // namespace gq
