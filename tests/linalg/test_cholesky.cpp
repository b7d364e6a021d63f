// core/linalg/cholesky.h and triangular.h against plain products in double: random, ill-conditioned and rank-deficient
// matrices, every kind of failed pivot, and the same bits on every machine.
// In: matrices of known spectrum. Out: checks by error bounds. Must not know Hessians.
#include <doctest/doctest.h>

#include <cstring>

#include "core/base/status.h"
#include "core/linalg/cholesky.h"
#include "core/linalg/triangular.h"
#include "tests/linalg/reference.h"

using namespace gq;
using namespace gq_test;

namespace {

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
// Around the borders of small triangles (16), strips (128), blocks (192) and rows taken together (48).
const size_t sizes[] = {1, 2, 15, 16, 17, 31, 48, 100, 127, 128, 129, 191, 192, 193, 255, 256, 257, 300, 390};

struct Machine {
    ThreadPool pool{2};
    Compute compute{pool, kernel_table()};
    GemmWorkspace workspace;
};

bool is_finite(const Matrix& m) {
    return std::all_of(m.data(), m.data() + m.rows() * m.cols(), [](float x) { return std::isfinite(x); });
}

// In units of the bound |H - R Rᵀ|(i, j) <= (n + 1) u sqrt(h_ii h_jj) (Higham, theorem 10.3: a Cholesky factorization
// is backward stable whatever the condition, and sum_k |r_ik r_jk| <= sqrt(h_ii h_jj)). What 16-wide inverses cost over
// substitution is less than what rounding errors of both signs spare.
double largest_residual(const Matrix& h, const Matrix& r) {
    const size_t n = h.rows();
    double largest = 0;
    for (size_t i = 0; i < n; ++i) {
        for (size_t j = i; j < n; ++j) {
            double sum = h(i, j);
            for (size_t k = j; k < n; ++k) sum -= static_cast<double>(r(i, k)) * r(j, k);
            const double size = std::sqrt(static_cast<double>(h(i, i)) * h(j, j));
            largest = std::max(largest, std::fabs(sum) / (static_cast<double>(n + 1) * roundoff * size));
        }
    }
    return largest;
}
constexpr double cholesky_limit = 1;

// In units of the bound |R U - I|(i, j) <= (n + 1) u (|R| |U|)(i, j) (Higham, 14.2).
double largest_inverse_residual(const Matrix& r, const Matrix& u) {
    const size_t n = r.rows();
    double largest = 0;
    for (size_t i = 0; i < n; ++i) {
        for (size_t j = i; j < n; ++j) {
            double sum = i == j ? -1 : 0, size = 0;
            for (size_t k = i; k <= j; ++k) {
                const double term = static_cast<double>(r(i, k)) * u(k, j);
                sum += term;
                size += std::fabs(term);
            }
            largest = std::max(largest, std::fabs(sum) / (static_cast<double>(n + 1) * roundoff * size));
        }
    }
    return largest;
}
constexpr double inverse_limit = 1;

// Factors and inverts a copy of H, and checks both against what they claim.
void check_factor_and_inverse(Machine& machine, const Matrix& h) {
    Matrix r = copy_of(h);
    const Pivot pivot = cholesky_reversed(machine.compute, machine.workspace, r.view());
    REQUIRE(pivot.ok);
    CHECK(is_finite(r));
    CHECK(largest_residual(h, r) <= cholesky_limit);
    Matrix u = copy_of(r);
    const Pivot inverted = invert_upper(machine.compute, machine.workspace, u.view());
    REQUIRE(inverted.ok);
    CHECK(is_finite(u));
    CHECK(largest_inverse_residual(r, u) <= inverse_limit);
}

Matrix identity(size_t n) {
    Matrix h(n, n);
    for (size_t i = 0; i < n; ++i) h(i, i) = 1;
    return h;
}

void damp(Matrix& h, double part) {
    double mean = 0;
    for (size_t i = 0; i < h.rows(); ++i) mean += h(i, i) / static_cast<double>(h.rows());
    for (size_t i = 0; i < h.rows(); ++i) h(i, i) += static_cast<float>(part * mean);
}

}  // namespace

