// A tiny random block of any architecture for tests of gradients: its network, its weights, and its forward pass in
// double. In: a shape and a seed. Out: values by role. The forward is written straight from the formulas, knowing
// nothing of core's kernels.
#pragma once

#include <cmath>
#include <numbers>
#include <random>

#include "core/model/arch.h"
#include "core/quantize/backward.h"
#include "tests/quantize/solver_test.h"

namespace gq::test {

using Doubles = std::vector<double>;

struct TinyBlock {
    HyperParams params;
    Network network;
    std::vector<std::vector<float>> weights;  // by role

    TinyBlock(size_t sliding_window, unsigned seed, const char* arch = "llama") {
        params.arch = arch;
        params.vocab = 10;
        params.hidden = 24;
        params.ffn = 40;
        params.n_layers = 1;
        params.n_heads = 6;
        params.n_kv_heads = 2;
        params.head_dim = 4;
        params.context = 256;
        params.sliding_window = sliding_window;
        params.norm_eps = 1e-5;
        params.rope_inv_freq = {1, 0.1f};
        network = find_arch(arch)->build(params);
        std::mt19937 random(seed);
        std::normal_distribution<float> normal;
        for (const WeightRow& row : rows()) {
            std::vector<float>& w = weights.emplace_back(row.rows(params) * row.cols(params));
            const bool vector = row.kind == WeightKind::vector;
            const float spread = vector ? 0.2f : 1.5f / std::sqrt(static_cast<float>(row.cols(params)));
            const float mean = vector && !std::string_view(row.role).ends_with("bias") ? 1.0f : 0.0f;
            for (float& x : w) x = mean + spread * normal(random);
        }
    }
    std::span<const WeightRow> rows() const { return find_arch(params.arch)->block_weights; }
    const StepList& steps() const { return network.blocks[0]; }
    size_t hidden() const { return params.hidden; }

    std::vector<RoleValues> values() const {
        std::vector<RoleValues> result;
        for (size_t role = 0; role < weights.size(); ++role) {
            const size_t n_rows = rows()[role].rows(params), n_cols = rows()[role].cols(params);
            result.push_back(
                {.matrix = {weights[role].data(), n_rows, n_cols, n_cols}, .vector = weights[role].data()});
        }
        return result;
    }
    std::vector<Doubles> doubles() const {
        std::vector<Doubles> result;
        for (const auto& w : weights) result.emplace_back(w.begin(), w.end());
        return result;
    }
};

// (rows, n) x, rows of windows of `window` positions each.
class DoubleForward {
  public:
    DoubleForward(const TinyBlock& block, size_t window) : block_(block), window_(window) {}

    Doubles run(const std::vector<Doubles>& weights, const Doubles& x) const {
        const size_t n_rows = x.size() / block_.hidden();
        std::vector<Doubles> slots(block_.network.slots.size());
        slots[block_.network.residual] = x;
        for (const Step& step : block_.steps().steps) {
            const Doubles &a = slots[step.in[0]], &b = slots[step.in[1]], &w = weights[step.weight];
            Doubles out;
            switch (step.op) {
                case Op::center:
                    out = centered(a, n_rows);
                    break;
                case Op::rms_norm:
                    out = norm(a, w, n_rows);
                    break;
                case Op::linear:
                    out = linear(a, w, n_rows);
                    break;
                case Op::rope:
                    out = rope(a, step.heads, n_rows);
                    break;
                case Op::attention:
                    out = attention(a, b, slots[step.in[2]], step.attention, n_rows);
                    break;
                case Op::silu_mul:
                    for (size_t i = 0; i < a.size(); ++i) out.push_back(a[i] / (1 + std::exp(-a[i])) * b[i]);
                    break;
                case Op::relu:
                    for (const double value : a) out.push_back(std::max(value, 0.0));
                    break;
                case Op::gelu:
                    for (const double value : a)
                        out.push_back(value / 2 *
                                      (1 + std::tanh(std::sqrt(2 / std::numbers::pi) *
                                                     (value + 0.044715 * value * value * value))));
                    break;
                case Op::add:
                    for (size_t i = 0; i < a.size(); ++i) out.push_back(a[i] + b[i]);
                    break;
                case Op::add_bias:
                    for (size_t i = 0; i < a.size(); ++i) out.push_back(a[i] + w[i % w.size()]);
                    break;
                case Op::position:
                    FAIL("no block looks positions up");
                    break;
            }
            slots[step.out] = std::move(out);
        }
        return slots[block_.network.residual];
    }

