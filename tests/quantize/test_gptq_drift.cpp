// What QEP, GPTAQ and FOEM add to a solve, against their formulas in double: column by column, no blocks.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "core/quantize/gptq.h"
#include "tests/near.h"
#include "tests/quantize/gptq_problem.h"

using namespace gq;
using namespace gq::test;

namespace {

// Some drift: numbers of either sign, about a twentieth of H's diagonal.
Matrix make_drift(const Problem& problem, uint32_t seed) {
    Numbers numbers{seed};
    Matrix drift(problem.cols, problem.cols);
    for (size_t i = 0; i < problem.cols; ++i) {
        for (size_t j = 0; j < problem.cols; ++j)
            drift(i, j) =
                std::sqrt(problem.h(i, i) * problem.h(j, j)) * static_cast<float>(numbers.below(201) - 100) / 2048;
    }
    return drift;
}

// What the formulas are made of, in the solve's order of columns.
struct Factors {
    std::vector<size_t> order;
    DoubleMatrix inverse, upper, drift;  // inverse = upperᵀ upper
};

Factors factors_of(const Problem& problem, const Matrix& drift, const GptqOptions& options) {
    const size_t n = problem.cols;
    Factors f;
    f.order = prepare_hessian(Machine().compute, problem.h, options).order;
    double mean = 0;
    for (size_t i = 0; i < n; ++i) mean += problem.h(i, i) / static_cast<double>(n);
    f.inverse = f.upper = f.drift = DoubleMatrix(n, std::vector<double>(n));
    for (size_t i = 0; i < n; ++i) {
        for (size_t j = 0; j < n; ++j) {
            f.inverse[i][j] = problem.h(f.order[i], f.order[j]) + (i == j ? options.damping * mean : 0);
            f.drift[i][j] = drift(f.order[i], f.order[j]);
        }
    }
    f.inverse = inverse_of(f.inverse);
    for (size_t i = 0; i < n; ++i) {
        for (size_t j = i; j < n; ++j) {
            double x = f.inverse[i][j];
            for (size_t k = 0; k < i; ++k) x -= f.upper[k][i] * f.upper[k][j];
            f.upper[i][j] = i == j ? std::sqrt(x) : x / f.upper[i][i];
        }
    }
    return f;
}

DoubleMatrix product(const DoubleMatrix& a, const DoubleMatrix& b) {
    DoubleMatrix c(a.size(), std::vector<double>(b[0].size()));
    for (size_t i = 0; i < a.size(); ++i) {
        for (size_t k = 0; k < b.size(); ++k) {
            for (size_t j = 0; j < b[0].size(); ++j) c[i][j] += a[i][k] * b[k][j];
        }
    }
    return c;
}

// α striu(D Uᵀ) U.
DoubleMatrix pull_of(const Factors& f, double alpha) {
    const size_t n = f.upper.size();
    DoubleMatrix transposed(n, std::vector<double>(n));
    for (size_t i = 0; i < n; ++i) {
        for (size_t j = 0; j < n; ++j) transposed[i][j] = f.upper[j][i];
    }
    DoubleMatrix upper = product(f.drift, transposed);
    for (size_t i = 0; i < n; ++i) {
        for (size_t j = 0; j < n; ++j) upper[i][j] = j > i ? alpha * upper[i][j] : 0;
    }
    return product(upper, f.upper);
}

// W (I + α D H⁻¹), in the solve's order.
DoubleMatrix aim_of(const Problem& problem, const Factors& f, double alpha) {
    DoubleMatrix w(problem.rows, std::vector<double>(problem.cols));
    for (size_t row = 0; row < problem.rows; ++row) {
        for (size_t c = 0; c < problem.cols; ++c) w[row][c] = problem.w[row * problem.cols + f.order[c]];
    }
    const DoubleMatrix moved = product(w, product(f.drift, f.inverse));
    for (size_t row = 0; row < problem.rows; ++row) {
        for (size_t c = 0; c < problem.cols; ++c) w[row][c] += alpha * moved[row][c];
    }
    return w;
}

// Rows whose codes are not those of the formulas. Grids are taken from q: they are found before the loop.
size_t rows_that_differ(const QuantizedMatrix& q, const Factors& f, DoubleMatrix w, const GptqOptions& o) {
    const size_t n = f.order.size();
    const DoubleMatrix start = w, pull = pull_of(f, o.gptaq);
    size_t different = 0;
    for (size_t row = 0; row < w.size(); ++row) {
        bool equal = true;
        std::vector<double>& x = w[row];
        for (size_t i = 0; i < n; ++i) {
            const GroupGrid grid = q.grid(row * q.n_groups() + f.order[i] / o.grid.group);
            if (i > 0) x[i] -= o.foem * (x[i] - start[row][i]);
            const double code = std::clamp(std::nearbyint(x[i] / grid.scale) + grid.zero_point, 0.0,
                                           static_cast<double>(o.grid.top_code()));
            const double value = grid.scale * (code - grid.zero_point), now = x[i];
            const double error = ((now - value) - o.foem * (now - start[row][i])) / f.upper[i][i];
            for (size_t k = i; k < n; ++k) x[k] -= error * f.upper[i][k] - now * pull[i][k];
            equal = equal && q.codes[row * n + f.order[i]] == static_cast<int>(code);
        }
        different += equal ? 0 : 1;
    }
    return different;
}

// tr((Q − aim) H (Q − aim)ᵀ)/2, H damped or not.
double loss_to(const Problem& problem, const QuantizedMatrix& q, const Factors& f, const DoubleMatrix& aim,
               double added) {
    double loss = 0;
    std::vector<double> e(problem.cols);
    for (size_t row = 0; row < problem.rows; ++row) {
        for (size_t c = 0; c < problem.cols; ++c) e[c] = q.value(row, f.order[c]) - aim[row][c];
        for (size_t i = 0; i < problem.cols; ++i) {
            for (size_t j = 0; j < problem.cols; ++j)
                loss += e[i] * e[j] * (problem.h(f.order[i], f.order[j]) + (i == j ? added : 0)) / 2;
        }
    }
    return loss;
}

GptqOptions options_with(double qep, double gptaq, double foem) {
    GptqOptions o{.grid = {4, 64, find_grid("zero_point")}};
    o.qep = qep;
    o.gptaq = gptaq;
    o.foem = foem;
    return o;
}

}  // namespace

