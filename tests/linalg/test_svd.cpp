// core/linalg/symmetric_eigen.h and svd.h: residuals and orthogonality by plain loops in double on random,
// ill-conditioned, rank-deficient and clustered spectra, the best approximation by theory, the same bits everywhere.
// In: matrices of known spectrum. Out: checks by error bounds. Must not know quantization.
#include <doctest/doctest.h>

#include <functional>

#include "core/base/status.h"
#include "core/linalg/svd.h"
#include "core/linalg/symmetric_eigen.h"
#include "tests/linalg/reference.h"

using namespace gq;
using namespace gq_test;

namespace {

constexpr double double_epsilon = std::numeric_limits<double>::epsilon();

// A NaN is larger than everything.
void raise(double& largest, double x) {
    if (!(x <= largest)) largest = x;
}

// Random orthonormal columns, twice by Gram and Schmidt in double.
DoubleMatrix random_orthonormal(size_t rows, size_t cols, unsigned seed) {
    std::mt19937 generator(seed);
    DoubleMatrix q(rows, cols);
    for (size_t j = 0; j < cols; ++j) {
        for (size_t i = 0; i < rows; ++i) q(i, j) = static_cast<double>(generator()) / 0x1p31 - 1;
        for (int pass = 0; pass < 2; ++pass) {
            for (size_t k = 0; k < j; ++k) {
                double dot = 0;
                for (size_t i = 0; i < rows; ++i) dot += q(i, k) * q(i, j);
                for (size_t i = 0; i < rows; ++i) q(i, j) -= dot * q(i, k);
            }
            double norm = 0;
            for (size_t i = 0; i < rows; ++i) norm += q(i, j) * q(i, j);
            for (size_t i = 0; i < rows; ++i) q(i, j) /= std::sqrt(norm);
        }
    }
    return q;
}

// A(rows, cols) = P diag(values) Qᵀ.
DoubleMatrix with_values(size_t rows, size_t cols, const std::vector<double>& values, bool symmetric) {
    const DoubleMatrix p = random_orthonormal(rows, values.size(), 1),
                       q = symmetric ? p : random_orthonormal(cols, values.size(), 2);
    DoubleMatrix a(rows, cols);
    for (size_t i = 0; i < rows; ++i)
        for (size_t k = 0; k < values.size(); ++k)
            for (size_t j = 0; j < cols; ++j) a(i, j) += p(i, k) * values[k] * q(j, k);
    return a;
}

Matrix to_float(const DoubleMatrix& a) {
    Matrix to(a.rows, a.cols);
    for (size_t i = 0; i < a.values.size(); ++i) to.data()[i] = static_cast<float>(a.values[i]);
    return to;
}

struct Spectrum {
    const char* name;
    std::vector<double> values;
};

std::vector<double> made(size_t n, const std::function<double(size_t)>& value) {
    std::vector<double> values(n);
    for (size_t i = 0; i < n; ++i) values[i] = value(i);
    return values;
}

std::vector<Spectrum> spectra(size_t n) {
    const double m = static_cast<double>(n);
    return {{"even", made(n, [&](size_t i) { return 1 - static_cast<double>(i) / m; })},
            {"condition 1e12", made(n, [&](size_t i) { return std::pow(1e-12, static_cast<double>(i) / m); })},
            {"rank 10", made(n, [](size_t i) { return i < 10 ? 3.0 - 0.2 * static_cast<double>(i) : 0.0; })},
            {"clustered", made(n, [](size_t i) { return (i < 20 ? 2.0 : 1.0) + 1e-9 * static_cast<double>(i % 7); })},
            {"all equal", made(n, [](size_t) { return 0.5; })},
            {"one large", made(n, [](size_t i) { return i == 0 ? 1e6 : 1.0; })}};
}

// Largest |A z - λ z| and |Z Zᵀ - I|, in units of n ε |A| and n ε.
double eigen_residual(const DoubleMatrix& a, const SymmetricEigen& eigen) {
    const size_t n = a.rows;
    double size = 0, largest = 0;
    for (const double value : eigen.values) size = std::max(size, std::fabs(value));
    for (size_t v = 0; v < n; ++v) {
        const double* z = &eigen.vectors[v * n];
        for (size_t i = 0; i < n; ++i) {
            double sum = -eigen.values[v] * z[i];
            for (size_t j = 0; j < n; ++j) sum += a(i, j) * z[j];
            raise(largest, std::fabs(sum));
        }
    }
    return size > 0 ? largest / (static_cast<double>(n) * double_epsilon * size) : largest;
}

double eigen_orthogonality(const SymmetricEigen& eigen, size_t n) {
    double largest = 0;
    for (size_t i = 0; i < n; ++i) {
        for (size_t j = 0; j <= i; ++j) {
            double dot = i == j ? -1 : 0;
            for (size_t k = 0; k < n; ++k) dot += eigen.vectors[i * n + k] * eigen.vectors[j * n + k];
            raise(largest, std::fabs(dot));
        }
    }
    return largest / (static_cast<double>(n) * double_epsilon);
}

double largest_non_orthogonality(const Matrix& q, const std::vector<double>& sigma) {
    double largest = 0;
    for (size_t i = 0; i < q.cols(); ++i) {
        for (size_t j = 0; j <= i; ++j) {
            double dot = i == j && sigma[i] > 0 ? -1 : 0;  // columns without a value are zero
            for (size_t k = 0; k < q.rows(); ++k) dot += static_cast<double>(q(k, i)) * q(k, j);
            raise(largest, std::fabs(dot));
        }
    }
    return largest;
}

// |A - U diag(sigma) Vᵀ|², Frobenius.
double squared_error(const DoubleMatrix& a, const TruncatedSvd& svd) {
    double total = 0;
    for (size_t i = 0; i < a.rows; ++i) {
        for (size_t j = 0; j < a.cols; ++j) {
            double e = a(i, j);
            for (size_t k = 0; k < svd.sigma.size(); ++k)
                e -= static_cast<double>(svd.u(i, k)) * svd.sigma[k] * svd.v(j, k);
            total += e * e;
        }
    }
    return total;
}

// Largest |A v - sigma u| element.
double largest_triplet_residual(const DoubleMatrix& a, const TruncatedSvd& svd) {
    double largest = 0;
    for (size_t k = 0; k < svd.sigma.size(); ++k) {
        for (size_t i = 0; i < a.rows; ++i) {
            double sum = -svd.sigma[k] * svd.u(i, k);
            for (size_t j = 0; j < a.cols; ++j) sum += a(i, j) * svd.v(j, k);
            raise(largest, std::fabs(sum));
        }
    }
    return largest;
}

struct Machine {
    ThreadPool pool{2};
    Compute compute{pool, kernel_table()};
    GemmWorkspace workspace;
};

}  // namespace