  private:
    static Doubles centered(const Doubles& x, size_t n_rows) {
        const size_t n = x.size() / n_rows;
        Doubles y = x;
        for (size_t r = 0; r < n_rows; ++r) {
            double sum = 0;
            for (size_t i = 0; i < n; ++i) sum += x[r * n + i];
            for (size_t i = 0; i < n; ++i) y[r * n + i] -= sum / static_cast<double>(n);
        }
        return y;
    }
    Doubles norm(const Doubles& x, const Doubles& w, size_t n_rows) const {
        const size_t n = x.size() / n_rows;
        Doubles y(x.size());
        for (size_t r = 0; r < n_rows; ++r) {
            double sum = 0;
            for (size_t i = 0; i < n; ++i) sum += x[r * n + i] * x[r * n + i];
            const double rms = std::sqrt(sum / static_cast<double>(n) + static_cast<double>(block_.network.norm_eps));
            for (size_t i = 0; i < n; ++i) y[r * n + i] = x[r * n + i] / rms * w[i];
        }
        return y;
    }
    static Doubles linear(const Doubles& x, const Doubles& w, size_t n_rows) {
        const size_t k = x.size() / n_rows, n = w.size() / k;
        Doubles y(n_rows * n);
        for (size_t r = 0; r < n_rows; ++r)
            for (size_t o = 0; o < n; ++o)
                for (size_t i = 0; i < k; ++i) y[r * n + o] += x[r * k + i] * w[o * k + i];
        return y;
    }
    Doubles rope(const Doubles& x, size_t heads, size_t n_rows) const {
        const size_t dim = block_.params.head_dim, half = dim / 2;
        Doubles y = x;
        for (size_t r = 0; r < n_rows; ++r)
            for (size_t h = 0; h < heads; ++h)
                for (size_t i = 0; i < half; ++i) {
                    const double angle =
                        static_cast<double>(r % window_) * static_cast<double>(block_.params.rope_inv_freq[i]);
                    const size_t at = (r * heads + h) * dim + i;
                    y[at] = x[at] * std::cos(angle) - x[at + half] * std::sin(angle);
                    y[at + half] = x[at + half] * std::cos(angle) + x[at] * std::sin(angle);
                }
        return y;
    }
    Doubles attention(const Doubles& q, const Doubles& k, const Doubles& v, const AttentionShape& shape,
                      size_t n_rows) const {
        const size_t dim = shape.head_dim;
        Doubles y(q.size());
        for (size_t r = 0; r < n_rows; ++r)
            for (size_t h = 0; h < shape.n_heads; ++h) {
                const size_t kv = h / (shape.n_heads / shape.n_kv_heads), first = r - r % window_;
                double total = 0;
                for (size_t j = first; j <= r; ++j) {
                    if (shape.window > 0 && r - j >= shape.window) continue;
                    double score = 0;
                    for (size_t d = 0; d < dim; ++d)
                        score += q[(r * shape.n_heads + h) * dim + d] * k[(j * shape.n_kv_heads + kv) * dim + d];
                    score *= static_cast<double>(shape.scale);
                    if (shape.alibi) score -= alibi(h, shape.n_heads) * static_cast<double>(r - j);
                    const double p = std::exp(score);
                    total += p;
                    for (size_t d = 0; d < dim; ++d)
                        y[(r * shape.n_heads + h) * dim + d] += p * v[(j * shape.n_kv_heads + kv) * dim + d];
                }
                for (size_t d = 0; d < dim; ++d) y[(r * shape.n_heads + h) * dim + d] /= total;
            }
        return y;
    }

    // As the paper's own code finds them: powers of two heads halve their slopes by equal ratios, others interleave.
    static double alibi(size_t head, size_t n_heads) {
        size_t n = 1;
        while (2 * n <= n_heads) n *= 2;
        const double ratio = std::pow(2.0, -8.0 / static_cast<double>(n));
        if (head < n) return std::pow(ratio, static_cast<double>(head + 1));
        return std::pow(std::sqrt(ratio), static_cast<double>(2 * (head - n) + 1));
    }

    const TinyBlock& block_;
    size_t window_;
};

inline std::vector<float> random_floats(size_t n, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    std::vector<float> x(n);
    for (float& value : x) value = normal(random);
    return x;
}

}  // namespace gq::test
