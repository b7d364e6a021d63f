// Log-likelihood, divergence and statistics against their formulas in plain double, term by term.
// In: random logits, numbers with known answers. Out: checks. Must not use scoring.cpp as its own reference.
#include "apps/scoring.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "tests/near.h"

TEST_SUITE("apps") {
    namespace {

    using gq::test::near;

    // Not a multiple of the lanes or the chunk of scoring.cpp; 1 and 3 are shorter than either.
    constexpr size_t vocabularies[] = {1, 3, 64, 1003};
    // exp in 32 bits is off by at most 1e-7 of each term, and so is a difference of two logits; sums are in double. Of
    // a logarithm that is an absolute error, as Approx has it below 1.
    constexpr double tolerance = 1e-6;
    // Means and quantiles are a few operations in double.
    constexpr double exact = 1e-14;

    std::vector<float> random_logits(size_t n, unsigned seed, float offset = 0) {
        std::mt19937 random(seed);
        std::normal_distribution<float> normal(offset, 4);
        std::vector<float> logits(n);
        for (float& x : logits) x = normal(random);
        return logits;
    }

    std::vector<double> softmax(const std::vector<float>& logits) {
        const double top = *std::max_element(logits.begin(), logits.end());
        std::vector<double> p;
        double sum = 0;
        for (const float x : logits) sum += p.emplace_back(std::exp(static_cast<double>(x) - top));
        for (double& x : p) x /= sum;
        return p;
    }

    size_t top_of(const std::vector<float>& logits) {
        return static_cast<size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    }

    }  // namespace

    TEST_CASE("negative log-likelihood is -ln softmax") {
        for (const size_t vocab : vocabularies) {
            const std::vector<float> logits = random_logits(vocab, 1, 30);
            const std::vector<double> p = softmax(logits);
            for (size_t token : {size_t{0}, vocab / 2, vocab - 1})
                CHECK(scoring::negative_log_likelihood(logits.data(), vocab, static_cast<int32_t>(token)) ==
                      doctest::Approx(-std::log(p[token])).epsilon(tolerance));
        }
        // Far below the highest, where a softmax in 32 bits would be 0.
        const float far[] = {0, -200};
        CHECK(scoring::negative_log_likelihood(far, 2, 1) == doctest::Approx(200));
    }

    TEST_CASE("divergence is the sum of p ln(p/q)") {
        for (const size_t vocab : vocabularies) {
            const std::vector<float> a = random_logits(vocab, 2), b = random_logits(vocab, 3, -50);
            const std::vector<double> p = softmax(a), q = softmax(b);
            double expected = 0;
            for (size_t i = 0; i < vocab; ++i) expected += p[i] * std::log(p[i] / q[i]);
            const scoring::Position found =
                scoring::compare(a.data(), b.data(), vocab, static_cast<int32_t>(vocab / 2));
            CHECK(std::fabs(found.divergence - expected) <= tolerance * (1 + expected));
            CHECK(found.reference_nll == doctest::Approx(-std::log(p[vocab / 2])).epsilon(tolerance));
            CHECK(found.model_nll == doctest::Approx(-std::log(q[vocab / 2])).epsilon(tolerance));
            CHECK(found.same_top == (top_of(a) == top_of(b)));
        }
    }

    TEST_CASE("the direction is from the reference: KL(1/2, 1/2 || 1/4, 3/4)") {
        const float p[] = {0, 0}, q[] = {0, std::log(3.0F)};
        CHECK(scoring::compare(p, q, 2, 0).divergence == doctest::Approx(0.5 * std::log(4.0 / 3)).epsilon(tolerance));
        CHECK(scoring::compare(q, p, 2, 0).divergence ==
              doctest::Approx(0.25 * std::log(0.5) + 0.75 * std::log(1.5)).epsilon(tolerance));
    }

    TEST_CASE("a model beside itself: no divergence at all, nor by a shift of all logits") {
        std::vector<float> logits = random_logits(1003, 4);
        for (float& x : logits) x = std::round(x * 64) / 64;  // so that shifts by 8 are exact
        const scoring::Position same = scoring::compare(logits.data(), logits.data(), logits.size(), 5);
        CHECK(same.divergence == 0);
        CHECK(same.same_top);
        CHECK(same.model_nll == same.reference_nll);
        std::vector<float> shifted = logits;
        for (float& x : shifted) x += 8;
        CHECK(scoring::compare(logits.data(), shifted.data(), logits.size(), 5).divergence == 0);
    }

    TEST_CASE("of equally high tokens the first is the top") {
        const float first[] = {2, 1, 2}, second[] = {1, 2, 2}, plain[] = {3, 1, 2};
        CHECK_FALSE(scoring::compare(first, second, 3, 0).same_top);
        CHECK(scoring::compare(first, plain, 3, 0).same_top);
    }

    TEST_CASE("mean and standard error") {
        scoring::Mean mean;
        mean.add(3);
        CHECK(mean.error() == 0);
        for (const double x : {1.0, 4.0, 8.0}) mean.add(x);
        CHECK(mean.mean() == near(4, exact));
        CHECK(mean.error() == near(std::sqrt((1 + 9 + 0 + 16) / 3.0 / 4), exact));
        CHECK(scoring::perplexity(mean) == near(std::exp(4.0), exact));
        CHECK(scoring::perplexity_error(mean) == near(std::exp(4.0) * mean.error(), exact));
    }

    TEST_CASE("a share's error is that of a binomial sample") {
        scoring::Mean share;
        for (int i = 0; i < 10; ++i) share.add(i < 3 ? 1 : 0);
        CHECK(share.error() == near(std::sqrt(0.3 * 0.7 / 9), exact));
    }

    TEST_CASE("quantiles as numpy's default") {
        const std::vector<double> sorted = {1, 2, 4, 8};
        CHECK(scoring::quantile(sorted, 0) == 1);
        CHECK(scoring::quantile(sorted, 0.5) == near(3, exact));
        CHECK(scoring::quantile(sorted, 0.9) == near(4 + 0.7 * 4, exact));
        CHECK(scoring::quantile(sorted, 1) == 8);
        CHECK(scoring::quantile({5}, 0.99) == 5);
    }

    TEST_CASE("the ratio's error is that of paired differences") {
        scoring::Comparison c;
        // Far apart from each other, but the model always 0.5 worse: the ratio is certain.
        for (const double nll : {1.0, 5.0, 9.0}) c.add({nll, nll + 0.5, 0.1 * nll, nll > 2});
        CHECK(c.log_ratio.mean() == near(0.5, exact));
        CHECK(c.log_ratio.error() == 0);
        CHECK(c.model_nll.mean() - c.reference_nll.mean() == near(0.5, exact));
        CHECK(c.same_top.mean() == near(2.0 / 3, exact));
        CHECK(c.divergence.mean() == near(0.5, exact));
        CHECK(c.divergences == std::vector<double>{0.1 * 1.0, 0.1 * 5.0, 0.1 * 9.0});
    }
}
