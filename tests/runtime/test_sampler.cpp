// The sampler: greedy, filters, penalty, reproducibility, refusals.
// In: logits by hand. Out: checks of the tokens drawn. Must not run a model.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>

#include "core/base/status.h"
#include "core/runtime/sampler.h"

namespace {

using namespace gq;

constexpr float infinity = std::numeric_limits<float>::infinity();

SamplerOptions plain() {
    return {.temperature = 1,
            .top_k = 0,
            .top_p = 1,
            .min_p = 0,
            .repetition_penalty = 1,
            .repetition_window = 64,
            .seed = 1};
}

std::map<int32_t, int> histogram(const SamplerOptions& options, const std::vector<float>& logits, int n) {
    Sampler sampler(options);
    std::map<int32_t, int> counts;
    for (int i = 0; i < n; ++i) ++counts[sampler.sample(logits, {})];
    return counts;
}

}  // namespace

TEST_SUITE("runtime") {
    TEST_CASE("temperature 0 takes the most likely token, the lowest id on ties") {
        Sampler sampler({.temperature = 0});
        CHECK(sampler.sample(std::vector<float>{1, 3, 3, 2}, {}) == 1);
        CHECK(sampler.sample(std::vector<float>{-infinity, -5, std::nanf("")}, {}) == 1);
    }

    TEST_CASE("frequencies follow the probabilities") {
        const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.2f)};
        const int n = 20000;
        const auto counts = histogram(plain(), logits, n);
        // Five standard deviations of a binomial: sqrt(n p (1 - p)) is at most 71.
        CHECK(std::abs(counts.at(0) - 10000) < 355);
        CHECK(std::abs(counts.at(1) - 6000) < 355);
        CHECK(std::abs(counts.at(2) - 4000) < 355);
    }

    TEST_CASE("top-k, top-p and min-p leave out what they should") {
        const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.15f), std::log(0.05f)};
        SamplerOptions options = plain();
        options.top_k = 2;
        CHECK(histogram(options, logits, 2000).size() == 2);
        options = plain();
        options.top_p = 0.9f;  // .5 + .3 is below, .15 crosses it and stays
        CHECK(histogram(options, logits, 2000).size() == 3);
        options = plain();
        options.min_p = 0.2f;  // .15 / .5 stays, .05 / .5 goes
        CHECK(histogram(options, logits, 2000).size() == 3);
    }

    TEST_CASE("the repetition penalty weakens what was seen in its window") {
        SamplerOptions options = plain();
        options.temperature = 0;
        options.repetition_penalty = 2;
        options.repetition_window = 2;
        Sampler sampler(options);
        const std::vector<float> logits = {4, 3, -1};
        CHECK(sampler.sample(logits, std::vector<int32_t>{0}) == 1);
        CHECK(sampler.sample(logits, std::vector<int32_t>{0, 2, 2}) == 0);  // 0 lies before the window
    }

    TEST_CASE("the same seed draws the same tokens, another seed others") {
        const std::vector<float> logits(50, 0.0f);
        const auto draw = [&](uint64_t seed) {
            SamplerOptions options = plain();
            options.seed = seed;
            Sampler sampler(options);
            std::vector<int32_t> ids;
            for (int i = 0; i < 20; ++i) ids.push_back(sampler.sample(logits, {}));
            return ids;
        };
        CHECK(draw(3) == draw(3));
        CHECK(draw(3) != draw(4));
    }

    TEST_CASE("options out of range and logits without a finite value are refused") {
        const auto refuse = [](SamplerOptions options, const char* words) {
            CHECK_THROWS_WITH_AS(Sampler{options}, doctest::Contains(words), Error);
        };
        refuse({.temperature = -1}, "temperature");
        refuse({.temperature = std::nanf("")}, "temperature");
        refuse({.repetition_window = -1}, "repetition_window");
        refuse({.top_k = -1}, "top_k: expected a whole number");
        refuse({.top_p = 0}, "top_p");
        refuse({.min_p = 2}, "min_p");
        refuse({.repetition_penalty = 0}, "repetition_penalty");
        Sampler sampler(plain());
        CHECK_THROWS_WITH_AS(static_cast<void>(sampler.sample(std::vector<float>{infinity, -infinity}, {})),
                             doctest::Contains("no finite logit"), Error);
    }
}
