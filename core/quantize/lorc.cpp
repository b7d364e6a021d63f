// Factors of low rank: found, balanced, rounded. See lorc.h.
// In: a matrix of errors, what they are measured by. Out: two small matrices of 8-bit codes. Must not know what made
// the errors.
#include "core/quantize/lorc.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/base/status.h"
#include "core/linalg/svd.h"
#include "core/linalg/symmetric_eigen.h"
#include "core/quantize/gptq.h"

namespace gq {
namespace {

constexpr unsigned factor_bits = 8;
constexpr size_t max_sample = 32;
constexpr double least_eigenvalue = 1e-6;  // of the largest: below it fp32 products leave nothing to solve for

void check_shapes(const Matrix& e, const Matrix* h) {
    if (h && (h->rows() != e.cols() || h->cols() != e.cols()))
        fail(Status::invalid_argument, "low rank: a Hessian of %zu inputs expected, found (%zu, %zu)", e.cols(),
             h->rows(), h->cols());
}

// What errors are measured by: H + added · I; null: I.
struct Norm {
    const Matrix* h;
    float added;

    // y = (H + added · I) x
    void multiply(const Compute& compute, GemmWorkspace& workspace, const ConstMatrixView& x, Matrix& y) const {
        gemm(compute, workspace, Update::set, h->view(), x, y.view());
        if (added == 0) return;
        for (size_t i = 0; i < y.rows(); ++i)
            for (size_t j = 0; j < y.cols(); ++j) y(i, j) += added * x(i, j);
    }
};

// The leading left singular vectors of E, or of E H^½ by the eigenvectors of E H Eᵀ; sigma are singular values.
TruncatedSvd decompose(const Compute& compute, GemmWorkspace& workspace, const Matrix& e, const Norm& norm,
                       size_t rank) {
    if (!norm.h) return truncated_svd(compute, workspace, e.view(), {.rank = rank});
    Matrix projected, weighted;
    const auto multiply = [&](const ConstMatrixView& x, const MatrixView& y) {
        if (projected.cols() != x.cols) projected = Matrix(e.cols(), x.cols), weighted = Matrix(e.cols(), x.cols);
        gemm(compute, workspace, Update::set, e.view().transposed(), x, projected.view());
        norm.multiply(compute, workspace, projected.view(), weighted);
        gemm(compute, workspace, Update::set, e.view(), weighted.view(), y);
    };
    TruncatedSvd svd = truncated_svd(compute, LinearOperator{e.rows(), e.rows(), multiply, multiply}, {.rank = rank});
    for (double& value : svd.sigma) value = std::sqrt(value);
    return svd;
}

float largest_magnitude(const Matrix& m) {
    float largest = 0;
    for (size_t i = 0; i < m.rows() * m.cols(); ++i) largest = std::max(largest, std::fabs(m.data()[i]));
    return largest;
}

void scale(Matrix& m, float factor) {
    for (size_t i = 0; i < m.rows() * m.cols(); ++i) m.data()[i] *= factor;
}

// U √σ and V / √σ, so that no component of V x stands out from its activation block; and then a power of two from one
// to the other, so that the scales of neither leave f16.
void balance(const std::vector<double>& sigma, LowRankFactors& factors) {
    for (size_t k = 0; k < sigma.size(); ++k) {
        const double root = std::sqrt(sigma[k]);
        for (size_t i = 0; i < factors.u.rows(); ++i)
            factors.u(i, k) = static_cast<float>(static_cast<double>(factors.u(i, k)) * root);
        for (size_t i = 0; i < factors.v.cols(); ++i)
            factors.v(k, i) = root > 0 ? static_cast<float>(static_cast<double>(factors.v(k, i)) / root) : 0.0f;
    }
    const float u = largest_magnitude(factors.u), v = largest_magnitude(factors.v);
    if (!(u > 0) || !(v > 0)) return;
    const int power = (std::ilogb(v) - std::ilogb(u)) / 2;
    scale(factors.u, std::ldexp(1.0f, power));
    scale(factors.v, std::ldexp(1.0f, -power));
}

Matrix values_of(const QuantizedMatrix& q) {
    Matrix values(q.rows, q.cols);
    for (size_t i = 0; i < q.rows; ++i)
        for (size_t j = 0; j < q.cols; ++j) values(i, j) = q.value(i, j);
    return values;
}

// S⁻¹ of a symmetric positive semidefinite S, on its range.
std::vector<double> pseudo_inverse(std::vector<double> s, size_t n) {
    const SymmetricEigen eigen = symmetric_eigen(std::move(s), n);
    std::vector<double> inverse(n * n);
    for (size_t k = 0; k < n && eigen.values[k] > least_eigenvalue * eigen.values[0]; ++k) {
        const double* z = &eigen.vectors[k * n];
        for (size_t i = 0; i < n; ++i)
            for (size_t j = 0; j < n; ++j) inverse[i * n + j] += z[i] * z[j] / eigen.values[k];
    }
    return inverse;
}

// (A B) in double, A (m, k), B (k, n) floats.
std::vector<double> small_product(const Matrix& a, const Matrix& b) {
    std::vector<double> product(a.rows() * b.cols());
    for (size_t i = 0; i < a.rows(); ++i) {
        for (size_t k = 0; k < a.cols(); ++k) {
            const double factor = a(i, k);
            const float* row = b.row(k);
            for (size_t j = 0; j < b.cols(); ++j) product[i * b.cols() + j] += factor * static_cast<double>(row[j]);
        }
    }
    return product;
}

// The U with the least |(E − U V) H^½|: E H Vᵀ (V H Vᵀ)⁻¹.
Matrix refit(const Compute& compute, const Matrix& e, const Norm& norm, const Matrix& v) {
    const size_t rank = v.rows();
    GemmWorkspace workspace;
    Matrix weighted(v.cols(), rank), projected(e.rows(), rank), u(e.rows(), rank);  // H Vᵀ, E H Vᵀ
    if (norm.h) {
        norm.multiply(compute, workspace, v.view().transposed(), weighted);
    } else {
        for (size_t i = 0; i < v.cols(); ++i)
            for (size_t k = 0; k < rank; ++k) weighted(i, k) = v(k, i);
    }
    gemm(compute, workspace, Update::set, e.view(), weighted.view(), projected.view());
    const std::vector<double> inverse = pseudo_inverse(small_product(v, weighted), rank);
    for (size_t i = 0; i < e.rows(); ++i) {
        for (size_t j = 0; j < rank; ++j) {
            double sum = 0;
            for (size_t k = 0; k < rank; ++k) sum += static_cast<double>(projected(i, k)) * inverse[k * rank + j];
            u(i, j) = static_cast<float>(sum);
        }
    }
    return u;
}

// W − Ŵ.
Matrix rounding_errors(const Compute& compute, const float* w, const QuantizedMatrix& q) {
    Matrix e(q.rows, q.cols);
    compute.pool.for_ranges(q.rows, 1, [&](size_t begin, size_t end, size_t) {
        for (size_t i = begin; i < end; ++i)
            for (size_t j = 0; j < q.cols; ++j) e(i, j) = w[i * q.cols + j] - q.value(i, j);
    });
    return e;
}

// tr(E H Eᵀ)/2 of evenly spread rows.
double sampled_loss(const Compute& compute, const Matrix& e, const Matrix& h) {
    Matrix rows(std::min(e.rows(), max_sample), e.cols());
    for (size_t i = 0; i < rows.rows(); ++i) std::copy_n(e.row(i * e.rows() / rows.rows()), e.cols(), rows.row(i));
    const std::vector<double> losses = hessian_losses(compute, rows, h);
    return std::accumulate(losses.begin(), losses.end(), 0.0);
}

double sum_of_squares(const float* values, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; ++i) sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
    return sum;
}

}  // namespace

