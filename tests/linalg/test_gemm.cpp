// core/linalg/gemm.h against plain loops in double, by the error bound of one fma chain, and against itself by bits.
// In: random matrices of odd shapes, kernels of every instruction set here. Out: checks by error bounds and by bits.
// Must not know what products are for.
#include <doctest/doctest.h>

#include <cstring>

#include "core/base/status.h"
#include "core/linalg/gemm.h"
#include "tests/linalg/reference.h"

using namespace gq;
using namespace gq_test;

namespace {

struct Shape {
    size_t m, n, k;
};

// Around the borders of panels (16), register tiles (6, 8, 48), cache tiles (144, 384), blocks of k (384) and chunks of
// rows (4096).
const Shape shapes[] = {{1, 1, 1},    {1, 17, 3},   {2, 16, 16},     {5, 15, 31},   {7, 47, 64},
                        {8, 48, 383}, {9, 49, 384}, {13, 65, 385},   {48, 33, 100}, {49, 96, 769},
                        {145, 20, 7}, {31, 385, 9}, {150, 400, 300}, {4100, 18, 20}};

// |computed - exact| <= (k + 1) u (|c| + sum |a| |b|): k + 1 roundings, each of a partial sum that is no larger
// (Higham, 3.1); twice that for terms of second order.
void check_product(const ConstMatrixView& a, const ConstMatrixView& b, const Matrix& before, Update update,
                   const Matrix& after) {
    const double sign = update == Update::subtract ? -1 : 1;
    size_t n_wrong = 0;
    for (size_t i = 0; i < after.rows(); ++i) {
        for (size_t j = 0; j < after.cols(); ++j) {
            double sum = update == Update::set ? 0 : before(i, j), size = std::fabs(sum);
            for (size_t k = 0; k < a.cols; ++k) {
                const double term = static_cast<double>(a(i, k)) * b(k, j);
                sum += sign * term;
                size += std::fabs(term);
            }
            n_wrong += !(std::fabs(after(i, j) - sum) <= 2 * static_cast<double>(a.cols + 1) * roundoff * size);
        }
    }
    CHECK(n_wrong == 0);
}

Matrix upper_of(const Matrix& c) {
    Matrix upper = copy_of(c);
    for (size_t i = 0; i < c.rows(); ++i) std::fill_n(upper.row(i), std::min(i, c.cols()), 0.0f);
    return upper;
}

}  // namespace

