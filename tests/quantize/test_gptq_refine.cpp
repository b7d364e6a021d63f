// What follows the loop: grids by least squares and sweeps of coordinate descent, against independent loops in double.
#include "core/quantize/gptq_refine.h"

#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "formats/element_type.h"
#include "tests/near.h"
#include "tests/quantize/gptq_problem.h"
#include "tests/quantize/solver_grids.h"

using namespace gq;
using namespace gq::test;

namespace {

DoubleMatrix damped(const Problem& problem, const PreparedHessian& prepared) {
    DoubleMatrix h(problem.cols, std::vector<double>(problem.cols));
    for (size_t i = 0; i < problem.cols; ++i) {
        for (size_t j = 0; j < problem.cols; ++j) h[i][j] = problem.h(i, j) + (i == j ? prepared.added : 0);
    }
    return h;
}

double loss_of_row(const Problem& problem, const DoubleMatrix& h, const QuantizedMatrix& q, size_t row) {
    std::vector<double> e(problem.cols);
    for (size_t c = 0; c < problem.cols; ++c)
        e[c] = static_cast<double>(q.value(row, c)) - problem.w[row * problem.cols + c];
    double loss = 0;
    for (size_t i = 0; i < problem.cols; ++i) {
        for (size_t j = 0; j < problem.cols; ++j) loss += e[i] * h[i][j] * e[j] / 2;
    }
    return loss;
}

// A problem rounded to nearest, and what the steps work on.
struct Rounded {
    Problem problem;
    GptqOptions options;
    Machine machine;
    PreparedHessian prepared;
    SolveProblem solve;
    QuantizedMatrix q;
    AlignedBuffer<double> row_loss;
    RefineState state;

    Rounded(const GridOptions& grid, uint32_t seed, size_t n_threads = 1, size_t rows = 40, size_t cols = 208)
        : problem(make_problem(rows, cols, 512, seed)),
          options{.grid = grid},
          machine(n_threads),
          prepared(prepare_hessian(machine.compute, problem.h, options)),
          solve{machine.compute, problem.w.data(), problem.w.data(), rows, cols, problem.h, nullptr, prepared, options},
          q(round_to_nearest(machine.compute, problem.w.data(), rows, cols, grid)),
          row_loss(rows),
          state{solve, problem.w.data(), q, row_loss, Matrix(round_up(rows, 32), round_up(cols, 16))} {
        for (size_t row = 0; row < rows; ++row) find_errors(state, row);
    }
};

// The coefficients of scale (and offset) that lose least with the codes of a row, by the normal equations of
// min |Σ scale (code − zero point) + offset − w| under H; and 0 offsets where there are none.
std::vector<double> best_coefficients(const Rounded& r, const DoubleMatrix& h, size_t row) {
    const size_t n = r.problem.cols, n_groups = r.q.n_groups(),
                 order = n_groups * (r.options.grid.grid->has_offsets ? 2 : 1);
    DoubleMatrix basis(order, std::vector<double>(n)), gram(order, std::vector<double>(order));
    for (size_t c = 0; c < n; ++c) {
        const size_t g = r.options.grid.group_of(c);
        basis[g][c] = r.q.codes[row * n + c] - r.q.grid(row * n_groups + g).zero_point;
        if (order > n_groups) basis[n_groups + g][c] = 1;
    }
    std::vector<double> right(order), out(order);
    for (size_t a = 0; a < order; ++a) {
        for (size_t i = 0; i < n; ++i) {
            double pull = 0;
            for (size_t j = 0; j < n; ++j) pull += h[i][j] * basis[a][j];
            for (size_t b = 0; b < order; ++b) gram[a][b] += pull * basis[b][i];
            right[a] += pull * r.problem.w[row * n + i];
        }
    }
    gram = inverse_of(gram);
    for (size_t a = 0; a < order; ++a) {
        for (size_t b = 0; b < order; ++b) out[a] += gram[a][b] * right[b];
    }
    return out;
}

// One sweep in double over one row's codes.
std::vector<int> swept(const Rounded& r, const DoubleMatrix& h, size_t row) {
    const size_t n = r.problem.cols;
    std::vector<int> codes(n);
    std::vector<double> e(n);
    for (size_t c = 0; c < n; ++c) {
        codes[c] = r.q.codes[row * n + c];
        e[c] = static_cast<double>(r.q.value(row, c)) - r.problem.w[row * n + c];
    }
    for (size_t j = 0; j < n; ++j) {
        const GroupGrid grid = r.q.grid(row * r.q.n_groups() + r.options.grid.group_of(j));
        double others = 0;
        for (size_t k = 0; k < n; ++k) others += k == j ? 0 : h[j][k] * e[k];
        const double best = r.problem.w[row * n + j] - others / h[j][j];
        const double code = std::clamp(std::nearbyint((best - grid.offset) / grid.scale) + grid.zero_point, 0.0,
                                       static_cast<double>(r.options.grid.top_code()));
        codes[j] = static_cast<int>(code);
        e[j] = static_cast<double>(grid.scale) * (code - grid.zero_point) + grid.offset - r.problem.w[row * n + j];
    }
    return codes;
}

const Grid* const grids[] = {find_grid("zero_point"), find_grid("symmetric"), find_grid("offset"), &offset_grid};

}  // namespace

