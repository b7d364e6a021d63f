// The Hessian's side of GPTQ: order of columns, dead inputs, damping, factor; and what errors cost. In: H of a layer's
// inputs. Out: a PreparedHessian that all solves with these inputs share.
// Must not know weights or grids. See gptq.h.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/linalg/cholesky.h"
#include "core/linalg/gemm.h"
#include "core/linalg/triangular.h"
#include "core/quantize/gptq.h"
#include "core/quantize/solver_options.h"

namespace gq {

namespace {

constexpr double largest_damping = 1;

// Positions → columns. Ties stay in the order of the columns.
std::vector<size_t> order_of_columns(const Matrix& h, const GptqOptions& options) {
    const size_t n = h.rows();
    std::vector<size_t> order(n);
    std::iota(order.begin(), order.end(), size_t{0});
    if (options.order == Order::column) return order;
    std::vector<float> group_largest(options.grid.n_groups(n));
    for (size_t c = 0; c < n && options.order == Order::gar; ++c)
        group_largest[options.grid.group_of(c)] = std::max(group_largest[options.grid.group_of(c)], h(c, c));
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
        const size_t group_a = options.grid.group_of(a), group_b = options.grid.group_of(b);
        if (options.order == Order::act || group_a == group_b) return h(a, a) > h(b, b);
        if (group_largest[group_a] != group_largest[group_b]) return group_largest[group_a] > group_largest[group_b];
        return group_a < group_b;
    });
    return order;
}

double next_damping(double damping) {
    constexpr double step = 10, smallest_retry = 0.001;
    return std::min(std::max(damping * step, smallest_retry), largest_damping);
}

void check_arguments(const Matrix& h, const GptqOptions& options) {
    if (h.rows() != h.cols() || h.rows() == 0) {
        fail(Status::invalid_argument, "hessian: expected a square matrix, found %zu x %zu", h.rows(), h.cols());
    }
    check_solver_options(options);
}

// Marks dead inputs and returns the mean diagonal of the others. Not finite numbers and negative diagonals are given in
// `reason`.
double inspect(const Matrix& h, std::vector<uint8_t>& dead, std::string& reason) {
    const size_t n = h.rows();
    double sum = 0;
    size_t n_live = 0;
    dead.assign(n, 0);
    for (size_t i = 0; i < n; ++i) {
        const float diagonal = h(i, i);
        if (!std::all_of(h.row(i), h.row(i) + n, [](float x) { return std::isfinite(x); })) {
            reason = "the Hessian is not finite in row " + std::to_string(i);
            return 0;
        }
        if (diagonal < 0) {
            reason = "the Hessian's diagonal is negative in row " + std::to_string(i);
            return 0;
        }
        dead[i] = diagonal == 0;
        n_live += dead[i] == 0;
        sum += diagonal;
    }
    if (n_live == 0) reason = "the Hessian is zero: no input was ever different from 0";
    return n_live == 0 ? 0 : sum / static_cast<double>(n_live);
}

// The upper triangle of H with its rows and columns in `order`, dead diagonals replaced by the mean, `added` on the
// diagonal.
void damped_upper(const Compute& compute, const Matrix& h, const PreparedHessian& prepared, double mean, Matrix& out) {
    compute.pool.for_each(h.rows(), [&](size_t i, size_t) {
        const float* from = h.row(prepared.order[i]);
        float* to = out.row(i);
        for (size_t j = i; j < h.rows(); ++j) to[j] = from[prepared.order[j]];
        const double diagonal = prepared.dead[prepared.order[i]] ? mean : to[i];
        to[i] = static_cast<float>(diagonal + prepared.added);
    });
}

void clear_lower(const Compute& compute, Matrix& u) {
    compute.pool.for_each(u.rows(), [&](size_t i, size_t) { std::fill_n(u.row(i), i, 0.0f); });
}

}  // namespace

PreparedHessian prepare_hessian(const Compute& compute, const Matrix& h, const GptqOptions& options) {
    check_arguments(h, options);
    PreparedHessian out;
    const double mean = inspect(h, out.dead, out.reason);
    if (!out.reason.empty()) return out;
    out.order = order_of_columns(h, options);
    out.u = Matrix(h.rows(), h.rows());
    GemmWorkspace workspace;
    Pivot pivot;
    for (out.damping = options.damping;; out.damping = next_damping(out.damping), ++out.retries) {
        out.added = out.damping * mean;
        damped_upper(compute, h, out, mean, out.u);
        pivot = cholesky_reversed(compute, workspace, out.u.view());
        if (pivot.ok) pivot = invert_upper(compute, workspace, out.u.view());
        out.usable = pivot.ok;
        if (out.usable) {
            clear_lower(compute, out.u);
            return out;
        }
        if (out.damping >= largest_damping) break;
    }
    out.reason = "the Hessian is not positive definite with any damping: pivot " + std::to_string(pivot.index) +
                 " was " + std::to_string(pivot.value);
    out.u = Matrix();
    return out;
}

std::vector<double> hessian_losses(const Compute& compute, const Matrix& errors, const Matrix& h) {
    const size_t n = errors.rows(), cols = errors.cols();
    Matrix product(cols, n);  // triu(H) Eᵀ: half of the work, since e H eᵀ = e (2 triu(H) − diag(H)) eᵀ
    GemmWorkspace workspace;
    multiply_upper(compute, workspace, h.view(), errors.view().transposed(), product.view());
    std::vector<double> losses(n);
    for (size_t c = 0; c < cols; ++c) {
        for (size_t i = 0; i < n; ++i) {
            const double e = errors(i, c);
            losses[i] += e * (product(c, i) - e * h(c, c) / 2);
        }
    }
    return losses;
}

}  // namespace gq