LowRankFactors low_rank_factors(const Compute& compute, const Matrix& e, const Matrix* h, size_t rank, float added) {
    check_shapes(e, h);
    if (rank == 0 || rank > std::min(e.rows(), e.cols()))
        fail(Status::invalid_argument, "low rank: 1 to %zu expected for a matrix of %zu x %zu, found %zu",
             std::min(e.rows(), e.cols()), e.rows(), e.cols(), rank);
    GemmWorkspace workspace;
    TruncatedSvd svd = decompose(compute, workspace, e, {h, added}, rank);
    LowRankFactors factors{.u = std::move(svd.u), .v = Matrix(rank, e.cols())};
    gemm(compute, workspace, Update::set, factors.u.view().transposed(), e.view(), factors.v.view());
    balance(svd.sigma, factors);
    factors.iterations = svd.iterations;
    factors.converged = svd.converged;
    return factors;
}

RoundedFactors round_factors(const Compute& compute, const Matrix& e, const Matrix* h, const LowRankFactors& factors,
                             float added) {
    check_shapes(e, h);
    const GridOptions grid{factor_bits, 0, find_grid("symmetric")};
    const auto round = [&](const Matrix& m) { return round_to_nearest(compute, m.data(), m.rows(), m.cols(), grid); };
    RoundedFactors rounded;
    rounded.v = round(factors.v);
    rounded.u = round(refit(compute, e, {h, added}, values_of(rounded.v)));
    return rounded;
}

void subtract_product(const Compute& compute, const RoundedFactors& factors, Matrix& e) {
    GemmWorkspace workspace;
    gemm(compute, workspace, Update::subtract, values_of(factors.u).view(), values_of(factors.v).view(), e.view());
}

RoundedFactors correct_rounding(const Compute& compute, const float* w, const QuantizedMatrix& q, const Matrix* h,
                                const LorcOptions& options, LorcReport& report) {
    report = LorcReport();
    report.rank = std::min({options.rank, q.rows, q.cols});
    report.by_outputs = options.by_outputs && h;
    const auto note = [&](const std::string& text) { report.note += (report.note.empty() ? "" : "; ") + text; };
    if (report.rank < options.rank) note("a correction of rank " + std::to_string(report.rank) + " is all there is");
    Matrix e = rounding_errors(compute, w, q);
    const double before = h ? sampled_loss(compute, e, *h) : 0;
    const Matrix* norm = report.by_outputs ? h : nullptr;
    const LowRankFactors factors = low_rank_factors(compute, e, norm, report.rank, options.added);
    if (!factors.converged) note("the correction did not settle in " + std::to_string(factors.iterations) + " rounds");
    RoundedFactors rounded = round_factors(compute, e, norm, factors, options.added);
    subtract_product(compute, rounded, e);
    const double weight = sum_of_squares(w, q.rows * q.cols);
    report.error = weight > 0 ? sum_of_squares(e.data(), q.rows * q.cols) / weight : 0;
    if (before > 0) report.loss_left = sampled_loss(compute, e, *h) / before;
    return rounded;
}

}  // namespace gq
