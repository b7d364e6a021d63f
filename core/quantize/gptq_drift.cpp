// The float model's side of GPTQ: what a drift of the inputs asks of the weights. In: D, the factor of H. Out: the
// matrices that all solves with these inputs share, and with weights what they aim at. Must not know grids. See gptq.h.
//
// With H⁻¹ = Uᵀ U in the solve's order, T = U Dᵀ gives both: D H⁻¹ = Tᵀ U, and GPTAQ's striu(D Uᵀ) U = striu(Tᵀ) U.
#include <algorithm>

#include "core/linalg/gemm.h"
#include "core/quantize/gptq.h"

namespace gq {

namespace {

// The matrix with its rows and columns in `order`: out(i, j) = in(order[i], order[j]).
Matrix permuted(const Compute& compute, const Matrix& in, const std::vector<size_t>& order) {
    Matrix out(in.rows(), in.cols());
    compute.pool.for_each(in.rows(), [&](size_t i, size_t) {
        for (size_t j = 0; j < in.cols(); ++j) out(i, j) = in(order[i], order[j]);
    });
    return out;
}

// Back to the original order, times α.
Matrix scaled_back(const Compute& compute, const Matrix& in, const std::vector<size_t>& order, float alpha) {
    Matrix out(in.rows(), in.cols());
    compute.pool.for_each(in.rows(), [&](size_t i, size_t) {
        for (size_t j = 0; j < in.cols(); ++j) out(order[i], order[j]) = alpha * in(i, j);
    });
    return out;
}

// 0 on and below the diagonal of Tᵀ, the rest of T times α.
void keep_strict_upper_of_transpose(const Compute& compute, float alpha, Matrix& t) {
    compute.pool.for_each(t.rows(), [&](size_t i, size_t) {
        for (size_t j = 0; j < t.cols(); ++j) t(i, j) = j < i ? alpha * t(i, j) : 0.0f;
    });
}

}  // namespace

PreparedDrift prepare_drift(const Compute& compute, const Matrix& drift, const PreparedHessian& prepared,
                            const GptqOptions& options) {
    const size_t n = prepared.u.rows();
    if (!prepared.usable || drift.rows() != n || drift.cols() != n) {
        fail(Status::invalid_argument, "drift: expected one of %zu x %zu with a usable Hessian, found %zu x %zu", n, n,
             drift.rows(), drift.cols());
    }
    const auto alpha = static_cast<float>(options.gptaq > 0 ? options.gptaq : options.qep);
    GemmWorkspace workspace;
    Matrix t(n, n), product(n, n);
    {
        const Matrix ordered = permuted(compute, drift, prepared.order);
        multiply_upper(compute, workspace, prepared.u.view(), ordered.view().transposed(), t.view());
    }
    gemm(compute, workspace, Update::set, t.view().transposed(), prepared.u.view(), product.view());
    PreparedDrift out;
    out.shift = scaled_back(compute, product, prepared.order, alpha);
    if (options.gptaq > 0) {
        keep_strict_upper_of_transpose(compute, alpha, t);
        multiply_upper(compute, workspace, t.view().transposed(), prepared.u.view(), product.view());
        out.pull = std::move(product);
    }
    return out;
}

Matrix solve_aim(const Compute& compute, const float* w, size_t rows, const PreparedDrift& drift) {
    const size_t cols = drift.shift.rows();
    Matrix aim(rows, cols);
    std::copy_n(w, rows * cols, aim.data());
    GemmWorkspace workspace;
    gemm(compute, workspace, Update::add, {w, rows, cols, cols}, drift.shift.view(), aim.view());
    return aim;
}

}  // namespace gq
