// What the tests of the solver share: a problem of small integers, its solve, and its loss in double.
// In: sizes and a seed. Out: W, H, results. Must not know what is expected of them.
#pragma once

#include <algorithm>
#include <vector>

#include "core/quantize/gptq.h"
#include "tests/quantize/solver_test.h"

namespace gq::test {

// The generator of tests/golden/make_gptq_goldens.py.
struct Numbers {
    uint32_t state;
    int below(uint32_t n) {
        state = state * 1664525u + 1013904223u;
        return static_cast<int>((state >> 8) % n);
    }
};

struct Problem {
    size_t rows, cols;
    std::vector<float> w;
    Matrix h;
};

// W uniform in ±1/4; H = 2/N Σ x xᵀ of correlated inputs, one in 16 of them large: small integers, so that both are
// exact where n_tokens is a power of two. Fewer tokens than columns make H singular.
inline Problem make_problem(size_t rows, size_t cols, size_t n_tokens, uint32_t seed) {
    Numbers numbers{seed};
    Problem problem{rows, cols, std::vector<float>(rows * cols), Matrix(cols, cols)};
    for (float& x : problem.w) x = static_cast<float>(numbers.below(2001) - 1000) / 4096;
    std::vector<int> noise(cols + 3), x(cols), sums(cols * cols);
    for (size_t t = 0; t < n_tokens; ++t) {
        for (int& value : noise) value = numbers.below(9) - 4;
        for (size_t j = 0; j < cols; ++j)
            x[j] = (noise[j] + 2 * noise[j + 1] + 2 * noise[j + 2] + noise[j + 3]) * (j % 16 == 5 ? 4 : 1);
        for (size_t i = 0; i < cols; ++i) {
            for (size_t j = 0; j < cols; ++j) sums[i * cols + j] += x[i] * x[j];
        }
    }
    for (size_t i = 0; i < cols * cols; ++i)
        problem.h.data()[i] = static_cast<float>(sums[i] * 2.0 / static_cast<double>(n_tokens));
    return problem;
}

struct Solved {
    QuantizedMatrix q;
    SolveReport report;
};

inline Solved solve(const Problem& problem, const GptqOptions& options, const Machine& machine = Machine(),
                    const Matrix* drift = nullptr) {
    const PreparedHessian prepared = prepare_hessian(machine.compute, problem.h, options);
    const PreparedDrift prepared_drift =
        drift ? prepare_drift(machine.compute, *drift, prepared, options) : PreparedDrift();
    Solved solved;
    solved.q = gptq_solve(machine.compute, problem.w.data(), problem.rows, problem.cols, problem.h,
                          drift ? &prepared_drift : nullptr, prepared, options, solved.report);
    return solved;
}

inline bool same(const QuantizedMatrix& a, const QuantizedMatrix& b) {
    return std::equal(a.codes.begin(), a.codes.end(), b.codes.begin(), b.codes.end()) &&
           std::equal(a.scales.begin(), a.scales.end(), b.scales.begin(), b.scales.end()) &&
           std::equal(a.zero_points.begin(), a.zero_points.end(), b.zero_points.begin(), b.zero_points.end()) &&
           std::equal(a.offsets.begin(), a.offsets.end(), b.offsets.begin(), b.offsets.end());
}

// tr(E H Eᵀ)/2 in double.
inline double loss_of(const Problem& problem, const QuantizedMatrix& q) {
    double loss = 0;
    std::vector<double> e(problem.cols);
    for (size_t row = 0; row < problem.rows; ++row) {
        for (size_t c = 0; c < problem.cols; ++c)
            e[c] = static_cast<double>(q.value(row, c)) - problem.w[row * problem.cols + c];
        for (size_t i = 0; i < problem.cols; ++i) {
            for (size_t j = 0; j < problem.cols; ++j) loss += e[i] * e[j] * problem.h(i, j) / 2;
        }
    }
    return loss;
}

using DoubleMatrix = std::vector<std::vector<double>>;

inline DoubleMatrix inverse_of(DoubleMatrix a) {
    const size_t n = a.size();
    for (size_t i = 0; i < n; ++i) {
        a[i].resize(2 * n);
        a[i][n + i] = 1;
    }
    for (size_t k = 0; k < n; ++k) {
        for (size_t i = 0; i < n; ++i) {
            if (i == k) continue;
            const double factor = a[i][k] / a[k][k];
            for (size_t j = k; j < 2 * n; ++j) a[i][j] -= factor * a[k][j];
        }
    }
    DoubleMatrix out(n, std::vector<double>(n));
    for (size_t i = 0; i < n; ++i) {
        for (size_t j = 0; j < n; ++j) out[i][j] = a[i][n + j] / a[i][i];
    }
    return out;
}

}  // namespace gq::test
