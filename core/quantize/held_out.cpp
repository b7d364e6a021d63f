// Choices by held-out rows. See held_out.h.
#include "core/quantize/held_out.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include "core/linalg/gemm.h"

namespace gq {

namespace {

constexpr double dampings[] = {0.003, 0.01, 0.03, 0.1};

// A matrix by every step-th row.
struct Rows {
    const float* w;
    size_t cols, step, n;

    const float* row(size_t i) const { return w + i * step * cols; }
};

// Of q's rows first, first + step, … where q is of all rows, of all of q where it is of these alone.
Matrix errors_of(const Compute& compute, const Rows& rows, const QuantizedMatrix& q) {
    const size_t q_step = q.rows == rows.n ? 1 : rows.step;
    Matrix errors(rows.n, rows.cols);
    compute.pool.for_each(rows.n, [&](size_t i, size_t) {
        for (size_t c = 0; c < q.cols; ++c) errors(i, c) = q.value(i * q_step, c) - rows.row(i)[c];
    });
    return errors;
}

double quadratic_loss(const Compute& compute, const Matrix& errors, const Matrix& h) {
    const std::vector<double> losses = hessian_losses(compute, errors, h);
    return std::accumulate(losses.begin(), losses.end(), 0.0);
}

// tr(W D Eᵀ).
double cross_term(const Compute& compute, const Rows& rows, const Matrix& errors, const Matrix& drift) {
    Matrix moved(errors.rows(), errors.cols());
    GemmWorkspace workspace;
    const ConstMatrixView w{rows.w, rows.n, rows.cols, rows.cols * rows.step};
    gemm(compute, workspace, Update::set, w, drift.view(), moved.view());
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

struct Loss {
    double rounding = 0, whole = 0;  // without and with the cross term
};

Loss loss_of(const Compute& compute, const Rows& rows, const QuantizedMatrix& q, const HeldOut& held_out) {
    const Matrix errors = errors_of(compute, rows, q);
    const double loss = quadratic_loss(compute, errors, held_out.hessian);
    return {loss, held_out.drift.rows() == 0 ? loss : loss - cross_term(compute, rows, errors, held_out.drift)};
}

}  // namespace

double held_out_loss(const Compute& compute, const float* w, const QuantizedMatrix& q, const HeldOut& held_out) {
    check_held_out(held_out, q.cols);
    return loss_of(compute, {w, q.cols, 1, q.rows}, q, held_out).whole;
}

namespace {

constexpr size_t sampled_every = 8, least_sample = 64;  // rows
constexpr double clear_gain = 0.1;                      // of what plain rounding loses

// Plain rounding of some rows beside a solve of all of them.
struct Comparison {
    QuantizedMatrix rounded;  // of these rows
    Loss solved, plain;

    bool gains(double share) const { return plain.whole - solved.whole >= share * plain.rounding; }
};

Comparison compare(const Compute& compute, const Rows& rows, const float* importance, const HeldOut& held_out,
                   const GptqOptions& options, const QuantizedMatrix& q) {
    const GridSearch search = options.search == GridSearch::span ? GridSearch::clip : options.search;
    AlignedBuffer<float> some(rows.step > 1 ? rows.n * rows.cols : 0);
    for (size_t i = 0; rows.step > 1 && i < rows.n; ++i) std::copy_n(rows.row(i), rows.cols, &some[i * rows.cols]);
    Comparison c;
    c.rounded = round_to_nearest(compute, rows.step > 1 ? some.data() : rows.w, rows.n, rows.cols, options.grid, search,
                                 importance);
    c.solved = loss_of(compute, rows, q, held_out);
    c.plain = loss_of(compute, rows, c.rounded, held_out);
    return c;
}

// Of all rows, as if they were like those that were looked at.
void tell(const Comparison& c, size_t rows, SolveReport& report) {
    const double share = static_cast<double>(rows) / static_cast<double>(c.rounded.rows);
    report.held_out = true;
    report.held_out_loss = c.solved.whole * share;
    report.held_out_rtn_loss = c.plain.whole * share;
}

}  // namespace

QuantizedMatrix keep_better(const Compute& compute, const float* w, const Matrix& h, const HeldOut& held_out,
                            const GptqOptions& options, QuantizedMatrix q, SolveReport& report) {
    check_held_out(held_out, q.cols);
    std::vector<float> importance(q.cols);
    for (size_t c = 0; c < q.cols; ++c) importance[c] = std::isfinite(h(c, c)) && h(c, c) > 0 ? h(c, c) : 0.0f;
    const auto compare_every = [&](size_t step) {
        const Rows rows{w, q.cols, step, div_up(q.rows, step)};
        Comparison c = compare(compute, rows, importance.data(), held_out, options, q);
        tell(c, q.rows, report);
        return c;
    };
    if (q.rows >= sampled_every * least_sample && compare_every(sampled_every).gains(clear_gain)) return q;
    Comparison all = compare_every(1);
    if (all.gains(0)) return q;
    report.kept_rtn = true;
    report.true_loss = quadratic_loss(compute, errors_of(compute, {w, q.cols, 1, q.rows}, all.rounded), h);
    return std::move(all.rounded);
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
