// Reverse mode over a list of steps: the same lists that forward.h interprets, in fp32, over whole windows at once.
// In: rows of the residual for some windows, weights as plain floats; then dL/d(output). Out: the output; then
// dL/d(input), dL/dW of linears and dL/d(weight) of norms and biases. Must not know what L is, nor how weights were
// rounded. Sums run over rows in ascending order (matrix products as gemm.h says), so no bit depends on the number of
// threads.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "core/linalg/gemm.h"
#include "core/model/steps.h"
#include "core/quantize/window_attention.h"

namespace gq {

// A role's weight as floats: a linear's matrix (out, in), or a norm's or bias's vector.
struct RoleValues {
    ConstMatrixView matrix;
    const float* vector = nullptr;
};

// Where gradients are added to. No memory: not wanted.
struct RoleGradients {
    MatrixView matrix;
    float* vector = nullptr;
};

// Runs a list forward, keeping what the way back needs, then backward. The rows are n windows of `window` positions
// each, from position 0. Memory: about twice the list's activations of max_windows windows.
class Tape {
  public:
    // The list reads slot `in` and leaves its result in slot `out`. network and list must outlive the tape.
    // Error(internal) for lists that it can't reverse: other slots read before they are written, a linear, attention
    // or norm in place.
    Tape(const Network& network, const StepList& list, SlotId in, SlotId out, size_t window, size_t max_windows,
         const Compute& compute);

    // Room for the input's rows of up to max_windows windows, to be filled before forward().
    MatrixView input(size_t n_windows);
    // roles: by RoleId. Returns the output's rows; valid until the next forward().
    ConstMatrixView forward(std::span<const RoleValues> roles, size_t n_windows);

    // Room for dL/d(output) of the rows of the last forward(), to be filled before backward().
    MatrixView output_gradient();
    // Adds to `gradients` (by RoleId) and returns dL/d(input), valid until the next backward(). roles as in the last
    // forward().
    ConstMatrixView backward(std::span<const RoleValues> roles, std::span<const RoleGradients> gradients);

  private:
    struct Value {
        SlotId slot = 0;
        size_t buffer = 0;
    };
    size_t rows() const { return n_windows_ * window_; }
    size_t width(SlotId slot) const { return network_.slots[slot].width; }
    MatrixView view(AlignedBuffer<float>& memory, SlotId slot) {
        return {memory.data(), rows(), width(slot), width(slot)};
    }
    MatrixView value(size_t index) { return view(buffers_[values_[index].buffer], values_[index].slot); }
    MatrixView operand(size_t step, size_t i) { return value(operands_[step][i]); }
    MatrixView gradient(SlotId slot) { return view(gradients_[slot], slot); }
    // Whether the slot's gradient already holds something to add to; from now on it does.
    bool adds_to(SlotId slot) { return std::exchange(has_gradient_[slot], uint8_t{1}) != 0; }

    void plan_values();
    void plan_memory();
    void make_turns();
    void run_step(size_t index, const RoleValues& role);
    void reverse_step(size_t index, const RoleValues& role, const RoleGradients& gradients);
    void run_linear(const ConstMatrixView& x, const RoleValues& role, const MatrixView& y);
    void reverse_linear(const Step& step, const ConstMatrixView& x, const RoleValues& role,
                        const RoleGradients& gradients);
    void reverse_norm(const Step& step, const ConstMatrixView& x, const RoleValues& role,
                      const RoleGradients& gradients);
    void reverse_silu_mul(const Step& step, const ConstMatrixView& gate, const ConstMatrixView& up);
    // Calls work(row) for every row, shared among the threads.
    template <class Work>
    void for_rows(const Work& work);
    void reverse_center(const Step& step);
    template <class Slope>
    void reverse_activation(const Step& step, const ConstMatrixView& x, const Slope& slope);
    void reverse_bias(const Step& step, const RoleGradients& gradients);
    void reverse_add(const Step& step);
    void pass_gradient(SlotId from, SlotId to);
    void turn(const Step& step, const ConstMatrixView& x, float direction, bool add, const MatrixView& y);
    void reverse_attention(size_t index);
    WindowAttention& attention(size_t index);

    const Network& network_;
    const StepList& list_;
    const SlotId in_, out_;
    const size_t window_, max_windows_;
    const Compute compute_;
    size_t n_windows_ = 0;
    GemmWorkspace workspace_;
    std::vector<WindowAttention> attentions_;  // one for each step that attends
    std::vector<size_t> attention_of_;         // by step

    std::vector<Value> values_;                    // 0 is the input; step i makes i + 1
    std::vector<std::array<size_t, 3>> operands_;  // by step: the values that it reads
    size_t result_ = 0;                            // the value that slot out_ ends with
    std::vector<AlignedBuffer<float>> buffers_;    // values that the way back does not read share one per slot
    std::vector<AlignedBuffer<float>> gradients_;  // by slot: of the value that stands there at this point of the way
    std::vector<uint8_t> has_gradient_;            // by slot
    AlignedBuffer<float> turns_;                   // (window, head_dim): cosines, then sines
    AlignedBuffer<float> inverse_rms_;             // (rows) of the norm under way
};

}  // namespace gq
