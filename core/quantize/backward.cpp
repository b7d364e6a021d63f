// Interprets steps forward and in reverse. See backward.h.
// In: values of slots, one a step, since a slot may be written more than once; gradients of slots, which need no such
// versions: what a step writes has no reader before it. Out: the same, step by step. Rows are shared among threads;
// sums over rows are not. Must not know losses or grids.
#include "core/quantize/backward.h"

#include <algorithm>
#include <cmath>

#include "core/base/status.h"
#include "core/kernels/math.h"

namespace gq {
namespace {

constexpr size_t no_value = SIZE_MAX;

// Whether the way back reads what the step read.
bool reads_inputs_again(Op op) {
    return op == Op::rms_norm || op == Op::linear || op == Op::attention || op == Op::silu_mul || op == Op::relu ||
           op == Op::gelu;
}

// Whether an input may stand in the slot that is written.
bool is_elementwise(Op op) {
    return op == Op::rope || op == Op::add || op == Op::add_bias || op == Op::silu_mul || op == Op::relu ||
           op == Op::gelu;
}

[[noreturn]] void refuse(const Step& step) {
    fail(Status::internal, "backward: step of kind %d can't be reversed", static_cast<int>(step.op));
}

constexpr size_t lanes = 16;

// Σ x y z, by lanes that are added in order.
float dot3(const float* x, const float* y, const float* z, size_t n) {
    float sums[lanes] = {};
    size_t i = 0;
    for (; i + lanes <= n; i += lanes) {
        for (size_t l = 0; l < lanes; ++l) sums[l] += x[i + l] * y[i + l] * z[i + l];
    }
    for (; i < n; ++i) sums[i % lanes] += x[i] * y[i] * z[i];
    float sum = 0;
    for (const float s : sums) sum += s;
    return sum;
}

float sum_of_squares(const float* x, size_t n) {
    float sums[lanes] = {};
    size_t i = 0;
    for (; i + lanes <= n; i += lanes) {
        for (size_t l = 0; l < lanes; ++l) sums[l] += x[i + l] * x[i + l];
    }
    for (; i < n; ++i) sums[i % lanes] += x[i] * x[i];
    float sum = 0;
    for (const float s : sums) sum += s;
    return sum;
}

// y = x w / rms(x): dx = (w dy - x Σ(x w dy) / (n rms²)) / rms. dx may be dy.
void reverse_norm_row(const float* x, const float* w, const float* dy, float inverse, size_t n, bool add, float* dx) {
    const float pull = dot3(x, w, dy, n) * inverse * inverse / static_cast<float>(n);
    for (size_t i = 0; i < n; ++i) {
        const float d = (w[i] * dy[i] - x[i] * pull) * inverse;
        dx[i] = add ? dx[i] + d : d;
    }
}

// y = g s(g) u, s the logistic function: du = dy g s, dg = dy u s (1 + g (1 - s)). d_gate or d_up may be dy.
void reverse_silu_mul_row(const float* gate, const float* up, const float* dy, size_t n, bool add_gate, bool add_up,
                          float* d_gate, float* d_up) {
    for (size_t i = 0; i < n; ++i) {
        const float g = gate[i], d = dy[i], s = 1 / (1 + exp_f32(-g));
        const float du = d * g * s, dg = d * up[i] * s * (1 + g * (1 - s));
        d_gate[i] = add_gate ? d_gate[i] + dg : dg;
        d_up[i] = add_up ? d_up[i] + du : du;
    }
}

// y = x s(u): dy/dx = s + x s (1 - s) u'.
float gelu_slope(float x) {
    const float s = gelu_logistic(x);
    return s + x * s * (1 - s) * (gelu_steps::linear + 3 * gelu_steps::cubic * (x * x));
}

// One head by the angles of its position; direction -1 turns back. y may be x.
void turn_head(const float* x, const float* turn, size_t half, float direction, bool add, float* y) {
    for (size_t i = 0; i < half; ++i) {
        const float a = x[i], b = x[half + i], c = turn[i], s = turn[half + i] * direction;
        const float first = a * c - b * s, second = b * c + a * s;
        y[i] = add ? y[i] + first : first;
        y[half + i] = add ? y[half + i] + second : second;
    }
}

}  // namespace

Tape::Tape(const Network& network, const StepList& list, SlotId in, SlotId out, size_t window, size_t max_windows,
           const Compute& compute)
    : network_(network),
      list_(list),
      in_(in),
      out_(out),
      window_(window),
      max_windows_(max_windows),
      compute_(compute),
      attention_of_(list.steps.size()),
      gradients_(network.slots.size()),
      has_gradient_(network.slots.size()) {
    plan_values();
    plan_memory();
    make_turns();
    for (size_t i = 0; i < list.steps.size(); ++i) {
        if (list.steps[i].op != Op::attention) continue;
        attention_of_[i] = attentions_.size();
        attentions_.emplace_back(compute, list.steps[i].attention, window);
    }
}

// Which value each step reads.
void Tape::plan_values() {
    std::vector<size_t> current(network_.slots.size(), no_value);  // by slot
    values_.push_back({.slot = in_});
    current[in_] = 0;
    for (const Step& step : list_.steps) {
        std::array<size_t, 3> reads{no_value, no_value, no_value};
        for (size_t k = 0; k < n_inputs(step.op); ++k) {
            reads[k] = current[step.in[k]];
            if (reads[k] == no_value || (step.in[k] == step.out && !is_elementwise(step.op))) refuse(step);
        }
        operands_.push_back(reads);
        current[step.out] = values_.size();
        values_.push_back({.slot = step.out});
    }
    result_ = current[out_];
    if (result_ == no_value) fail(Status::internal, "backward: no step writes the output");
}

void Tape::plan_memory() {
    std::vector<uint8_t> kept(values_.size());
    kept[0] = 1;
    for (size_t i = 0; i < list_.steps.size(); ++i) {
        for (size_t k = 0; k < n_inputs(list_.steps[i].op); ++k)
            if (reads_inputs_again(list_.steps[i].op)) kept[operands_[i][k]] = 1;
    }
    const size_t max_rows = checked_mul(window_, max_windows_, "tape");
    std::vector<size_t> shared(network_.slots.size(), no_value);
    for (size_t i = 0; i < values_.size(); ++i) {
        const SlotId slot = values_[i].slot;
        if (kept[i] || shared[slot] == no_value) {
            values_[i].buffer = buffers_.size();
            if (!kept[i]) shared[slot] = buffers_.size();
            buffers_.emplace_back(checked_mul(max_rows, width(slot), "tape"));
        } else {
            values_[i].buffer = shared[slot];
        }
        gradients_[slot].reserve_discard(max_rows * width(slot));
    }
    inverse_rms_ = AlignedBuffer<float>(max_rows);
}

// The angle is rounded to float, as the backend rounds it.
void Tape::make_turns() {
    const size_t half = network_.rope_inv_freq.size();
    turns_ = AlignedBuffer<float>(window_ * network_.head_dim);
    for (size_t r = 0; r < window_; ++r) {
        for (size_t i = 0; i < half; ++i) {
            const float angle = static_cast<float>(r) * network_.rope_inv_freq[i];
            turns_[r * network_.head_dim + i] = cos_f32(angle);
            turns_[r * network_.head_dim + half + i] = sin_f32(angle);
        }
    }
}

MatrixView Tape::input(size_t n_windows) {
    if (n_windows == 0 || n_windows > max_windows_)
        fail(Status::internal, "backward: expected 1 … %zu windows, found %zu", max_windows_, n_windows);
    n_windows_ = n_windows;
    return value(0);
}

ConstMatrixView Tape::forward(std::span<const RoleValues> roles, size_t n_windows) {
    input(n_windows);
    for (size_t i = 0; i < list_.steps.size(); ++i) run_step(i, roles[list_.steps[i].weight]);
    return value(result_);
}

template <class Work>
void Tape::for_rows(const Work& work) {
    compute_.pool.for_ranges(rows(), 1, [&](size_t begin, size_t end, size_t) {
        for (size_t r = begin; r < end; ++r) work(r);
    });
}

void Tape::run_step(size_t index, const RoleValues& role) {
    const Step& step = list_.steps[index];
    const MatrixView x = operand(index, 0), y = value(index + 1);
    switch (step.op) {
        case Op::center:
            return for_rows([&](size_t r) { center_row(x.row(r), x.cols, y.row(r)); });
        case Op::rms_norm:
            return for_rows([&](size_t r) {
                compute_.kernels.rms_norm(x.row(r), role.vector, network_.norm_eps, x.cols, y.row(r));
            });
        case Op::linear:
            return run_linear(x, role, y);
        case Op::rope:
            return turn(step, x, 1, false, y);
        case Op::attention:
            return attention(index).forward(x, operand(index, 1), operand(index, 2), y, n_windows_);
        case Op::silu_mul:
            return for_rows([&, up = operand(index, 1)](size_t r) {
                compute_.kernels.silu_mul(x.row(r), up.row(r), x.cols, y.row(r));
            });
        case Op::relu:
            return for_rows([&](size_t r) { relu_row(x.row(r), x.cols, y.row(r)); });
        case Op::gelu:
            return for_rows([&](size_t r) { gelu_row(x.row(r), x.cols, y.row(r)); });
        case Op::add:
            return for_rows(
                [&, other = operand(index, 1)](size_t r) { add_rows(x.row(r), other.row(r), x.cols, y.row(r)); });
        case Op::add_bias:
            return for_rows([&](size_t r) { add_rows(x.row(r), role.vector, x.cols, y.row(r)); });
        case Op::position:
            break;  // stands in front of the blocks, where nothing is trained
    }
    refuse(step);
}

void Tape::run_linear(const ConstMatrixView& x, const RoleValues& role, const MatrixView& y) {
    gemm(compute_, workspace_, Update::set, x, role.matrix.transposed(), y);
}

void Tape::turn(const Step& step, const ConstMatrixView& x, float direction, bool add, const MatrixView& y) {
    const size_t dim = network_.head_dim;
    for_rows([&](size_t r) {
        for (size_t h = 0; h < step.heads; ++h)
            turn_head(&x(r, h * dim), &turns_[r % window_ * dim], dim / 2, direction, add, &y(r, h * dim));
    });
}

WindowAttention& Tape::attention(size_t index) {
    return attentions_[attention_of_[index]];
}

MatrixView Tape::output_gradient() {
    return gradient(out_);
}

ConstMatrixView Tape::backward(std::span<const RoleValues> roles, std::span<const RoleGradients> gradients) {
    std::fill(has_gradient_.begin(), has_gradient_.end(), uint8_t{0});
    has_gradient_[out_] = 1;
    for (size_t i = list_.steps.size(); i-- > 0;) {
        const Step& step = list_.steps[i];
        if (!has_gradient_[step.out]) continue;  // nobody reads what it makes
        has_gradient_[step.out] = 0;
        reverse_step(i, roles[step.weight], gradients[step.weight]);
    }
    const MatrixView d_input = gradient(in_);
    if (!has_gradient_[in_]) std::fill_n(d_input.data, rows() * d_input.cols, 0.0f);
    return d_input;
}

// gradient(step.out) is read; where an input stands in the same slot, it is overwritten element by element.
void Tape::reverse_step(size_t index, const RoleValues& role, const RoleGradients& gradients) {
    const Step& step = list_.steps[index];
    switch (step.op) {
        case Op::center:
            return reverse_center(step);
        case Op::rms_norm:
            return reverse_norm(step, operand(index, 0), role, gradients);
        case Op::linear:
            return reverse_linear(step, operand(index, 0), role, gradients);
        case Op::rope:
            return turn(step, gradient(step.out), -1, adds_to(step.in[0]), gradient(step.in[0]));
        case Op::attention:
            return reverse_attention(index);
        case Op::silu_mul:
            return reverse_silu_mul(step, operand(index, 0), operand(index, 1));
        case Op::relu:
            return reverse_activation(step, operand(index, 0), [](float x) { return x > 0 ? 1.0f : 0.0f; });
        case Op::gelu:
            return reverse_activation(step, operand(index, 0), gelu_slope);
        case Op::add:
            return reverse_add(step);
        case Op::add_bias:
            return reverse_bias(step, gradients);
        case Op::position:
            break;
    }
    refuse(step);
}

void Tape::reverse_linear(const Step& step, const ConstMatrixView& x, const RoleValues& role,
                          const RoleGradients& gradients) {
    const MatrixView dy = gradient(step.out);
    if (gradients.matrix.data) gemm(compute_, workspace_, Update::add, dy.transposed(), x, gradients.matrix);
    const Update update = adds_to(step.in[0]) ? Update::add : Update::set;
    gemm(compute_, workspace_, update, dy, role.matrix, gradient(step.in[0]));
}

void Tape::reverse_norm(const Step& step, const ConstMatrixView& x, const RoleValues& role,
                        const RoleGradients& gradients) {
    const MatrixView dy = gradient(step.out), dx = gradient(step.in[0]);
    const bool add = adds_to(step.in[0]);
    for_rows([&](size_t r) {
        const float mean = sum_of_squares(&x(r, 0), x.cols) / static_cast<float>(x.cols);
        inverse_rms_[r] = 1 / std::sqrt(mean + network_.norm_eps);
        reverse_norm_row(&x(r, 0), role.vector, dy.row(r), inverse_rms_[r], x.cols, add, dx.row(r));
    });
    if (!gradients.vector) return;
    compute_.pool.for_ranges(x.cols, lanes, [&](size_t begin, size_t end, size_t) {
        for (size_t r = 0; r < rows(); ++r)
            for (size_t i = begin; i < end; ++i) gradients.vector[i] += dy.row(r)[i] * (&x(r, 0))[i] * inverse_rms_[r];
    });
}

void Tape::reverse_silu_mul(const Step& step, const ConstMatrixView& gate, const ConstMatrixView& up) {
    const MatrixView dy = gradient(step.out), d_gate = gradient(step.in[0]), d_up = gradient(step.in[1]);
    const bool add_gate = adds_to(step.in[0]), add_up = adds_to(step.in[1]);
    for_rows([&](size_t r) {
        reverse_silu_mul_row(&gate(r, 0), &up(r, 0), dy.row(r), gate.cols, add_gate, add_up, d_gate.row(r),
                             d_up.row(r));
    });
}

// y = x - mean(x): dx = dy - mean(dy).
void Tape::reverse_center(const Step& step) {
    const MatrixView dy = gradient(step.out);
    for_rows([&](size_t r) { center_row(dy.row(r), dy.cols, dy.row(r)); });
    pass_gradient(step.out, step.in[0]);
}

// y = f(x): dx = dy f'(x).
template <class Slope>
void Tape::reverse_activation(const Step& step, const ConstMatrixView& x, const Slope& slope) {
    const MatrixView dy = gradient(step.out);
    for_rows([&](size_t r) {
        for (size_t i = 0; i < dy.cols; ++i) dy.row(r)[i] *= slope(x(r, i));
    });
    pass_gradient(step.out, step.in[0]);
}

void Tape::reverse_bias(const Step& step, const RoleGradients& gradients) {
    const MatrixView dy = gradient(step.out);
    if (gradients.vector) {
        compute_.pool.for_ranges(dy.cols, lanes, [&](size_t begin, size_t end, size_t) {
            for (size_t r = 0; r < rows(); ++r)
                for (size_t i = begin; i < end; ++i) gradients.vector[i] += dy.row(r)[i];
        });
    }
    pass_gradient(step.out, step.in[0]);
}

void Tape::reverse_add(const Step& step) {
    const size_t first = step.in[1] == step.out ? 1 : 0;  // the one in the output's slot goes last: it is dy itself
    for (const size_t k : {size_t{1} - first, first}) pass_gradient(step.out, step.in[k]);
}

// In place the gradient passes as it stands.
void Tape::pass_gradient(SlotId from, SlotId to) {
    const MatrixView dy = gradient(from), dx = gradient(to);
    const bool add = adds_to(to);
    if (dx.data == dy.data && !add) return;
    compute_.pool.for_ranges(rows(), 1, [&](size_t begin, size_t end, size_t) {
        for (size_t i = begin * dx.cols; i < end * dx.cols; ++i)
            dx.data[i] = add ? dx.data[i] + dy.data[i] : dy.data[i];
    });
}

void Tape::reverse_attention(size_t index) {
    const Step& step = list_.steps[index];
    for (const SlotId slot : step.in)
        if (!adds_to(slot)) std::fill_n(gradient(slot).data, rows() * width(slot), 0.0f);
    attention(index).backward(operand(index, 0), operand(index, 1), operand(index, 2), gradient(step.out),
                              gradient(step.in[0]), gradient(step.in[1]), gradient(step.in[2]), n_windows_);
}

}  // namespace gq
