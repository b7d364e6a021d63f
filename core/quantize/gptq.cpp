// One solve from end to end: what it aims at, the loop, what follows it, the report. In: W, a PreparedHessian, options.
// Out: codes, scales, zero points, a report. Must not know models, files or calibration. See gptq.h.
#include "core/quantize/gptq.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/linalg/gemm.h"
#include "core/quantize/gptq_loop.h"
#include "core/quantize/gptq_measure.h"
#include "core/quantize/gptq_refine.h"
#include "core/quantize/solver_options.h"

namespace gq {

namespace {

void check_arguments(const SolveProblem& problem) {
    const size_t cols = problem.cols, factor = problem.prepared.usable ? problem.prepared.u.rows() : cols;
    if (problem.h.rows() != cols || problem.h.cols() != cols || factor != cols ||
        problem.prepared.dead.size() != cols) {
        fail(Status::invalid_argument,
             "gptq: expected Hessians of %zu inputs, found one of %zu x %zu, prepared for %zu", cols, problem.h.rows(),
             problem.h.cols(), problem.prepared.dead.size());
    }
    if (problem.drift && (problem.drift->shift.rows() != cols || problem.drift->shift.cols() != cols)) {
        fail(Status::invalid_argument, "gptq: expected a drift of %zu inputs, found one of %zu x %zu", cols,
             problem.drift->shift.rows(), problem.drift->shift.cols());
    }
    const size_t block = problem.options.block;
    if (block == 0 || block % tile_cols != 0) {
        fail(Status::invalid_argument, "gptq block: expected a multiple of %zu, found %zu", tile_cols, block);
    }
    check_solver_options(problem.options);
}

double total(const AlignedBuffer<double>& row_loss) {
    return std::accumulate(row_loss.begin(), row_loss.end(), 0.0);
}

// False: the solve left the finite numbers, and q is worth nothing.
bool solve(SolveProblem& problem, QuantizedMatrix& q, SolveReport& report) {
    const GptqOptions& options = problem.options;
    const Matrix moved =
        problem.drift ? solve_aim(problem.compute, problem.original, problem.rows, *problem.drift) : Matrix();
    const float* aim = problem.drift ? moved.data() : problem.original;
    const bool in_loop = problem.drift && options.gptaq > 0;  // GPTAQ: the loop itself moves the weights
    problem.w = in_loop ? problem.original : aim;
    LoopResult result = gptq_loop(problem);
    if (!std::isfinite(total(result.row_loss))) return false;
    const RowSample sample(problem, aim);
    bool has_account = !in_loop && options.foem == 0;
    if (options.sweeps > 0 || options.refit) {
        if (has_account) report.check_error = self_check(problem, sample, result.q, result.row_loss);
        refine(problem, aim, result.q, result.row_loss);
        has_account = true;
    }
    if (has_account) report.loss = total(result.row_loss);
    measure_losses(problem, sample, result.q, has_account ? &result.row_loss : nullptr, report);
    q = std::move(result.q);
    return std::isfinite(report.loss);
}

}  // namespace

QuantizedMatrix gptq_solve(const Compute& compute, const float* w, size_t rows, size_t cols, const Matrix& h,
                           const PreparedDrift* drift, const PreparedHessian& prepared, const GptqOptions& options,
                           SolveReport& report) {
    SolveProblem problem{compute, w, w, rows, cols, h, drift, prepared, options};
    check_arguments(problem);
    report = SolveReport();
    report.damping = prepared.damping;
    report.damping_retries = prepared.retries;
    report.dead_columns = static_cast<size_t>(std::count(prepared.dead.begin(), prepared.dead.end(), uint8_t{1}));
    report.reason = prepared.reason;
    if (prepared.usable) {
        QuantizedMatrix q;
        if (solve(problem, q, report)) return q;
        report.reason = "the solve left the finite numbers";
    }
    report.fell_back_to_rtn = true;
    report.check_error = 0;
    QuantizedMatrix q = round_to_nearest(compute, w, rows, cols, options.grid);
    measure_losses(problem, RowSample(problem, w), q, nullptr, report);
    if (!std::isfinite(report.rtn_loss)) report.rtn_loss = 0;
    report.loss = report.true_loss = report.rtn_loss;
    return q;
}

}  // namespace gq