TEST_SUITE("quantize") {
    // Of 24 rows one in ten may have a value that float rounds the other way (test_gptq.cpp); a wrong formula differs
    // in every row.
    TEST_CASE("QEP, GPTAQ and FOEM are their formulas, over block borders too") {
        const Problem problem = make_problem(24, 192, 512, 31);
        const Matrix drift = make_drift(problem, 32);
        for (const double foem : {0.0, 0.1, 0.4}) {
            for (const auto& shares : {std::pair{0.0, 0.0}, {0.5, 0.0}, {1.0, 0.0}, {0.0, 0.25}, {0.0, 1.0}}) {
                const double qep = shares.first, gptaq = shares.second;  // Clang 14 captures no structured binding
                for (const Order order : {Order::act, Order::gar}) {
                    GptqOptions options = options_with(qep, gptaq, foem);
                    options.order = order;
                    const Factors f = factors_of(problem, drift, options);
                    const bool drifts = qep > 0 || gptaq > 0;
                    for (const size_t block : {size_t{32}, size_t{128}}) {
                        options.block = block;
                        const Solved solved = solve(problem, options, Machine(2), drifts ? &drift : nullptr);
                        CAPTURE(foem);
                        CAPTURE(qep);
                        CAPTURE(gptaq);
                        CAPTURE(block);
                        CHECK(rows_that_differ(solved.q, f, aim_of(problem, f, qep), options) <= 2);
                        CHECK(solved.report.check_error < 1e-5);
                    }
                }
            }
        }
    }

    TEST_CASE("with a drift, losses are those to W (I + alpha D / H)") {
        const Problem problem = make_problem(24, 192, 512, 33);
        const Matrix drift = make_drift(problem, 34);
        const QuantizedMatrix rounded =
            round_to_nearest(Machine().compute, problem.w.data(), 24, 192, {4, 64, find_grid("zero_point")});
        double mean = 0;
        for (size_t i = 0; i < problem.cols; ++i) mean += problem.h(i, i) / 192;
        for (const GptqOptions& options :
             {options_with(0.5, 0, 0), options_with(0, 0.5, 0), options_with(0, 0, 0.1), options_with(0.5, 0, 0.1)}) {
            const double alpha = options.qep + options.gptaq;
            const Factors f = factors_of(problem, drift, options);
            const DoubleMatrix aim = aim_of(problem, f, alpha);
            const Solved solved = solve(problem, options, Machine(), alpha > 0 ? &drift : nullptr);
            // Float's rounding errors of W (I + shift): 1e-7 of weights, 1e-6 of an error, of either sign in the sums.
            CHECK(solved.report.true_loss == near(loss_to(problem, solved.q, f, aim, 0), 1e-5));
            CHECK(solved.report.rtn_loss == near(loss_to(problem, rounded, f, aim, 0), 1e-5));
            CHECK(solved.report.loss == near(loss_to(problem, solved.q, f, aim, .01 * mean), 1e-5));
        }
    }

    TEST_CASE("a drift moves weights to where the float model's outputs are") {
        // x_float = x + δ with δ = x M: then D = 2/N Σ δᵀ x = Mᵀ H, and W (I + Mᵀ) gives x what W gives x_float.
        const Problem problem = make_problem(16, 96, 512, 35);
        Matrix drift(96, 96);
        for (size_t i = 0; i < 96; ++i) {
            for (size_t j = 0; j < 96; ++j) drift(i, j) = (problem.h((i + 1) % 96, j) - problem.h(i, j)) / 16;
        }
        GptqOptions options = options_with(1, 0, 0);
        options.damping = 0;
        Machine machine;
        const PreparedHessian prepared = prepare_hessian(machine.compute, problem.h, options);
        const PreparedDrift found = prepare_drift(machine.compute, drift, prepared, options);
        for (size_t i = 0; i < 96; ++i) {
            for (size_t j = 0; j < 96; ++j) {
                const double expected = ((i + 1) % 96 == j ? 1.0 : 0.0) / 16 - (i == j ? 1.0 : 0.0) / 16;
                // Of the size of the elements, 1/16. Float's 6e-8 times the condition of H (2e5) bounds it by 1e-2;
                // errors that are independent of each other reach a tenth.
                REQUIRE(std::abs(found.shift(i, j) - expected) < 1e-3 / 16);
            }
        }
        CHECK(found.pull.rows() == 0);
    }

    TEST_CASE("threads change no bit of a solve with a drift") {
        const Problem problem = make_problem(70, 208, 512, 36);
        const Matrix drift = make_drift(problem, 37);
        for (const GptqOptions& options : {options_with(0.5, 0, 0.1), options_with(0, 0.5, 0.1)}) {
            const Solved one = solve(problem, options, Machine(1), &drift);
            const Solved scalar = solve(problem, options, Machine(1, scalar_table()), &drift);
            const Solved three = solve(problem, options, Machine(3), &drift);
            CHECK(same(one.q, three.q));
            CHECK(same(one.q, scalar.q));
            CHECK(one.report.loss == three.report.loss);
            CHECK(one.report.true_loss == three.report.true_loss);
        }
    }

    TEST_CASE("a drift that does not fit, and options that do not go together, are named") {
        const Problem problem = make_problem(8, 96, 256, 38);
        const Matrix narrow(64, 64), drift(96, 96);
        const auto with = [&](const GptqOptions& o, const Matrix& d) {
            return error_of(Status::invalid_argument, [&] { solve(problem, o, Machine(), &d); });
        };
        CHECK(contains(with(options_with(.5, 0, 0), narrow), "drift: expected one of 96 x 96"));
        CHECK(contains(with(options_with(.5, .5, 0), drift), "expected one of them"));
        CHECK(contains(with(options_with(1.5, 0, 0), drift), "qep: expected 0 to 1, found 1.5"));
        CHECK(contains(with(options_with(0, -1, 0), drift), "gptaq: expected 0 to 1, found -1"));
        CHECK(contains(with(options_with(0, 0, 1), drift), "foem: expected 0 to below 1, found 1"));
        CHECK(contains(with(options_with(0, 0, std::numeric_limits<double>::quiet_NaN()), drift), "foem: expected"));
        GptqOptions sweeps{.grid = {4, 32, find_grid("zero_point")}, .order = Order::column};
        sweeps.sweeps = 1;
        CHECK(contains(with(sweeps, drift), "sweeps: expected order act or gar, found column"));
    }
}
