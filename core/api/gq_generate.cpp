// Generating text through gq.h.
// In: handles and options of the caller, checked here. Out: text through the caller's callback, counts, gq_status.
// Must not know how tokens are computed: core/runtime does.
#include "core/api/boundary.h"
#include "core/api/handles.h"
#include "core/runtime/generate.h"

namespace gq {
namespace {

// Cast as they are.
constexpr bool same(FinishReason reason, gq_finish_reason number) {
    return static_cast<int>(reason) == static_cast<int>(number);
}
static_assert(same(FinishReason::stop, GQ_FINISH_STOP) && same(FinishReason::length, GQ_FINISH_LENGTH) &&
              same(FinishReason::context, GQ_FINISH_CONTEXT) && same(FinishReason::callback, GQ_FINISH_CALLBACK));

gq_generate_options to_c(const SamplerOptions& s) {
    return {.struct_size = sizeof(gq_generate_options),
            .max_tokens = 0,
            .temperature = s.temperature,
            .top_k = s.top_k,
            .top_p = s.top_p,
            .min_p = s.min_p,
            .repetition_penalty = s.repetition_penalty,
            .repetition_window = s.repetition_window,
            .seed = s.seed,
            .ignore_stop = 0};
}

GenerateOptions from_c(const gq_generate_options& o) {
    if (o.max_tokens < 0) fail(Status::invalid_argument, "max_tokens: expected 0 or more, found %d", o.max_tokens);
    return {.sampler = {.temperature = o.temperature,
                        .top_k = o.top_k,
                        .top_p = o.top_p,
                        .min_p = o.min_p,
                        .repetition_penalty = o.repetition_penalty,
                        .repetition_window = o.repetition_window,
                        .seed = o.seed},
            .max_tokens = static_cast<size_t>(o.max_tokens),
            .ignore_stop = o.ignore_stop != 0};
}

}  // namespace
}  // namespace gq

extern "C" {

void gq_generate_defaults(const gq_model* model, gq_generate_options* options) {
    if (!options) return;
    *options = gq::to_c(model && model->loaded ? model->loaded->generation.sampler : gq::SamplerOptions{});
}

gq_status gq_generate(gq_session* session, uint32_t sequence, const int32_t* prompt, size_t n_prompt,
                      const gq_generate_options* options, gq_text_callback callback, void* user,
                      gq_generate_result* result) {
    return gq::guarded([&] {
        gq::require(session, "session");
        gq::require(prompt, "prompt");
        gq_generate_options defaults;
        gq_generate_defaults(session->model, &defaults);
        const gq::GenerateOptions o = gq::from_c(gq::options_or_defaults(options, defaults, "gq_generate_options"));
        if (result) gq::options_or_defaults(result, {}, "gq_generate_result");
        gq::TextCallback on_text;
        if (callback)
            on_text = [&](std::string_view text, int32_t token) {
                return callback(std::string(text).c_str(), text.size(), token, user) != 0;
            };
        const gq::GenerateResult r =
            gq::generate(*session->model->loaded, session->session, sequence, {prompt, n_prompt}, o, on_text);
        if (result)
            *result = {.struct_size = sizeof *result,
                       .finish_reason = static_cast<gq_finish_reason>(r.reason),
                       .n_prompt_tokens = static_cast<int32_t>(r.n_prompt),
                       .n_generated_tokens = static_cast<int32_t>(r.n_generated),
                       .prompt_seconds = r.prompt_seconds,
                       .generate_seconds = r.generate_seconds};
        return GQ_OK;
    });
}

}  // extern "C"
