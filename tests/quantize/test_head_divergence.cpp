// The divergence of two heads and its gradient, against double: several strips of rows and of the vocabulary, turns.
#include "core/quantize/head_divergence.h"

#include <algorithm>
#include <cmath>

#include "tests/near.h"
#include "tests/quantize/block_test.h"
#include "tests/quantize/solver_test.h"

using namespace gq;
using namespace gq::test;

namespace {

constexpr size_t window = 300, hidden = 12, vocab = 4170;  // 256 rows at a time, strips of 4096

struct Head {
    std::vector<float> rows, turn;

    // noise: how far everything is from the head of that seed.
    Head(unsigned seed, bool turned, float noise = 0)
        : rows(random_floats(vocab * hidden, seed)),
          turn(turned ? random_floats(hidden * hidden, seed + 1) : std::vector<float>()) {
        for (float& value : turn) value *= 0.3f;
        for (std::vector<float>* const values : {&rows, &turn}) {
            const std::vector<float> other = random_floats(values->size(), seed + 2);
            for (size_t i = 0; i < other.size(); ++i) (*values)[i] += noise * other[i];
        }
    }
    HeadRows view() const {
        HeadRows head;
        head.vocab = vocab;
        head.read = [this](size_t begin, size_t end, float* out) {
            std::copy(&rows[begin * hidden], rows.data() + end * hidden, out);
        };
        if (!turn.empty()) head.turn = {turn.data(), hidden, hidden, hidden};
        return head;
    }
    // head · turn, (vocab, hidden).
    Doubles product() const {
        if (turn.empty()) return {rows.begin(), rows.end()};
        Doubles result(rows.size());
        for (size_t o = 0; o < vocab; ++o)
            for (size_t k = 0; k < hidden; ++k)
                for (size_t i = 0; i < hidden; ++i)
                    result[o * hidden + i] +=
                        static_cast<double>(rows[o * hidden + k]) * static_cast<double>(turn[k * hidden + i]);
        return result;
    }
};

Doubles log_softmax(const Doubles& head, const float* h) {
    Doubles y(vocab);
    double sum = 0;
    for (size_t o = 0; o < vocab; ++o)
        for (size_t i = 0; i < hidden; ++i) y[o] += head[o * hidden + i] * static_cast<double>(h[i]);
    const double top = *std::max_element(y.begin(), y.end());
    for (const double v : y) sum += std::exp(v - top);
    for (double& v : y) v -= top + std::log(sum);
    return y;
}

struct Expected {
    double loss = 0;
    Doubles gradient = Doubles(window * hidden);
};
Expected expected_of(const Head& quantized, const Head& exact, const std::vector<float>& h, const std::vector<float>& e,
                     double share) {
    const Doubles ours = quantized.product(), theirs = exact.product();
    Expected result;
    for (size_t r = 0; r < window; ++r) {
        const Doubles p = log_softmax(theirs, &e[r * hidden]), q = log_softmax(ours, &h[r * hidden]);
        for (size_t o = 0; o < vocab; ++o) {
            result.loss += std::exp(p[o]) * (p[o] - q[o]);
            for (size_t i = 0; i < hidden; ++i)
                result.gradient[r * hidden + i] += share * (std::exp(q[o]) - std::exp(p[o])) * ours[o * hidden + i];
        }
    }
    return result;
}

double text_loss(const Head& head, const std::vector<float>& h, const std::vector<int32_t>& targets) {
    const Doubles product = head.product();
    double loss = 0;
    for (size_t r = 0; r < window; ++r) loss -= log_softmax(product, &h[r * hidden])[static_cast<size_t>(targets[r])];
    return loss;
}

}  // namespace

TEST_SUITE("distill") {
    TEST_CASE("the divergence of two heads, with and without turns, and its gradient agree with double") {
        constexpr float share = 0.5f;
        std::vector<float> h = random_floats(window * hidden, 3);
        for (float& value : h) value *= 0.5f;
        std::vector<float> e = random_floats(window * hidden, 4);
        for (size_t i = 0; i < e.size(); ++i) e[i] = h[i] + 0.1f * e[i];
        for (const bool turned : {false, true}) {
            CAPTURE(turned);
            const Head quantized(11, turned), exact(11, turned, 0.1f);
            const Expected expected = expected_of(quantized, exact, h, e, static_cast<double>(share));
            const ConstMatrixView ours(h.data(), window, hidden, hidden), theirs(e.data(), window, hidden, hidden);
            std::vector<std::vector<float>> found;
            for (const size_t threads : {1, 3}) {
                Machine machine(threads);
                HeadDivergence divergence(machine.compute, quantized.view(), exact.view(), window, hidden);
                std::vector<float>& gradient = found.emplace_back(window * hidden);
                const double loss =
                    divergence.with_gradient(theirs, ours, share, {gradient.data(), window, hidden, hidden});
                CHECK(loss == near(expected.loss, 1e-6));  // as a logit; the errors of many cancel
                CHECK(divergence.of(theirs, ours) == loss);
                std::vector<int32_t> targets;
                for (size_t r = 0; r < window; ++r) targets.push_back(static_cast<int32_t>(r * 1009 % vocab));
                const HeadLosses losses = divergence.losses(theirs, ours, targets);
                CHECK(losses.kl == loss);
                CHECK(losses.loss == near(text_loss(quantized, h, targets), 1e-6));
                CHECK(losses.exact_loss == near(text_loss(exact, e, targets), 1e-6));
            }
            double largest = 0, wrong = 0;  // float's logits err by 1e-6 of their size, and some thousands are added
            for (size_t i = 0; i < expected.gradient.size(); ++i) {
                largest = std::max(largest, std::abs(expected.gradient[i]));
                wrong = std::max(wrong, std::abs(static_cast<double>(found[0][i]) - expected.gradient[i]));
            }
            CHECK(wrong < 1e-4 * largest);
            CHECK(found[0] == found[1]);
        }
    }
}
