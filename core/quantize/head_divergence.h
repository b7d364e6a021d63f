// How far a model's predictions are from the float model's, and which way its hidden rows should move.
// In: hidden rows in front of both heads; the heads, a strip of the vocabulary at a time. Out: KL(float ‖ quantized)
// and its gradient, both heads' losses of a text. Memory: logits of `head_rows` rows twice, a strip of a head; neither
// head is held whole. Must not know blocks, or what is trained.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/linalg/gemm.h"
#include "core/linalg/matrix.h"

namespace gq {

// A head (vocab, hidden) that is read in strips.
struct HeadRows {
    size_t vocab = 0;
    std::function<void(size_t begin, size_t end, float* out)> read;  // rows [begin, end): (end - begin, hidden)
    ConstMatrixView turn;  // (hidden, hidden): logits are head · turn · h; without data: head · h
};

// Sums over rows, in nats; loss: -log p(target).
struct HeadLosses {
    double kl = 0, loss = 0, exact_loss = 0;
};

class HeadDivergence {
  public:
    // window: rows of a call at most.
    HeadDivergence(const Compute& compute, HeadRows quantized, HeadRows exact, size_t window, size_t hidden);

    // Σ over rows of KL, in nats. exact_hidden, hidden (rows, hidden): what stands in front of the heads.
    double of(const ConstMatrixView& exact_hidden, const ConstMatrixView& hidden);
    // targets: the token that follows each row.
    HeadLosses losses(const ConstMatrixView& exact_hidden, const ConstMatrixView& hidden,
                      std::span<const int32_t> targets);
    // Also gradient (rows, hidden) = share · dKL/dhidden.
    double with_gradient(const ConstMatrixView& exact_hidden, const ConstMatrixView& hidden, float share,
                         const MatrixView& gradient);

  private:
    HeadLosses compare(const ConstMatrixView& exact_hidden, const ConstMatrixView& hidden,
                       std::span<const int32_t> targets, float share, const MatrixView& gradient);
    ConstMatrixView turned(const HeadRows& head, const ConstMatrixView& hidden, Matrix& room);
    void predict(const HeadRows& head, const ConstMatrixView& hidden, const MatrixView& logits);
    void pull_back(const ConstMatrixView& slopes, const MatrixView& gradient);
    template <class EachStrip>
    void for_strips(const HeadRows& head, EachStrip each);

    const Compute compute_;
    const HeadRows quantized_, exact_;  // of one vocabulary
    const size_t hidden_;
    Matrix exact_turned_, turned_, turned_gradient_;  // (window, hidden), where a head has a turn
    Matrix logits_, exact_logits_;                    // (head_rows, vocab)
    AlignedBuffer<float> strip_;                      // (strip_rows, hidden)
    std::vector<AlignedBuffer<float>> scratch_;       // (vocab), by thread
    std::vector<HeadLosses> losses_;                  // by row
    GemmWorkspace workspace_;
};

}  // namespace gq
