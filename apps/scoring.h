// What logits say about a text: log-likelihood of a token, KL divergence between two models, and the statistics of
// many. In: logits, numbers. Out: numbers. Must not know models, sessions, texts or how results are printed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace scoring {

// −ln softmax(logits)[token].
double negative_log_likelihood(const float* logits, size_t vocab, int32_t token);

// One position, seen by a reference p and by a model q.
struct Position {
    double reference_nll, model_nll;
    double divergence;  // KL(p ‖ q) = Σ p·ln(p/q) over the whole vocabulary, in nats
    bool same_top;      // both rate the same token highest; of equals, the first counts
};
Position compare(const float* reference, const float* model, size_t vocab, int32_t token);

// Mean and standard error of the mean, the values taken as independent.
struct Mean {
    double sum = 0, squares = 0;
    size_t n = 0;

    void add(double value);
    double mean() const { return sum / static_cast<double>(n); }
    double error() const;  // √(Σ(x − mean)² / (n − 1) / n); 0 for fewer than two values
};

// exp of a mean negative log-likelihood, and its standard error to first order.
double perplexity(const Mean& nll);
double perplexity_error(const Mean& nll);

// By linear interpolation between the two nearest of the values, which must be sorted and at least one.
double quantile(const std::vector<double>& sorted, double fraction);

// A text as a model sees it, beside a reference.
struct Comparison {
    Mean model_nll, reference_nll;
    Mean log_ratio;  // of the perplexities: model_nll − reference_nll, position by position
    Mean divergence, same_top;
    std::vector<double> divergences;

    void add(const Position& position);
};

}  // namespace scoring
