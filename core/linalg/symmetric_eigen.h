// Eigenvalues and eigenvectors of a symmetric matrix in double: the small dense problems inside of svd.h and of fits by
// least squares. In: A, row-major. Out: A = Zᵀ diag(values) Z. One thread and one fixed order of operations, only
// + - * / and square roots: the same bits everywhere. Must not know where A comes from.
// Source: Golub & Van Loan, Matrix Computations, 8.3 (Householder's tridiagonal form, implicit QL with Wilkinson's
// shift).
#pragma once

#include <cstddef>
#include <vector>

namespace gq {

struct SymmetricEigen {
    std::vector<double> values;   // (n), descending
    std::vector<double> vectors;  // (n, n): row i is the unit eigenvector of values[i]
};

// a: (n, n), both triangles. About 10 n³ operations. Normwise backward stable: |A z - λ z| and |Z Zᵀ - I| are a small
// multiple of n ε |A|, whatever the condition. Error(invalid_argument) where a has another size, Error(numeric) where a
// value is not finite.
SymmetricEigen symmetric_eigen(std::vector<double> a, size_t n);

}  // namespace gq
