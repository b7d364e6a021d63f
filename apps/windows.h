// Passes over tokens whose logits are scored: a text in windows, by one model or by two in lock-step.
// In: sessions and tokens. Out: scores. Must not know files, options or how results are printed.
#pragma once

#include <functional>
#include <span>

#include "apps/scoring.h"
#include "core/api/gq.h"

namespace windows {

inline constexpr size_t rows_at_once = 128;  // bounds the logits that wait to be scored

// Decodes tokens [begin, tokens.size()) of a sequence that holds those before. Calls visit(i, logits) for each i from
// max(begin + 1, first_scored) on, with the logits that predict tokens[i].
using Visit = std::function<void(size_t i, const float* logits)>;
void decode(gq_session* session, uint32_t sequence, std::span<const int32_t> tokens, size_t begin, size_t first_scored,
            const Visit& visit);

// One window from an empty sequence 0 to an empty sequence 0.
void score(gq_session* session, std::span<const int32_t> window, size_t first_scored, size_t vocab, scoring::Mean& nll);
// The same window by two models; both must have the same vocabulary.
void compare(gq_session* reference, gq_session* model, std::span<const int32_t> window, size_t first_scored,
             size_t vocab, scoring::Comparison& comparison);

}  // namespace windows
