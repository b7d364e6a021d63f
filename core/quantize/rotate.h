// Rotations of a float model that leave its function as it is and its weights easier to round. R1 turns the residual
// stream by an orthogonal Q, after every RMSNorm's weight has been multiplied into the linears behind it; R2 turns the
// values of each attention head. In: an architecture's steps, weights as the checkpoint has them. Out: the same weights
// of the turned model. Must not know rounding. Sources: QuaRot (arXiv 2404.00456), SpinQuant (arXiv 2405.16406).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/kernels/compute.h"
#include "core/model/model.h"

namespace gq {

// An orthogonal matrix Q of any order n = 2^k m, m odd: (Hadamard of 2^k ⊗ a random orthogonal one of m) after random
// signs. It mixes every input into every output, costs n (k + m) per vector, and is the same everywhere for a seed.
class Turn {
  public:
    Turn(size_t n, uint64_t seed);
    size_t order() const { return signs_.size(); }
    // x ← x Q for a row vector of n floats.
    void apply(float* x) const;
    // W ← W Q: w (rows, n). W ← Qᵀ W: w (n, cols).
    void turn_inputs(const Compute& compute, float* w, size_t rows) const;
    void turn_outputs(const Compute& compute, float* w, size_t cols) const;

  private:
    size_t odd_ = 1;               // m
    std::vector<float> signs_;     // (n)
    std::vector<float> odd_turn_;  // (m, m), orthogonal, times 2^(-k/2)
};

// What a rotation does to one weight of a block.
struct RoleTurn {
    std::optional<RoleId> fold;  // a linear: the RMSNorm whose weight goes into its inputs
    bool inputs = false;         // W ← W Q
    bool outputs = false;        // W ← Qᵀ W
    bool head_inputs = false;    // every head's inputs by R2
    bool head_outputs = false;   // every head's outputs by R2
    bool becomes_ones = false;   // an RMSNorm's weight, which its linears have taken
};

// By RoleId, found from the steps: who reads a normed residual stream, who adds to it, whose output is attention's
// values. Error(unsupported) naming the step where a block uses the residual stream in a way that does not commute with
// a rotation: another norm than RMSNorm, a norm's output read by anything but linears.
std::vector<RoleTurn> plan_rotation(const Network& network, size_t n_roles);

// A float checkpoint, turned as it is read.
class RotatedSource {
  public:
    // turned: false reads weights as they are.
    RotatedSource(const SourceModel& source, const Compute& compute, bool turned);

    bool turned() const { return residual_turn_.has_value(); }
    // Hyper-parameters of the model as written: a tied head that was turned has a head_turn.
    const HyperParams& params() const { return params_; }
    AlignedBuffer<float> read(const WeightRow& row, size_t layer) const;
    // Rows of the embedding or the head.
    void read_rows(const WeightRow& row, size_t layer, size_t row_begin, size_t row_end, float* out) const;
    // Calls work(first_row, n_rows, values) for strips of a weight as read_rows() gives it: a vocabulary's matrix is
    // never held as floats whole.
    void for_strips(const WeightRow& row, size_t layer, FunctionRef<void(size_t, size_t, const float*)> work) const;
    // diag(γ) Q, γ the final norm's weight: (hidden, hidden). The logits are the head, as the source has it, times this
    // times the turned stream, normed.
    AlignedBuffer<float> turn_back() const;
    // Qᵀ turn_back(), in front of a tied head E' = E Q.
    AlignedBuffer<float> head_turn() const;

  private:
    void turn_linear(const RoleTurn& turn, size_t layer, size_t rows, size_t cols, float* w) const;

    const SourceModel& source_;
    const Compute compute_;
    HyperParams params_;
    std::vector<RoleTurn> plan_;  // by RoleId; empty when not turned
    std::optional<Turn> residual_turn_, head_turn_;
    AlignedBuffer<float> final_norm_;  // γ
};

}  // namespace gq