TEST_SUITE("linalg") {
    TEST_CASE("cholesky and inverse: random positive definite matrices of every size") {
        Machine machine;
        for (const size_t n : sizes) {
            CAPTURE(n);
            Matrix h = gram(random_matrix(2 * n + 5, n, static_cast<unsigned>(n)));
            check_factor_and_inverse(machine, h);
        }
    }

    TEST_CASE("cholesky and inverse: ill-conditioned matrices stay backward stable") {
        Machine machine;
        for (const double condition :
             {1e2, 1e4, 1e5}) {  // the limit of floats is about 1 / (n u) = 6e4 … 2e5 at this size
            CAPTURE(condition);
            check_factor_and_inverse(machine, with_condition(150, condition, 7));
        }
    }

    TEST_CASE("cholesky: conditions beyond floats give a reported pivot or a true factor") {
        Machine machine;
        for (const double condition : {1e7, 1e9, 1e12, 1e20}) {
            for (unsigned seed = 1; seed <= 4; ++seed) {
                CAPTURE(condition);
                CAPTURE(seed);
                const Matrix h = with_condition(200, condition, seed);
                Matrix r = copy_of(h);
                const Pivot pivot = cholesky_reversed(machine.compute, machine.workspace, r.view());
                if (pivot.ok) {
                    CHECK(is_finite(r));
                    CHECK(largest_residual(h, r) <= cholesky_limit);
                } else {
                    CHECK(pivot.index < 200);
                    CHECK_FALSE(pivot.value > 0);
                }
            }
        }
    }

    TEST_CASE("cholesky: a rank-deficient Hessian fails plainly, and works with 1 % of damping") {
        Machine machine;
        const size_t n = 300;
        Matrix h = gram(random_matrix(40, n, 1));  // 40 tokens, 300 inputs
        Matrix r = copy_of(h);
        const Pivot pivot = cholesky_reversed(machine.compute, machine.workspace, r.view());
        REQUIRE_FALSE(pivot.ok);
        CHECK(pivot.index < n - 40);  // the first 40 pivots, from the end, are sound
        CHECK_FALSE(pivot.value > 0);
        damp(h, 0.01);
        check_factor_and_inverse(machine, h);
    }

    TEST_CASE("cholesky: every kind of failed pivot is reported with its index and value") {
        struct Damage {
            size_t row, col;
            float entry;
            size_t index;
            double value;
        };
        // On an identity, an entry x at (row, col) makes the pivot of `row` 1 - x².
        const Damage damages[] = {{130, 130, 0.0f, 130, 0.0},
                                  {200, 200, -2.0f, 200, -2.0},
                                  {3, 290, 1.0f, 3, 0.0},
                                  {140, 150, 2.0f, 140, -3.0},
                                  {0, 0, 0.0f, 0, 0.0},
                                  {299, 299, -1.0f, 299, -1.0},
                                  {7, 7, inf, 7, inf},
                                  {5, 250, inf, 5, not_a_number},
                                  {17, 18, not_a_number, 17, not_a_number},
                                  {100, 299, not_a_number, 100, not_a_number},
                                  {42, 42, not_a_number, 42, not_a_number}};
        Machine machine;
        for (const Damage& damage : damages) {
            CAPTURE(damage.row);
            CAPTURE(damage.col);
            Matrix h = identity(300);
            h(damage.row, damage.col) = damage.entry;
            const Pivot pivot = cholesky_reversed(machine.compute, machine.workspace, h.view());
            CHECK_FALSE(pivot.ok);
            CHECK(pivot.index == damage.index);
            CHECK((pivot.value == damage.value || (std::isnan(damage.value) && std::isnan(pivot.value))));
        }
    }

    TEST_CASE("cholesky and inverse: what stands below the diagonal is neither read nor written") {
        Machine machine;
        for (const size_t n : {16, 100, 129, 300}) {
            CAPTURE(n);
            const Matrix h = gram(random_matrix(2 * n, n, 1));
            Matrix clean = copy_of(h), marked = copy_of(h);
            for (size_t i = 1; i < n; ++i) std::fill_n(marked.row(i), i, not_a_number);
            for (Matrix* m : {&clean, &marked}) {
                REQUIRE(cholesky_reversed(machine.compute, machine.workspace, m->view()).ok);
                REQUIRE(invert_upper(machine.compute, machine.workspace, m->view()).ok);
            }
            size_t n_read = 0, n_written = 0;
            for (size_t i = 0; i < n; ++i) {
                n_read += std::memcmp(clean.row(i) + i, marked.row(i) + i, (n - i) * sizeof(float)) != 0;
                for (size_t j = 0; j < i; ++j) n_written += clean(i, j) != h(i, j) || !std::isnan(marked(i, j));
            }
            CHECK(n_read == 0);
            CHECK(n_written == 0);
        }
    }

    TEST_CASE("cholesky and inverse: the same bits for every instruction set and thread count") {
        const Matrix h = gram(random_matrix(600, 333, 1));
        Matrix r_first, u_first;
        on_every_machine([&](const Compute& compute) {
            CAPTURE(compute.kernels.isa);
            CAPTURE(compute.pool.size());
            GemmWorkspace workspace;
            Matrix m = copy_of(h);
            REQUIRE(cholesky_reversed(compute, workspace, m.view()).ok);
            if (r_first.rows() == 0) r_first = copy_of(m);
            CHECK(same_bits(m, r_first));
            REQUIRE(invert_upper(compute, workspace, m.view()).ok);
            if (u_first.rows() == 0) u_first = copy_of(m);
            CHECK(same_bits(m, u_first));
        });
    }

    TEST_CASE("inverse: a matrix that has none is reported with the row and the value") {
        struct Damage {
            size_t row, col;
            float entry;
            size_t index;
        };
        const Damage damages[] = {
            {270, 270, 0.0f, 270}, {5, 5, not_a_number, 5}, {299, 299, inf, 299}, {20, 20, 1e-42f, 20}};
        Machine machine;
        for (const Damage& damage : damages) {
            CAPTURE(damage.row);
            CAPTURE(damage.col);
            Matrix r = identity(300);
            r(damage.row, damage.col) = damage.entry;
            const Pivot pivot = invert_upper(machine.compute, machine.workspace, r.view());
            CHECK_FALSE(pivot.ok);
            CHECK(pivot.index == damage.index);
        }
        for (const float odd : {inf, -inf, not_a_number}) {
            for (const size_t col : {34, 280}) {
                Matrix r = identity(300);
                r(33, col) = odd;
                const Pivot pivot = invert_upper(machine.compute, machine.workspace, r.view());
                CHECK_FALSE(pivot.ok);
                CHECK(pivot.index <= 33);
                CHECK_FALSE(std::isfinite(pivot.value));
            }
        }
        Matrix r = identity(300);  // -1e30 / 1e-30 does not fit a float
        r(1, 1) = 1e-30f;
        r(1, 299) = 1e30f;
        const Pivot pivot = invert_upper(machine.compute, machine.workspace, r.view());
        CHECK_FALSE(pivot.ok);
        CHECK(pivot.index == 1);
        CHECK(pivot.value == -inf);
    }

    TEST_CASE("cholesky and inverse: shapes") {
        Machine machine;
        Matrix wide(2, 3), none;
        CHECK_THROWS_WITH_AS(cholesky_reversed(machine.compute, machine.workspace, wide.view()),
                             "cholesky: expected a square matrix, found (2, 3)", Error);
        CHECK_THROWS_WITH_AS(invert_upper(machine.compute, machine.workspace, wide.view()),
                             "invert_upper: expected a square matrix, found (2, 3)", Error);
        CHECK(cholesky_reversed(machine.compute, machine.workspace, none.view()).ok);
        CHECK(invert_upper(machine.compute, machine.workspace, none.view()).ok);
    }
}
