// core/quantize/lorc.h against the formulas of the papers in double, on small matrices; what rank and Hessian bring;
// rounding, special matrices, bad input, the same bits everywhere. In: random E and H. Out: checks. Must not know the
// walk.
#include <doctest/doctest.h>

#include "core/linalg/symmetric_eigen.h"
#include "core/quantize/lorc.h"
#include "tests/linalg/reference.h"
#include "tests/quantize/solver_test.h"

using namespace gq;
using namespace gq_test;
using gq::test::error_of;
using gq::test::Machine;

namespace {

DoubleMatrix to_double(const Matrix& m) {
    DoubleMatrix out(m.rows(), m.cols());
    for (size_t i = 0; i < out.values.size(); ++i) out.values[i] = m.data()[i];
    return out;
}

DoubleMatrix product(const DoubleMatrix& a, const DoubleMatrix& b) {
    DoubleMatrix c(a.rows, b.cols);
    for (size_t i = 0; i < a.rows; ++i)
        for (size_t k = 0; k < a.cols; ++k)
            for (size_t j = 0; j < b.cols; ++j) c(i, j) += a(i, k) * b(k, j);
    return c;
}

DoubleMatrix transposed(const DoubleMatrix& a) {
    DoubleMatrix t(a.cols, a.rows);
    for (size_t i = 0; i < a.rows; ++i)
        for (size_t j = 0; j < a.cols; ++j) t(j, i) = a(i, j);
    return t;
}

// The best approximation of rank r by all eigenvectors of AᵀA: A V Vᵀ.
DoubleMatrix best_of_rank(const DoubleMatrix& a, size_t rank) {
    const SymmetricEigen eigen = symmetric_eigen(product(transposed(a), a).values, a.cols);
    DoubleMatrix v(a.cols, rank);
    for (size_t k = 0; k < rank; ++k)
        for (size_t i = 0; i < a.cols; ++i) v(i, k) = eigen.vectors[k * a.cols + i];
    return product(product(a, v), transposed(v));
}

// EoRA as its paper says it: SVD_r(E Q Λ^½) Λ^(-½) Qᵀ.
DoubleMatrix eora_by_paper(const DoubleMatrix& e, const DoubleMatrix& h, size_t rank) {
    const size_t n = h.rows;
    const SymmetricEigen eigen = symmetric_eigen(h.values, n);
    DoubleMatrix into(n, n), back(n, n);  // Q Λ^½, Λ^(-½) Qᵀ
    for (size_t k = 0; k < n; ++k) {
        const double root = std::sqrt(eigen.values[k]);
        for (size_t i = 0; i < n; ++i) {
            into(i, k) = eigen.vectors[k * n + i] * root;
            back(k, i) = eigen.vectors[k * n + i] / root;
        }
    }
    return product(best_of_rank(product(e, into), rank), back);
}

// tr(E H Eᵀ), or |E|² without H.
double norm(const DoubleMatrix& e, const DoubleMatrix* h) {
    const DoubleMatrix weighted = h ? product(e, *h) : e;
    double sum = 0;
    for (size_t i = 0; i < e.values.size(); ++i) sum += e.values[i] * weighted.values[i];
    return sum;
}

DoubleMatrix difference(const DoubleMatrix& a, const DoubleMatrix& b) {
    DoubleMatrix d = a;
    for (size_t i = 0; i < d.values.size(); ++i) d.values[i] -= b.values[i];
    return d;
}

DoubleMatrix product_of(const LowRankFactors& f) {
    return product(to_double(f.u), to_double(f.v));
}

double rounded_loss(const Compute& compute, const Matrix& e, const Matrix* h, const Matrix* measure, size_t rank) {
    Matrix left = copy_of(e);
    subtract_product(compute, round_factors(compute, e, h, low_rank_factors(compute, e, h, rank)), left);
    const DoubleMatrix by = measure ? to_double(*measure) : DoubleMatrix(0, 0);
    return norm(to_double(left), measure ? &by : nullptr);
}

// A decaying spectrum, so that the iteration ends at the true vectors, and inputs of very different size.
Matrix errors_with_structure(size_t rows, size_t cols) {
    const Matrix a = random_matrix(rows, 12, 1), b = random_matrix(12, cols, 2), noise = random_matrix(rows, cols, 3);
    Matrix e(rows, cols);
    for (size_t i = 0; i < rows; ++i) {
        for (size_t j = 0; j < cols; ++j) {
            e(i, j) = 0.001f * noise(i, j);
            for (size_t k = 0; k < 12; ++k) e(i, j) += a(i, k) * b(k, j) * std::ldexp(0.1f, -static_cast<int>(k));
        }
    }
    return e;
}

Matrix hessian_of(size_t cols) {
    Matrix x = random_matrix(3 * cols, cols, 9);
    for (size_t t = 0; t < x.rows(); ++t)
        for (size_t j = 0; j < cols; ++j) x(t, j) *= std::ldexp(1.0f, static_cast<int>(j % 9) - 4);
    return gram(x);
}

}  // namespace

