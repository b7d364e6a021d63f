// Parameters of a block in training, and the loop over them. See distill.h.
// In: gradients of plain weights, from a Tape. Out: codes and grids. Every sum is owned by one thread, row by row.
// Must not know how a Tape finds its gradients.
#include "core/quantize/distill.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numbers>
#include <random>

#include "core/base/status.h"

namespace gq {
namespace {

constexpr float first_decay = 0.9f, second_decay = 0.99f;  // Adam's; the usual .999 outlasts the few hundred steps here
constexpr float cell = 0.49f;  // how far from its code a weight starts at most: inside of what rounds to it

// One step of Adam (Kingma & Ba, arXiv 1412.6980): both means corrected for their start, `quiet` for its epsilon.
struct AdamStep {
    float rate, first_scale, second_scale, quiet;

    AdamStep(double step_rate, double quiet_share, size_t step)
        : rate(static_cast<float>(step_rate)),
          first_scale(static_cast<float>(1 / (1 - std::pow(static_cast<double>(first_decay), step)))),
          second_scale(static_cast<float>(1 / (1 - std::pow(static_cast<double>(second_decay), step)))),
          quiet(static_cast<float>(quiet_share)) {}
};

// Numbers in training with their gradients.
struct Trained {
    AlignedBuffer<float> value, gradient, first, second;

    Trained() = default;
    explicit Trained(size_t n) : value(n), gradient(n), first(n), second(n) {}

    // Moves numbers [begin, end) and clears their gradients. epsilon: below it gradients are quiet.
    void move(const AdamStep& step, float epsilon, float low, float high, size_t begin, size_t end) {
        float *x = value.data(), *g = gradient.data(), *m = first.data(), *v = second.data();
        for (size_t i = begin; i < end; ++i) {
            m[i] = first_decay * m[i] + (1 - first_decay) * g[i];
            v[i] = second_decay * v[i] + (1 - second_decay) * g[i] * g[i];
            const float to =
                x[i] - step.rate * (m[i] * step.first_scale) / (std::sqrt(v[i] * step.second_scale) + epsilon);
            x[i] = std::min(std::max(to, low), high);
            g[i] = 0;
        }
    }
};

// Σ of squares, in lanes that are added in order.
double sum_of_squares(const float* x, size_t n) {
    constexpr size_t lanes = 16;
    double sums[lanes] = {};
    size_t i = 0;
    for (; i + lanes <= n; i += lanes) {
        for (size_t l = 0; l < lanes; ++l) sums[l] += static_cast<double>(x[i + l]) * static_cast<double>(x[i + l]);
    }
    for (; i < n; ++i) sums[0] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    double sum = 0;
    for (const double s : sums) sum += s;
    return sum;
}

// The root mean square of gradients, and the epsilon that follows.
float epsilon_of(std::span<const double> squares, size_t n, const AdamStep& step) {
    double sum = 0;
    for (const double s : squares) sum += s;
    constexpr double never_zero = 1e-30;
    return static_cast<float>(std::sqrt(sum / static_cast<double>(n)) * static_cast<double>(step.quiet) + never_zero);
}

// One linear: v in codes, scales and offsets relative to the scales of the start.
class TrainedLinear {
  public:
    TrainedLinear(const Compute& compute, const DistillLinear& linear);

    RoleValues values() const { return {.matrix = values_.view()}; }
    RoleGradients gradients() { return {.matrix = {codes_.gradient.data(), rows(), cols(), cols()}}; }
    void step(const AdamStep& codes, const AdamStep& scales);
    void round();  // values() from what is trained, exactly as result() is stored
    QuantizedMatrix result() const;

  private:
    size_t rows() const { return start_.rows; }
    size_t cols() const { return start_.cols; }
    size_t n_groups() const { return start_.n_groups(); }
    void start_row(size_t row);
    void settle_row(size_t row);
    void round_row(size_t row);
    void gather_row(size_t row);

