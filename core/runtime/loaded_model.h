// Everything that one .gq holds, opened and bound: weights, tokenizer, chat template, generation settings.
// In: a path. Out: one object that sessions read. Immutable after opening: many threads may share it. Must not know sampling or callers.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "core/model/model.h"
#include "core/runtime/sampler.h"
#include "core/text/chat_template.h"
#include "core/text/tokenizer.h"
#include "formats/gq_file.h"

namespace gq {

// The "generation" section: {"stop_ids": [2], "temperature": 0.2, …}; missing settings keep the library's defaults.
struct GenerationSettings {
    std::vector<int32_t> stop_ids;
    SamplerOptions sampler;

    std::string to_json() const;
    static GenerationSettings from_json(std::string_view json, const std::string& where);
    // From generation_config.json / config.json, or GGUF's eos, eot and eom ids.
    static GenerationSettings from_checkpoint(const Checkpoint& checkpoint, const Tokenizer& tokenizer);
};

struct LoadedModel {
    GqFile file;
    Model model;
    Tokenizer tokenizer;
    std::optional<ChatTemplate> chat_template;
    GenerationSettings generation;

    // verify: compare every hash first. Throws FormatError | Error.
    static std::unique_ptr<LoadedModel> open(const std::filesystem::path& path, bool verify);

    uint64_t n_weights() const;       // values in linears and the embedding, once when tied
    uint64_t streamed_bytes() const;  // weight bytes that one decoded token reads: all linears and the head
};

}  // namespace gq
