// Choices by held-out rows. See held_out.h.
#include "core/quantize/held_out.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include "core/linalg/gemm.h"

namespace gq {

namespace {

constexpr double dampings[] = {0.003, 0.01, 0.03, 0.1};

Matrix errors_of(const Compute& compute, const float* w, const QuantizedMatrix& q) {
    Matrix errors(q.rows, q.cols);
    compute.pool.for_each(q.rows, [&](size_t row, size_t) {
        for (size_t c = 0; c < q.cols; ++c) errors(row, c) = q.value(row, c) - w[row * q.cols + c];
    });
    return errors;
}

double quadratic_loss(const Compute& compute, const Matrix& errors, const Matrix& h) {
    const std::vector<double> losses = hessian_losses(compute, errors, h);
    return std::accumulate(losses.begin(), losses.end(), 0.0);
}

// tr(W D Eᵀ).
double cross_term(const Compute& compute, const float* w, const Matrix& errors, const Matrix& drift) {
    Matrix moved(errors.rows(), errors.cols());
    GemmWorkspace workspace;
    gemm(compute, workspace, Update::set, {w, errors.rows(), errors.cols(), errors.cols()}, drift.view(), moved.view());
    const float* m = moved.data();
    return std::inner_product(m, m + errors.rows() * errors.cols(), errors.data(), 0.0);
}

void check_held_out(const HeldOut& held_out, size_t cols) {
    const Matrix& h = held_out.hessian;
    const Matrix& d = held_out.drift;
    const bool drift_fits = d.rows() == 0 || (d.rows() == cols && d.cols() == cols);
    if (h.rows() != cols || h.cols() != cols || !drift_fits) {
        fail(Status::invalid_argument, "held-out rows: expected %zu inputs, found %zu x %zu and a drift of %zu x %zu",
             cols, h.rows(), h.cols(), d.rows(), d.cols());
    }
}

}  // namespace

double held_out_loss(const Compute& compute, const float* w, const QuantizedMatrix& q, const HeldOut& held_out) {
    check_held_out(held_out, q.cols);
    const Matrix errors = errors_of(compute, w, q);
    const double loss = quadratic_loss(compute, errors, held_out.hessian);
    return held_out.drift.rows() == 0 ? loss : loss - cross_term(compute, w, errors, held_out.drift);
}

QuantizedMatrix keep_better(const Compute& compute, const float* w, const Matrix& h, const HeldOut& held_out,
                            const GptqOptions& options, QuantizedMatrix q, SolveReport& report) {
    std::vector<float> importance(q.cols);
    for (size_t c = 0; c < q.cols; ++c) importance[c] = std::isfinite(h(c, c)) && h(c, c) > 0 ? h(c, c) : 0.0f;
    const GridSearch search = options.search == GridSearch::span ? GridSearch::clip : options.search;
    QuantizedMatrix rounded = round_to_nearest(compute, w, q.rows, q.cols, options.grid, search, importance.data());
    report.held_out = true;
    report.held_out_loss = held_out_loss(compute, w, q, held_out);
    report.held_out_rtn_loss = held_out_loss(compute, w, rounded, held_out);
    if (report.held_out_loss <= report.held_out_rtn_loss) return q;
    report.kept_rtn = true;
    report.true_loss = quadratic_loss(compute, errors_of(compute, w, rounded), h);
    return rounded;
}

double best_damping(const Compute& compute, const Matrix& weights, const Matrix& h, const Matrix* drift,
                    const HeldOut& held_out, const GptqOptions& options) {
    double best = options.damping, least = std::numeric_limits<double>::infinity();
    for (const double damping : dampings) {
        GptqOptions o = options;
        o.damping = damping;
        const PreparedHessian prepared = prepare_hessian(compute, h, o);
        if (!prepared.usable || prepared.retries > 0) continue;
        std::optional<PreparedDrift> moved;
        if (drift) moved = prepare_drift(compute, *drift, prepared, o);
        SolveReport report;
        const QuantizedMatrix q = gptq_solve(compute, weights.data(), weights.rows(), weights.cols(), h,
                                             moved ? &*moved : nullptr, prepared, o, report);
        if (report.fell_back_to_rtn) continue;
        const double loss = held_out_loss(compute, weights.data(), q, held_out);
        if (!(loss < least)) continue;
        least = loss;
        best = damping;
    }
    return best;
}

}  // namespace gq
