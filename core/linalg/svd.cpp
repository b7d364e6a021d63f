// V random → orthonormal;  repeat: Y = A V, its own small SVD gives sigma and U;  V = orth(Aᵀ U). See svd.h.
// A block of vectors is a tall matrix of fp32; its Gram matrix, of few columns, is in double, so a decomposition by it
// resolves singular values down to 1e-8 of the largest, which is less than fp32 products leave.
#include "core/linalg/svd.h"

#include <algorithm>
#include <cmath>

#include "core/base/status.h"
#include "core/linalg/symmetric_eigen.h"

namespace gq {

namespace {

constexpr size_t least_oversampling = 8;
constexpr size_t row_grain = 64;             // rows of a tall matrix per unit of work
constexpr double smallest_part = 0x1.0p-23;  // of the largest singular value: below it there is only rounding
constexpr uint64_t seed = 0x9e3779b97f4a7c15;

// Uniform in [-1, 1): the splitmix64 generator (Steele, Lea & Flood 2014).
Matrix random_block(size_t rows, size_t cols) {
    Matrix block(rows, cols);
    uint64_t state = seed;
    for (size_t i = 0; i < rows * cols; ++i) {
        uint64_t z = state += seed;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        block.data()[i] = static_cast<float>(static_cast<int32_t>((z ^ z >> 31) >> 40)) * 0x1.0p-23f - 1.0f;
    }
    return block;
}

// YᵀY. Threads share its rows; each element is one sum over ascending rows of Y.
std::vector<double> gram(const Compute& compute, const Matrix& y) {
    const size_t b = y.cols();
    std::vector<double> g(b * b);
    constexpr size_t rows_at_once = 8;  // upper rows have more to do than lower ones: handed out in pieces
    compute.pool.for_each(div_up(b, rows_at_once), [&](size_t piece, size_t) {
        const size_t begin = piece * rows_at_once, end = std::min(b, begin + rows_at_once);
        std::vector<double> row(b);
        for (size_t k = 0; k < y.rows(); ++k) {
            std::copy(y.row(k) + begin, y.row(k) + b, row.begin() + static_cast<ptrdiff_t>(begin));
            for (size_t i = begin; i < end; ++i) {
                const double factor = row[i];
                for (size_t j = i; j < b; ++j) g[i * b + j] += factor * row[j];
            }
        }
    });
    for (size_t i = 0; i < b; ++i)
        for (size_t j = 0; j < i; ++j) g[i * b + j] = g[j * b + i];
    return g;
}

// Y = Y T for T (b, b), row-major, in double.
void multiply_right(const Compute& compute, const std::vector<double>& t, Matrix& y) {
    const size_t b = y.cols();
    compute.pool.for_ranges(y.rows(), row_grain, [&](size_t begin, size_t end, size_t) {
        std::vector<double> sums(b);
        for (size_t i = begin; i < end; ++i) {
            std::fill(sums.begin(), sums.end(), 0.0);
            for (size_t k = 0; k < b; ++k) {
                const double factor = y(i, k);
                for (size_t j = 0; j < b; ++j) sums[j] += factor * t[k * b + j];
            }
            for (size_t j = 0; j < b; ++j) y(i, j) = static_cast<float>(sums[j]);
        }
    });
}

// 1 / sqrt(value), or 0 for what is only rounding beside the largest: then a column of zeros stands for the direction.
std::vector<double> inverse_roots(const std::vector<double>& values) {
    std::vector<double> roots(values.size());
    const double least = values.empty() ? 0 : values[0] * smallest_part * smallest_part;
    for (size_t i = 0; i < values.size(); ++i) roots[i] = values[i] > least ? 1 / std::sqrt(values[i]) : 0;
    return roots;
}

// Y → U of its SVD, and T that does it: U = Y T; sigma and V = the eigenvectors of YᵀY (rows of eigen.vectors).
void to_singular_vectors(const Compute& compute, const SymmetricEigen& eigen, Matrix& y) {
    const size_t b = y.cols();
    const std::vector<double> roots = inverse_roots(eigen.values);
    std::vector<double> t(b * b);
    for (size_t i = 0; i < b; ++i)
        for (size_t j = 0; j < b; ++j) t[i * b + j] = eigen.vectors[j * b + i] * roots[j];
    multiply_right(compute, t, y);
}

// Y → the nearest matrix with orthonormal columns, Y (YᵀY)^(-½); columns of zeros stay.
void polish(const Compute& compute, Matrix& y) {
    const size_t b = y.cols();
    const SymmetricEigen eigen = symmetric_eigen(gram(compute, y), b);
    const std::vector<double> roots = inverse_roots(eigen.values);
    std::vector<double> t(b * b);
    for (size_t k = 0; k < b; ++k) {
        const double* z = &eigen.vectors[k * b];
        for (size_t i = 0; i < b; ++i)
            for (size_t j = 0; j < b; ++j) t[i * b + j] += z[i] * roots[k] * z[j];
    }
    multiply_right(compute, t, y);
}

// An orthonormal basis of Y's columns. Directions that are small beside others are found with relative errors, which
// the second step removes.
void orthonormalize(const Compute& compute, Matrix& y) {
    to_singular_vectors(compute, symmetric_eigen(gram(compute, y), y.cols()), y);
    polish(compute, y);
}

// V = V Z with the eigenvectors in Z's columns.
void turn(const Compute& compute, const SymmetricEigen& eigen, Matrix& v) {
    const size_t b = v.cols();
    std::vector<double> z(b * b);
    for (size_t i = 0; i < b; ++i)
        for (size_t j = 0; j < b; ++j) z[i * b + j] = eigen.vectors[j * b + i];
    multiply_right(compute, z, v);
}

Matrix first_columns(const Matrix& from, size_t n) {
    Matrix to(from.rows(), n);
    for (size_t i = 0; i < from.rows(); ++i) std::copy_n(from.row(i), n, to.row(i));
    return to;
}

double sum_of_first(const std::vector<double>& values, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; ++i) sum += std::max(values[i], 0.0);
    return sum;
}

// Where A's rank ends inside the result, both sides have a column of zeros.
void clear_missing(TruncatedSvd& svd, const std::vector<double>& values) {
    const std::vector<double> roots = inverse_roots(values);
    for (size_t j = 0; j < svd.sigma.size(); ++j) {
        svd.sigma[j] = roots[j] > 0 ? std::sqrt(values[j]) : 0;
        for (size_t i = 0; i < svd.v.rows() && roots[j] == 0; ++i) svd.v(i, j) = 0;
    }
}

}  // namespace

