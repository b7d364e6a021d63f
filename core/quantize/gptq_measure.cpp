// Losses of a solve and of plain rounding. See gptq_measure.h, and gptq.h for keep_better.
#include "core/quantize/gptq_measure.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/linalg/gemm.h"

namespace gq {

namespace {

constexpr size_t max_sample = 32;

// Q − W of one row. Dead inputs cost nothing whatever their weights are: 0.
void row_errors(const QuantizedMatrix& q, size_t row, const float* w, const std::vector<uint8_t>& dead, float* errors) {
    for (size_t c = 0; c < q.cols; ++c) errors[c] = dead[c] ? 0.0f : q.value(row, c) - w[c];
}

Matrix sample_errors(const SolveProblem& problem, const RowSample& sample, const QuantizedMatrix& q) {
    Matrix errors(sample.rows.size(), q.cols);
    for (size_t i = 0; i < sample.rows.size(); ++i)
        row_errors(q, sample.rows[i], sample.weights.row(i), problem.prepared.dead, errors.row(i));
    return errors;
}

double sum(const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0);
}

// What damping adds to tr(E H Eᵀ)/2.
double damping_loss(const SolveProblem& problem, const Matrix& errors) {
    const float* e = errors.data();
    return problem.prepared.added * std::inner_product(e, e + errors.rows() * errors.cols(), e, 0.0) / 2;
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

// What a sample tells is scaled up by loss / the sample's part of it: a row's losses go together.
void measure_losses(const SolveProblem& problem, const RowSample& sample, const QuantizedMatrix& q,
                    const AlignedBuffer<double>* row_loss, SolveReport& report) {
    const Matrix errors = sample_errors(problem, sample, q);
    Matrix rounding_errors(errors.rows(), errors.cols());
    for (size_t i = 0; i < errors.rows(); ++i) {
        for (size_t c = 0; c < errors.cols(); ++c)
            rounding_errors(i, c) = problem.prepared.dead[c] ? 0.0f : sample.rounded(i, c) - sample.weights(i, c);
    }
    const double solved = sum(hessian_losses(problem.compute, errors, problem.h));
    const double account = row_loss ? account_of(sample, *row_loss) : 0;
    const double spread = static_cast<double>(q.rows) / static_cast<double>(sample.rows.size());
    const double scale = account > 0 ? report.loss / account : spread;
    report.true_loss = solved * scale;
    report.rtn_loss = sum(hessian_losses(problem.compute, rounding_errors, problem.h)) * scale;
    if (!row_loss) report.loss = (solved + damping_loss(problem, errors)) * spread;
}

double self_check(const SolveProblem& problem, const RowSample& sample, const QuantizedMatrix& q,
                  const AlignedBuffer<double>& row_loss) {
    const double account = account_of(sample, row_loss);
    if (!(account > 0)) return 0;
    const Matrix errors = sample_errors(problem, sample, q);
    const double measured = sum(hessian_losses(problem.compute, errors, problem.h)) + damping_loss(problem, errors);
    return std::abs(measured / account - 1);
}

}  // namespace gq
