// What the tests of core/linalg compare with: plain loops in double, random matrices with a known spectrum, and the
// machines to walk. In: shapes and seeds. Out: matrices and tolerances. Must not use anything of core/linalg but its
// Matrix.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "core/kernels/compute.h"
#include "core/kernels/cpu_features.h"
#include "core/linalg/matrix.h"

namespace gq_test {

// Half a unit in the last place of 1: the unit roundoff u of the error bounds below.
inline constexpr double roundoff = 0.5 * std::numeric_limits<float>::epsilon();

struct DoubleMatrix {
    size_t rows, cols;
    std::vector<double> values;
    DoubleMatrix(size_t r, size_t c) : rows(r), cols(c), values(r * c) {}
    double& operator()(size_t i, size_t j) { return values[i * cols + j]; }
    double operator()(size_t i, size_t j) const { return values[i * cols + j]; }
};

inline gq::Matrix random_matrix(size_t rows, size_t cols, unsigned seed) {
    std::mt19937 generator(seed);
    gq::Matrix matrix(rows, cols);
    for (size_t i = 0; i < rows * cols; ++i) matrix.data()[i] = static_cast<float>(generator() % 2001) / 1000.0f - 1.0f;
    return matrix;
}

inline gq::Matrix copy_of(const gq::Matrix& matrix) {
    gq::Matrix copy(matrix.rows(), matrix.cols());
    std::copy_n(matrix.data(), matrix.rows() * matrix.cols(), copy.data());
    return copy;
}

inline bool same_bits(const gq::Matrix& a, const gq::Matrix& b) {
    return a.rows() == b.rows() && a.cols() == b.cols() &&
           std::memcmp(a.data(), b.data(), a.rows() * a.cols() * sizeof(float)) == 0;
}

// XᵀX in double, rounded once: symmetric, positive semidefinite up to that rounding, of rank at most X's rows.
inline gq::Matrix gram(const gq::Matrix& x) {
    const size_t n = x.cols();
    DoubleMatrix sums(n, n);
    for (size_t t = 0; t < x.rows(); ++t) {
        for (size_t i = 0; i < n; ++i) {
            for (size_t j = i; j < n; ++j) sums(i, j) += static_cast<double>(x(t, i)) * x(t, j);
        }
    }
    gq::Matrix h(n, n);
    for (size_t i = 0; i < n; ++i) {
        for (size_t j = i; j < n; ++j) h(i, j) = h(j, i) = static_cast<float>(sums(i, j));
    }
    return h;
}

// Q diag(1 … 1 / condition, in geometric steps) Qᵀ; Q: four random reflections, applied in double.
inline gq::Matrix with_condition(size_t n, double condition, unsigned seed) {
    std::mt19937 generator(seed);
    DoubleMatrix a(n, n);
    for (size_t i = 0; i < n; ++i)
        a(i, i) = std::pow(condition, -static_cast<double>(i) / static_cast<double>(n > 1 ? n - 1 : 1));
    for (int reflection = 0; reflection < 4; ++reflection) {
        std::vector<double> v(n), av(n);
        double norm = 0, vav = 0;
        for (double& x : v) x = static_cast<double>(generator() % 2001) / 1000.0 - 1.0, norm += x * x;
        for (double& x : v) x *= std::sqrt(2 / norm);  // I - v vᵀ is then a reflection
        for (size_t i = 0; i < n; ++i) {
            for (size_t j = 0; j < n; ++j) av[i] += a(i, j) * v[j];
            vav += v[i] * av[i];
        }
        for (size_t i = 0; i < n; ++i) {
            for (size_t j = 0; j < n; ++j) a(i, j) += -v[i] * av[j] - av[i] * v[j] + vav * v[i] * v[j];
        }
    }
    gq::Matrix h(n, n);
    for (size_t i = 0; i < n; ++i) {
        for (size_t j = i; j < n; ++j) h(i, j) = h(j, i) = static_cast<float>(a(i, j));
    }
    return h;
}

// The instruction sets that this machine can run, scalar first.
inline std::vector<std::string> usable_isas() {
    std::vector<std::string> usable;
    for (const char* isa : gq::known_isas()) {
        if (gq::cpu_can_run(isa)) usable.push_back(isa);
    }
    return usable;
}

// Calls check(compute) for every usable instruction set, with 1 thread and with 3.
template <class F>
void on_every_machine(F check) {
    for (const std::string& isa : usable_isas()) {
        for (const size_t n_threads : {1, 3}) {
            gq::ThreadPool pool(n_threads);
            check(gq::Compute{pool, gq::kernel_table(isa)});
        }
    }
}

}  // namespace gq_test
