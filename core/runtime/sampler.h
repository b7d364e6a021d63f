// Logits → the next token.
// In: logits, the tokens so far, options. Out: a token id; the same one for the same seed on every machine. Must not know text or sequences.
// Order, as users of other runtimes expect it: repetition penalty, temperature 0 → greedy; else top-k, top-p, min-p, temperature, draw.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace gq {

struct SamplerOptions {
    float temperature = 0.8f;  // 0: always the most likely token (lowest id on ties)
    int top_k = 40;            // 0: all
    float top_p = 0.95f;       // 1: all
    float min_p = 0.05f;       // 0: all
    float repetition_penalty =
        1.0f;                    // 1: none; logits of seen tokens are divided (positive) or multiplied (negative) by it
    int repetition_window = 64;  // how many of the last tokens count as seen; 0: none
    uint64_t seed = 0;
};

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
