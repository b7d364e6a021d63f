// Choices by held-out rows: the losses against loops in double, and which of two is kept.
#include "core/quantize/held_out.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/near.h"
#include "tests/quantize/gptq_problem.h"

using namespace gq;
using namespace gq::test;

namespace {

Matrix copy_of(const Matrix& m) {
    Matrix copy(m.rows(), m.cols());
    std::copy_n(m.data(), m.rows() * m.cols(), copy.data());
    return copy;
}

HeldOut held_out_of(const Matrix& h, float drift_share = 0) {
    HeldOut held_out{copy_of(h), Matrix()};
    if (drift_share == 0) return held_out;
    held_out.drift = Matrix(h.rows(), h.cols());
    for (size_t i = 0; i < h.rows(); ++i) {
        for (size_t j = 0; j < h.cols(); ++j) held_out.drift(i, j) = drift_share * h((i + 1) % h.rows(), j);
    }
    return held_out;
}

double expected_loss(const Problem& problem, const QuantizedMatrix& q, const HeldOut& held_out) {
    double loss = 0;
    const size_t n = problem.cols;
    for (size_t row = 0; row < problem.rows; ++row) {
        for (size_t i = 0; i < n; ++i) {
            for (size_t j = 0; j < n; ++j) {
                const double w_i = problem.w[row * n + i], e_i = q.value(row, i) - w_i,
                             e_j = static_cast<double>(q.value(row, j)) - problem.w[row * n + j];
                loss += e_i * e_j * held_out.hessian(i, j) / 2;
                if (held_out.drift.rows() != 0) loss -= w_i * held_out.drift(i, j) * e_j;
            }
        }
    }
    return loss;
}

}  // namespace

TEST_SUITE("quantize") {
    // Products with H are in float: 1e-7 each, of either sign in the sums.
    TEST_CASE("the loss on held-out rows is its formula") {
        const Problem problem = make_problem(12, 96, 256, 61), other = make_problem(12, 96, 256, 62);
        Machine machine;
        const QuantizedMatrix q = solve(problem, {.grid = {3, 32, find_grid("zero_point")}}).q;
        for (const float share : {0.0f, 0.05f}) {
            const HeldOut held_out = held_out_of(other.h, share);
            CHECK(held_out_loss(machine.compute, problem.w.data(), q, held_out) ==
                  near(expected_loss(problem, q, held_out), 1e-6));
        }
        CHECK(contains(error_of(Status::invalid_argument,
                                [&] {
                                    held_out_loss(machine.compute, problem.w.data(), q, {Matrix(64, 64), Matrix()});
                                }),
                       "held-out rows: expected 96 inputs, found 64 x 64"));
    }

    TEST_CASE("the better on held-out rows is kept") {
        const Problem problem = make_problem(12, 96, 256, 63), alike = make_problem(12, 96, 256, 64);
        // Inputs of which nothing is like the calibration's: all independent, so that feedback of errors only harms.
        Matrix unlike(96, 96);
        for (size_t i = 0; i < 96; ++i) unlike(i, i) = 1;
        Machine machine;
        for (const GridSearch search : {GridSearch::span, GridSearch::clip, GridSearch::joint}) {
            const GptqOptions options{.grid = {3, 32, find_grid("zero_point")}, .search = search};
            Solved good = solve(problem, options), bad = solve(problem, options);
            const QuantizedMatrix solved = solve(problem, options).q;
            const QuantizedMatrix kept = keep_better(machine.compute, problem.w.data(), problem.h, held_out_of(alike.h),
                                                     options, std::move(good.q), good.report);
            CHECK(same(kept, solved));
            CHECK(good.report.held_out);
            CHECK(!good.report.kept_rtn);
            CHECK(good.report.held_out_loss < good.report.held_out_rtn_loss);
            const HeldOut strange = held_out_of(unlike);
            const QuantizedMatrix rounded = keep_better(machine.compute, problem.w.data(), problem.h, strange, options,
                                                        std::move(bad.q), bad.report);
            CHECK(bad.report.kept_rtn);
            CHECK(bad.report.held_out_loss > bad.report.held_out_rtn_loss);
            CHECK(expected_loss(problem, rounded, strange) == near(bad.report.held_out_rtn_loss, 1e-6));
            CHECK(bad.report.true_loss == near(loss_of(problem, rounded), 1e-6));
        }
    }

    TEST_CASE("the best damping is that of the least loss on held-out rows") {
        const Problem other = make_problem(24, 96, 2048, 65);
        Machine machine;
        for (const size_t n_tokens : {32, 2048}) {
            const Problem problem = make_problem(24, 96, n_tokens, 66);
            Matrix weights(24, 96);
            std::copy_n(problem.w.data(), weights.rows() * weights.cols(), weights.data());
            for (const float share : {0.0f, 0.05f}) {
                GptqOptions options{.grid = {4, 32, find_grid("zero_point")}};
                options.qep = share > 0 ? 0.5 : 0;
                const HeldOut held_out = held_out_of(other.h, share), seen = held_out_of(problem.h, share);
                const Matrix* drift = share > 0 ? &seen.drift : nullptr;
                const double best = best_damping(machine.compute, weights, problem.h, drift, held_out, options);
                double least = 1e30, expected = 0;
                for (const double damping : {0.003, 0.01, 0.03, 0.1}) {
                    options.damping = damping;
                    const double loss = expected_loss(problem, solve(problem, options, machine, drift).q, held_out);
                    if (loss < least) expected = damping;
                    least = std::min(least, loss);
                }
                CHECK(best == expected);
                if (n_tokens == 32) CHECK(best == 0.1);  // of rank 32, H knows a third of the inputs
            }
        }
    }
}
