// Matrix products of the quantizer in fp32: the whole of C, one triangle of it, or a triangular factor times a matrix.
// In: views. Out: C. Work is cut into tiles of C that threads share; the inner dimension is never split, so every
// element is one fma chain over ascending k (kernels.h, gemm_f32), with the same bits at any thread count and for every
// instruction set. Must not know what the matrices mean. Blocking after Goto & van de Geijn, "Anatomy of
// High-Performance Matrix Multiplication", 2008.
#pragma once

#include "core/base/memory.h"
#include "core/kernels/compute.h"
#include "core/linalg/matrix.h"

namespace gq {

enum class Update { set, add, subtract };  // C = A B, C += A B, C -= A B

// Packed blocks of A and B. Grows to what the largest call needs (at most 6.6 MB + 1.5 KB per column of B) and is kept
// for the next; one per caller at a time.
struct GemmWorkspace {
    AlignedBuffer<float> a, b;
};

// C (m, n) = | += | -= A (m, k) B (k, n). Aᵀ and Bᵀ are given as view.transposed(). C must not overlap them, but may
// be A or B itself where k <= gemm_in_place: both are packed before C is written. Error(invalid_argument) where the
// shapes do not fit.
inline constexpr size_t gemm_in_place = 384;
void gemm(const Compute& compute, GemmWorkspace& workspace, Update update, const ConstMatrixView& a,
          const ConstMatrixView& b, const MatrixView& c);

// The symmetric update C (n, n) = | += | -= A (n, k) Aᵀ, upper triangle with its diagonal only: what is below is
// neither read nor written. A Hessian takes its inputs X (tokens, n) as syrk_upper(…, Update::add, X.transposed(), H).
void syrk_upper(const Compute& compute, GemmWorkspace& workspace, Update update, const ConstMatrixView& a,
                const MatrixView& c);

// C (m, n) = U B for an upper triangular U (m, m); what is below U's diagonal is not used. C must overlap neither U nor
// B.
void multiply_upper(const Compute& compute, GemmWorkspace& workspace, const ConstMatrixView& u,
                    const ConstMatrixView& b, const MatrixView& c);

// Copies the strict upper triangle of a square matrix onto the lower one.
void mirror_upper(const Compute& compute, const MatrixView& c);

}  // namespace gq
