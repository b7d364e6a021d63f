// Float matrices of the quantizer: one that owns its memory, and views of parts of it.
// In: shapes. Out: addresses. A view borrows: it lives no longer than the memory it names, and copying it copies no
// number. Must not know what is done with the numbers.
#pragma once

#include <cstddef>

#include "core/base/memory.h"

namespace gq {

struct ConstMatrixView;

// (rows, cols) floats to be written: element (i, j) at data[i * stride + j].
struct MatrixView {
    float* data = nullptr;
    size_t rows = 0, cols = 0, stride = 0;

    float* row(size_t i) const { return data + i * stride; }
    float& operator()(size_t i, size_t j) const { return data[i * stride + j]; }
    MatrixView block(size_t row, size_t col, size_t n_rows, size_t n_cols) const {
        return {data + row * stride + col, n_rows, n_cols, stride};
    }
    ConstMatrixView transposed() const;
};

// (rows, cols) floats to be read, in either order: element (i, j) at data[i * row_stride + j * col_stride]; one of the
// strides is 1.
struct ConstMatrixView {
    const float* data = nullptr;
    size_t rows = 0, cols = 0, row_stride = 0, col_stride = 1;

    ConstMatrixView() = default;
    ConstMatrixView(const float* first, size_t n_rows, size_t n_cols, size_t n_row_stride, size_t n_col_stride = 1)
        : data(first), rows(n_rows), cols(n_cols), row_stride(n_row_stride), col_stride(n_col_stride) {}
    ConstMatrixView(const MatrixView& view)  // NOLINT(google-explicit-constructor): reading what may be written
        : ConstMatrixView(view.data, view.rows, view.cols, view.stride) {}

    const float& operator()(size_t i, size_t j) const { return data[i * row_stride + j * col_stride]; }
    ConstMatrixView block(size_t row, size_t col, size_t n_rows, size_t n_cols) const {
        return {data + row * row_stride + col * col_stride, n_rows, n_cols, row_stride, col_stride};
    }
    ConstMatrixView transposed() const { return {data, cols, rows, col_stride, row_stride}; }
};

inline ConstMatrixView MatrixView::transposed() const {
    return ConstMatrixView(*this).transposed();
}

// Owns (rows, cols) floats, row-major without gaps, zero at birth. Error(invalid_argument) where the size overflows.
class Matrix {
  public:
    Matrix() = default;
    Matrix(size_t rows, size_t cols) : rows_(rows), cols_(cols), values_(checked_mul(rows, cols, "matrix")) {}

    size_t rows() const { return rows_; }
    size_t cols() const { return cols_; }
    float* data() { return values_.data(); }
    const float* data() const { return values_.data(); }
    float* row(size_t i) { return values_.data() + i * cols_; }
    const float* row(size_t i) const { return values_.data() + i * cols_; }
    float& operator()(size_t i, size_t j) { return values_[i * cols_ + j]; }
    const float& operator()(size_t i, size_t j) const { return values_[i * cols_ + j]; }

    MatrixView view() { return {values_.data(), rows_, cols_, cols_}; }
    ConstMatrixView view() const { return {values_.data(), rows_, cols_, cols_}; }

  private:
    size_t rows_ = 0, cols_ = 0;
    AlignedBuffer<float> values_;
};

}  // namespace gq
