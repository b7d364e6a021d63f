// How a model wants to be sampled: stop ids and sampling options, as .gq files and checkpoints carry them.
// In: JSON of any origin. Out: settings whose every value is within its range, or an error naming key, range and value.
// Must not know logits or sequences; core/runtime/sampler.h says what the options do.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/tokenizer.h"
#include "formats/checkpoint.h"

namespace gq {

struct SamplerOptions {
    float temperature = 0.8f;  // 0: always the most likely token (lowest id on ties)
    int32_t top_k = 40;        // 0: all
    float top_p = 0.95f;       // 1: all
    float min_p = 0.05f;       // 0: all
    float repetition_penalty =
        1.0f;  // 1: none; logits of seen tokens are divided (positive) or multiplied (negative) by it
    int32_t repetition_window = 64;  // how many of the last tokens count as seen; 0: none
    uint64_t seed = 0;

    // Throws Error(invalid_argument) naming an option out of its range.
    void check() const;
};

// The "generation" section: {"stop_ids": [2], "temperature": 0.2, …}; missing settings keep the library's defaults.
struct GenerationSettings {
    std::vector<int32_t> stop_ids;
    SamplerOptions sampler;

    std::string to_json() const;
    // Throws Error(bad_file) | FormatError, naming `where`.
    static GenerationSettings from_json(std::string_view json, const std::string& where);
    // From generation_config.json / config.json, or GGUF's eos, eot and eom ids.
    static GenerationSettings from_checkpoint(const Checkpoint& checkpoint, const Tokenizer& tokenizer);
};

}  // namespace gq
