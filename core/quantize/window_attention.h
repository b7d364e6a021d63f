// Attention within whole windows, and its gradients, in fp32.
// In: q, k, v (windows * window, heads * head_dim) as they are after rotation; dL/d(out). Out: out; dL/dq, dL/dk,
// dL/dv. Nothing of the forward pass is kept: the way back computes the probabilities again from q and k (Dao et al.,
// FlashAttention, arXiv 2205.14135, §3.1). Must not know steps or weights.
//
// With s = scale * q kᵀ, p = softmax(s) over the keys that a query sees, out = p v:
//   dv = pᵀ dout      dp = dout vᵀ      ds = p * (dp - Σ_j p_j dp_j)      dq = scale * ds k      dk = scale * dsᵀ q
#pragma once

#include <memory>
#include <vector>

#include "core/kernels/backend.h"
#include "core/linalg/gemm.h"

namespace gq {

class WindowAttention {
  public:
    WindowAttention(const Compute& compute, const AttentionShape& shape, size_t window);
    ~WindowAttention();
    WindowAttention(WindowAttention&&) noexcept;

    void forward(const ConstMatrixView& q, const ConstMatrixView& k, const ConstMatrixView& v, const MatrixView& out,
                 size_t n_windows);
    // Adds to d_q, d_k, d_v.
    void backward(const ConstMatrixView& q, const ConstMatrixView& k, const ConstMatrixView& v,
                  const ConstMatrixView& d_out, const MatrixView& d_q, const MatrixView& d_k, const MatrixView& d_v,
                  size_t n_windows);

  private:
    struct Worker;
    struct Block;
    void for_blocks(const Block& all, size_t n_windows, bool backward);

    const Compute compute_;
    const AttentionShape shape_;
    const size_t window_;
    const std::vector<float> falls_;  // by head, of add_alibi(); empty: none
    std::vector<Worker> workers_;     // by thread
};

}  // namespace gq
