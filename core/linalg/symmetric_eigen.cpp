// A → tridiagonal T by n - 2 reflections; T → diagonal by rotations, which turn the rows of Z; the reflections applied
// to Z. See symmetric_eigen.h. All long loops run along rows.
#include "core/linalg/symmetric_eigen.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/base/status.h"

namespace gq {

namespace {

constexpr double epsilon = std::numeric_limits<double>::epsilon();
constexpr double negligible = 1e-30;  // beside the largest element, which is scaled to 1
constexpr size_t max_sweeps = 100;    // per eigenvalue; two are usual

// Eight sums side by side, so that compilers may vectorise; merged in a fixed order.
double dot(const double* a, const double* b, size_t n) {
    double sums[8] = {};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t lane = 0; lane < 8; ++lane) sums[lane] += a[i + lane] * b[i + lane];
    for (; i < n; ++i) sums[i % 8] += a[i] * b[i];
    return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

void add_scaled(double factor, const double* x, size_t n, double* y) {
    for (size_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

struct Tridiagonal {
    std::vector<double> diagonal;  // (n)
    std::vector<double> beside;    // (n): element (i, i + 1); the last is 0
    std::vector<double> factor;    // (n): reflection k is I - factor[k] v vᵀ, v in row k of A from column k + 1 on
};

// A - v wᵀ - w vᵀ on the rows and columns from `first` on: the reflection from both sides. v from v[first] on.
void reflect_both_sides(std::vector<double>& a, size_t n, size_t first, const double* v, double factor,
                        std::vector<double>& w) {
    for (size_t i = first; i < n; ++i) w[i] = factor * dot(&a[i * n + first], v + first, n - first);
    add_scaled(-factor / 2 * dot(v + first, &w[first], n - first), v + first, n - first, &w[first]);
    for (size_t i = first; i < n; ++i) {
        double* row = &a[i * n];
        const double vi = v[i], wi = w[i];
        for (size_t j = first; j < n; ++j) row[j] -= vi * w[j] + wi * v[j];
    }
}

Tridiagonal make_tridiagonal(std::vector<double>& a, size_t n) {
    Tridiagonal t{std::vector<double>(n), std::vector<double>(n), std::vector<double>(n)};
    std::vector<double> w(n);
    for (size_t k = 0; k < n; ++k) {
        double* v = &a[k * n];
        t.diagonal[k] = v[k];
        if (k + 1 == n) break;
        const double norm = std::sqrt(dot(v + k + 1, v + k + 1, n - k - 1));
        const double head = v[k + 1], image = head > 0 ? -norm : norm;
        const bool done = norm <= negligible || k + 2 == n;  // nothing to eliminate
        t.beside[k] = done ? head : image;
        if (done) continue;
        v[k + 1] = head - image;
        t.factor[k] = 1 / (norm * (norm + std::fabs(head)));  // 2 / |v|²
        reflect_both_sides(a, n, k + 1, v, t.factor[k], w);
    }
    return t;
}

// The first row from `begin` on that T does not couple with the next.
size_t end_of_coupled(const Tridiagonal& t, size_t begin) {
    size_t end = begin;
    for (; end + 1 < t.diagonal.size(); ++end) {
        const double size = std::fabs(t.diagonal[end]) + std::fabs(t.diagonal[end + 1]);
        if (std::fabs(t.beside[end]) <= epsilon * size + negligible) break;
    }
    return end;
}

void rotate_rows(double c, double s, size_t n, double* __restrict upper, double* __restrict lower) {
    for (size_t k = 0; k < n; ++k) {
        const double f = lower[k];
        lower[k] = s * upper[k] + c * f;
        upper[k] = c * upper[k] - s * f;
    }
}

// One implicit QL sweep on rows begin … end of T, with Wilkinson's shift; z: (n, n).
void sweep(Tridiagonal& t, size_t begin, size_t end, std::vector<double>& z) {
    std::vector<double>&d = t.diagonal, &e = t.beside;
    const size_t n = d.size();
    const double slope = (d[begin + 1] - d[begin]) / (2 * e[begin]);
    double g = d[end] - d[begin] + e[begin] / (slope + std::copysign(std::sqrt(slope * slope + 1), slope));
    double s = 1, c = 1, p = 0;
    for (size_t i = end; i-- > begin;) {
        const double f = s * e[i], b = c * e[i], r = std::sqrt(f * f + g * g);
        e[i + 1] = r;
        if (r == 0) {  // T fell apart here: the rest is another sweep's
            d[i + 1] -= p;
            e[end] = 0;
            return;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        const double q = (d[i] - g) * s + 2 * c * b;
        p = s * q;
        d[i + 1] = g + p;
        g = c * q - b;
        rotate_rows(c, s, n, &z[i * n], &z[(i + 1) * n]);
    }
    d[begin] -= p;
    e[begin] = g;
    e[end] = 0;
}

void make_diagonal(Tridiagonal& t, std::vector<double>& z) {
    for (size_t begin = 0; begin < t.diagonal.size(); ++begin) {
        for (size_t sweeps = 0, end; (end = end_of_coupled(t, begin)) != begin; ++sweeps) {
            if (sweeps == max_sweeps)
                fail(Status::numeric, "eigenvalues: value %zu of %zu does not settle", begin, t.diagonal.size());
            sweep(t, begin, end, z);
        }
    }
}

// Rows of z: eigenvectors of T → of A.
void apply_reflections(const std::vector<double>& a, const Tridiagonal& t, std::vector<double>& z) {
    const size_t n = t.diagonal.size();
    for (size_t row = 0; row < n; ++row) {
        for (size_t k = n; k-- > 0;) {
            if (t.factor[k] == 0) continue;
            const double *v = &a[k * n + k + 1], length = t.factor[k] * dot(v, &z[row * n + k + 1], n - k - 1);
            add_scaled(-length, v, n - k - 1, &z[row * n + k + 1]);
        }
    }
}

// Scales the largest element to 1, so that no square leaves the numbers; its old size, 0 where all are zero.
double normalize(std::vector<double>& a, size_t n) {
    double largest = 0;
    for (size_t i = 0; i < n * n; ++i) {
        if (!std::isfinite(a[i]))
            fail(Status::numeric, "eigenvalues: a finite matrix expected, element (%zu, %zu) is %g", i / n, i % n,
                 a[i]);
        largest = std::max(largest, std::fabs(a[i]));
    }
    if (largest > 0)
        for (double& x : a) x /= largest;
    return largest;
}

}  // namespace

SymmetricEigen symmetric_eigen(std::vector<double> a, size_t n) {
    if (a.size() != n * n)
        fail(Status::invalid_argument, "eigenvalues: %zu x %zu numbers expected, %zu found", n, n, a.size());
    const double largest = normalize(a, n);
    Tridiagonal t = make_tridiagonal(a, n);
    std::vector<double> z(n * n);
    for (size_t i = 0; i < n; ++i) z[i * n + i] = 1;
    make_diagonal(t, z);
    apply_reflections(a, t, z);
    std::vector<size_t> order(n);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](size_t i, size_t j) { return t.diagonal[i] > t.diagonal[j]; });
    SymmetricEigen result{std::vector<double>(n), std::vector<double>(n * n)};
    for (size_t i = 0; i < n; ++i) {
        result.values[i] = t.diagonal[order[i]] * largest;
        std::copy_n(&z[order[i] * n], n, &result.vectors[i * n]);
    }
    return result;
}

}  // namespace gq