    const Compute compute_;
    const DistillLinear linear_;
    const QuantizedMatrix& start_;
    Matrix values_;
    Trained codes_;                 // (rows, cols): v
    Trained scales_, offsets_;      // (rows, groups): relative to the scale of the start, which is 1 and 0
    std::vector<GroupGrid> grids_;  // (rows, groups): as they are stored
    std::vector<double> squares_, scale_squares_, offset_squares_;  // of gradients, by row
};

TrainedLinear::TrainedLinear(const Compute& compute, const DistillLinear& linear)
    : compute_(compute),
      linear_(linear),
      start_(*linear.rounded),
      values_(start_.rows, start_.cols),
      codes_(start_.rows * start_.cols),
      scales_(start_.rows * start_.n_groups()),
      offsets_(start_.rows * start_.n_groups()),
      grids_(start_.rows * start_.n_groups()),
      squares_(start_.rows),
      scale_squares_(start_.rows),
      offset_squares_(start_.rows) {
    compute_.pool.for_ranges(rows(), 1, [&](size_t begin, size_t end, size_t) {
        for (size_t row = begin; row < end; ++row) {
            start_row(row);
            for (size_t g = 0; g < n_groups(); ++g) grids_[row * n_groups() + g] = start_.grid(row * n_groups() + g);
            round_row(row);
        }
    });
}

// v is the weight in codes, as near to it as rounding to the code that was chosen allows.
void TrainedLinear::start_row(size_t row) {
    for (size_t c = 0; c < cols(); ++c) {
        const size_t at = row * cols() + c;
        const size_t group = row * n_groups() + linear_.grid.group_of(c);
        const GroupGrid grid = start_.grid(group);
        const float code = start_.codes[at];
        const float v = (linear_.weights[at] - grid.offset) / grid.scale + static_cast<float>(grid.zero_point);
        codes_.value[at] = std::min(std::max(v, code - cell), code + cell);
    }
    std::fill_n(scales_.value.data() + row * n_groups(), n_groups(), 1.0f);
}

// The stored grids nearest to what is trained.
void TrainedLinear::settle_row(size_t row) {
    const Grid& kind = *linear_.grid.grid;
    GroupGrid* grids = &grids_[row * n_groups()];
    for (size_t g = 0; g < n_groups(); ++g) {
        const size_t at = row * n_groups() + g;
        const GroupGrid start = start_.grid(at);
        const float scale = start.scale * scales_.value[at];
        const float offset = start.offset + start.scale * offsets_.value[at];
        grids[g] = kind.nearest(scale, offset - scale * static_cast<float>(start.zero_point), linear_.grid.bits);
    }
    if (!kind.settle) return;
    for (size_t g = 0; g < n_groups(); g += kind.unit_groups)
        kind.settle(grids + g, std::min(kind.unit_groups, n_groups() - g), linear_.grid.bits);
}

// v never leaves [-cell, top + cell], so that it rounds to a code.
void TrainedLinear::round_row(size_t row) {
    constexpr float rounder = 0x1.8p+23f;
    for (size_t begin = 0, g = row * n_groups(); begin < cols(); ++g) {
        const size_t end = linear_.grid.group_end(begin, cols());
        const float scale = grids_[g].scale, zero = grids_[g].zero_point, offset = grids_[g].offset;
        const float* v = codes_.value.data() + row * cols();
        float* w = values_.row(row);
        for (size_t c = begin; c < end; ++c) w[c] = scale * (((v[c] + rounder) - rounder) - zero) + offset;
        begin = end;
    }
}

// From dL/dŵ to the gradients of scales and offsets (v's own is dL/dŵ but for a factor, which Adam takes out).
void TrainedLinear::gather_row(size_t row) {
    for (size_t begin = 0, g = row * n_groups(); begin < cols(); ++g) {
        const size_t end = linear_.grid.group_end(begin, cols());
        const float* d = codes_.gradient.data() + row * cols();
        const float* w = values_.row(row);
        float by_offset = 0, by_scale = 0;
        for (size_t c = begin; c < end; ++c) {
            by_offset += d[c];
            by_scale += d[c] * (w[c] - grids_[g].offset);
        }
        const float start = start_.scales[g];
        scales_.gradient[g] = by_scale * start / grids_[g].scale;
        offsets_.gradient[g] = start_.offsets.size() == 0 ? 0 : by_offset * start;
        begin = end;
    }
}

void TrainedLinear::step(const AdamStep& codes, const AdamStep& scales) {
    const auto for_rows = [&](auto work) {
        compute_.pool.for_ranges(rows(), 1, [&](size_t begin, size_t end, size_t) {
            for (size_t row = begin; row < end; ++row) work(row);
        });
    };
    const size_t groups = n_groups();
    for_rows([&](size_t row) {
        gather_row(row);
        squares_[row] = sum_of_squares(codes_.gradient.data() + row * cols(), cols());
        scale_squares_[row] = sum_of_squares(scales_.gradient.data() + row * groups, groups);
        offset_squares_[row] = sum_of_squares(offsets_.gradient.data() + row * groups, groups);
    });
    const float epsilon = epsilon_of(squares_, rows() * cols(), codes),
                scale_epsilon = epsilon_of(scale_squares_, rows() * groups, scales),
                offset_epsilon = epsilon_of(offset_squares_, rows() * groups, scales);
    constexpr float smallest_share = 0.1f, largest_share = 4, furthest = 100;  // far beyond what training needs
    for_rows([&](size_t row) {
        codes_.move(codes, epsilon, -cell, linear_.grid.top_code() + cell, row * cols(), (row + 1) * cols());
        scales_.move(scales, scale_epsilon, smallest_share, largest_share, row * groups, (row + 1) * groups);
        if (start_.offsets.size() != 0)
            offsets_.move(scales, offset_epsilon, -furthest, furthest, row * groups, (row + 1) * groups);
        settle_row(row);
        round_row(row);
    });
}

QuantizedMatrix TrainedLinear::result() const {
    QuantizedMatrix out(rows(), cols(), linear_.grid);
    for (size_t i = 0; i < out.codes.size(); ++i)
        out.codes[i] = static_cast<uint8_t>(static_cast<int>(std::nearbyint(codes_.value[i])));
    for (size_t g = 0; g < grids_.size(); ++g) out.set_grid(g, grids_[g]);
    return out;
}

// A norm's weights, relative to their mean size.
struct TrainedNorm {
    DistillNorm norm;
    Trained weights;

