// Softmaxes in passes that a compiler turns into vectors: 32-bit exp, whose relative error of 1e-7 is that of one
// probability, and sums in double. See scoring.h.
#include "apps/scoring.h"

#include <algorithm>
#include <cmath>

namespace scoring {

namespace {

constexpr size_t chunk = 64;  // exps that are computed before they are summed: they stay in L1
constexpr size_t lanes = 8;   // sums side by side, so that additions need not wait for each other

struct Lanes {
    double sums[lanes] = {};
    double total() const {
        double sum = 0;
        for (const double part : sums) sum += part;
        return sum;
    }
};

float highest(const float* values, size_t n) {
    float tops[lanes];
    std::fill_n(tops, lanes, values[0]);
    size_t i = 0;
    for (; i + lanes <= n; i += lanes)
        for (size_t k = 0; k < lanes; ++k) tops[k] = tops[k] < values[i + k] ? values[i + k] : tops[k];
    for (; i < n; ++i) tops[0] = std::max(tops[0], values[i]);
    return *std::max_element(tops, tops + lanes);
}

void exps(const float* values, size_t n, float top, float* out) {
    for (size_t i = 0; i < n; ++i) out[i] = std::exp(values[i] - top);
}

}  // namespace

double negative_log_likelihood(const float* logits, size_t vocab, int32_t token) {
    const float top = highest(logits, vocab);
    Lanes sum;
    float part[chunk];
    for (size_t begin = 0; begin < vocab; begin += chunk) {
        const size_t n = std::min(chunk, vocab - begin);
        exps(logits + begin, n, top, part);
        for (size_t i = 0; i < n; ++i) sum.sums[i % lanes] += static_cast<double>(part[i]);
    }
    return std::log(sum.total()) + static_cast<double>(top) - static_cast<double>(logits[token]);
}

Position compare(const float* reference, const float* model, size_t vocab, int32_t token) {
    const float p_top = highest(reference, vocab), q_top = highest(model, vocab);
    Lanes p_sum, q_sum, weighted;
    float p[chunk], q[chunk];
    for (size_t begin = 0; begin < vocab; begin += chunk) {
        const size_t n = std::min(chunk, vocab - begin);
        const float *a = reference + begin, *b = model + begin;
        exps(a, n, p_top, p);
        exps(b, n, q_top, q);
        for (size_t i = 0; i < n; ++i) {
            p_sum.sums[i % lanes] += static_cast<double>(p[i]);
            q_sum.sums[i % lanes] += static_cast<double>(q[i]);
            // ln(p/q) but for the two sums, which are the same for all tokens.
            const double ratio = static_cast<double>(a[i] - p_top) - static_cast<double>(b[i] - q_top);
            weighted.sums[i % lanes] += static_cast<double>(p[i]) * ratio;
        }
    }
    const double p_log = std::log(p_sum.total()), q_log = std::log(q_sum.total());
    const auto nll = [token](const float* logits, float top, double log_sum) {
        return log_sum + static_cast<double>(top) - static_cast<double>(logits[token]);
    };
    const auto top_token = [vocab](const float* logits, float top) {
        return std::find(logits, logits + vocab, top) - logits;
    };
    return {nll(reference, p_top, p_log), nll(model, q_top, q_log), weighted.total() / p_sum.total() - p_log + q_log,
            top_token(reference, p_top) == top_token(model, q_top)};
}

void Mean::add(double value) {
    sum += value;
    squares += value * value;
    ++n;
}

double Mean::error() const {
    if (n < 2) return 0;
    const double count = static_cast<double>(n);
    return std::sqrt(std::max(0.0, squares / count - mean() * mean()) / (count - 1));
}

double perplexity(const Mean& nll) {
    return std::exp(nll.mean());
}

double perplexity_error(const Mean& nll) {
    return nll.error() * perplexity(nll);
}

double quantile(const std::vector<double>& sorted, double fraction) {
    const double place = fraction * static_cast<double>(sorted.size() - 1);
    const size_t below = static_cast<size_t>(place), above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

void Comparison::add(const Position& position) {
    model_nll.add(position.model_nll);
    reference_nll.add(position.reference_nll);
    log_ratio.add(position.model_nll - position.reference_nll);
    divergence.add(position.divergence);
    same_top.add(position.same_top ? 1 : 0);
    divergences.push_back(position.divergence);
}

}  // namespace scoring