TEST_SUITE("linalg") {
    TEST_CASE("symmetric eigenvalues: small residuals and orthogonal vectors for every spectrum") {
        for (const size_t n : {1, 2, 3, 17, 64, 130}) {
            for (const Spectrum& spectrum : spectra(n)) {
                CAPTURE(n);
                CAPTURE(spectrum.name);
                std::vector<double> values = spectrum.values;
                std::sort(values.rbegin(), values.rend());
                const DoubleMatrix a = with_values(n, n, values, true);
                const SymmetricEigen eigen = symmetric_eigen(a.values, n);
                // Householder and QL: a modest constant times n ε; measured up to 1.
                CHECK(eigen_residual(a, eigen) < 4);
                CHECK(eigen_orthogonality(eigen, n) < 4);
                double largest_difference = 0;  // Weyl: as far as A's own rounding and the residual reach
                for (size_t i = 0; i < n; ++i) raise(largest_difference, std::fabs(eigen.values[i] - values[i]));
                CHECK(largest_difference <= 32 * static_cast<double>(n) * double_epsilon * values[0]);
                CHECK(std::is_sorted(eigen.values.rbegin(), eigen.values.rend()));
            }
        }
    }

    TEST_CASE("symmetric eigenvalues: signs, diagonals, extreme sizes, bad input") {
        const SymmetricEigen two = symmetric_eigen({1e300, 2e300, 2e300, 1e300}, 2);
        CHECK(two.values[0] == doctest::Approx(3e300));
        CHECK(two.values[1] == doctest::Approx(-1e300));
        const SymmetricEigen tiny = symmetric_eigen({1e-300, 0, 0, 0, 5e-300, 0, 0, 0, -2e-300}, 3);
        CHECK(tiny.values == std::vector<double>{5e-300, 1e-300, -2e-300});
        const SymmetricEigen zero = symmetric_eigen(std::vector<double>(16), 4);
        CHECK(zero.values == std::vector<double>(4));
        CHECK(eigen_orthogonality(zero, 4) == 0);
        CHECK_THROWS_WITH_AS(symmetric_eigen({1, 2, 2, std::nan("")}, 2),
                             doctest::Contains("a finite matrix expected, element (1, 1) is"), Error);
        CHECK_THROWS_WITH_AS(symmetric_eigen({1, 2, 2}, 2), "eigenvalues: 2 x 2 numbers expected, 3 found", Error);
        CHECK(symmetric_eigen({}, 0).values.empty());
    }

    TEST_CASE("truncated svd: residuals, orthogonality and the best approximation for every spectrum") {
        Machine machine;
        struct Shape {
            size_t rows, cols, rank;
        };
        for (const Shape s : {Shape{90, 70, 16}, Shape{70, 200, 24}, Shape{120, 120, 1}, Shape{40, 33, 33}}) {
            for (const Spectrum& spectrum : spectra(std::min(s.rows, s.cols))) {
                CAPTURE(s.rows);
                CAPTURE(s.rank);
                CAPTURE(spectrum.name);
                std::vector<double> values = spectrum.values;
                std::sort(values.rbegin(), values.rend());
                const DoubleMatrix a = with_values(s.rows, s.cols, values, false);
                const Matrix narrow = to_float(a);
                const TruncatedSvd svd = truncated_svd(machine.compute, machine.workspace, narrow.view(),
                                                       {.rank = s.rank, .tolerance = 1e-7, .max_iterations = 400});
                CHECK(svd.converged);
                // fp32 products: roundings of both signs add up like a root. Measured up to 0.2 and 0.8 roundings.
                const double unit = roundoff * std::sqrt(static_cast<double>(s.rows + s.cols)) * values[0];
                CHECK(largest_triplet_residual(a, svd) < unit);
                CHECK(largest_non_orthogonality(svd.u, svd.sigma) < 2 * roundoff);
                CHECK(largest_non_orthogonality(svd.v, svd.sigma) < 2 * roundoff);
                double best = 0;
                for (size_t i = s.rank; i < values.size(); ++i) best += values[i] * values[i];
                // Off by what the iteration leaves (relative to what it captures) and by fp32 (relative to the
                // largest).
                double captured = 0;
                for (const double sigma : svd.sigma) captured += sigma * sigma;
                const double floor = 16 * static_cast<double>(values.size()) * unit * unit;
                CHECK(squared_error(a, svd) <= best + 1e-5 * captured + floor);
            }
        }
    }

    TEST_CASE("truncated svd: singular values where the rank covers the matrix") {
        Machine machine;
        for (const Spectrum& spectrum : spectra(24)) {
            CAPTURE(spectrum.name);
            std::vector<double> values = spectrum.values;
            std::sort(values.rbegin(), values.rend());
            const Matrix a = to_float(with_values(60, 24, values, false));
            const TruncatedSvd svd = truncated_svd(machine.compute, machine.workspace, a.view(), {.rank = 24});
            for (size_t i = 0; i < 24; ++i)
                CHECK(std::fabs(svd.sigma[i] - values[i]) <= 4 * roundoff * std::sqrt(84.0) * values[0]);
        }
        const Matrix zero(20, 10);
        const TruncatedSvd none = truncated_svd(machine.compute, machine.workspace, zero.view(), {.rank = 3});
        CHECK(none.sigma == std::vector<double>(3));
        CHECK(std::all_of(none.u.data(), none.u.data() + 60, [](float x) { return x == 0; }));
        CHECK(std::all_of(none.v.data(), none.v.data() + 30, [](float x) { return x == 0; }));
    }

    TEST_CASE("truncated svd: a flat spectrum ends in time and is close to the best") {
        Machine machine;
        const Matrix noise = random_matrix(300, 200, 3);
        const SvdOptions quick{.rank = 16}, slow{.rank = 16, .tolerance = 1e-9, .max_iterations = 1000};
        const TruncatedSvd fast = truncated_svd(machine.compute, machine.workspace, noise.view(), quick);
        const TruncatedSvd best = truncated_svd(machine.compute, machine.workspace, noise.view(), slow);
        double of_fast = 0, of_best = 0;
        for (size_t i = 0; i < 16; ++i)
            of_fast += fast.sigma[i] * fast.sigma[i], of_best += best.sigma[i] * best.sigma[i];
        CHECK(fast.converged);
        CHECK(fast.iterations < best.iterations);
        CHECK(of_fast > 0.99 * of_best);
    }

    TEST_CASE("truncated svd: the same bits for every instruction set and thread count") {
        const Matrix a = random_matrix(150, 111, 5);
        Matrix u, v;
        on_every_machine([&](const Compute& compute) {
            CAPTURE(compute.kernels.isa);
            CAPTURE(compute.pool.size());
            GemmWorkspace workspace;
            const TruncatedSvd svd = truncated_svd(compute, workspace, a.view(), {.rank = 12});
            if (u.rows() == 0) u = copy_of(svd.u), v = copy_of(svd.v);
            CHECK(same_bits(svd.u, u));
            CHECK(same_bits(svd.v, v));
        });
    }

    TEST_CASE("truncated svd: bad input") {
        Machine machine;
        Matrix a = random_matrix(20, 10, 1);
        CHECK_THROWS_WITH_AS(truncated_svd(machine.compute, machine.workspace, a.view(), {.rank = 0}),
                             "svd: a rank from 1 to 10 expected, found 0", Error);
        CHECK_THROWS_WITH_AS(truncated_svd(machine.compute, machine.workspace, a.view(), {.rank = 11}),
                             "svd: a rank from 1 to 10 expected, found 11", Error);
        a(3, 4) = std::numeric_limits<float>::infinity();
        CHECK_THROWS_AS(truncated_svd(machine.compute, machine.workspace, a.view(), {.rank = 2}), Error);
    }
}