    explicit TrainedNorm(const DistillNorm& which) : norm(which), weights(which.n) {
        std::copy_n(norm.weights, norm.n, weights.value.data());
    }
    void step(AdamStep step) {
        const double squares = sum_of_squares(weights.gradient.data(), norm.n);
        step.rate *= static_cast<float>(std::sqrt(sum_of_squares(norm.weights, norm.n) / static_cast<double>(norm.n)));
        constexpr float anywhere = 1e30f;
        weights.move(step, epsilon_of({&squares, 1}, norm.n, step), -anywhere, anywhere, 0, norm.n);
    }
};

class Distiller {
  public:
    Distiller(const Compute& compute, const Network& network, const StepList& steps,
              std::span<const DistillLinear> linears, std::span<const DistillNorm> norms, const DistillRows& rows,
              const DistillOptions& options);
    DistillReport run();

  private:
    struct Kept {
        std::vector<QuantizedMatrix> linears;
        std::vector<std::vector<float>> norms;
    };
    void split_windows();
    // Output of some windows; their loss, and its gradient where the way back follows.
    double forward(std::span<const size_t> windows, bool with_gradient);
    double held_out_loss();
    double train_epoch(size_t epoch);
    void move(size_t step);
    Kept keep() const;
    void give(Kept kept);

