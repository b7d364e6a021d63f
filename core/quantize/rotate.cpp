// Finds what a rotation does to each weight, and does it. See rotate.h.
// In: steps; weights as floats. Out: turned weights. Must not know rounding or files.
#include "core/quantize/rotate.h"

#include <algorithm>
#include <cmath>

#include "core/base/status.h"
#include "core/quantize/packed_writer.h"

namespace gq {
namespace {

constexpr uint64_t residual_seed = 1, head_seed = 2;

// SplitMix64: the same numbers on every machine.
struct Random {
    uint64_t state;
    uint64_t next() {
        uint64_t z = state += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        return z ^ z >> 31;
    }
    // Twelve uniform numbers nearly make a normal one, by additions alone.
    double normal() {
        double sum = -6;
        for (int i = 0; i < 12; ++i) sum += static_cast<double>(next() >> 11) * 0x1p-53;
        return sum;
    }
};

// Rows made orthonormal by Gram-Schmidt, twice: once leaves rounding errors of the first subtraction.
std::vector<double> random_orthogonal(size_t n, Random& random) {
    std::vector<double> q(n * n);
    for (double& x : q) x = random.normal();
    for (size_t i = 0; i < n; ++i) {
        double* row = &q[i * n];
        for (int pass = 0; pass < 2; ++pass) {
            for (size_t before = 0; before < i; ++before) {
                double dot = 0;
                for (size_t k = 0; k < n; ++k) dot += row[k] * q[before * n + k];
                for (size_t k = 0; k < n; ++k) row[k] -= dot * q[before * n + k];
            }
        }
        double squares = 0;
        for (size_t k = 0; k < n; ++k) squares += row[k] * row[k];
        for (size_t k = 0; k < n; ++k) row[k] /= std::sqrt(squares);
    }
    return q;
}

}  // namespace

Turn::Turn(size_t n, uint64_t seed) : signs_(n) {
    odd_ = n;
    while (odd_ % 2 == 0) odd_ /= 2;
    Random random{seed};
    for (float& sign : signs_) sign = random.next() % 2 == 0 ? 1.0f : -1.0f;
    const size_t blocks = n / odd_;
    const double scale = 1 / std::sqrt(static_cast<double>(blocks));
    for (const double x : random_orthogonal(odd_, random)) odd_turn_.push_back(static_cast<float>(x * scale));
}

void Turn::apply(float* x) const {
    const size_t n = order(), blocks = n / odd_;
    for (size_t i = 0; i < n; ++i) x[i] *= signs_[i];
    std::vector<float> mixed(odd_);
    for (size_t b = 0; b < blocks; ++b) {
        float* part = x + b * odd_;
        std::fill(mixed.begin(), mixed.end(), 0.0f);
        for (size_t i = 0; i < odd_; ++i)
            for (size_t j = 0; j < odd_; ++j) mixed[j] += part[i] * odd_turn_[i * odd_ + j];
        std::copy(mixed.begin(), mixed.end(), part);
    }
    for (size_t half = odd_; half < n; half *= 2) {  // the Hadamard matrix of `blocks`, butterfly by butterfly
        for (size_t begin = 0; begin < n; begin += 2 * half) {
            for (size_t i = begin; i < begin + half; ++i) {
                const float a = x[i], b = x[i + half];
                x[i] = a + b;
                x[i + half] = a - b;
            }
        }
    }
}

void Turn::turn_inputs(const Compute& compute, float* w, size_t rows) const {
    compute.pool.for_each(rows, [&](size_t row, size_t) { apply(w + row * order()); });
}

void Turn::turn_outputs(const Compute& compute, float* w, size_t cols) const {
    compute.pool.for_ranges(cols, 1, [&](size_t begin, size_t end, size_t) {
        std::vector<float> column(order());
        for (size_t c = begin; c < end; ++c) {
            for (size_t i = 0; i < order(); ++i) column[i] = w[i * cols + c];
            apply(column.data());
            for (size_t i = 0; i < order(); ++i) w[i * cols + c] = column[i];
        }
    });
}

namespace {

constexpr int plain = -1, raw_residual = -2;  // what a slot holds, else the role of the RMSNorm that wrote it

// Follows the residual stream through one block.
class Tracer {
  public:
    Tracer(const Network& network, size_t n_roles)
        : slots_(network.slots.size(), plain), producer_(network.slots.size(), plain), plan_(n_roles) {
        slots_[network.residual] = raw_residual;
    }
    std::vector<RoleTurn> trace(const StepList& block) {
        for (const Step& step : block.steps) follow(step);
        return std::move(plan_);
    }

