// Prefill, sample, decode. See generate.h.
// In: token ids of a prompt, options, a session. Out: pieces of text through the callback, and what it took.
// Must not know kernels, files or the C interface.
#include "core/runtime/generate.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "core/base/status.h"

namespace gq {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

constexpr size_t prompt_chunk = 512;  // rows between two calls of the callback while the prompt is read

// False when the callback stopped it.
bool read_prompt(Session& session, SequenceId sequence, std::span<const int32_t> prompt, const TextCallback& on_text) {
    const size_t start = session.length(sequence);
    for (size_t done = 0; done < prompt.size(); done += prompt_chunk) {
        if (done > 0 && on_text && on_text("", -1)) return false;
        std::vector<BatchRow> rows;
        for (size_t i = done; i < std::min(prompt.size(), done + prompt_chunk); ++i)
            rows.push_back({sequence, static_cast<int32_t>(start + i), prompt[i], i + 1 == prompt.size()});
        session.decode(rows);
    }
    return true;
}

// Samples and decodes until something says stop; fills reason and n_generated.
void write_answer(const LoadedModel& loaded, Session& session, SequenceId sequence, std::span<const int32_t> prompt,
                  const GenerateOptions& options, const TextCallback& on_text, Sampler& sampler,
                  GenerateResult& result) {
    const std::vector<int32_t>& stops = loaded.generation.stop_ids;
    std::vector<int32_t> history(prompt.begin(), prompt.end());
    StreamDecoder decoder(loaded.tokenizer);
    const auto next_reason = [&](int32_t token) -> std::optional<FinishReason> {
        if (!options.ignore_stop && std::find(stops.begin(), stops.end(), token) != stops.end())
            return FinishReason::stop;
        history.push_back(token);
        const std::string text = decoder.push(token);
        if (on_text && on_text(text, token)) return FinishReason::callback;
        if (result.n_generated == options.max_tokens) return FinishReason::length;
        if (!session.has_room(sequence, 1)) return FinishReason::context;
        return std::nullopt;
    };
    while (true) {
        const int32_t token = sampler.sample(session.logits(0), history);
        ++result.n_generated;
        if (const std::optional<FinishReason> reason = next_reason(token)) {
            result.reason = *reason;
            break;
        }
        const BatchRow row{sequence, static_cast<int32_t>(session.length(sequence)), token, true};
        session.decode({&row, 1});
    }
    const std::string rest = decoder.finish();
    if (on_text && !rest.empty()) on_text(rest, -1);
}

}  // namespace

GenerateResult generate(const LoadedModel& loaded, Session& session, SequenceId sequence,
                        std::span<const int32_t> prompt, const GenerateOptions& options, const TextCallback& on_text) {
    Sampler sampler(options.sampler);
    const size_t start = session.length(sequence);
    if (prompt.empty()) fail(Status::invalid_argument, "prompt: at least one token expected, found none");
    if (!session.has_room(sequence, prompt.size()))
        fail(Status::context_full,
             "prompt: %zu tokens after %zu in the sequence do not fit; the context holds %zu, in pages of %zu, for all "
             "sequences",
             prompt.size(), start, session.context(), kv_page_positions);
    GenerateResult result;
    result.n_prompt = prompt.size();
    const auto prompt_start = Clock::now();
    try {
        if (!read_prompt(session, sequence, prompt, on_text)) {
            result.reason = FinishReason::callback;
            result.prompt_seconds = seconds_since(prompt_start);
            return result;
        }
    } catch (...) {
        session.truncate(sequence, start);
        throw;
    }
    result.prompt_seconds = seconds_since(prompt_start);
    const auto answer_start = Clock::now();
    write_answer(loaded, session, sequence, prompt, options, on_text, sampler, result);
    result.generate_seconds = seconds_since(answer_start);
    return result;
}

}  // namespace gq