TEST_SUITE("linalg") {
    TEST_CASE("gemm: every update and transposition, beside plain loops in double") {
        ThreadPool pool(2);
        const Compute compute{pool, kernel_table()};
        GemmWorkspace workspace;
        for (const Shape& s : shapes) {
            CAPTURE(s.m);
            CAPTURE(s.n);
            CAPTURE(s.k);
            const Matrix a = random_matrix(s.m, s.k, 1), b = random_matrix(s.k, s.n, 2),
                         before = random_matrix(s.m, s.n, 3);
            const Matrix a_columns = random_matrix(s.k, s.m, 4), b_columns = random_matrix(s.n, s.k, 5);
            for (const Update update : {Update::set, Update::add, Update::subtract}) {
                for (const ConstMatrixView& left : {a.view(), a_columns.view().transposed()}) {
                    for (const ConstMatrixView& right : {b.view(), b_columns.view().transposed()}) {
                        Matrix c = copy_of(before);
                        gemm(compute, workspace, update, left, right, c.view());
                        check_product(left, right, before, update, c);
                    }
                }
            }
        }
    }

    TEST_CASE("gemm: parts of larger matrices, and nothing outside them") {
        ThreadPool pool(2);
        const Compute compute{pool, kernel_table()};
        GemmWorkspace workspace;
        const Matrix a = random_matrix(60, 90, 1), b = random_matrix(80, 70, 2), before = random_matrix(64, 75, 3);
        Matrix c = copy_of(before), inner = Matrix(37, 41), inner_before = Matrix(37, 41);
        gemm(compute, workspace, Update::add, a.view().block(5, 7, 37, 53), b.view().block(3, 11, 53, 41),
             c.view().block(9, 13, 37, 41));
        size_t n_touched = 0;
        for (size_t i = 0; i < c.rows(); ++i) {
            for (size_t j = 0; j < c.cols(); ++j) {
                if (i >= 9 && i < 46 && j >= 13 && j < 54) {
                    inner(i - 9, j - 13) = c(i, j);
                    inner_before(i - 9, j - 13) = before(i, j);
                } else {
                    n_touched += c(i, j) != before(i, j);
                }
            }
        }
        CHECK(n_touched == 0);
        check_product(a.view().block(5, 7, 37, 53), b.view().block(3, 11, 53, 41), inner_before, Update::add, inner);
    }

    TEST_CASE("gemm: an empty inner dimension adds nothing, and sets zero") {
        ThreadPool pool(1);
        const Compute compute{pool, kernel_table()};
        GemmWorkspace workspace;
        const Matrix none, before = random_matrix(5, 6, 1);
        Matrix c = copy_of(before);
        const ConstMatrixView a(none.data(), 5, 0, 0), b(none.data(), 0, 6, 6);
        gemm(compute, workspace, Update::subtract, a, b, c.view());
        CHECK(same_bits(c, before));
        gemm(compute, workspace, Update::set, a, b, c.view());
        CHECK(same_bits(c, Matrix(5, 6)));
    }

    TEST_CASE("gemm: in place of A or of B, up to the k that is promised") {
        ThreadPool pool(2);
        const Compute compute{pool, kernel_table()};
        GemmWorkspace workspace;
        for (const size_t k : {5, 48, 130, 384}) {
            CAPTURE(k);
            static_assert(gemm_in_place == 384);
            const Matrix square = random_matrix(k, k, 1), tall = random_matrix(4200, k, 2),
                         wide = random_matrix(k, 900, 3);
            Matrix a = copy_of(tall), b = copy_of(wide), product_a(4200, k), product_b(k, 900);
            gemm(compute, workspace, Update::set, tall.view(), square.view(), product_a.view());
            gemm(compute, workspace, Update::set, a.view(), square.view(), a.view());
            CHECK(same_bits(a, product_a));
            gemm(compute, workspace, Update::set, square.view(), wide.view(), product_b.view());
            gemm(compute, workspace, Update::set, square.view(), b.view(), b.view());
            CHECK(same_bits(b, product_b));
        }
    }

    TEST_CASE("products: the same bits for every instruction set and thread count") {
        const Matrix a = random_matrix(211, 301, 1), b = random_matrix(301, 430, 2), u = random_matrix(301, 301, 3);
        Matrix c_first, h_first, p_first;
        on_every_machine([&](const Compute& compute) {
            CAPTURE(compute.kernels.isa);
            CAPTURE(compute.pool.size());
            GemmWorkspace workspace;
            Matrix c = random_matrix(211, 430, 4), h = random_matrix(301, 301, 5), p(301, 430);
            gemm(compute, workspace, Update::subtract, a.view(), b.view(), c.view());
            syrk_upper(compute, workspace, Update::add, a.view().transposed(), h.view());
            multiply_upper(compute, workspace, u.view(), b.view(), p.view());
            if (c_first.rows() == 0) {
                c_first = copy_of(c), h_first = copy_of(h), p_first = copy_of(p);
            }
            CHECK(same_bits(c, c_first));
            CHECK(same_bits(h, h_first));
            CHECK(same_bits(p, p_first));
        });
    }

    TEST_CASE("syrk: the upper triangle beside plain loops, the lower one untouched") {
        ThreadPool pool(2);
        const Compute compute{pool, kernel_table()};
        GemmWorkspace workspace;
        for (const Shape& s : {Shape{1, 1, 1},
                               {16, 16, 5},
                               {47, 47, 300},
                               {49, 49, 16},
                               {145, 145, 33},
                               {500, 500, 40},
                               {4150, 4150, 3}}) {
            CAPTURE(s.n);
            const Matrix x = random_matrix(s.k, s.n, 1);
            Matrix before = random_matrix(s.n, s.n, 2);
            for (size_t i = 1; i < s.n; ++i) std::fill_n(before.row(i), i, std::numeric_limits<float>::quiet_NaN());
            for (const Update update : {Update::set, Update::add, Update::subtract}) {
                Matrix h = copy_of(before);
                syrk_upper(compute, workspace, update, x.view().transposed(), h.view());
                size_t n_touched = 0;
                for (size_t i = 0; i < s.n; ++i)
                    n_touched += std::memcmp(h.row(i), before.row(i), i * sizeof(float)) != 0;
                CHECK(n_touched == 0);
                if (s.n > 1000 && update != Update::add) continue;
                Matrix full = copy_of(before);
                gemm(compute, workspace, update, x.view().transposed(), x.view(), full.view());
                CHECK(same_bits(upper_of(h), upper_of(full)));
            }
        }
    }

    TEST_CASE("multiply_upper: as a product with zeros below the diagonal, whatever stands there") {
        ThreadPool pool(2);
        const Compute compute{pool, kernel_table()};
        GemmWorkspace workspace;
        for (const size_t n : {1, 15, 48, 383, 384, 385, 800, 4200}) {
            CAPTURE(n);
            Matrix u = random_matrix(n, n, 1);
            const Matrix b = random_matrix(n, 20, 2), zeros_below = upper_of(u), before = random_matrix(n, 20, 3);
            for (size_t i = 1; i < n; ++i) std::fill_n(u.row(i), i, std::numeric_limits<float>::quiet_NaN());
            Matrix c = copy_of(before);
            multiply_upper(compute, workspace, u.view(), b.view(), c.view());
            check_product(zeros_below.view(), b.view(), before, Update::set, c);
        }
    }

    TEST_CASE("mirror_upper: symmetric afterwards, the upper triangle as it was") {
        ThreadPool pool(2);
        const Compute compute{pool, kernel_table()};
        for (const size_t n : {0, 1, 2, 63, 64, 65, 200}) {
            CAPTURE(n);
            const Matrix before = random_matrix(n, n, 1);
            Matrix c = copy_of(before);
            mirror_upper(compute, c.view());
            size_t n_wrong = 0;
            for (size_t i = 0; i < n; ++i) {
                for (size_t j = i; j < n; ++j) n_wrong += c(i, j) != before(i, j) || c(j, i) != before(i, j);
            }
            CHECK(n_wrong == 0);
        }
    }

    TEST_CASE("products: shapes that do not fit are named") {
        ThreadPool pool(1);
        const Compute compute{pool, kernel_table()};
        GemmWorkspace workspace;
        Matrix a(2, 3), b(4, 5), c(2, 5);
        CHECK_THROWS_WITH_AS(gemm(compute, workspace, Update::set, a.view(), b.view(), c.view()),
                             "gemm: expected (m, k) x (k, n) = (m, n), found (2, 3) x (4, 5) = (2, 5)", Error);
        CHECK_THROWS_WITH_AS(syrk_upper(compute, workspace, Update::set, a.view(), c.view()),
                             "syrk: expected (m, k) x (k, n) = (m, n), found (2, 3) x (3, 2) = (2, 5)", Error);
        CHECK_THROWS_WITH_AS(mirror_upper(compute, c.view()), "mirror_upper: expected a square matrix, found (2, 5)",
                             Error);
    }
}