  private:
    [[noreturn]] void refuse(const char* what) const {
        fail(Status::unsupported, "rotation: this architecture has %s, which does not commute with a rotation", what);
    }
    void follow(const Step& step) {
        switch (step.op) {
            case Op::rms_norm:
                if (slots_[step.in[0]] != raw_residual) refuse("an RMSNorm of something else than the residual stream");
                plan_[step.weight].becomes_ones = true;
                return write(step.out, step.weight, plain);
            case Op::linear:
                return follow_linear(step);
            case Op::add:
                return follow_add(step);
            case Op::attention:
                return follow_attention(step);
            case Op::rope:
            case Op::relu:
            case Op::gelu:
            case Op::silu_mul:
                for (size_t i = 0; i < n_inputs(step.op); ++i)
                    if (slots_[step.in[i]] != plain) refuse("a step between the residual stream and its linears");
                return write(step.out, plain, plain);
            case Op::center:
                refuse("LayerNorms, with a mean");
            case Op::add_bias:
            case Op::position:
                break;
        }
        refuse("a step that rotations don't know");
    }
    void follow_linear(const Step& step) {
        RoleTurn& turn = plan_[step.weight];
        const int input = slots_[step.in[0]];
        if (input == raw_residual) refuse("a linear on the residual stream without a norm");
        if (input != plain) {
            turn.fold = static_cast<RoleId>(input);
            turn.inputs = true;
        }
        if (values_of_ == step.in[0] && from_heads_) {
            turn.head_inputs = true;
            plan_[static_cast<size_t>(values_role_)].head_outputs = true;
        }
        write(step.out, plain, step.weight);
    }
    void follow_add(const Step& step) {
        const bool first = slots_[step.in[0]] == raw_residual, second = slots_[step.in[1]] == raw_residual;
        const SlotId other = first ? step.in[1] : step.in[0];
        if (first == second || slots_[other] != plain || producer_[other] == plain)
            refuse("a sum of something else than the residual stream and a linear's outputs");
        plan_[static_cast<size_t>(producer_[other])].outputs = true;
        write(step.out, raw_residual, plain);
    }
    // R2 needs a linear that makes the values, and one that reads what attention mixed of them.
    void follow_attention(const Step& step) {
        values_role_ = producer_[step.in[2]];
        from_heads_ = values_role_ != plain;
        values_of_ = step.out;
        write(step.out, plain, plain);
    }
    void write(SlotId slot, int holds, int producer) {
        slots_[slot] = holds;
        producer_[slot] = producer;
    }

