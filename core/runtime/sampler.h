// Logits → the next token.
// In: logits, the tokens so far, options. Out: a token id; the same one for the same seed on every machine. Must not
// know text or sequences. Order, as users of other runtimes expect it: repetition penalty, temperature 0 → greedy; else
// top-k, top-p, min-p, temperature, draw.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/model/generation_settings.h"

namespace gq {

class Sampler {
  public:
    // Throws Error(invalid_argument) naming an option out of its range.
    explicit Sampler(const SamplerOptions& options);
    // Throws Error(numeric) when no logit is finite.
    int32_t sample(std::span<const float> logits, std::span<const int32_t> history);

  private:
    struct Candidate {
        float logit;
        int32_t id;
    };
    void penalise(std::span<const int32_t> history);
    void keep_top_k();
    void keep_likely();
    int32_t draw();
    double next_uniform();

    SamplerOptions options_;
    uint64_t state_;
    std::vector<Candidate> candidates_;
};

}  // namespace gq