TEST_SUITE("quantize") {
    TEST_CASE("LoRC is the best approximation of its rank, EoRA is the formula of its paper") {
        const Machine machine(2);
        for (const auto& shape : {std::pair<size_t, size_t>{40, 64}, {70, 33}}) {
            const size_t rows = shape.first, cols = shape.second;  // Clang 14 captures no structured binding
            const Matrix e = errors_with_structure(rows, cols), h = hessian_of(cols);
            const DoubleMatrix wide_e = to_double(e), wide_h = to_double(h);
            for (const size_t rank : {1, 4, 8}) {
                CAPTURE(rows);
                CAPTURE(rank);
                const DoubleMatrix lorc = product_of(low_rank_factors(machine.compute, e, nullptr, rank));
                const DoubleMatrix eora = product_of(low_rank_factors(machine.compute, e, &h, rank));
                const DoubleMatrix best = best_of_rank(wide_e, rank), paper = eora_by_paper(wide_e, wide_h, rank);
                // The iteration ends within 1e-4 of the captured squares; spectra fall by 4 a step (16 for squares).
                CHECK(norm(difference(lorc, best), nullptr) < 1e-4 * norm(best, nullptr));
                CHECK(norm(difference(eora, paper), &wide_h) < 1e-4 * norm(paper, &wide_h));
                const double least = norm(difference(wide_e, paper), &wide_h);
                CHECK(norm(difference(wide_e, eora), &wide_h) < least + 1e-4 * norm(wide_e, &wide_h));
                CHECK(norm(difference(wide_e, eora), &wide_h) < norm(difference(wide_e, lorc), &wide_h));
            }
        }
    }

    TEST_CASE("8-bit factors: the loss falls with the rank, EoRA is better under H and LoRC without") {
        const Machine machine(2);
        const Matrix e = random_matrix(96, 80, 4), h = hessian_of(80);
        const DoubleMatrix wide_h = to_double(h);
        double lorc_before = norm(to_double(e), nullptr), eora_before = norm(to_double(e), &wide_h);
        for (const size_t rank : {1, 4, 8, 16, 32, 64}) {
            CAPTURE(rank);
            const double lorc = rounded_loss(machine.compute, e, nullptr, nullptr, rank);
            const double eora = rounded_loss(machine.compute, e, &h, &h, rank);
            CHECK(lorc < lorc_before);
            CHECK(eora < eora_before);
            CHECK(eora < rounded_loss(machine.compute, e, nullptr, &h, rank));
            if (rank < 64) CHECK(lorc < rounded_loss(machine.compute, e, &h, nullptr, rank));
            lorc_before = lorc;
            eora_before = eora;
        }
    }

    TEST_CASE("rounding to 8 bits costs little, and the second factor makes up for the first") {
        const Machine machine(1);
        const Matrix e = errors_with_structure(96, 80), h = hessian_of(80);
        const DoubleMatrix wide_h = to_double(h), wide_e = to_double(e);
        const LowRankFactors exact = low_rank_factors(machine.compute, e, &h, 8);
        const double kept = norm(difference(wide_e, product_of(exact)), &wide_h);
        const GridOptions grid{8, 0, find_grid("symmetric")};
        const auto round = [&](const Matrix& m) {
            return round_to_nearest(machine.compute, m.data(), m.rows(), m.cols(), grid);
        };
        Matrix plain = copy_of(e), refitted = copy_of(e);
        subtract_product(machine.compute, {round(exact.u), round(exact.v)}, plain);
        const RoundedFactors rounded = round_factors(machine.compute, e, &h, exact);
        subtract_product(machine.compute, rounded, refitted);
        const double by_plain = norm(to_double(plain), &wide_h), by_refit = norm(to_double(refitted), &wide_h);
        CHECK(by_refit < by_plain);
        // 8 bits a row: steps of 2/255 of its largest value m, errors of step^2/12. With m^2 up to 10 mean squares that
        // is 5e-5 of the product a factor.
        CHECK(by_refit < kept + 1e-4 * norm(wide_e, &wide_h));
        CHECK(rounded.u.rows == 96);
        CHECK(rounded.u.cols == 8);
        CHECK(rounded.v.rows == 8);
        CHECK(rounded.v.cols == 80);
        for (const QuantizedMatrix* q : {&rounded.u, &rounded.v})
            for (size_t row = 0; row < q->rows; ++row) CHECK(q->grid(row).zero_point == 128);
    }

    TEST_CASE("tiny and large errors keep their factors inside f16; nothing to correct gives zeros") {
        const Machine machine(1);
        const Matrix h = hessian_of(48);
        for (const int power : {-20, 0, 6}) {
            Matrix e = errors_with_structure(64, 48), left;
            for (size_t i = 0; i < e.rows() * e.cols(); ++i) e.data()[i] = std::ldexp(e.data()[i], power);
            left = copy_of(e);
            subtract_product(machine.compute,
                             round_factors(machine.compute, e, &h, low_rank_factors(machine.compute, e, &h, 8)), left);
            CAPTURE(power);
            // Beside 8 bits, what rank 8 leaves: terms that fall by 4 (in squares) from 4^-8, unweighted where H is
            // small.
            CHECK(norm(to_double(left), nullptr) < 2e-3 * norm(to_double(e), nullptr));
        }
        const Matrix none(64, 48);
        const LowRankFactors zero = low_rank_factors(machine.compute, none, &h, 8);
        CHECK(std::all_of(zero.u.data(), zero.u.data() + 64 * 8, [](float x) { return x == 0; }));
        const RoundedFactors rounded = round_factors(machine.compute, none, &h, zero);
        CHECK(std::all_of(rounded.u.codes.begin(), rounded.u.codes.end(), [](uint8_t c) { return c == 128; }));
    }

    TEST_CASE("a singular Hessian, dead inputs and errors of lower rank are corrected completely") {
        const Machine machine(1);
        const Matrix x = random_matrix(20, 48, 6), h = gram(x);  // 20 tokens, 48 inputs
        const DoubleMatrix wide_h = to_double(h);
        const Matrix e = random_matrix(64, 48, 7);
        Matrix left = copy_of(e);
        // Rank 20 is all that H sees; 8 bits a factor leave 5e-5 each, as above.
        subtract_product(machine.compute,
                         round_factors(machine.compute, e, &h, low_rank_factors(machine.compute, e, &h, 24)), left);
        CHECK(norm(to_double(left), &wide_h) < 1e-4 * norm(to_double(e), &wide_h));
        Matrix outer(64, 48);
        for (size_t i = 0; i < 64; ++i)
            for (size_t j = 0; j < 48; ++j) outer(i, j) = e(i, 0) * e(0, j);
        CHECK(rounded_loss(machine.compute, outer, nullptr, nullptr, 8) < 1e-4 * norm(to_double(outer), nullptr));
    }

    TEST_CASE("where calibration has shown nothing, a damped correction adds no errors") {
        const Machine machine(1);
        const Matrix h = gram(random_matrix(20, 48, 6)), e = random_matrix(64, 48, 7);
        const DoubleMatrix wide_h = to_double(h);
        float mean = 0;
        for (size_t i = 0; i < 48; ++i) mean += h(i, i) / 48;
        for (const size_t rank : {size_t{24}, size_t{40}, size_t{48}}) {
            Matrix left = copy_of(e);
            const LowRankFactors factors = low_rank_factors(machine.compute, e, &h, rank, 0.01f * mean);
            subtract_product(machine.compute, round_factors(machine.compute, e, &h, factors, 0.01f * mean), left);
            CAPTURE(rank);
            // 8 bits, as above, and as much again for the damping.
            CHECK(norm(to_double(left), &wide_h) < 2e-4 * norm(to_double(e), &wide_h));
            // 28 of 48 directions (0.58) are unseen: what rank is left corrects some of them, and none gets worse.
            CHECK(norm(to_double(left), nullptr) < norm(to_double(e), nullptr) * 0.6);
        }
    }

    TEST_CASE("factors have the same bits at any thread count and on all kernels") {
        const Matrix e = random_matrix(100, 90, 11), h = hessian_of(90);
        std::vector<uint8_t> first;
        on_every_machine([&](const Compute& compute) {
            const RoundedFactors r = round_factors(compute, e, &h, low_rank_factors(compute, e, &h, 16));
            std::vector<uint8_t> all(r.u.codes.begin(), r.u.codes.end());
            all.insert(all.end(), r.v.codes.begin(), r.v.codes.end());
            for (const QuantizedMatrix* q : {&r.u, &r.v}) {
                const auto* bytes = reinterpret_cast<const uint8_t*>(q->scales.data());
                all.insert(all.end(), bytes, bytes + q->scales.size() * sizeof(float));
            }
            if (first.empty()) first = all;
            CAPTURE(compute.kernels.isa);
            CHECK(all == first);
        });
    }

    TEST_CASE("low ranks that can't be are named") {
        const Machine machine(1);
        Matrix e = random_matrix(20, 10, 1), wrong(9, 9), h = hessian_of(10);
        const auto message = [&](const Matrix* hessian, size_t rank, Status status) {
            return error_of(status, [&] { low_rank_factors(machine.compute, e, hessian, rank); });
        };
        CHECK(message(nullptr, 0, Status::invalid_argument) ==
              "low rank: 1 to 10 expected for a matrix of 20 x 10, found 0");
        CHECK(message(&h, 11, Status::invalid_argument) ==
              "low rank: 1 to 10 expected for a matrix of 20 x 10, found 11");
        CHECK(message(&wrong, 2, Status::invalid_argument) ==
              "low rank: a Hessian of 10 inputs expected, found (9, 9)");
        e(3, 3) = std::numeric_limits<float>::quiet_NaN();
        CHECK(gq::test::contains(message(&h, 2, Status::numeric), "a finite matrix expected"));
    }
}