TEST_SUITE("quantize") {
    TEST_CASE("re-fit scales and offsets are the least squares of their codes, as they are stored") {
        for (const Grid* grid : grids) {
            for (const size_t group : {size_t{16}, size_t{32}, size_t{128}, size_t{0}}) {
                Rounded r({3, group, grid}, 41);
                const DoubleMatrix h = damped(r.problem, r.prepared);
                const Rounded before({3, group, grid}, 41);
                refit_grids(r.state);
                size_t n_moved = 0;
                for (size_t row = 0; row < r.q.rows; ++row) {
                    const double was = loss_of_row(r.problem, h, before.q, row);
                    const double now = loss_of_row(r.problem, h, r.q, row);
                    // The code compares losses of errors that are floats: 1e-6 of a loss; a row as it was has none.
                    CHECK(now <= was * (1 + 1e-6));
                    CHECK(r.row_loss[row] == near(now, 1e-5));  // of the floats, in another order
                    const bool moved =
                        !std::equal(&r.q.scales[row * r.q.n_groups()], &r.q.scales[(row + 1) * r.q.n_groups()],
                                    &before.q.scales[row * r.q.n_groups()]);
                    if (!moved) continue;
                    ++n_moved;
                    const std::vector<double> best = best_coefficients(before, h, row);
                    for (size_t g = 0; g < r.q.n_groups(); ++g) {
                        const GroupGrid found = r.q.grid(row * r.q.n_groups() + g);
                        // Half a unit of f16, 4.9e-4 of a scale and 1.2e-4 of an offset below 1/4, and the ridge of
                        // 1e-6 times a condition of some 10.
                        CHECK(found.scale == near(best[g], 5e-4));
                        if (grid->has_offsets) CHECK(std::abs(found.offset - best[r.q.n_groups() + g]) < 1.4e-4);
                    }
                }
                CHECK(n_moved > r.q.rows * 9 / 10);
            }
        }
    }

    // One row in twenty may have a value that float rounds the other way; a wrong sweep differs in every row.
    TEST_CASE("a sweep gives each code in turn its best value") {
        for (const Grid* grid : grids) {
            for (const unsigned bits : {2u, 4u}) {
                Rounded r({bits, 64, grid}, 42);
                const Rounded before({bits, 64, grid}, 42);
                const DoubleMatrix h = damped(r.problem, r.prepared);
                for (size_t row = 0; row < r.q.rows; ++row) r.row_loss[row] = loss_of_row(r.problem, h, r.q, row);
                sweep_codes(r.state);
                size_t n_different = 0;
                for (size_t row = 0; row < r.q.rows; ++row) {
                    const std::vector<int> expected = swept(before, h, row);
                    n_different +=
                        std::equal(expected.begin(), expected.end(), &r.q.codes[row * r.problem.cols]) ? 0 : 1;
                    const double now = loss_of_row(r.problem, h, r.q, row);
                    CHECK(now <= loss_of_row(r.problem, h, before.q, row));
                    CHECK(r.row_loss[row] == near(now, 1e-5));  // errors are floats, as above
                }
                CHECK(n_different <= 2);
            }
        }
    }

    TEST_CASE("sweeps and re-fits never raise the loss, whatever came before") {
        const Problem problem = make_problem(40, 208, 512, 43);
        Matrix drift(208, 208);
        for (size_t i = 0; i < 208; ++i) drift(i, (i + 1) % 208) = problem.h(i, i) / 32;
        for (const Grid* grid : {grids[0], grids[1], grids[2], grids[3], &paired_grid}) {
            for (const double gptaq : {0.0, 0.5}) {
                GptqOptions options{.grid = {3, 32, grid}, .search = GridSearch::clip};
                options.gptaq = gptaq;
                options.foem = gptaq / 5;
                const Matrix* moved = gptaq > 0 ? &drift : nullptr;
                double last = solve(problem, options, Machine(), moved).report.loss;
                options.refit = true;
                for (const size_t sweeps : {0, 1, 2, 4}) {
                    options.sweeps = sweeps;
                    const Solved solved = solve(problem, options, Machine(), moved);
                    CAPTURE(grid->name);
                    CAPTURE(gptaq);
                    CAPTURE(sweeps);
                    CHECK(solved.report.loss <= last * (1 + 1e-6));  // errors are floats, as above
                    CHECK(solved.report.check_error < 1e-4);
                    last = solved.report.loss;
                }
                // Clipping, re-fits and sweeps take a fifth to a third of a plain solve's loss at 3 bits.
                if (gptaq == 0) CHECK(last < 0.85 * solve(problem, {.grid = options.grid}, Machine()).report.loss);
            }
        }
    }

    TEST_CASE("threads and instruction sets change no bit of a refined solve; dead inputs stay") {
        Problem problem = make_problem(300, 208, 512, 44);
        for (const size_t d : {size_t{0}, size_t{77}}) {
            for (size_t i = 0; i < problem.cols; ++i) problem.h(d, i) = problem.h(i, d) = 0;
        }
        for (const Grid* grid : grids) {
            GptqOptions options{.grid = {3, 32, grid}};
            options.sweeps = 2;
            options.refit = true;
            const Solved one = solve(problem, options, Machine(1));
            const Solved three = solve(problem, options, Machine(3));
            CHECK(same(one.q, three.q));
            CHECK(same(one.q, solve(problem, options, Machine(1, scalar_table())).q));
            CHECK(one.report.loss == three.report.loss);
            CHECK(one.report.check_error < 1e-4);
            if (grid->has_offsets) continue;
            for (size_t row = 0; row < problem.rows; ++row) REQUIRE(one.q.value(row, 77) == 0.0f);
        }
    }

    TEST_CASE("groups whose codes are all zero points keep their grids") {
        Problem problem = make_problem(4, 96, 256, 45);
        for (size_t c = 0; c < 32; ++c) problem.w[c] = problem.w[96 + 32 + c] = 0;
        GptqOptions options{.grid = {3, 32, find_grid("symmetric")}};
        options.refit = true;
        const Solved solved = solve(problem, options);
        for (const float scale : solved.q.scales) CHECK((std::isfinite(scale) && scale > 0));
        CHECK(solved.report.check_error < 1e-4);
    }
}
