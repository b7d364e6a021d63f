// Calibration text that a model writes itself, for models whose users have no text like their own.
// In: a float model, its tokenizer, openings from the built-in text. Out: text, the same for the same model everywhere.
// Must not know what it calibrates. Source: data-free calibration of LLM-QAT (Liu et al., arXiv 2305.17888), with
// openings of many kinds instead of a single first token.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "core/kernels/compute.h"
#include "core/model/generation_settings.h"
#include "core/model/model.h"
#include "core/text/tokenizer.h"

namespace gq {

struct OwnTextOptions {
    size_t n_tokens = 0;           // written at least, openings included
    size_t document_tokens = 512;  // of a document at most; it ends earlier where the model stops
    // Document i draws with seed i. Nothing that the model may say is cut off: what it deems unlikely stands in real
    // text, too.
    SamplerOptions sampler = {.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0};
    std::function<void()> between_steps = {};  // may throw, to cancel
};

// Documents, an empty line behind each. Memory: the KV cache of 32 documents, logits of 32 rows.
std::string write_own_text(const Model& model, const Tokenizer& tokenizer, std::span<const int32_t> stop_ids,
                           const Compute& compute, const OwnTextOptions& options);

}  // namespace gq
