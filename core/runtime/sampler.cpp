// Penalty, filters, draw. See sampler.h.
// In: one row of logits, the tokens seen, options and a seed's state. Out: a token id, the same on every machine.
// Must not know text or models.
#include "core/runtime/sampler.h"

#include <algorithm>
#include <cmath>

#include "core/base/status.h"
#include "core/kernels/math.h"

namespace gq {
namespace {

bool likelier(float a_logit, int32_t a, float b_logit, int32_t b) {
    return a_logit != b_logit ? a_logit > b_logit : a < b;
}

}  // namespace

Sampler::Sampler(const SamplerOptions& options) : options_(options), state_(options.seed) {
    options_.check();
}

int32_t Sampler::sample(std::span<const float> logits, std::span<const int32_t> history) {
    candidates_.clear();
    for (size_t i = 0; i < logits.size(); ++i)
        if (std::isfinite(logits[i])) candidates_.push_back({logits[i], static_cast<int32_t>(i)});
    if (candidates_.empty()) fail(Status::numeric, "sampler: no finite logit among %zu", logits.size());
    penalise(history);
    if (options_.temperature == 0) {
        return std::min_element(
                   candidates_.begin(), candidates_.end(),
                   [](const Candidate& a, const Candidate& b) { return likelier(a.logit, a.id, b.logit, b.id); })
            ->id;
    }
    keep_top_k();
    keep_likely();
    return draw();
}

void Sampler::penalise(std::span<const int32_t> history) {
    if (options_.repetition_penalty == 1) return;
    const size_t n = std::min(history.size(), static_cast<size_t>(options_.repetition_window));
    std::vector<int32_t> seen(history.end() - static_cast<ptrdiff_t>(n), history.end());
    std::sort(seen.begin(), seen.end());
    for (Candidate& c : candidates_) {
        if (!std::binary_search(seen.begin(), seen.end(), c.id)) continue;
        c.logit = c.logit > 0 ? c.logit / options_.repetition_penalty : c.logit * options_.repetition_penalty;
    }
}

void Sampler::keep_top_k() {
    const size_t k =
        options_.top_k == 0 ? candidates_.size() : std::min(candidates_.size(), static_cast<size_t>(options_.top_k));
    std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<ptrdiff_t>(k), candidates_.end(),
                      [](const Candidate& a, const Candidate& b) { return likelier(a.logit, a.id, b.logit, b.id); });
    candidates_.resize(k);
}

// top-p and min-p on the sorted candidates, at temperature 1.
void Sampler::keep_likely() {
    const float top = candidates_.front().logit;
    double total = 0;
    for (const Candidate& c : candidates_) total += static_cast<double>(exp_f32(c.logit - top));
    double sum = 0;
    size_t kept = 0;
    while (kept < candidates_.size()) {
        const double p =
            static_cast<double>(exp_f32(candidates_[kept].logit - top));  // relative to the most likely one
        if (p < static_cast<double>(options_.min_p) || (kept > 0 && sum >= static_cast<double>(options_.top_p) * total))
            break;
        sum += p;
        ++kept;
    }
    candidates_.resize(std::max<size_t>(kept, 1));
}

int32_t Sampler::draw() {
    const float top = candidates_.front().logit;
    double total = 0;
    for (Candidate& c : candidates_) {
        c.logit = exp_f32((c.logit - top) / options_.temperature);
        total += static_cast<double>(c.logit);
    }
    double left = next_uniform() * total;
    for (const Candidate& c : candidates_) {
        left -= static_cast<double>(c.logit);
        if (left < 0) return c.id;
    }
    return candidates_.back().id;
}

// SplitMix64 (Steele, Lea, Flood 2014): 53 random bits.
double Sampler::next_uniform() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

}  // namespace gq