    const Compute compute_;
    const std::span<const DistillLinear> given_linears_;
    const std::span<const DistillNorm> given_norms_;
    const DistillRows rows_;
    const DistillOptions options_;
    Tape tape_;
    std::vector<std::unique_ptr<TrainedLinear>> linears_;
    std::vector<TrainedNorm> norms_;
    std::vector<RoleValues> values_;
    std::vector<RoleGradients> gradients_;
    std::vector<size_t> training_, held_out_;  // windows
    std::vector<double> row_losses_;           // of the windows under way
    size_t n_steps_ = 0;                       // taken so far
};

size_t n_roles(std::span<const DistillLinear> linears, std::span<const DistillNorm> norms) {
    size_t n = 0;
    for (const DistillLinear& linear : linears) n = std::max<size_t>(n, linear.role + size_t{1});
    for (const DistillNorm& norm : norms) n = std::max<size_t>(n, norm.role + size_t{1});
    return n;
}

Distiller::Distiller(const Compute& compute, const Network& network, const StepList& steps,
                     std::span<const DistillLinear> linears, std::span<const DistillNorm> norms,
                     const DistillRows& rows, const DistillOptions& options)
    : compute_(compute),
      given_linears_(linears),
      given_norms_(norms),
      rows_(rows),
      options_(options),
      tape_(network, steps, network.residual, network.residual, rows.window, options.batch, compute),
      values_(n_roles(linears, norms)),
      gradients_(values_.size()),
      row_losses_(rows.window * options.batch) {
    for (const DistillLinear& linear : linears) {
        TrainedLinear& trained = *linears_.emplace_back(std::make_unique<TrainedLinear>(compute, linear));
        values_[linear.role] = trained.values();
        gradients_[linear.role] = trained.gradients();
    }
    for (const DistillNorm& norm : norms) {
        TrainedNorm& trained = norms_.emplace_back(norm);
        values_[norm.role].vector = trained.weights.value.data();
        gradients_[norm.role].vector = trained.weights.gradient.data();
    }
    split_windows();
}

void Distiller::split_windows() {
    const size_t n = rows_.inputs.rows / rows_.window;
    if (n < 2) fail(Status::invalid_argument, "distillation: expected at least 2 windows of calibration, found %zu", n);
    const size_t n_held = std::clamp<size_t>(static_cast<size_t>(static_cast<double>(n) * options_.held_out), 1, n - 1);
    for (size_t w = 0, held = 0; w < n; ++w) {
        const bool hold = held < n_held && w >= (2 * held + 1) * n / (2 * n_held);
        (hold ? held_out_ : training_).push_back(w);
        held += hold;
    }
}

double Distiller::forward(std::span<const size_t> windows, bool with_gradient) {
    const size_t width = rows_.inputs.cols, window = rows_.window;
    const MatrixView x = tape_.input(windows.size());
    const auto source_row = [&](size_t r) { return windows[r / window] * window + r % window; };
    compute_.pool.for_ranges(x.rows, 1, [&](size_t begin, size_t end, size_t) {
        for (size_t r = begin; r < end; ++r) std::copy_n(&rows_.inputs(source_row(r), 0), width, x.row(r));
    });
    const ConstMatrixView y = tape_.forward(values_, windows.size());
    const MatrixView dy = tape_.output_gradient();
    compute_.pool.for_ranges(x.rows, 1, [&](size_t begin, size_t end, size_t) {
        for (size_t r = begin; r < end; ++r) {
            const float *out = &y(r, 0), *target = &rows_.targets(source_row(r), 0);
            const double size = sum_of_squares(target, width) + 1e-30;
            float* d = dy.row(r);
            for (size_t i = 0; i < width; ++i) d[i] = out[i] - target[i];
            row_losses_[r] = sum_of_squares(d, width) / size;
            const float factor = static_cast<float>(2 / (size * static_cast<double>(x.rows)));
            for (size_t i = 0; with_gradient && i < width; ++i) d[i] *= factor;
        }
    });
    double sum = 0;
    for (size_t r = 0; r < x.rows; ++r) sum += row_losses_[r];
    return sum;
}

double Distiller::held_out_loss() {
    double sum = 0;
    for (size_t i = 0; i < held_out_.size(); i += options_.batch)
        sum += forward(std::span(held_out_).subspan(i, std::min(options_.batch, held_out_.size() - i)), false);
    return sum / static_cast<double>(held_out_.size() * rows_.window);
}

// In another order each time, the same one in every run.
double Distiller::train_epoch(size_t epoch) {
    std::vector<size_t> order = training_;
    std::mt19937 random(static_cast<uint32_t>(epoch));
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
    double sum = 0;
    for (size_t i = 0; i < order.size(); i += options_.batch) {
        sum += forward(std::span(order).subspan(i, std::min(options_.batch, order.size() - i)), true);
        tape_.backward(values_, gradients_);
        move(++n_steps_);
    }
    return sum / static_cast<double>(order.size() * rows_.window);
}

void Distiller::move(size_t step) {
    const double total = static_cast<double>(options_.epochs * div_up(training_.size(), options_.batch));
    const double fall = (1 + std::cos(std::numbers::pi * static_cast<double>(step - 1) / total)) / 2;
    const AdamStep weight(options_.weight_rate * fall, options_.quiet, step);
    const AdamStep scale(options_.scale_rate * fall, options_.quiet, step);
    for (const auto& linear : linears_) linear->step(weight, scale);
    for (TrainedNorm& norm : norms_) norm.step({options_.norm_rate * fall, options_.quiet, step});
}

Distiller::Kept Distiller::keep() const {
    Kept kept;
    for (const auto& linear : linears_) kept.linears.push_back(linear->result());
    for (const TrainedNorm& norm : norms_)
        kept.norms.emplace_back(norm.weights.value.begin(), norm.weights.value.end());
    return kept;
}

void Distiller::give(Kept kept) {
    for (size_t i = 0; i < kept.linears.size(); ++i) *given_linears_[i].rounded = std::move(kept.linears[i]);
    for (size_t i = 0; i < kept.norms.size(); ++i)
        std::copy(kept.norms[i].begin(), kept.norms[i].end(), given_norms_[i].weights);
}

DistillReport Distiller::run() {
    DistillReport report;
    report.before = report.after = held_out_loss();
    Kept best;
    for (size_t epoch = 1; epoch <= options_.epochs; ++epoch) {
        report.training = train_epoch(epoch);
        const double loss = held_out_loss();
        if (!(loss < report.after)) continue;
        report.after = loss;
        report.kept_epoch = epoch;
        best = keep();
    }
    if (report.kept_epoch > 0) give(std::move(best));
    return report;
}

}  // namespace

DistillReport distill_block(const Compute& compute, const Network& network, const StepList& steps,
                            std::span<const DistillLinear> linears, std::span<const DistillNorm> norms,
                            const DistillRows& rows, const DistillOptions& options) {
    return Distiller(compute, network, steps, linears, norms, rows, options).run();
}

}  // namespace gq