TruncatedSvd truncated_svd(const Compute& compute, const LinearOperator& a, const SvdOptions& options) {
    const size_t most = std::min(a.rows, a.cols);
    if (options.rank == 0 || options.rank > most)
        fail(Status::invalid_argument, "svd: a rank from 1 to %zu expected, found %zu", most, options.rank);
    const size_t b = std::min(most, options.rank + std::max(least_oversampling, options.rank / 2));
    Matrix u(a.rows, b), v = random_block(a.cols, b);
    TruncatedSvd svd;
    svd.sigma.resize(options.rank);
    orthonormalize(compute, v);
    SymmetricEigen eigen;
    for (double before = 0;;) {
        a.multiply(v.view(), u.view());
        eigen = symmetric_eigen(gram(compute, u), b);
        to_singular_vectors(compute, eigen, u);
        const double captured = sum_of_first(eigen.values, options.rank);
        svd.converged = ++svd.iterations > 1 && captured - before <= options.tolerance * captured;
        if (svd.converged || svd.iterations >= options.max_iterations) break;
        before = captured;
        a.multiply_transposed(u.view(), v.view());
        orthonormalize(compute, v);
    }
    turn(compute, eigen, v);
    polish(compute, u);
    svd.u = first_columns(u, options.rank);
    svd.v = first_columns(v, options.rank);
    clear_missing(svd, eigen.values);
    return svd;
}

TruncatedSvd truncated_svd(const Compute& compute, GemmWorkspace& workspace, const ConstMatrixView& a,
                           const SvdOptions& options) {
    const auto multiply = [&](const ConstMatrixView& x, const MatrixView& y) {
        gemm(compute, workspace, Update::set, a, x, y);
    };
    const auto multiply_transposed = [&](const ConstMatrixView& y, const MatrixView& x) {
        gemm(compute, workspace, Update::set, a.transposed(), y, x);
    };
    return truncated_svd(compute, LinearOperator{a.rows, a.cols, multiply, multiply_transposed}, options);
}

}  // namespace gq
