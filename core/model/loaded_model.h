// Everything that one .gq holds, opened and bound: weights, tokenizer, chat template, generation settings.
// In: a path. Out: one object that sessions read. Immutable after opening: many threads may share it.
// Must not know sequences, sampling or callers.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/model/generation_settings.h"
#include "core/model/model.h"
#include "core/text/chat_template.h"
#include "core/text/tokenizer.h"
#include "formats/gq_file.h"

namespace gq {

struct LoadedModel {
    GqFile file;
    Model model;
    Tokenizer tokenizer;
    std::optional<std::string_view> chat_template;  // its source, in the file; nothing but render_chat() reads it
    GenerationSettings generation;

    // verify: compare every hash first. lock: keep the file's bytes in memory; where the system refuses, a warning of
    // the log says why and the model opens without. Throws FormatError | Error.
    static std::unique_ptr<LoadedModel> open(const std::filesystem::path& path, bool verify,
                                             FileMemory memory = FileMemory::mapped, bool lock = false);

    // The model's own template over these messages. It is parsed here and not before, so that a template beyond this
    // version stops nobody who does without. Throws Error(unsupported) when there is none, and what ChatTemplate
    // throws.
    std::string render_chat(std::span<const ChatMessage> messages, bool add_generation_prompt) const;

    uint64_t n_weights() const;       // values in linears and the embedding, once when tied
    uint64_t streamed_bytes() const;  // weight bytes that one decoded token reads: all linears and the head
};

}  // namespace gq
