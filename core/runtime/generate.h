// Prompt → text: prefill, sample, decode, until something says stop.
// In: a session, a prompt, settings, a callback. Out: text in whole UTF-8 sequences, and why it ended. Must not know
// terminals or C.
#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "core/model/loaded_model.h"
#include "core/runtime/sampler.h"
#include "core/runtime/session.h"

namespace gq {

enum class FinishReason { stop, length, context, callback };

struct GenerateOptions {
    SamplerOptions sampler;
    size_t max_tokens = 0;  // 0: until a stop token or the context is full
    bool ignore_stop = false;
};

struct GenerateResult {
    FinishReason reason = FinishReason::stop;
    size_t n_prompt = 0, n_generated = 0;
    double prompt_seconds = 0, generate_seconds = 0;
};

// Called with the text that a token makes final (maybe empty); token -1 while the prompt is read. True stops.
using TextCallback = std::function<bool(std::string_view text, int32_t token)>;

// Appends to `sequence`, which keeps prompt and answer. Error(context_full) when the prompt does not fit; nothing has
// changed then.
GenerateResult generate(const LoadedModel& loaded, Session& session, SequenceId sequence,
                        std::span<const int32_t> prompt, const GenerateOptions& options, const TextCallback& on_text);

}  // namespace gq
