// Losses of a solve and of plain rounding. See gptq_measure.h.
// In: weights, codes, the Hessian. Out: sums of squares. Must not know how codes were found.
#include "core/quantize/gptq_measure.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/linalg/gemm.h"

namespace gq {

namespace {

constexpr size_t max_sample = 32;

// Q − aim of the sample's rows, as the first rows of `errors`. Dead inputs cost nothing whatever their weights are: 0.
void sample_errors(const SolveProblem& problem, const RowSample& sample, const QuantizedMatrix& q, Matrix& errors) {
    for (size_t i = 0; i < sample.rows.size(); ++i) {
        for (size_t c = 0; c < q.cols; ++c) {
            errors(i, c) = problem.prepared.dead[c] ? 0.0f : q.value(sample.rows[i], c) - sample.weights(i, c);
        }
    }
}

double sum(const double* values, size_t n) {
    return std::accumulate(values, values + n, 0.0);
}

// What damping adds to tr(E H Eᵀ)/2 of the first n rows.
double damping_loss(const SolveProblem& problem, const Matrix& errors, size_t n) {
    const float* e = errors.data();
    return problem.prepared.added * std::inner_product(e, e + n * errors.cols(), e, 0.0) / 2;
}

double account_of(const RowSample& sample, const AlignedBuffer<double>& row_loss) {
    double account = 0;
    for (const size_t row : sample.rows) account += row_loss[row];
    return account;
}

}  // namespace

RowSample::RowSample(const SolveProblem& problem, const float* aim)
    : rows(std::min(problem.rows, max_sample)), weights(rows.size(), problem.cols), rounded(rows.size(), problem.cols) {
    for (size_t i = 0; i < rows.size(); ++i) {
        rows[i] = i * problem.rows / rows.size();
        std::copy_n(problem.original + rows[i] * problem.cols, problem.cols, weights.row(i));
    }
    const QuantizedMatrix q =
        round_to_nearest(problem.compute, weights.data(), rows.size(), problem.cols, problem.options.grid);
    for (size_t i = 0; i < rows.size(); ++i) {
        for (size_t c = 0; c < problem.cols; ++c) rounded(i, c) = q.value(i, c);
        std::copy_n(aim + rows[i] * problem.cols, problem.cols, weights.row(i));
    }
}

// What a sample tells is scaled up by loss / the sample's part of it: a row's losses go together. One product for both
// kinds of errors: most of its time goes into H.
void measure_losses(const SolveProblem& problem, const RowSample& sample, const QuantizedMatrix& q,
                    const AlignedBuffer<double>* row_loss, SolveReport& report) {
    const size_t n = sample.rows.size();
    Matrix errors(2 * n, q.cols);  // of q, then of plain rounding
    sample_errors(problem, sample, q, errors);
    for (size_t i = 0; i < n; ++i) {
        for (size_t c = 0; c < q.cols; ++c)
            errors(n + i, c) = problem.prepared.dead[c] ? 0.0f : sample.rounded(i, c) - sample.weights(i, c);
    }
    const std::vector<double> losses = hessian_losses(problem.compute, errors, problem.h);
    const double solved = sum(losses.data(), n), damped = solved + damping_loss(problem, errors, n);
    const double account = row_loss ? account_of(sample, *row_loss) : 0;
    const double spread = static_cast<double>(q.rows) / static_cast<double>(n);
    const double scale = account > 0 ? report.loss / account : spread;
    report.true_loss = solved * scale;
    report.rtn_loss = sum(losses.data() + n, n) * scale;
    if (account > 0) report.check_error = std::max(report.check_error, std::abs(damped / account - 1));
    if (!row_loss) report.loss = damped * spread;
}

double self_check(const SolveProblem& problem, const RowSample& sample, const QuantizedMatrix& q,
                  const AlignedBuffer<double>& row_loss) {
    const double account = account_of(sample, row_loss);
    if (!(account > 0)) return 0;
    const size_t n = sample.rows.size();
    Matrix errors(n, q.cols);
    sample_errors(problem, sample, q, errors);
    const std::vector<double> losses = hessian_losses(problem.compute, errors, problem.h);
    return std::abs((sum(losses.data(), n) + damping_loss(problem, errors, n)) / account - 1);
}

}  // namespace gq