    std::vector<int> slots_, producer_;  // by slot
    std::vector<RoleTurn> plan_;
    SlotId values_of_ = 0;  // where attention's output stands
    int values_role_ = plain;
    bool from_heads_ = false;
};

// γ into the inputs of w (rows, cols).
void fold_norm(const float* gamma, size_t rows, size_t cols, float* w) {
    for (size_t r = 0; r < rows; ++r)
        for (size_t c = 0; c < cols; ++c) w[r * cols + c] *= gamma[c];
}

}  // namespace

std::vector<RoleTurn> plan_rotation(const Network& network, size_t n_roles) {
    std::vector<RoleTurn> plan = Tracer(network, n_roles).trace(network.blocks.front());
    if (!network.prologue.steps.empty() || network.epilogue.steps.front().op != Op::rms_norm)
        fail(Status::unsupported, "rotation: expected blocks alone between the embedding and a last RMSNorm");
    return plan;
}

RotatedSource::RotatedSource(const SourceModel& source, const Compute& compute, bool turned)
    : source_(source), compute_(compute), params_(source.params()) {
    if (!turned) return;
    plan_ = plan_rotation(source.network(), source.arch().block_weights.size());
    residual_turn_.emplace(params_.hidden, residual_seed);
    head_turn_.emplace(params_.head_dim, head_seed);
    final_norm_ = source.read(source.arch().outer_weights[source.network().epilogue.steps.front().weight], 0);
    params_.head_turn = params_.tied_head;
}

void RotatedSource::turn_linear(const RoleTurn& turn, size_t layer, size_t rows, size_t cols, float* w) const {
    if (turn.fold) {
        const AlignedBuffer<float> gamma = source_.read(source_.arch().block_weights[*turn.fold], layer);
        fold_norm(gamma.data(), rows, cols, w);
    }
    if (turn.inputs) residual_turn_->turn_inputs(compute_, w, rows);
    if (turn.outputs) residual_turn_->turn_outputs(compute_, w, cols);
    const size_t head_dim = head_turn_->order();
    if (turn.head_inputs) head_turn_->turn_inputs(compute_, w, rows * cols / head_dim);
    for (size_t head = 0; turn.head_outputs && head < rows / head_dim; ++head)
        head_turn_->turn_outputs(compute_, w + head * head_dim * cols, cols);
}

AlignedBuffer<float> RotatedSource::read(const WeightRow& row, size_t layer) const {
    AlignedBuffer<float> w = source_.read(row, layer);
    if (!turned()) return w;
    const std::span<const WeightRow> block = source_.arch().block_weights;
    const bool in_block = &row >= block.data() && &row < block.data() + block.size();
    if (!in_block) {
        std::fill(w.begin(), w.end(), 1.0f);  // the final norm: the head, or head_turn, has taken it
        return w;
    }
    const RoleTurn& turn = plan_[static_cast<size_t>(&row - block.data())];
    if (turn.becomes_ones) std::fill(w.begin(), w.end(), 1.0f);
    if (row.kind == WeightKind::linear) turn_linear(turn, layer, row.rows(params_), row.cols(params_), w.data());
    return w;
}

void RotatedSource::read_rows(const WeightRow& row, size_t layer, size_t row_begin, size_t row_end, float* out) const {
    source_.read_rows(row, layer, row_begin, row_end, out);
    if (!turned()) return;
    const size_t n = row_end - row_begin;
    if (&row == &source_.arch().head) fold_norm(final_norm_.data(), n, params_.hidden, out);
    residual_turn_->turn_inputs(compute_, out, n);
}

void RotatedSource::for_strips(const WeightRow& row, size_t layer,
                               FunctionRef<void(size_t, size_t, const float*)> work) const {
    const size_t rows = row.rows(params_), cols = row.cols(params_);
    AlignedBuffer<float> values(std::min(rows, strip_rows) * cols);
    for (size_t begin = 0; begin < rows; begin += strip_rows) {
        const size_t end = std::min(rows, begin + strip_rows);
        read_rows(row, layer, begin, end, values.data());
        work(begin, end - begin, values.data());
    }
}

AlignedBuffer<float> RotatedSource::turn_back() const {
    const size_t n = params_.hidden;
    AlignedBuffer<float> w(checked_mul(n, n, "head_turn"));
    for (size_t i = 0; i < n; ++i) w[i * n + i] = final_norm_[i];
    residual_turn_->turn_inputs(compute_, w.data(), n);
    return w;
}

AlignedBuffer<float> RotatedSource::head_turn() const {
    AlignedBuffer<float> w = turn_back();
    residual_turn_->turn_outputs(compute_, w.data(), params_.hidden);
    return w;
}

}  // namespace gq
